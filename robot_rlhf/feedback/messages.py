"""What a console and a session say to each other; all of it travels through hardware/transport.py.

Four channels, each of the session's: *talk* (requests and their answers: nothing is lost, what is not
answered is sent again under the same id), *drive* (the operator's hands: newest wins, nothing queues),
*stop* (its own socket, so that nothing stands in its way) and *watch* (published: moments, status, news).
A console knows one address, that of *talk*; `Welcome` names the ports of the others.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from robot_rlhf.feedback.types import Feedback, OperatorInput, Query, Segment, Withdrawal

PROTOCOL = 3
"""Consoles and sessions of different numbers refuse each other by name."""

WATCH_MOMENT, WATCH_STATUS, WATCH_NEWS = "moment", "status", "news"
"""Topics of the watch channel."""

INPUT_S = 0.02
"""A console repeats its hands this often while nothing changes."""
LOST_S = 0.3
"""Silence after which an operator who drives is lost: as if takeover had been released."""


class Phase(str, Enum):
    """Who has the arm."""

    POLICY = "policy"
    OPERATOR = "operator"
    HOLD = "hold"  # nobody: zero velocity under power
    STOPPED = "stopped"  # latched until cleared


class Stage(str, Enum):
    """What the session is about, and so what is asked of the operator."""

    TELEOP = "teleop"  # free driving, nothing is recorded
    RESET = "reset"  # before a real arm: the operator puts things back, brings the arm to its start, CONFIRMs
    READY = "ready"  # a demonstration begins with the next takeover
    DEMONSTRATION = "demonstration"  # recorded until CONFIRM, a mark, DISCARD or time
    PREPARING = "preparing"  # the first policy is being made
    EPISODE = "episode"  # the policy drives; the operator may take over and press
    MARK = "mark"  # the episode is over and may be marked
    PAUSED = "paused"  # nobody attends: the next episode waits
    EVALUATING = "evaluating"  # the policy is measured on starts of its own; nothing to do
    LABELLING = "labelling"  # no robot: pairs and episodes of a run that is over
    DONE = "done"


class Wish(str, Enum):
    """What an operator may ask for beyond feedback."""

    CONFIRM = "confirm"  # end the demonstration, go on without a mark, or all is put back
    DISCARD = "discard"  # forget the episode that runs, or the one that has just ended, and do it again
    ENOUGH = "enough"  # no more demonstrations: let the policy try
    FINISH = "finish"  # no more episodes: evaluate and end
    CLEAR = "clear"  # clear a latched stop


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    pass


# -- from a console ---------------------------------------------------------------------------------


class Join(_Message, frozen=True, kw_only=True, tag="join"):
    """The first request. `name` is the operator's, as it will stand on their feedback; who only
    watches may not drive or speak."""

    name: str
    watches: bool = False
    protocol: int = PROTOCOL

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 40 or not self.name.isprintable():
            raise ValueError(f"name is {self.name!r}: it must have 1 to 40 printable characters")


class Leave(_Message, frozen=True, kw_only=True, tag="leave"):
    """The console is closed by its operator."""


class Say(_Message, frozen=True, kw_only=True, tag="say"):
    """Feedback, or the withdrawal of some. Answered by `Saved` once it is on the disk."""

    event: Feedback | Withdrawal


class Do(_Message, frozen=True, kw_only=True, tag="do"):
    """A wish. Answered by `Granted` or `Refused`."""

    wish: Wish


class AskPairs(_Message, frozen=True, kw_only=True, tag="ask_pairs"):
    """For up to `count` pairs to compare; `have` are the ids of those the console holds already."""

    count: int = 3
    have: tuple[str, ...] = ()


class AskClip(_Message, frozen=True, kw_only=True, tag="ask_clip"):
    """For all of a stored episode, to look at it."""

    episode: int


class AskEpisodes(_Message, frozen=True, kw_only=True, tag="ask_episodes"):
    """For the list of stored episodes with an id from `first` on."""

    first: int = 0


class AskNews(_Message, frozen=True, kw_only=True, tag="ask_news"):
    """For the news from number `first` on, after a gap."""

    first: int


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Measures the link, for the display only. `sent_ns` is the console's clock."""

    sent_ns: int


class Hands(_Message, frozen=True, kw_only=True, tag="hands"):
    """The operator's hands at one moment, on the drive channel.

    `console` is the token from `Welcome`, `seq` rises strictly, `based_on` is the `seq` of the newest
    moment that the operator had seen: how old a command is follows from it, on the session's clock.
    """

    console: str
    seq: int
    based_on: int
    given: OperatorInput
    attending: bool
    """Whether the operator looks at the arm, and not at another screen."""


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """Stop now and stay stopped, on the stop channel."""


FromConsole: TypeAlias = Join | Leave | Say | Do | AskPairs | AskClip | AskEpisodes | AskNews | Ping


# -- from a session ---------------------------------------------------------------------------------


class Moment(_Message, frozen=True, kw_only=True, tag="moment"):
    """The present, some 50 times a second.

    `scene` is a row of `hardware.scene.Scene`, little-endian float32. Velocities are the tool's, m/s.
    `reward` is what the learned reward says of the last step, in its standard deviations.
    """

    seq: int
    time_ns: int
    stage: Stage
    phase: Phase
    episode: int
    step: int
    steps: int
    recording: bool
    driver: str
    """Name of the operator who drives; empty when nobody does."""
    driving: str
    """The console they drive from; empty when nobody does."""
    input_seq: int
    """`seq` of the newest hands that were accepted from it."""
    scene: bytes
    commanded_m_s: tuple[float, float, float]
    achieved_m_s: tuple[float, float, float]
    operator_steps: int
    reward: float | None
    limits: tuple[str, ...]
    hold_reason: str
    """Why the arm holds or is stopped, in words; empty when it does not."""

    @property
    def asks_for_takeover(self) -> bool:
        """Whether the arm waits for somebody to take over before anything goes on."""
        return "take over" in self.hold_reason

    def row(self) -> NDArray[np.float32]:
        """The scene's row (k,)."""
        return np.frombuffer(self.scene, "<f4").astype(np.float32)


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An autonomous evaluation: after so many policy episodes, so many successes of so many starts."""

    after: int
    successes: int
    episodes: int
    final: bool


class Status(_Message, frozen=True, kw_only=True, tag="status"):
    """How the session stands, about twice a second and after every change."""

    demonstrations: int
    demonstrations_planned: int
    episodes: int
    episodes_planned: int
    pairs_waiting: int
    marks: tuple[bool, ...]
    """Marks of the policy's episodes so far, oldest first."""
    interventions: tuple[float, ...]
    """Share of each policy episode that the operator drove, oldest first."""
    evaluations: tuple[Measured, ...]
    counts: dict[str, int]
    """Kind of feedback -> events."""
    operator_s: float
    learner: str
    """What the learner is doing, in words."""
    updates: int
    reward_version: int
    self_agreement: float | None
    """Share of repeated pairs that were answered alike; None before there was one."""
    consoles: tuple[str, ...]
    overruns: int
    """Control ticks that were skipped so far because the machine was too slow."""
    report: str
    """Where the report lies, once there is one."""
    run: str
    news: int = 0
    """How many news there have been, so that a console sees that it has missed the last ones."""
    presses_rest: bool = False
    """Whether good and bad would tell little at present; they count all the same."""


class News(_Message, frozen=True, kw_only=True, tag="news"):
    """Something happened. Numbered without gaps, so that a console sees what it missed."""

    number: int
    text: str
    episode: int | None = None


class Welcome(_Message, frozen=True, kw_only=True, tag="welcome"):
    """The answer to `Join`: all that a console needs, however late it comes."""

    console: str
    """Token that `Hands` carry."""
    session: str
    task: str
    goal: str
    description: SceneDescription
    objects: tuple[str, ...]
    uses_gripper: bool
    control_hz: float
    full_speed_m_s: float
    drive_port: int
    stop_port: int
    watch_port: int
    latch_allowed: bool
    """Whether takeover may be latched: in simulation only."""
    moment: Moment
    status: Status
    news: tuple[News, ...]
    instance: str = ""
    """Different for every session that was ever started, also on the same run."""
    arm_stop: str = ""
    """Where the arm's own host hears STOP, tcp://HOST:PORT; empty where the arm is the session's own."""
    cameras: dict[str, str] = {}
    """Where cameras beside the arm publish, tcp://HOST:PORT by name."""


class Saved(_Message, frozen=True, kw_only=True, tag="saved"):
    """The event of this id is on the disk."""

    event: str


class Granted(_Message, frozen=True, kw_only=True, tag="granted"):
    """The wish is carried out."""


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """It is not, and why, in words for the operator."""

    reason: str


class Clip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Consecutive moments of an episode. `rows` are scene rows (`count`, k) little-endian float32,
    `driver` one byte a step: who drove."""

    segment: Segment
    count: int
    rows: bytes
    driver: bytes

    def scenes(self) -> NDArray[np.float32]:
        """The rows (count, k)."""
        return np.frombuffer(self.rows, "<f4").astype(np.float32).reshape(self.count, -1)


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question: which clip is better?"""

    query: Query
    left: Clip
    right: Clip


class Pairs(_Message, frozen=True, kw_only=True, tag="pairs"):
    """Pairs that the asker does not hold yet; they are its own until answered or until it leaves."""

    pairs: tuple[Pair, ...]


class Episode(_Message, frozen=True, kw_only=True, tag="episode"):
    """A stored episode, whole."""

    clip: Clip
    reward: tuple[float, ...]


class EpisodeLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An episode in the list. `mark` is the operator's, `mark_id` the event it can be taken back by."""

    episode: int
    role: str
    steps: int
    operator_fraction: float
    mark: bool | None
    mark_id: str
    removed: bool
    removed_id: str


class Episodes(_Message, frozen=True, kw_only=True, tag="episodes"):
    """Stored episodes in the order of their ids, counterfactual ones left out."""

    lines: tuple[EpisodeLine, ...]


class NewsSince(_Message, frozen=True, kw_only=True, tag="news_since"):
    """The news asked for, as far as they are kept."""

    news: tuple[News, ...]


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """`sent_ns` as it came, the session's own clock, and whether the asker has joined: one that was
    silent for long must do so again."""

    sent_ns: int
    session_ns: int
    joined: bool = True


FromSession: TypeAlias = Welcome | Saved | Granted | Refused | Pairs | Episode | Episodes | NewsSince | Pong
Watched: TypeAlias = Moment | Status | News
