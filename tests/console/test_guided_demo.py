"""A scripted newcomer at the real window: the benchmark's whole road, shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.desktop import lacking
from benchmarks.guided_demo import play
from robot_rlhf.feedback.types import Kind

SHORT = (
    "--schedule.demonstrations=2",
    "--schedule.episodes=4",
    "--schedule.evaluate-every=0",
    "--schedule.final-episodes=10",
    "--schedule.no-compare-with-cloning",
)


@pytest.mark.slow
@pytest.mark.skipif(bool(lacking()), reason="needs Xvfb, xdotool and ImageMagick")
def test_the_guided_demo_goes_from_its_start_to_its_report_by_keyboard_alone(tmp_path: Path) -> None:
    result = play("reach", tmp_path / "run", tmp_path / "pictures", minutes=8.0, more=SHORT)
    assert result.exit_code == 0
    assert all(result.feedback[kind.value] > 0 for kind in Kind)
    assert result.as_meant == result.feedback[Kind.PREFERENCES.value] > 0
    assert result.counts["episodes"] == 4
    assert len(list((tmp_path / "pictures").glob("*.png"))) > 10
