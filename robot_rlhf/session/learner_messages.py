"""What a live session and its learner, a process of its own, say to each other.

The learner reads the run's store itself; it is told that there is something new, and never of what the
task says. The session alone writes: what the learner wants written it sends.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from robot_rlhf.feedback.types import Query
from sim.env import EnvState


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    pass


class Stored(_Message, frozen=True, kw_only=True, tag="stored"):
    """There is something new in the store; `anew`: something was taken back too, so that all of it must be
    read again."""

    anew: bool = False


class Begin(_Message, frozen=True, kw_only=True, tag="begin"):
    """There are no more demonstrations to come: make the first policy and go on learning."""


class RollOut(_Message, frozen=True, kw_only=True, tag="roll_out"):
    """What would `policy` have done for `length` steps from `state`? Answer with an episode of id `episode`.
    The policy is the one in force then, as it was published: whoever answers may never have had it."""

    job: int
    episode: int
    state: EnvState
    length: int
    seed: int
    policy: bytes
    explores: bool


class Worsen(_Message, frozen=True, kw_only=True, tag="worsen"):
    """Replay the stored demonstration `demonstration` with noise, once for each id of `episodes`."""

    job: int
    demonstration: int
    episodes: tuple[int, ...]


class MorePairs(_Message, frozen=True, kw_only=True, tag="more_pairs"):
    """Choose up to `count` pairs to ask about; where several arms are learned from, of `arm`'s episodes."""

    count: int
    arm: int | None = None


class Finish(_Message, frozen=True, kw_only=True, tag="finish"):
    """No more episodes: learn what is owed, evaluate, write summary and report."""


class Quit(_Message, frozen=True, kw_only=True, tag="quit"):
    """Save and end."""


class Heard(_Message, frozen=True, kw_only=True, tag="heard"):
    """What was sent as a request has come."""


ToLearner: TypeAlias = Stored | Begin | RollOut | Worsen | MorePairs | Finish | Quit | Heard


class Ready(_Message, frozen=True, kw_only=True, tag="ready"):
    """The learner has read the store and listens. `token` proves that it is the one that was started."""

    token: str
    cloned: bool


class Policy(_Message, frozen=True, kw_only=True, tag="policy"):
    """A policy to act from, as `learning.snapshot` packs it; `made_ns` is the learner's wall clock then."""

    number: int
    data: bytes
    made_ns: int = 0


class RolledOut(_Message, frozen=True, kw_only=True, tag="rolled_out"):
    """The answer to `RollOut` and `Worsen`: episodes as `feedback.store_codec` packs them, each with the
    task's own judgement of it. None where it was past the budget. `pictures` are what cameras saw of each, as
    `feedback.store_codec` packs a camera's, by its name; empty without cameras."""

    job: int
    episodes: tuple[bytes, ...]
    truths: tuple[tuple[bytes, bool], ...]
    pictures: tuple[dict[str, bytes], ...] = ()


class Asked(_Message, frozen=True, kw_only=True, tag="asked"):
    """Pairs to ask the operator about."""

    queries: tuple[Query, ...]


class Written(_Message, frozen=True, kw_only=True, tag="written"):
    """A checkpoint lies, whole, in the run's folder: enter it."""

    step: int
    name: str


class Note(_Message, frozen=True, kw_only=True, tag="note"):
    """Write a note in the store."""

    key: str
    value: str


class Doing(_Message, frozen=True, kw_only=True, tag="doing"):
    """What the learner is about, in words, and how far it is."""

    what: str
    updates: int
    reward_version: int


class Evaluated(_Message, frozen=True, kw_only=True, tag="evaluated"):
    """The policy was measured after `after` policy episodes."""

    after: int
    successes: int
    episodes: int
    final: bool


class Ended(_Message, frozen=True, kw_only=True, tag="ended"):
    """Summary and report are written; there is nothing more to do."""

    report: str


class Told(_Message, frozen=True, kw_only=True, tag="told"):
    """Something that whoever is at a console should know, in words."""

    text: str


class Failed(_Message, frozen=True, kw_only=True, tag="failed"):
    """The learner cannot go on; in words for a person."""

    reason: str


FromLearner: TypeAlias = (
    Ready | Policy | RolledOut | Asked | Written | Note | Doing | Evaluated | Ended | Told | Failed
)
