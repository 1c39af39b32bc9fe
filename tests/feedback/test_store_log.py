"""A store that another follows: every row once, whatever order episodes end in and wherever it is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_log import Position, Rows, Seen, StoreLog, renumbered, take_in
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Outcome,
    Preference,
    Query,
    Removal,
    Segment,
    Takeover,
    Undo,
)

MakeEpisode = Callable[..., Episode]
JPEG = b"\xff\xd8 a picture \xff\xd9"
FIELDS: dict[str, Any] = {"operator": "ada", "session": "s", "time_ns": 5}
EVENTS = (
    Outcome(id="o", **FIELDS, episode=1, success=True),
    Evaluation(id="e", **FIELDS, episode=1, step=3, good=False),
    Takeover(id="t", **FIELDS, executed=Segment(1, 2, 3), counterfactual=Segment(4, 0, 3)),
    Takeover(id="u", **FIELDS, executed=Segment(1, 2, 3), counterfactual=None),
    Demonstration(id="d", **FIELDS, episode=0, alternatives=(2, 3)),
    Preference(
        id="p",
        **FIELDS,
        query="q",
        left=Segment(0, 0, 5),
        right=Segment(1, 0, 5),
        choice=Choice.LEFT,
        response_s=1.5,
    ),
    Removal(id="r", **FIELDS, episode=1),
    Undo(id="n", **FIELDS, target="r"),
)


class Followed:
    """A store, its reader in another connection, and the store that follows."""

    def __init__(self, folder: Path, make_episode: MakeEpisode, truths: bool = False) -> None:
        self.make = make_episode
        self.source, self.target = (Store.create(folder / f"{name}.db") for name in ("source", "target"))
        self._reader = Store.open_readonly(folder / "source.db")
        self.log = StoreLog(self._reader, truths=truths)
        self.position = Position()
        assert self.log.begin(Position(), ())

    def add(self, *ids: int, role: Role = Role.ONLINE, cameras: tuple[str, ...] = ()) -> None:
        for id in ids:
            episode = self.make(id, steps=6, role=role)
            pictures = {camera: [JPEG] * 7 for camera in cameras}
            self.source.add_episode(episode, (np.ones(6, np.float32), True), pictures)

    def follow(self, max_bytes: int = 1 << 20, most: int = 1_000) -> int:
        """Take in what is lacking; returns in how many parts."""
        for part in range(most):
            batch = self.log.next(max_bytes)
            if batch is None:
                return part
            assert batch.after == self.position
            with self.target.transaction():
                take_in(self.target, batch.rows)
            self.position = batch.upto
            self.log.acknowledged(batch)
        return most

    def starts_anew(self) -> bool:
        """As after a break: the follower says what it has."""
        return self.log.begin(self.position, self.target.episode_steps().keys())

    def is_same(self) -> bool:
        tables = ("episodes", "pictures", "feedback", "queries", "operator_time")
        return all(
            self.source.execute(f"SELECT * FROM {one} ORDER BY 1")
            == self.target.execute(f"SELECT * FROM {one} ORDER BY 1")
            for one in tables
        )

    def close(self) -> None:
        for store in (self.source, self.target, self._reader):
            store.close()


@pytest.fixture
def followed(tmp_path: Path, make_episode: MakeEpisode) -> Iterator[Followed]:
    followed = Followed(tmp_path, make_episode)
    yield followed
    followed.close()


def fill(followed: Followed) -> None:
    followed.add(0, role=Role.DEMONSTRATION)
    followed.add(1, 2, 3, 4)
    followed.source.add_query(Query("q", Segment(0, 0, 5), Segment(1, 0, 5), "random"))
    followed.source.add_many(EVENTS)
    followed.source.book("press", 0.5, 0.5, 1)
    followed.source.book("pair", 1.5, 1.5)
    followed.source.set_meta("task", "pick_cube")


def test_all_of_it_comes_and_the_task_s_own_judgement_does_not(followed: Followed) -> None:
    fill(followed)
    assert followed.follow() == 1
    assert followed.is_same()
    assert followed.target.truth() == {}
    assert followed.target.meta("task") == "pick_cube"
    assert followed.follow() == 0


def test_the_judgement_comes_where_it_is_learned_from(tmp_path: Path, make_episode: MakeEpisode) -> None:
    followed = Followed(tmp_path, make_episode, truths=True)
    fill(followed)
    followed.follow()
    assert followed.target.truth().keys() == followed.source.truth().keys()
    followed.close()


def test_it_comes_in_parts_that_are_no_larger_than_they_must_be(followed: Followed) -> None:
    fill(followed)
    assert followed.follow(max_bytes=1) >= 5
    assert followed.is_same()


def test_what_cameras_saw_comes_with_its_episode(followed: Followed) -> None:
    followed.add(0, cameras=("front", "wrist"))
    followed.add(1)
    assert followed.follow(max_bytes=1) == 2
    assert followed.is_same()
    assert followed.target.pictures(0, "wrist") == (JPEG,) * 7


def test_pictures_that_are_none_are_refused_with_their_episode(followed: Followed) -> None:
    followed.add(0)
    batch = followed.log.next(1 << 20)
    assert batch is not None
    for camera, data in (("wrist", b"none"), ("../wrist", codec.pictures_bytes([JPEG] * 7, 0, "wrist", 7))):
        seen = Seen(episode=0, camera=camera, pictures=data)
        with pytest.raises(StoreError, match="camera"):
            take_in(followed.target, msgspec.structs.replace(batch.rows, seen=(seen,)))
    assert followed.target.episode_steps() == {}


def test_rows_come_again_until_they_are_acknowledged(followed: Followed) -> None:
    fill(followed)
    assert followed.log.next(1 << 20) == followed.log.next(1 << 20)


def test_it_says_when_something_was_written(followed: Followed) -> None:
    assert followed.log.moved
    assert not followed.log.moved
    followed.add(0)
    assert followed.log.moved
    assert not followed.log.moved


@settings(max_examples=20)
@given(order=st.permutations(range(8)), cuts=st.lists(st.integers(1, 8), max_size=4))
def test_episodes_that_end_in_another_order_than_they_began_come_once(
    tmp_path_factory: pytest.TempPathFactory, make_episode: MakeEpisode, order: list[int], cuts: list[int]
) -> None:
    followed = Followed(tmp_path_factory.mktemp("order"), make_episode)
    for index, id in enumerate(order):
        followed.add(id)
        followed.source.add_feedback(Outcome(id=str(id), **FIELDS, episode=id, success=True))
        if index in cuts:
            followed.follow(max_bytes=1, most=2)
        if index in cuts[:2]:
            assert followed.starts_anew()
    followed.follow()
    assert followed.is_same()
    followed.close()


def test_a_follower_with_another_history_is_known_by_it(followed: Followed) -> None:
    fill(followed)
    assert not followed.log.begin(Position(events=1, last_event="another"), ())
    assert not followed.log.begin(Position(events=100, last_event="n"), ())
    assert not followed.log.begin(Position(booked=3), ())
    assert not followed.log.begin(Position(queries=2), ())
    assert not followed.log.begin(Position(), (17,))
    assert followed.log.begin(Position(events=1, last_event="o"), (1, 2))


def test_what_is_taken_back_is_noticed(followed: Followed) -> None:
    followed.add(0, role=Role.DEMONSTRATION)
    followed.add(1)
    followed.follow()
    target = followed.target
    assert not take_in(target, Rows(events=(Outcome(id="a", **FIELDS, episode=1, success=False),)))
    assert take_in(target, Rows(events=(Outcome(id="b", **FIELDS, episode=0, success=False),)))
    assert take_in(target, Rows(events=(Removal(id="c", **FIELDS, episode=1),)))
    assert take_in(target, Rows(events=(Undo(id="d", **FIELDS, target="c"),)))


def test_a_demonstration_s_mark_that_comes_with_it_takes_nothing_back(followed: Followed) -> None:
    followed.add(0, role=Role.DEMONSTRATION)
    followed.source.add_feedback(Outcome(id="a", **FIELDS, episode=0, success=False))
    batch = followed.log.next(1 << 20)
    assert batch is not None
    assert not take_in(followed.target, batch.rows)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_kind_of_event_is_about_the_same_episodes_under_other_ids(event: Any) -> None:
    moved = renumbered(event, lambda id: id + 100)
    assert renumbered(moved, lambda id: id - 100) == event
    if not isinstance(event, Undo):
        assert moved != event


def test_bytes_that_are_no_episode_are_refused_and_nothing_of_theirs_is_kept(followed: Followed) -> None:
    event = Outcome(id="o", **FIELDS, episode=1, success=True)
    with pytest.raises(StoreError, match="no episode"):
        take_in(followed.target, Rows(episodes=(b"\x90",), events=(event,)))
    assert followed.target.all_events() == []
