"""The short form of `python -m benchmarks.crash --kills 200`: a few seeded kills, nothing lost or doubled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.crash import SHARES, harness, scenarios, shared
from benchmarks.killed.live import Live
from benchmarks.killed.recorder import Recorder
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Outcome
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder


def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    results = harness(tmp_path, {"migration": 2, "backup": 1}, seed=1, tell=told.append)
    assert {name: result.problems for name, result in results.items()} == {"migration": [], "backup": []}
    assert [result.kills for result in results.values()] == [2, 1]
    assert results["backup"].events_acknowledged > 0
    assert len(told) == 2


def test_a_run_in_lockstep_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    scenario = scenarios(tmp_path)["lockstep"]
    assert scenario.kill(np.random.default_rng(1)) == []


def test_what_is_lost_changed_or_doubled_is_seen(tmp_path: Path) -> None:
    """The harness would notice: otherwise its zeros say nothing."""
    who = {"operator": "ann", "session": "s", "time_ns": 0}
    marks = [Outcome(id=f"e{i}", episode=i, success=True, **who) for i in range(3)]  # type: ignore[arg-type]
    run = RunFolder.create(tmp_path / "run", RunConfig(task="reach"))
    run.store.add_many(marks[:2])
    recorder = Recorder(run.path)
    recorder.look()
    assert list(recorder.events) == ["e0", "e1"]
    run.close()
    assert recorder.complaints() == []
    recorder.saved({"id": "e2", "what": marks[2], "reason": ""})
    assert recorder.complaints() == [f"lost: {marks[2]}"]
    with Store.open(run.path / "run.db") as store:
        store.add_feedback(Outcome(id="e2", episode=0, success=True, **who))  # type: ignore[arg-type]
    assert recorder.complaints() == [f"changed: {marks[2]}", "there 2 times: ('Outcome', 0)"]


@pytest.mark.slow  # a session, a learner elsewhere, and both once more
def test_a_session_that_is_learned_from_elsewhere_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    scenario = scenarios(tmp_path)["elsewhere"]
    assert scenario.kill(np.random.default_rng(1)) == []
    assert scenario.finish() == []


def test_what_never_came_where_it_was_to_be_learned_is_seen(tmp_path: Path) -> None:
    marks = [
        Outcome(id=f"e{i}", operator="ann", session="s", time_ns=0, episode=i, success=True) for i in range(2)
    ]
    live = Live(tmp_path, "learner", recorders=[Recorder(tmp_path / "run")])
    for folder, there in (("run", marks), ("learner/run-0", marks[:1])):
        run = RunFolder.create(tmp_path / folder, RunConfig(task="reach"))
        run.store.add_many(there)
        run.close()
    missing = "of 2 events 1 came where it was learned"
    assert missing in live.mirrored()
    with Store.open(tmp_path / "learner" / "run-0" / "run.db") as store:
        store.add_feedback(marks[1])
    assert not any("events" in one for one in live.mirrored())


def test_every_scenario_has_its_share() -> None:
    for kills in (200, 201, 7):
        assert sum(shared(kills).values()) == kills
    assert min(shared(200).values()) >= 10
    assert shared(200).keys() == SHARES.keys()
