"""Several arms' episodes in one folder: none collide, each says whose it is, and new ones are new."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.session.remote.arms import MOST_ARMS, Alone, Numbering, arm_of, members, ranges

numbers, ids = st.integers(0, MOST_ARMS - 1), st.integers(0, 10**9)
numberings = st.builds(Numbering, numbers, st.integers(0, 10**6))


@given(one=numberings, id=ids)
def test_an_id_is_found_again(one: Numbering, id: int) -> None:
    assert one.inner(one.outer(id)) == id
    assert one.owns(one.outer(id))
    assert arm_of(one.outer(id)) == one.number
    assert 0 <= one.outer(id) < 2**63


@given(one=numberings, other=numberings, id=ids, another=ids)
def test_no_two_arms_have_the_same(one: Numbering, other: Numbering, id: int, another: int) -> None:
    if one.number != other.number:
        assert one.outer(id) != other.outer(another)
        assert not one.owns(other.outer(another))


def test_the_newest_of_all_arms_are_the_newest() -> None:
    early, late = Numbering(0, 0), Numbering(1, 40)
    assert early.outer(39) < late.outer(0) < early.outer(41)


def test_an_arm_that_is_alone_keeps_its_ids() -> None:
    assert Alone().outer(7) == Alone().inner(7) == 7
    assert Alone().owns(7)


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_what_they_were_made_of(some: set[int]) -> None:
    found = ranges(some)
    assert members(found) == some
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(found))


def test_ranges_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 ids"):
        members([(0, 10**15)], most=100)
