"""Judging a run that is over: pairs and episodes, by several people, and no robot."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest

from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.types import Choice, Outcome, Preference, Query, Segment
from robot_rlhf.report.data import read_run
from robot_rlhf.report.page import write_report
from robot_rlhf.session import desk
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Desk, _whole
from robot_rlhf.session.labelling import LabelSession
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.session.stream import Stream
from sim.description import describe
from sim.env import TaskEnv
from sim.task import make_task

if TYPE_CHECKING:
    from tests.session.conftest import Person, Room

    MakeRoom: TypeAlias = Callable[[LabelSession, Path], Room]

Tiny = Callable[..., RunConfig]
STEPS = 12


@functools.cache
def recorded(id: int, role: Role) -> Episode:
    rng = np.random.default_rng(id)
    env = TaskEnv("reach")
    obs, scenes = [env.reset(seed=id)[0]], [env.scene.pack()]
    actions = rng.uniform(-1, 1, (STEPS, env.axes)).astype(np.float32)
    for action in actions:
        obs.append(env.step(action)[0])
        scenes.append(env.scene.pack())
    env.close()
    return Episode(
        id=id,
        role=role,
        task="reach",
        seed=id,
        policy_version=0,
        obs=np.stack(obs),
        action=actions,
        proposed=actions,
        driver=np.zeros(STEPS, np.uint8),
        scenes=np.stack(scenes),
        terminated=False,
        truncated=True,
    )


QUERIES = tuple(Query(f"q{i}", Segment(0, i, 5), Segment(1, i, 5), "random") for i in range(6))
REPEAT = Query("again", QUERIES[0].right, QUERIES[0].left, "repeat")


def opened(
    config: RunConfig,
    path: Path,
    make_room: MakeRoom,
    queries: tuple[Query, ...] = QUERIES,
    shared: float = 0.0,
) -> Room:
    """Two episodes of a policy, one that was only rolled out, and pairs."""
    with RunFolder.create(path, config).store as store:
        episodes = [recorded(0, Role.ONLINE), recorded(1, Role.ONLINE), recorded(2, Role.COUNTERFACTUAL)]
        for episode in episodes:
            store.add_episode(episode)
    stream = Stream("tcp://127.0.0.1:0", None)
    session = LabelSession(
        config,
        describe(make_task("reach")),
        stream,
        Desk(path / DATABASE, stream, shared=shared),
        name="run",
        row=episodes[1].scenes[-1],
        queries=queries,
    )
    return make_room(session, path)


@pytest.fixture
def archive(tiny: Tiny, tmp_path: Path, make_room: MakeRoom) -> Iterator[Room]:
    """With six pairs, each for one person."""
    room = opened(tiny(), tmp_path / "run", make_room)
    yield room
    room.close()


@pytest.fixture
def bench(tiny: Tiny, tmp_path: Path, make_room: MakeRoom) -> Iterator[Room]:
    """With two pairs, each for two people, and the first of them once more."""
    room = opened(tiny(), tmp_path / "run", make_room, queries=(*QUERIES[:2], REPEAT), shared=1.0)
    yield room
    room.close()


def test_pairs_are_asked_one_after_the_other_until_none_is_left(archive: Room) -> None:
    ann = archive.enter()
    answered: list[str] = []
    while len(answered) < 6:
        archive.until(lambda: ann.link.pairs)
        pair = ann.link.pairs[0]
        assert pair.left.count == 6
        archive.saved(ann, ann.link.prefer(pair, Choice.RIGHT, response_s=2.0))
        answered.append(pair.query.id)
    assert answered == [f"q{i}" for i in range(6)]
    archive.until(lambda: ann.link.status is not None and ann.link.status.pairs_waiting == 0)
    archive.goes_on(0.3)
    assert ann.link.pairs == []
    events = archive.events()
    assert [event.query for event in events if isinstance(event, Preference)] == answered
    with Store.open_readonly(archive.path / DATABASE) as store:
        assert store.operator_seconds_by_activity()["pair"].active_s == pytest.approx(12.0)
        assert len(store.queries()) == 6


def test_two_people_never_have_the_same_pair_before_them(archive: Room) -> None:
    ann, bob = archive.enter(), archive.enter("Bob")
    archive.until(lambda: len(ann.link.pairs) == len(bob.link.pairs) == 3)
    assert not {p.query.id for p in ann.link.pairs} & {p.query.id for p in bob.link.pairs}


def test_an_answer_that_is_taken_back_makes_its_pair_open_again(archive: Room) -> None:
    ann = archive.enter()
    archive.until(lambda: ann.link.pairs)
    said = ann.link.prefer(ann.link.pairs[0], Choice.EQUAL, response_s=1.0)
    archive.saved(ann, said)
    archive.until(lambda: ann.link.status is not None and ann.link.status.pairs_waiting == 5)
    archive.saved(ann, ann.link.undo(said))
    archive.until(lambda: ann.link.status is not None and ann.link.status.pairs_waiting == 6)


def test_episodes_can_be_seen_marked_and_taken_out(archive: Room) -> None:
    ann = archive.enter()
    ann.link.refresh_episodes()
    archive.until(lambda: ann.link.episode_lines)
    assert [line.episode for line in ann.link.episode_lines] == [0, 1]
    archive.until(lambda: ann.link.episode(1))
    whole = ann.link.episode(1)
    assert whole is not None
    assert whole.clip.scenes() == pytest.approx(archive.episodes()[1].scenes)
    assert whole.reward == ()
    archive.saved(ann, ann.link.mark(1, success=True))
    archive.saved(ann, ann.link.remove(0))
    archive.until(lambda: ann.link.status is not None and ann.link.status.episodes == 1)
    assert ann.link.status is not None
    assert ann.link.status.marks == (True,)
    assert [type(event).__name__ for event in archive.events()] == ["Outcome", "Removal"]


def test_nothing_moves_and_nothing_stops(archive: Room) -> None:
    ann = archive.enter()
    ann.take()
    ann.link.stop()
    archive.goes_on(0.3)
    assert (ann.stage, ann.now.phase, ann.now.driver) == (Stage.LABELLING, Phase.HOLD, "")
    assert "no robot" in archive.wish(ann, Wish.CONFIRM)
    assert ann.now.row() == pytest.approx(archive.episodes()[1].scenes[-1])


def test_it_is_over_when_its_operator_says_so(archive: Room) -> None:
    ann = archive.enter()
    assert not archive.session.over
    assert archive.wish(ann, Wish.FINISH) == ""
    assert archive.session.over


def test_what_is_said_while_it_closes_is_stored(archive: Room) -> None:
    ann = archive.enter()
    mark = Outcome(**ann.link.fields(), episode=0, success=True)
    archive.session.desk.request(
        next(iter(archive.session.stream.consoles.values())), m.Say(event=mark), lambda _: None
    )
    archive.close()
    assert archive.events() == [mark]


# -- several people -----------------------------------------------------------------------------------------


def answer(room: Room, person: Person, choice: Choice = Choice.LEFT) -> str:
    """Answer the pair that lies before somebody; returns its query's id."""
    room.until(lambda: person.link.pairs)
    pair = person.link.pairs[0]
    room.saved(person, person.link.prefer(pair, choice, response_s=1.0))
    return pair.query.id


def before(person: Person) -> set[str]:
    return {pair.query.id for pair in person.link.pairs}


def test_several_people_answer_all_pairs_and_none_of_them_twice(archive: Room) -> None:
    people = [archive.enter(name) for name in ("Ann", "Bob", "Cid")]
    archive.until(lambda: sum(len(person.link.pairs) for person in people) == 6)
    answered = [answer(archive, person) for person in people for _ in range(len(person.link.pairs))]
    archive.until(lambda: len(archive.events()) == 6)
    assert sorted(answered) == [query.id for query in QUERIES]


def test_the_pairs_of_who_leaves_are_for_the_others(archive: Room) -> None:
    ann, bob = archive.enter(), archive.enter("Bob")
    archive.until(lambda: len(ann.link.pairs) == len(bob.link.pairs) == 3)
    hers = before(ann)
    archive.leave(ann)
    answered = {answer(archive, bob) for _ in range(6)}
    assert hers < answered


def test_a_pair_that_nobody_answers_for_long_is_for_the_others(
    archive: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = archive.enter()
    archive.until(lambda: len(ann.link.pairs) == 3)
    monkeypatch.setattr(desk, "HELD_S", 0.0)
    bob = archive.enter("Bob")
    assert {answer(archive, bob) for _ in range(6)} == {query.id for query in QUERIES}
    late = answer(archive, ann)  # she comes back to it: it counts as her opinion
    with Store.open_readonly(archive.path / DATABASE) as store:
        answers = [event for event in store.feedback() if isinstance(event, Preference)]
    assert {event.operator for event in answers if event.query == late} == {"Ann", "Bob"}
    assert len(answers) == 7


def test_a_share_of_the_pairs_is_asked_of_a_second_person_and_of_no_third(bench: Room) -> None:
    ann = bench.enter()
    assert {answer(bench, ann) for _ in range(3)} == {"q0", "q1", "again"}
    bench.goes_on(0.3)
    assert not ann.link.pairs  # nothing is asked of one person twice
    bob = bench.enter("Bob")
    assert {answer(bench, bob) for _ in range(3)} == {"q0", "q1", "again"}
    cid = bench.enter("Cid")
    bench.goes_on(1.3)
    assert not cid.link.pairs
    assert len(bench.events()) == 6


def test_a_pair_is_asked_again_of_who_was_asked_before(bench: Room) -> None:
    ann = bench.enter()
    bench.until(lambda: before(ann) == {"q0", "q1", "again"})
    bob = bench.enter("Bob")
    assert ann.link.pairs[0].query.id == "q0"
    answer(bench, ann)
    bench.leave(ann)
    ann = bench.enter()
    bench.until(lambda: "again" in before(ann))
    bench.until(lambda: before(bob))
    assert "again" not in before(bob)
    assert "q0" in before(bob)  # of which a second opinion is wanted


def test_how_far_people_agree_stands_in_the_report(bench: Room) -> None:
    ann = bench.enter()
    for _ in range(3):
        answer(bench, ann, Choice.LEFT)
    bob = bench.enter("Bob")
    for _ in range(3):
        answer(bench, bob, Choice.LEFT)
    data = read_run(bench.path, None, None)
    assert data.asked_of_two == {("Ann", "Bob"): [True, True]}
    assert data.asked_twice == {"Ann": [False], "Bob": [False]}
    page = write_report(bench.path, {}, {}).read_text(encoding="utf-8")
    assert "Ann and Bob" in page
    assert "2 of 2" in page


def test_it_is_over_when_everybody_has_said_so(archive: Room) -> None:
    ann, bob, _ = archive.enter(), archive.enter("Bob"), archive.enter("Eve", watches=True)
    assert archive.wish(ann, Wish.FINISH) == ""
    archive.goes_on(0.1)
    assert not archive.session.over
    archive.until(lambda: any("1 of 2 have finished" in item.text for item in bob.link.news))
    assert archive.wish(bob, Wish.FINISH) == ""
    assert archive.session.over


def test_who_stays_has_finished_when_the_others_leave(archive: Room) -> None:
    ann, bob = archive.enter(), archive.enter("Bob")
    assert archive.wish(ann, Wish.FINISH) == ""
    assert not archive.session.over
    archive.leave(bob)
    archive.until(lambda: archive.session.over)


def test_an_episode_that_came_without_scenes_is_refused_to_whoever_wants_to_look_at_it() -> None:
    seen = recorded(0, Role.DEMONSTRATION)
    unseen = replace(seen, scenes=np.full_like(seen.scenes, np.nan))
    with pytest.raises(StoreError, match="episode 0 came from elsewhere, without scenes"):
        _whole(unseen, None)
