"""The log of a run: what was written is read again, whatever a kill did to the last line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from robot_rlhf.feedback.episode import Role
from robot_rlhf.feedback.types import Kind
from robot_rlhf.report.metrics import (
    NAME,
    EpisodeEnded,
    Evaluated,
    HeldOut,
    KindFit,
    MetricsLog,
    Moment,
    RewardFitted,
    SacUpdated,
    keep_lines,
    read_events,
    read_metrics,
)

AT = Moment(environment_steps=60, operator_seconds=4.5, attended_seconds=9.0, wall_seconds=2.0)
EPISODE = EpisodeEnded(episode=1, role=Role.ONLINE, length=60, success_mark=True, operator_fraction=0.25)
EVALUATION = Evaluated(policy="clone", episodes=20, successes=7, mean_length=41.0, final=True)
FIT = RewardFitted(
    version=1,
    train_nll=0.6,
    steps=100,
    seconds=0.4,
    kinds={Kind.OUTCOMES: KindFit(count=3, nll=None, accuracy=1.0, calibration_error=0.1)},
    heldout=HeldOut(nll=0.5, accuracy=0.75, calibration_error=0.1, calibration=((0.9, 0.8, 12),)),
)
SAC = SacUpdated(
    updates=60,
    critic_loss=1.0,
    actor_loss=-0.5,
    bc_loss=0.1,
    alpha=0.2,
    entropy=-2.0,
    q_mean=3.0,
    q_std=0.4,
    updates_per_second=110.0,
)
EVENTS = (EPISODE, FIT, SAC, EVALUATION)


def test_every_event_is_read_as_it_was_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        for event in EVENTS:
            log.write(AT, event)
    assert read_events(tmp_path) == [(AT, event) for event in EVENTS]


def test_a_fit_report_becomes_an_event_by_its_attributes() -> None:
    heldout = SimpleNamespace(nll=0.5, accuracy=0.75, calibration_error=0.1, calibration=[(0.9, 0.8, 12)])
    kind = SimpleNamespace(count=3, nll=None, accuracy=1.0, calibration_error=0.1, calibration=[])
    report = SimpleNamespace(
        version=1, train_nll=0.6, steps=100, seconds=0.4, kinds={Kind.OUTCOMES: kind}, heldout=heldout
    )
    assert msgspec.convert(report, RewardFitted, from_attributes=True) == FIT


def test_every_line_names_its_event_and_carries_the_counters(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        for event in EVENTS:
            log.write(AT, event)
    lines = read_metrics(tmp_path)
    assert [line["event"] for line in lines] == ["episode", "reward_fit", "sac", "evaluation"]
    for line in lines:
        assert line["environment_steps"] == 60
        assert line["operator_seconds"] == 4.5
        assert line["attended_seconds"] == 9.0
        assert line["wall_seconds"] == 2.0
    assert lines[1]["kinds"]["outcomes"]["count"] == 3


def test_a_line_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(AT, EPISODE)
        assert len(read_metrics(tmp_path)) == 1


def test_numpy_numbers_and_numbers_that_are_not_finite_become_plain_json(tmp_path: Path) -> None:
    odd = SacUpdated(
        updates=np.int64(5),  # type: ignore[arg-type]
        critic_loss=np.float32(0.5),  # type: ignore[arg-type]
        actor_loss=float("nan"),
        bc_loss=float("inf"),
        alpha=np.float64(0.25),
        entropy=None,
        q_mean=0.0,
        q_std=0.0,
        updates_per_second=1.0,
    )
    with MetricsLog(tmp_path) as log:
        log.write(AT, odd)
    (line,) = (json.loads(text) for text in (tmp_path / NAME).read_text().splitlines())
    assert (line["updates"], line["critic_loss"], line["alpha"]) == (5, 0.5, 0.25)
    assert line["actor_loss"] is None
    assert line["bc_loss"] is None


def test_a_torn_last_line_is_left_out_when_reading(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(AT, EPISODE)
    whole = (tmp_path / NAME).read_bytes()
    for torn in (whole[:1], whole[: len(whole) // 2], whole[:-1]):
        (tmp_path / NAME).write_bytes(whole + torn)
        assert read_events(tmp_path) == [(AT, EPISODE)]


def test_a_torn_last_line_is_cut_when_appending_goes_on(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(AT, EPISODE)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"event":"sac","upda')
    with MetricsLog(tmp_path) as log:
        log.write(AT, EVALUATION)
    assert read_events(tmp_path) == [(AT, EPISODE), (AT, EVALUATION)]


def test_a_run_without_a_log_has_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


@pytest.mark.parametrize(
    "line", ["{", "[1]", '{"event":"dance"}', '{"event":"sac"}', '{"environment_steps":1}']
)
def test_a_whole_line_that_is_no_event_is_refused_by_number(tmp_path: Path, line: str) -> None:
    with MetricsLog(tmp_path) as log:
        log.write(AT, EPISODE)
    with (tmp_path / NAME).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match="line 2"):
        read_events(tmp_path)


def test_an_evaluation_cannot_succeed_more_often_than_it_was_tried() -> None:
    with pytest.raises(ValueError, match="6 successes of 5 episodes"):
        Evaluated(policy="policy", episodes=5, successes=6, mean_length=1.0, final=False)


def test_scalars_carry_the_customary_names(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricsLog(tmp_path) as log:
        for event in EVENTS:
            log.write(AT, event)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    tags = set(board.Tags()["tensors"])
    assert {
        "rollout/ep_len_mean",
        "rollout/success_rate",
        "train/critic_loss",
        "train/actor_loss",
        "train/ent_coef",
        "train/n_updates",
        "time/total_timesteps",
        "time/time_elapsed",
        "eval/clone_success_rate",
        "eval/reward_accuracy",
        "feedback/operator_seconds",
        "feedback/outcomes",
    } <= tags
    assert {tag.split("/")[0] for tag in tags} == {"rollout", "train", "time", "eval", "feedback"}
    assert board.Tensors("train/critic_loss")[0].step == 60


def test_reporting_brings_in_no_torch_and_no_drawing_before_it_is_asked_to() -> None:
    code = (
        "import sys, robot_rlhf.report.page, robot_rlhf.report.metrics, robot_rlhf.report.progress;"
        "print(*{'torch', 'pybullet', 'matplotlib', 'tensorboard'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_lines_that_no_longer_hold_are_taken_out_and_the_log_goes_on(tmp_path: Path) -> None:
    with MetricsLog(tmp_path) as log:
        for event in EVENTS:
            log.write(AT, event)
    whole = (tmp_path / NAME).read_bytes()
    keep_lines(tmp_path, [True] * len(EVENTS))
    assert (tmp_path / NAME).read_bytes() == whole
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"event":"to')  # torn by a kill
    keep_lines(tmp_path, [True, False, False, True])
    with MetricsLog(tmp_path) as log:
        log.write(AT, SAC)
    assert [event for _, event in read_events(tmp_path)] == [EPISODE, EVALUATION, SAC]
