"""How far an operator agrees with themselves: pairs that were asked twice, the second time swapped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from robot_rlhf.feedback.types import Choice, Preference, Query, Segment

_SWAPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT}


def asked_twice(answers: Iterable[Preference], queries: Mapping[str, Query]) -> list[bool]:
    """Of each pair that was asked again, whether it got the same answer. `answers` stand, oldest first, and
    the last one to a query counts; 'cannot tell' counts as none."""
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
