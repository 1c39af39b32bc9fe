"""Judging a run that is over: pairs and episodes, and no robot."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.types import Choice, Outcome, Preference, Query, Segment
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Desk, _whole
from robot_rlhf.session.labelling import LabelSession
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.session.stream import Stream
from sim.description import describe
from sim.env import TaskEnv
from sim.task import make_task

if TYPE_CHECKING:
    from tests.session.conftest import Room

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


@pytest.fixture
def archive(tiny: Tiny, tmp_path: Path, make_room: Callable[[LabelSession, Path], Room]) -> Iterator[Room]:
    """Two episodes of a policy, one that was only rolled out, and six pairs."""
    path, config = tmp_path / "run", tiny()
    with RunFolder.create(path, config).store as store:
        episodes = [recorded(0, Role.ONLINE), recorded(1, Role.ONLINE), recorded(2, Role.COUNTERFACTUAL)]
        for episode in episodes:
            store.add_episode(episode)
    queries = tuple(Query(f"q{i}", Segment(0, i, 5), Segment(1, i, 5), "random") for i in range(6))
    stream = Stream("tcp://127.0.0.1:0", None)
    desk = Desk(path / DATABASE, stream)
    session = LabelSession(
        config,
        describe(make_task("reach")),
        stream,
        desk,
        name="run",
        row=episodes[1].scenes[-1],
        queries=queries,
    )
    room = make_room(session, path)
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


def test_an_episode_that_came_without_scenes_is_refused_to_whoever_wants_to_look_at_it() -> None:
    seen = recorded(0, Role.DEMONSTRATION)
    unseen = replace(seen, scenes=np.full_like(seen.scenes, np.nan))
    with pytest.raises(StoreError, match="episode 0 came from elsewhere, without scenes"):
        _whole(unseen, None)
