"""How far operators agree, with themselves and with each other.

With themselves: pairs that were asked twice, the second time swapped. With each other: pairs that two of them
compared, of which a share is asked for that alone.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping

from robot_rlhf.feedback.types import Choice, Preference, Query, Segment

_SWAPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


def asked_twice(answers: Iterable[Preference], queries: Mapping[str, Query]) -> list[bool]:
    """Of each pair that was asked again, whether it got the same answer. `answers` are one operator's and
    stand, oldest first, and the last one to a query counts; 'cannot tell' counts as none."""
    first: dict[tuple[Segment, Segment], Choice] = {}
    again: dict[tuple[Segment, Segment], Choice] = {}
    for answer in {answer.query: answer for answer in answers}.values():
        query, choice = queries.get(answer.query), answer.choice
        if query is not None and choice is not Choice.CANNOT_TELL:
            (again if query.reason == "repeat" else first)[query.left, query.right] = choice
    return [
        _SWAPPED.get(first[right, left], first[right, left]) is choice
        for (left, right), choice in again.items()
        if (right, left) in first
    ]


def asked_of_two(answers: Iterable[Preference]) -> dict[tuple[str, str], list[bool]]:
    """By the names of two operators, in order: of each pair of clips that both compared, in either order,
    whether they chose the same. `answers` stand, oldest first; an operator's first one to a pair of clips
    counts, and 'cannot tell' as none."""
    chosen: dict[frozenset[Segment], dict[str, Segment | None]] = {}
    for answer in answers:
        if answer.choice is not Choice.CANNOT_TELL:
            better = {Choice.LEFT: answer.left, Choice.RIGHT: answer.right}.get(answer.choice)
            chosen.setdefault(frozenset((answer.left, answer.right)), {}).setdefault(answer.operator, better)
    found: dict[tuple[str, str], list[bool]] = {}
    for by in chosen.values():
        for one, other in itertools.combinations(sorted(by), 2):
            found.setdefault((one, other), []).append(by[one] == by[other])
    return found


def is_for_two(query: str, share: float) -> bool:
    """Whether the query of that id is one of the `share` that is asked of a second operator too. It follows
    from the id alone, so that it stays so when a session is started anew."""
    drawn = int.from_bytes(hashlib.sha256(query.encode()).digest()[:8], "big")
    return drawn < share * 2**64
