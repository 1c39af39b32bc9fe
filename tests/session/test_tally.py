"""The numbers of a run, kept up event by event, are those that the store gives."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    EventFields,
    Kind,
    Outcome,
    Preference,
    Query,
    Removal,
    Segment,
    Takeover,
    Undo,
)
from robot_rlhf.session.tally import StoredEpisode, Tally

ROLES = (Role.DEMONSTRATION, Role.ONLINE, Role.COUNTERFACTUAL, Role.ONLINE)
LEFT, RIGHT = Segment(1, 0, 2), Segment(3, 1, 2)
QUERIES = (Query("q", LEFT, RIGHT, "random"), Query("again", RIGHT, LEFT, "repeat"))


def episode(id: int) -> Episode:
    driver = np.array([1, 1, 0, 0], np.uint8) if ROLES[id] is Role.ONLINE else np.ones(4, np.uint8)
    return Episode(
        id=id,
        role=ROLES[id],
        task="reach",
        seed=id,
        policy_version=0,
        obs=np.zeros((5, 3), np.float32),
        action=np.zeros((4, 3), np.float32),
        proposed=np.zeros((4, 3), np.float32),
        driver=driver,
        scenes=np.zeros((5, 20), np.float32),
        terminated=False,
        truncated=True,
    )


def fields(id: str) -> EventFields:
    return {"id": id, "operator": "Ann", "session": "s", "time_ns": 1}


def outcome(id: str, episode: int, success: bool) -> Outcome:
    return Outcome(**fields(id), episode=episode, success=success)


def answer(id: str, query: Query, choice: Choice) -> Preference:
    return Preference(
        **fields(id), query=query.id, left=query.left, right=query.right, choice=choice, response_s=1.0
    )


def said(kind: int, id: str, episode: int, flag: bool, choice: Choice, target: str) -> StoredEvent:
    match kind:
        case 0:
            return outcome(id, episode, flag)
        case 1:
            return answer(id, QUERIES[flag], choice)
        case 2:
            return Removal(**fields(id), episode=episode)
        case 3:
            return Evaluation(**fields(id), episode=episode, step=0, good=flag)
        case 4:
            return Takeover(**fields(id), executed=Segment(episode, 0, 2), counterfactual=None)
        case 5:
            return Demonstration(**fields(id), episode=episode, alternatives=())
        case _:
            return Undo(**fields(id), target=target)


@st.composite
def records(draw: st.DrawFn) -> list[StoredEvent]:
    """What may be said, in any order: undos name something said before, some of it twice."""
    events: list[StoredEvent] = []
    undoable: list[str] = []
    for index in range(draw(st.integers(0, 14))):
        kind = draw(st.integers(0, 7 if undoable else 5))
        target = draw(st.sampled_from(undoable)) if undoable else ""
        events.append(
            said(
                kind,
                f"e{index}",
                draw(st.sampled_from([0, 1, 3])),
                draw(st.booleans()),
                draw(st.sampled_from(Choice)),
                target,
            )
        )
        if kind <= 5:
            undoable.append(f"e{index}")
    return events


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with four episodes and a pair that is asked again with its sides swapped."""
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "run.db") as store:
        for id in range(len(ROLES)):
            store.add_episode(episode(id))
        for query in QUERIES:
            store.add_query(query)
        yield store


def fresh() -> Tally:
    tally = Tally()
    for id, role in enumerate(ROLES):
        tally.add_episode(StoredEpisode(id, role, 4, 0.5 if role is Role.ONLINE else 1.0))
    tally.add_queries(QUERIES)
    return tally


class _TakenBackError(Exception):
    pass


@given(records())
@settings(max_examples=150)
def test_a_tally_of_a_store_is_the_one_that_was_kept_up(store: Store, events: list[StoredEvent]) -> None:
    kept = fresh()
    try:
        with store.transaction():
            for event in events:
                store.add_feedback(event)
                kept.add(event)
                kept.add(event)  # one that comes again changes nothing
            read = Tally.of(store)
            for tally in (kept, read):
                assert tally.counts == store.counts()
                assert [query.id for query in tally.open_queries] == [
                    query.id for query in store.queries(answered=False)
                ]
                assert {id for id in tally.episodes if tally.removal(id)} == store.removed() & {0, 1, 3}
                marks = store.feedback({Kind.OUTCOMES})
                standing = {mark.episode: mark for mark in marks if isinstance(mark, Outcome)}
                assert {id: tally.mark(id) for id in (0, 1, 3) if tally.mark(id)} == standing
                assert tally.marks == tuple(standing[id].success for id in (1, 3) if id in standing)
            for role in Role:
                assert kept.count(role) == read.count(role)
            assert kept.self_agreement == read.self_agreement
            assert kept.interventions == read.interventions == (0.5, 0.5)
            assert kept.episodes == read.episodes
            raise _TakenBackError
    except _TakenBackError:
        pass


def test_operator_time_is_read_from_the_store(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run.db") as store:
        store.book("takeover", 2.5, 4.0)
        assert Tally.of(store).operator_s == 2.5


def test_counterfactual_episodes_are_not_in_the_list() -> None:
    tally = fresh()
    assert list(tally.episodes) == [0, 1, 3]
    assert tally.count(Role.COUNTERFACTUAL) == 0


@pytest.mark.parametrize(
    ("first", "again", "agreement"),
    [
        (Choice.LEFT, Choice.RIGHT, 1.0),  # the sides are swapped: the same clip
        (Choice.LEFT, Choice.LEFT, 0.0),
        (Choice.EQUAL, Choice.EQUAL, 1.0),
        (Choice.EQUAL, Choice.LEFT, 0.0),
        (Choice.LEFT, Choice.CANNOT_TELL, None),
        (Choice.CANNOT_TELL, Choice.LEFT, None),
    ],
)
def test_self_agreement_is_about_clips_and_not_about_sides(
    first: Choice, again: Choice, agreement: float | None
) -> None:
    for order in itertools.permutations([(QUERIES[0], first), (QUERIES[1], again)]):
        tally = fresh()
        for index, (query, choice) in enumerate(order):
            tally.add(answer(f"e{index}", query, choice))
        assert tally.self_agreement == agreement


def test_without_a_repeat_there_is_no_agreement_to_speak_of() -> None:
    tally = fresh()
    assert tally.self_agreement is None
    tally.add(answer("e", QUERIES[0], Choice.LEFT))
    assert tally.self_agreement is None


def test_an_older_word_stands_again_when_the_newer_is_taken_back() -> None:
    tally = fresh()
    for index in range(2):
        tally.add(outcome(f"mark{index}", 1, success=bool(index)))
        tally.add(Removal(**fields(f"removal{index}"), episode=3))
        tally.add(answer(f"answer{index}", QUERIES[0], Choice.LEFT))
    for name in ("mark1", "removal1", "answer1"):
        tally.add(Undo(**fields(f"undo {name}"), target=name))
    assert tally.marks == (False,)
    assert tally.removal(3) is not None
    assert [query.id for query in tally.open_queries] == ["again"]
    for name in ("mark0", "removal0", "answer0"):
        tally.add(Undo(**fields(f"undo {name}"), target=name))
    assert len(tally.marks) == 0
    assert tally.removal(3) is None
    assert [query.id for query in tally.open_queries] == ["q", "again"]
    assert set(tally.counts.values()) == {0}
