"""A whole session: what is booked is what was said, nothing leaks to the learner, and a seed repeats it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from robot_rlhf.commands.train import train
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import MARK_S, PAIR_S, PRESS_S, OperatorConfig
from robot_rlhf.feedback.store import OperatorSeconds, Store
from robot_rlhf.feedback.types import (
    KIND_OF,
    Choice,
    Demonstration,
    Driver,
    Evaluation,
    Event,
    Feedback,
    Kind,
    Outcome,
    Preference,
    Takeover,
)
from robot_rlhf.learning import checkpoint
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.cloning import ChunkedClone
from robot_rlhf.learning.reward_model import FitReport, RewardModel
from robot_rlhf.report.metrics import EpisodeEnded, Evaluated, read_events
from robot_rlhf.session.config import RunConfig, ScheduleConfig
from robot_rlhf.session.learner import Learner, shuffled
from robot_rlhf.session.lockstep import LockstepSession
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.session.study import Study, Watcher
from robot_rlhf.session.worth import PRESSES_REST
from sim.env import TaskEnv

Tiny = Callable[..., RunConfig]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Ended:
    """What a session left behind."""

    folder: Path
    config: RunConfig
    policy: Tensors
    reward: Tensors
    environment_steps: int
    told: tuple[str, ...]
    fits: int

    def store(self) -> Store:
        return Store.open_readonly(self.folder / "run.db")

    def episodes(self, role: Role | None = None) -> dict[int, Episode]:
        with self.store() as store:
            return {episode.id: episode for episode in store.episodes(role=role)}

    def events(self, *kinds: Kind) -> list[Feedback]:
        with self.store() as store:
            return store.feedback(kinds or None)

    def booked(self) -> dict[str, OperatorSeconds]:
        with self.store() as store:
            return store.operator_seconds_by_activity()


class Listener(Watcher):
    """Counts what it is told of."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fits = 0

    def phase(self, name: str) -> None:
        if not self.told or self.told[-1] != name:
            self.told.append(name)

    def fitted(self, report: FitReport) -> None:
        self.fits += 1


def complete(folder: Path, config: RunConfig) -> Ended:
    """Begin a run in `folder`, or go on with the one there, to its end."""
    torch.set_num_threads(1)
    run = RunFolder.open(folder) if RunFolder.is_begun(folder) else RunFolder.create(folder, config)
    listener = Listener()
    session = LockstepSession(run)
    try:
        session.complete(listener)
        learner = session.learner
        policy, reward = learner.sac.state(), learner.reward.state()
        return Ended(
            folder,
            config,
            policy,
            reward,
            session.study.environment_steps,
            tuple(listener.told),
            listener.fits,
        )
    finally:
        session.close()
        run.close()


@pytest.fixture(scope="module")
def ended(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return complete(tmp_path_factory.mktemp("ended") / "run", tiny())


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def arrays(episode: Episode) -> list[NDArray[Any]]:
    return [value for value in vars(episode).values() if isinstance(value, np.ndarray)]


def without_time(events: list[Feedback]) -> list[Event]:
    return [msgspec.structs.replace(event, time_ns=0, session="") for event in events]


class TestWhatIsLeft:
    def test_the_schedule_is_done(self, ended: Ended) -> None:
        schedule = ended.config.schedule
        assert len(ended.episodes(Role.DEMONSTRATION)) == schedule.demonstrations
        assert len(ended.episodes(Role.ONLINE)) == schedule.episodes
        assert ended.told[:2] == ("demonstrations", "cloning")
        assert ended.fits == 1 + schedule.episodes // schedule.episodes_per_fit

    def test_environment_steps_are_the_arms_without_what_only_a_simulation_rolls_out(
        self, ended: Ended
    ) -> None:
        steps = {role: sum(one.length for one in ended.episodes(role).values()) for role in Role}
        assert ended.environment_steps == steps[Role.DEMONSTRATION] + steps[Role.ONLINE]
        assert steps[Role.COUNTERFACTUAL] > 0

    def test_the_policy_has_had_the_updates_that_its_steps_have_earned(self, ended: Ended) -> None:
        online = sum(one.length for one in ended.episodes(Role.ONLINE).values())
        assert ended.policy["updates"][0] == online * ended.config.sac.updates_per_step

    def test_a_checkpoint_of_the_end_is_there(self, ended: Ended, tiny: Tiny) -> None:
        run = RunFolder.open(ended.folder)
        path = run.latest_checkpoint()
        run.close()
        assert path is not None
        env = TaskEnv("reach")
        learner = Learner(tiny(), env.obs_size, env.axes)
        env.close()
        learner.load(path)
        assert same(learner.sac.state(), ended.policy)
        assert same(learner.reward.state(), ended.reward)

    def test_every_kind_was_given(self, ended: Ended) -> None:
        assert {type(event) for event in ended.events()} == {
            Demonstration,
            Takeover,
            Preference,
            Evaluation,
            Outcome,
        }


class TestEvents:
    def test_they_speak_of_what_is_stored(self, ended: Ended) -> None:
        episodes = ended.episodes()
        driven = {id: one for id, one in episodes.items() if one.role is not Role.COUNTERFACTUAL}
        for event in ended.events():
            match event:
                case Demonstration():
                    assert episodes[event.episode].role is Role.DEMONSTRATION
                    others = [episodes[id] for id in event.alternatives]
                    assert len(others) == ended.config.schedule.alternatives
                    assert {one.role for one in others} == {Role.COUNTERFACTUAL}
                    assert {one.length for one in others} == {episodes[event.episode].length}
                case Takeover():
                    assert event.counterfactual is not None
                    executed, other = episodes[event.executed.episode], episodes[event.counterfactual.episode]
                    assert (executed.role, other.role) == (Role.ONLINE, Role.COUNTERFACTUAL)
                    assert event.counterfactual.start == 0
                    assert event.executed.length == event.counterfactual.length == other.length
                    obs, _ = executed.window(event.executed)
                    np.testing.assert_array_equal(other.obs[0], obs[0])
                case Evaluation():
                    assert driven[event.episode].role is Role.ONLINE
                    assert 0 <= event.step < driven[event.episode].length
                case Outcome():
                    assert event.episode in driven
                case Preference():
                    assert event.left.length == event.right.length == ended.config.queries.segment_steps
                    driven[event.left.episode].window(event.left)
                    driven[event.right.episode].window(event.right)

    def test_each_takeover_is_just_the_steps_that_the_operator_drove(self, ended: Ended) -> None:
        taken: dict[int, set[int]] = {}
        for event in ended.events(Kind.TAKEOVERS):
            assert isinstance(event, Takeover)
            steps = range(event.executed.start, event.executed.start + event.executed.length)
            assert not taken.setdefault(event.executed.episode, set()) & set(steps)
            taken[event.executed.episode] |= set(steps)
        for id, episode in ended.episodes(Role.ONLINE).items():
            assert set(np.flatnonzero(episode.driver == Driver.OPERATOR).tolist()) == taken.get(id, set())

    def test_ids_are_unique_and_every_episode_is_marked_once(self, ended: Ended) -> None:
        events = ended.events()
        assert len({event.id for event in events}) == len(events)
        marked = [event.episode for event in events if isinstance(event, Outcome)]
        driven = [*ended.episodes(Role.DEMONSTRATION), *ended.episodes(Role.ONLINE)]
        assert sorted(marked) == sorted(driven)

    def test_counts_are_the_events(self, ended: Ended) -> None:
        with ended.store() as store:
            counts = store.counts()
        assert counts == {kind: len(ended.events(kind)) for kind in Kind}
        assert counts[Kind.DEMONSTRATIONS] == ended.config.schedule.demonstrations

    def test_every_query_was_answered_and_none_asked_twice(self, ended: Ended) -> None:
        with ended.store() as store:
            assert store.queries(answered=False) == []
            asked = [query.id for query in store.queries()]
        answers = [event.query for event in ended.events(Kind.PREFERENCES) if isinstance(event, Preference)]
        assert answers == asked
        assert len(set(asked)) == len(asked)

    def test_no_message_holds_an_opinion_or_a_reward(self, ended: Ended) -> None:
        said = {field for event in ended.events() for field in event.__struct_fields__}
        assert said == {
            *(
                "id",
                "operator",
                "session",
                "time_ns",
                "episode",
                "alternatives",
                "executed",
                "counterfactual",
            ),
            *("query", "left", "right", "choice", "response_s", "replays", "step", "good", "success"),
        }


class TestPairsOrWatching:
    @pytest.fixture
    def study(self, ended: Ended) -> Iterator[Study]:
        episode = next(iter(ended.episodes().values()))
        with ended.store() as store:
            run = RunFolder(ended.folder, ended.config, store)
            yield Study(run, episode.obs.shape[1], episode.action.shape[1])

    def test_watching_is_worth_what_its_events_tell_a_second(self, study: Study) -> None:
        episodes = study.learner.episodes
        online = sorted(id for id, episode in episodes.items() if episode.role is Role.ONLINE)
        worth = study.worth_of_watching().worth
        newest = online[-study.config.schedule.episodes_per_fit :]
        seconds = sum(spent.active_s for spent in study.store.operator_seconds_by_activity(newest).values())
        assert 0.0 < worth < math.log(study.config.reward_model.members) * 100 / seconds
        study.learner.reward = RewardModel(study.learner.sac.obs_size, study.config.reward_model, 0)
        assert study.worth_of_watching().worth == 0.0, "nothing is known yet"

    def test_what_tells_less_than_watching_is_not_asked(self, study: Study) -> None:
        schedule = dataclasses.replace(study.config.schedule, pairs_last=0)
        study.config = dataclasses.replace(study.config, schedule=schedule)
        every = study.choose_pairs(10**6, 4)
        assert len(every) == 4
        left, right = [pair.left for pair in every], [pair.right for pair in every]
        nats = study.learner.reward.pair_information(left, right, study.learner.episodes)
        a_second = float(np.median(nats)) / PAIR_S
        asked = study.choose_pairs(10**6, 4, a_second)
        assert 0 < len(asked) <= 4
        assert all(pair.reason == "repeat" for pair in study.choose_pairs(10**6, 4, 1e9))
        worth = study.learner.reward.pair_information(
            [pair.left for pair in asked], [pair.right for pair in asked], study.learner.episodes
        )
        assert (worth >= a_second * PAIR_S - 1e-6).all()

    def test_as_many_as_late_rounds_ask_for_are_asked_all_the_same(self, study: Study) -> None:
        schedule = dataclasses.replace(study.config.schedule, pairs_last=2)
        queries = dataclasses.replace(study.config.queries, repeat_fraction=0.0)
        study.config = dataclasses.replace(study.config, schedule=schedule, queries=queries)
        assert study.choose_pairs(10**6, 4, 1e9) == study.choose_pairs(10**6, 4)[:2]


def test_presses_that_rest_are_not_given_until_the_next_round(tiny: Tiny, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", tiny())
    run.store.set_meta(PRESSES_REST, "1")
    run.close()
    after = complete(tmp_path / "run", tiny())
    first, second, *_ = sorted(after.episodes(Role.ONLINE))
    pressed = {event.episode for event in after.events(Kind.EVALUATIONS) if isinstance(event, Evaluation)}
    assert not pressed & {first, second}
    assert pressed, "the round after them tries presses again"


class TestOperatorTime:
    def test_active_time_is_what_the_events_and_the_driven_steps_amount_to(self, ended: Ended) -> None:
        hz, booked = ended.config.control_hz, ended.booked()
        shown = sum(one.length for one in ended.episodes(Role.DEMONSTRATION).values())
        taken = sum(int(one.operator_steps.sum()) for one in ended.episodes(Role.ONLINE).values())
        expected = {
            "demonstration": shown / hz,
            "takeover": taken / hz,
            "press": PRESS_S * len(ended.events(Kind.EVALUATIONS)),
            "mark": MARK_S * len(ended.events(Kind.OUTCOMES)),
            "pair": PAIR_S * len(ended.events(Kind.PREFERENCES)),
        }
        for activity, seconds in expected.items():
            assert booked[activity].active_s == pytest.approx(seconds), activity
        assert sum(one.active_s for one in booked.values()) == pytest.approx(sum(expected.values()))

    def test_watching_is_attended_and_not_active(self, ended: Ended) -> None:
        hz, booked = ended.config.control_hz, ended.booked()
        arm = (Role.DEMONSTRATION, Role.ONLINE)
        sat_through = sum(one.length for role in arm for one in ended.episodes(role).values()) / hz
        aside = sum(booked[activity].active_s for activity in ("press", "mark", "pair"))
        assert sum(one.attended_s for one in booked.values()) == pytest.approx(sat_through + aside)

    def test_takeovers_end_with_their_budget(self, tiny: Tiny, tmp_path: Path) -> None:
        config = tiny(schedule=dataclasses.replace(tiny().schedule, takeover_seconds=0.0))
        run = complete(tmp_path / "run", config)
        assert run.events(Kind.TAKEOVERS) == []
        assert run.booked()["takeover"].active_s == 0.0


class TestSeeds:
    def test_a_seed_gives_the_same_trajectories_events_and_policies(
        self, ended: Ended, tiny: Tiny, tmp_path: Path
    ) -> None:
        again = complete(tmp_path / "run", tiny())
        first, second = ended.episodes(), again.episodes()
        assert first.keys() == second.keys()
        for id, episode in first.items():
            for one, other in zip(arrays(episode), arrays(second[id]), strict=True):
                np.testing.assert_array_equal(one, other)
        assert without_time(ended.events()) == without_time(again.events())
        assert same(ended.policy, again.policy)
        assert same(ended.reward, again.reward)
        assert ended.booked() == again.booked()

    def test_another_seed_gives_another_run(self, ended: Ended, tiny: Tiny, tmp_path: Path) -> None:
        other = complete(tmp_path / "run", tiny(seed=4))
        assert not same(ended.policy, other.policy)
        assert not np.array_equal(ended.episodes()[0].obs[0], other.episodes()[0].obs[0])


def lying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every environment return a reward that has nothing to do with the task."""
    step = TaskEnv.step

    def lie(env: TaskEnv, action: NDArray[np.float32]) -> tuple[Any, ...]:
        obs, reward, *rest = step(env, action)
        return (obs, (reward * 7919.0) % 1.0, *rest)

    monkeypatch.setattr(TaskEnv, "step", lie)


class TestTheTasksReward:
    def test_it_never_reaches_a_learner_that_learns_from_feedback(
        self, ended: Ended, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[object] = []
        ingest = Learner.ingest

        def spy(self: Learner, episode: Episode, task_reward: object, imitate: bool) -> None:
            seen.append(task_reward)
            ingest(self, episode, task_reward, imitate)  # type: ignore[arg-type]

        monkeypatch.setattr(Learner, "ingest", spy)
        lying(monkeypatch)
        misled = complete(tmp_path / "run", tiny())
        assert set(map(type, seen)) == {type(None)}
        assert same(misled.policy, ended.policy)
        assert same(misled.reward, ended.reward)

    def test_it_is_what_a_learner_learns_from_that_was_told_to(
        self, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = complete(tmp_path / "plain", tiny(reward="task"))
        lying(monkeypatch)
        misled = complete(tmp_path / "misled", tiny(reward="task"))
        assert not same(plain.policy, misled.policy)
        assert plain.fits == 0
        assert plain.policy["updates"][0] > 0
        kinds = {type(event) for event in plain.events()}
        assert not kinds & {Preference, Evaluation}

    def test_a_learner_refuses_a_reward_that_it_was_not_told_to_learn_from(
        self, ended: Ended, tiny: Tiny
    ) -> None:
        episode = next(iter(ended.episodes(Role.ONLINE).values()))
        reward = np.zeros(episode.length, np.float32)
        sizes = episode.obs.shape[1], episode.action.shape[1]
        with pytest.raises(ValueError, match="--reward task"):
            Learner(tiny(), *sizes).ingest(episode, reward, imitate=True)
        with pytest.raises(ValueError, match="--reward task"):
            Learner(tiny(reward="task"), *sizes).ingest(episode, None, imitate=True)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_alone_carries_a_run_to_its_end(kind: Kind, tiny: Tiny, tmp_path: Path) -> None:
    run = complete(tmp_path / "run", tiny(feedback=kind.value))
    assert {KIND_OF[type(event)] for event in run.events()} <= {kind}
    assert len(run.episodes(Role.ONLINE)) == run.config.schedule.episodes


class TestShuffling:
    def test_what_is_stored_is_what_was_said_and_the_run_differs(
        self, ended: Ended, tiny: Tiny, tmp_path: Path
    ) -> None:
        run = complete(tmp_path / "run", tiny(labels="shuffled"))
        shown = without_time(ended.events(Kind.DEMONSTRATIONS))
        assert shown == without_time(run.events(Kind.DEMONSTRATIONS))
        assert not same(run.reward, ended.reward)

    def test_about_half_of_the_judgements_are_turned_round_and_always_the_same_ones(
        self, ended: Ended
    ) -> None:
        events = ended.events()
        turned = [[shuffled(event, seed) != event for event in events] for seed in (0, 0, 1)]
        assert turned[0] == turned[1] != turned[2]
        marks = [
            shuffled(Outcome(id=str(i), operator="o", session="s", time_ns=0, episode=i, success=True), 0)
            for i in range(1000)
        ]
        assert 430 < sum(isinstance(mark, Outcome) and mark.success for mark in marks) < 570

    def test_an_answer_of_equal_stays_one(self, ended: Ended) -> None:
        said = next(event for event in ended.events(Kind.PREFERENCES))
        assert isinstance(said, Preference)
        for seed in range(8):
            equal = msgspec.structs.replace(said, choice=Choice.EQUAL)
            assert shuffled(equal, seed) == equal


class StoppedError(Exception):
    """The run stops here, as by a kill."""


class Stop(Watcher):
    """Stops the run at the nth call of one of its methods."""

    def __init__(self, method: str, calls: int) -> None:
        def count(*_: object) -> None:
            nonlocal calls
            calls -= 1
            if calls == 0:
                raise StoppedError

        setattr(self, method, count)


def stopped(folder: Path, config: RunConfig, method: str, calls: int) -> list[Feedback]:
    """Begin a run, have it stopped, and return what had been said by then."""
    run = RunFolder.create(folder, config)
    session = LockstepSession(run)
    with pytest.raises(StoppedError):
        session.complete(Stop(method, calls))
    said = run.store.feedback()
    session.close()
    run.close()
    return said


class TestGoingOn:
    @pytest.mark.parametrize(
        ("method", "calls"),
        [("episode", 4), ("fitted", 2), ("trained", 1), ("checkpoint", 1)],
    )
    def test_a_run_that_was_stopped_goes_on_without_asking_anything_twice(
        self, method: str, calls: int, ended: Ended, tiny: Tiny, tmp_path: Path
    ) -> None:
        said = stopped(tmp_path / "run", tiny(), method, calls)
        resumed = complete(tmp_path / "run", tiny())
        events = resumed.events()
        assert events[: len(said)] == said
        assert len({event.id for event in events}) == len(events)
        assert len(resumed.episodes(Role.DEMONSTRATION)) == len(ended.episodes(Role.DEMONSTRATION))
        assert len(resumed.episodes(Role.ONLINE)) == len(ended.episodes(Role.ONLINE))
        for kind in (Kind.DEMONSTRATIONS, Kind.OUTCOMES):
            assert len(resumed.events(kind)) == len(ended.events(kind)), kind
        with resumed.store() as store:  # how many follows from what the others tell, which is not the same
            assert store.queries() and store.queries(answered=False) == []
        assert int(resumed.reward["version"][0]) == ended.fits
        online = sum(one.length for one in resumed.episodes(Role.ONLINE).values())
        assert resumed.policy["updates"][0] == online * resumed.config.sac.updates_per_step

    @pytest.mark.parametrize(("method", "calls"), [("episode", 2), ("fitted", 1)])
    def test_stopped_before_the_policy_has_driven_it_ends_to_the_bit_as_an_unbroken_run_does(
        self, method: str, calls: int, ended: Ended, tiny: Tiny, tmp_path: Path
    ) -> None:
        said = stopped(tmp_path / "run", tiny(), method, calls)
        resumed = complete(tmp_path / "run", tiny())
        assert resumed.events()[: len(said)] == said
        assert without_time(resumed.events()) == without_time(ended.events())
        assert same(resumed.policy, ended.policy)
        assert same(resumed.reward, ended.reward)

    def test_a_finished_run_that_is_completed_again_says_and_learns_nothing_new(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        first = complete(tmp_path / "run", tiny())
        events = first.events()
        again = complete(tmp_path / "run", tiny())
        assert again.events() == events
        assert same(first.policy, again.policy)
        assert again.fits == 0

    def test_an_episode_that_cannot_be_stored_whole_is_not_stored_at_all(
        self, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = RunFolder.create(tmp_path / "run", tiny())
        session = LockstepSession(run)
        mark = session.operator.mark

        def fail(*arguments: Any) -> bool:
            monkeypatch.setattr(session.operator, "mark", mark)
            raise StoppedError

        monkeypatch.setattr(session.operator, "mark", fail)
        with pytest.raises(StoppedError):
            session.complete()
        assert (run.store.episodes(), run.store.feedback(), run.store.operator_seconds().active_s) == (
            [],
            [],
            0.0,
        )
        session.close()
        run.close()


def test_a_checkpoint_that_does_not_fit_is_one_line_and_leaves_no_physics_behind(
    ended: Ended, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(ended.folder, tmp_path / "copy")
    wide = dataclasses.replace(tiny(), sac=dataclasses.replace(tiny().sac, hidden=48))
    monkeypatch.setattr("robot_rlhf.session.run_folder.read_config", lambda path: wide)
    run = RunFolder.open(folder)
    closed: list[TaskEnv] = []
    monkeypatch.setattr(TaskEnv, "close", lambda env: closed.append(env))
    with pytest.raises(CheckpointError, match=r"checkpoint .* does not fit this run: policy: tensor"):
        LockstepSession(run)
    assert len(closed) == 1
    run.close()


@pytest.mark.parametrize(
    ("spoil", "fragment"),
    [
        (lambda tensors, notes: tensors.pop("reward.scale"), "scale"),
        (lambda tensors, notes: tensors.pop("sac.updates"), "updates"),
        (lambda tensors, notes: notes.pop("learner"), "begun"),
        (lambda tensors, notes: notes.update(learner="{"), "JSON|truncated"),
        (lambda tensors, notes: notes.update(learner='{"begun": 3, "fitted_at": 0}'), "begun"),
    ],
)
def test_whatever_does_not_fit_of_a_checkpoint_is_named(
    spoil: Callable[[Tensors, dict[str, str]], object], fragment: str, tiny: Tiny, tmp_path: Path
) -> None:
    learner = Learner(tiny(), 12, 3)
    learner.save(tmp_path / "whole")
    saved = checkpoint.load(tmp_path / "whole")
    spoil(saved.tensors, saved.metadata)
    checkpoint.save(tmp_path / "spoiled", saved.tensors, saved.metadata)
    with pytest.raises(CheckpointError, match=f"does not fit this run: .*({fragment})") as caught:
        learner.load(tmp_path / "spoiled")
    assert len(str(caught.value).splitlines()) == 1


# -- modes, and how much of the operator's time there is ---------------------------------------------------


def test_a_clone_is_made_anew_of_what_was_taken_over_and_survives_the_disk(
    tmp_path: Path, tiny: Tiny
) -> None:
    """HG-DAgger: no reward, no critics, and the policy learns what the operator drove."""
    schedule = dataclasses.replace(tiny().schedule, episodes=3, episodes_per_fit=1)
    config = tiny(policy="clone", feedback="demonstrations,takeovers", schedule=schedule)
    ended = complete(tmp_path / "run", config)
    assert ended.fits == 0
    online = ended.episodes(Role.ONLINE)
    assert len(online) == 3
    versions = [episode.policy_version for episode in online.values()]
    assert versions == [1, 2, 3]  # another clone drives each episode
    assert not ended.episodes(Role.COUNTERFACTUAL)
    learner = read_learner(ended.folder)[1]
    assert learner is not None
    assert learner.version == 4
    first = next(iter(online.values()))
    obs = first.obs[0]
    again = Learner(config, len(obs), first.action.shape[1])
    again.clone_again([*ended.episodes(Role.DEMONSTRATION).values(), *online.values()])
    acts = [one.policy(explore=False).act(obs) for one in (learner, again)]
    assert acts[0] == pytest.approx(acts[1], abs=1e-6)


class TestCloneMadeAnew:
    """The clone that the policy corrects, made of its successes too."""

    @pytest.fixture
    def study(self, ended: Ended, tmp_path: Path) -> Iterator[Study]:
        clone = dataclasses.replace(ended.config.clone, anew_successes=0)
        config = dataclasses.replace(ended.config, clone=clone)
        folder = tmp_path / "run"
        shutil.copytree(ended.folder, folder)
        episode = next(iter(ended.episodes(Role.ONLINE).values()))
        said = ended.events()[0]
        mark = Outcome(
            id="seen",
            operator=said.operator,
            session=said.session,
            time_ns=0,
            episode=episode.id,
            success=True,
        )
        with Store.open(folder / "run.db") as store:
            store.add_feedback(mark)  # a policy of so few steps may have had none
            yield Study(RunFolder(folder, config, store), episode.obs.shape[1], episode.action.shape[1])

    @staticmethod
    def successes(study: Study) -> list[Episode]:
        marks = study.marks()
        return [
            one for one in study.learner.episodes.values() if one.role is Role.ONLINE and marks.get(one.id)
        ]

    @staticmethod
    def configured(study: Study, **changed: Any) -> None:
        clone = dataclasses.replace(study.config.clone, **changed)
        study.config = study.learner.config = dataclasses.replace(study.config, clone=clone)

    def test_it_is_due_once_there_are_enough_and_again_with_half_as_many_more(self, study: Study) -> None:
        count = len(self.successes(study))
        assert count > 0 and not study.clone_due(), "0: never"
        for least, due in ((count + 1, False), (count, True)):
            self.configured(study, anew_successes=least)
            assert study.clone_due() is due
        study.learner.successes_cloned = count
        assert not study.clone_due()
        study.learner.successes_cloned = int(count / 1.5)
        assert study.clone_due()

    def test_a_success_is_imitated_whole_whoever_drove(self, study: Study) -> None:
        learner, successes = study.learner, self.successes(study)
        assert any(not one.operator_steps.all() for one in successes)
        asked: list[Sequence[Episode]] = []

        def cloned(episodes: Sequence[Episode], whole: Sequence[Episode]) -> ChunkedClone:
            asked.extend((episodes, whole))
            assert learner.clone is not None
            return learner.clone

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(learner, "_cloned", cloned)
            study.clone_anew()
        assert [[one.id for one in each] for each in asked] == [
            [one.id for one in each] for each in (study.to_imitate(), successes)
        ]

    def test_the_new_one_is_corrected_from_then_on_also_after_a_restart(
        self, study: Study, tmp_path: Path
    ) -> None:
        learner = study.learner
        assert learner.clone is not None
        old, obs = learner.clone, next(iter(learner.episodes.values())).obs
        study.clone_anew()
        assert learner.clone is not old and not np.array_equal(learner.clone.along(obs), old.along(obs))
        assert learner.successes_cloned == len(self.successes(study))
        learner.save(tmp_path / "saved")
        again = Learner(study.config, learner.sac.obs_size, learner.sac.action_size)
        again.load(tmp_path / "saved")
        assert again.clone is not None
        assert again.successes_cloned == learner.successes_cloned
        assert again.clone.heldout_error == learner.clone.heldout_error
        np.testing.assert_array_equal(again.clone.along(obs), learner.clone.along(obs))

    def test_one_that_is_worse_at_the_demonstrations_is_not_kept(self, study: Study) -> None:
        learner = study.learner
        assert learner.clone is not None
        old, successes = learner.clone, self.successes(study)
        self.configured(study, heldout_fraction=0.3, anew_tolerance=1.0)
        shown = study.to_imitate()
        shown += [dataclasses.replace(one, id=100 * n + one.id) for n in range(1, 4) for one in shown]
        old.heldout_error = 1e-9
        assert not learner.clone_successes(shown, successes)
        assert learner.clone is old and learner.successes_cloned == len(successes)
        old.heldout_error = 1e9
        assert learner.clone_successes(shown, successes)
        assert learner.clone is not old


def test_a_run_ends_with_the_operators_time_and_its_curve_has_the_points_asked_for(
    tmp_path: Path, tiny: Tiny
) -> None:
    whole = complete(tmp_path / "whole", tiny())
    with whole.store() as store:
        spent_s = store.operator_seconds().active_s
    limit = 0.6 * spent_s
    points = (1.0, limit, 10 * spent_s)
    schedule = dataclasses.replace(
        tiny().schedule, operator_seconds=limit, evaluate_at=points, evaluation_episodes=2
    )
    with contextlib.closing(RunFolder.create(tmp_path / "short", tiny(schedule=schedule))) as run:
        summary = train(run)
    assert limit <= summary.operator_seconds < spent_s
    events = list(read_events(tmp_path / "short"))
    assert sum(isinstance(event, EpisodeEnded) for _, event in events) < len(whole.episodes())
    curve = [
        at.operator_seconds
        for at, event in events
        if isinstance(event, Evaluated) and not event.final and event.policy == "policy"
    ]
    assert len(curve) == 2  # each as soon as its time had come, and none for a time that did not
    assert points[0] <= curve[0] < points[1] <= curve[1] == summary.operator_seconds


def test_the_reward_is_fitted_to_the_kinds_that_it_is_said_to_be(ended: Ended, tiny: Tiny) -> None:
    """As in HIL-SERL: marks make the reward, what the operator drove is data."""
    shown, events = ended.episodes(), ended.events(Kind.DEMONSTRATIONS)
    assert events
    ids = list(ended.episodes(Role.DEMONSTRATION))
    marks = [
        Outcome(id=f"mark {id}", operator="ada", session="s", time_ns=id, episode=id, success=id == ids[0])
        for id in ids
    ]
    found = {}
    for rewarded_by in ("outcomes", "demonstrations", ""):
        config = tiny(feedback="demonstrations,takeovers,outcomes", rewarded_by=rewarded_by)
        first = shown[ids[0]]
        learner = Learner(config, first.obs.shape[1], first.action.shape[1])
        for episode in shown.values():
            learner.ingest(episode, None, imitate=True)
        found[rewarded_by] = set(learner.refit([*events, *marks], 0).kinds)
    assert found == {
        "outcomes": {Kind.OUTCOMES},
        "demonstrations": {Kind.DEMONSTRATIONS},
        "": {Kind.DEMONSTRATIONS, Kind.OUTCOMES},
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"feedback": "outcomes", "rewarded_by": "preferences"}, "preferences"),
        ({"policy": "clone", "live": True}, "lockstep"),
        ({"policy": "clone", "feedback": "outcomes"}, "demonstrations"),
        ({"rewarded_by": "smiles"}, "smiles"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, Any], named: str, tiny: Tiny
) -> None:
    with pytest.raises(ValueError, match=named):
        tiny(**changes)


@pytest.mark.parametrize("points", [(60.0, 30.0), (0.0,), (5.0, 5.0)])
def test_points_of_a_curve_must_rise(points: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="evaluate_at"):
        ScheduleConfig(evaluate_at=points)


def test_an_absent_operator_neither_helps_nor_marks_and_gives_no_time(tmp_path: Path, tiny: Tiny) -> None:
    ended = complete(tmp_path / "run", tiny(simulated=OperatorConfig(absent=1.0)))
    online = ended.episodes(Role.ONLINE)
    assert online
    assert not any(episode.operator_steps.any() for episode in online.values())
    with ended.store() as store:
        events = store.feedback({Kind.TAKEOVERS, Kind.EVALUATIONS, Kind.OUTCOMES})
        booked = store.operator_seconds_by_activity()
    assert {event.episode for event in events if isinstance(event, Outcome)}.isdisjoint(online)
    assert not [event for event in events if not isinstance(event, Outcome)]
    assert "watching" not in booked
    assert booked["takeover"].active_s == 0.0


def test_a_curriculum_begins_where_the_expert_would_go_and_spreads_as_the_policy_succeeds(
    tiny: Tiny, tmp_path: Path
) -> None:
    schedule = dataclasses.replace(
        tiny().schedule, demonstrations=1, alternatives=0, episodes=2, curriculum=0.2, deployed_every=0
    )
    config = tiny(schedule=schedule, feedback="demonstrations,outcomes")
    run = RunFolder.create(tmp_path / "run", config)
    with contextlib.closing(run), contextlib.closing(LockstepSession(run)) as session:
        session.complete()
        study = session.study
        online = [one for one in study.learner.episodes.values() if one.role is Role.ONLINE]
        marks = study.marks()
        alone = [float(marks[one.id]) for one in online]
        for spread, episode in zip((0.2, 0.2 + 0.08 * alone[0]), online, strict=True):
            session.env.reset(seed=episode.seed, options={"spread": spread})
            assert (session.env.scene.pack() == episode.scenes[0]).all()
        assert study.spread() == pytest.approx(0.2 + 0.08 * sum(alone))
    with pytest.raises(ValueError, match="lockstep"):
        dataclasses.replace(config, live=True)


def test_a_demonstration_in_which_nothing_moved_is_no_example(tmp_path: Path, tiny: Tiny) -> None:
    """As when somebody records, and does not touch the stick: the policy begins without a clone."""
    config = tiny(task="reach")
    with contextlib.closing(TaskEnv("reach", config.control_hz)) as env:
        size, axes, row = env.obs_size, env.axes, env.scene.pack()
    with contextlib.closing(RunFolder.create(tmp_path / "run", config)) as run:
        study = Study(run, size, axes)
        obs, still = np.zeros((6, size), np.float32), np.zeros((5, axes), np.float32)
        driver, scenes = np.full(5, Driver.OPERATOR, np.uint8), np.tile(row, (6, 1))
        demonstration = Episode(
            0, Role.DEMONSTRATION, "reach", 0, 0, obs, still, still, driver, scenes, False, True
        )
        study.learner.ingest(demonstration, None, imitate=True)
        assert study.to_imitate() == []
        study.begin()
        assert study.learner.begun and study.learner.clone is None
