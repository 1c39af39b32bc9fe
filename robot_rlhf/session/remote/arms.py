"""Whose episode is whose, where several arms feed one learner.

Every session counts its own episodes from 0. In a folder that several share, the arm that is entered as
number i has the ids that leave i when divided by `MOST_ARMS`, so that none collide and each says whose it is;
an arm that joins late counts on from where the others are, so that ids are still old and new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

MOST_ARMS = 1024


@dataclass(frozen=True)
class Numbering:
    """A session's ids, and those of the folder that several share: `number` is the arm's, `first` what its
    episode 0 is counted as."""

    number: int
    first: int

    def outer(self, id: int) -> int:
        """The shared id of the session's episode `id`."""
        return (id + self.first) * MOST_ARMS + self.number

    def inner(self, id: int) -> int:
        """The session's id of the shared episode `id`, which must be one of its own."""
        assert self.owns(id)
        return id // MOST_ARMS - self.first

    def owns(self, id: int) -> bool:
        """Whether that shared id is one of this arm's."""
        return arm_of(id) == self.number and id // MOST_ARMS >= self.first


@dataclass(frozen=True)
class Alone:
    """The numbering of a folder that has one arm: ids are what they are."""

    number: int = 0

    def outer(self, id: int) -> int:
        return id

    def inner(self, id: int) -> int:
        return id

    def owns(self, id: int) -> bool:
        return True


def arm_of(id: int) -> int:
    """The number of the arm whose episode has that shared id."""
    return id % MOST_ARMS


def ranges(ids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """(first, last) of every run of consecutive ids."""
    found: list[tuple[int, int]] = []
    for id in sorted(ids):
        if found and id == found[-1][1] + 1:
            found[-1] = (found[-1][0], id)
        else:
            found.append((id, id))
    return tuple(found)


def members(found: Collection[tuple[int, int]], most: int = 10_000_000) -> set[int]:
    """The ids in those ranges. Raises ValueError for more than `most`."""
    if sum(max(0, last - first + 1) for first, last in found) > most:
        raise ValueError(f"{len(found)} ranges hold more than {most} ids")
    return {id for first, last in found for id in range(first, last + 1)}
