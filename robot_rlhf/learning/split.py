"""Who trains on what: each ensemble member's bootstrap of the events and the episodes it never sees.

Everything is a hash of (seed, member, name), so an event or episode keeps its place from one fit to the
next: a warm-started member has never been trained on what it is validated on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Split:
    """Which episodes each of `members` networks holds out.

    An episode recorded for the sake of another (a counterfactual, an alternative) shares its fate:
    `parents` maps it to the other. `adopted` are the (member, episode) pairs that were trained on although
    the hash would hold them out; they are never held out again.
    """

    seed: int
    members: int
    fraction: float
    parents: Mapping[int, int] = field(default_factory=dict)
    adopted: frozenset[tuple[int, int]] = frozenset()

    def root(self, episode: int) -> int:
        """The episode for whose sake `episode` was recorded, or itself."""
        return self.parents.get(episode, episode)

    def held_out(self, member: int, episode: int) -> bool:
        """Whether `member` never trains on `episode`."""
        root = self.root(episode)
        if (member, root) in self.adopted:
            return False
        return unit_hash(self.seed, member, f"episode {root}") < self.fraction

    def adopt(self, member: int, episodes: Iterable[int]) -> Split:
        """This split, except that `member` trains on `episodes`."""
        more = {(member, self.root(episode)) for episode in episodes}
        return Split(self.seed, self.members, self.fraction, self.parents, self.adopted | more)


def bootstrap_weight(seed: int, member: int, event: str, rate: float) -> int:
    """How often `member` counts the event: a Poisson draw of mean `rate`, or 1 where `rate` is 0."""
    if rate == 0.0:
        return 1
    remaining = unit_hash(seed, member, f"event {event}")
    count, mass = 0, math.exp(-rate)
    while remaining >= mass and mass > 0.0:
        remaining -= mass
        count += 1
        mass *= rate / count
    return count


def unit_hash(seed: int, member: int, name: str) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    digest = hashlib.blake2b(f"{seed} {member} {name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
