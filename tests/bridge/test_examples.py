"""The examples of docs/datasets.md run as they stand, but for the run's name and how long they learn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FinishedRun

DOCS = Path(__file__).parents[2] / "docs" / "datasets.md"
EXAMPLES = [code for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S) if "bridge" in code]


def run(code: str, folder: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code.replace('"RUN"', repr(str(folder))).replace("5_000", "20"), names)
    return names


def test_stable_baselines3(finished_run: FinishedRun, here: Path) -> None:
    (code,) = [code for code in EXAMPLES if "MlpPolicy" in code]
    names = run(code, finished_run.folder)
    assert names["agent"].num_timesteps == 20
    assert names["agent"].replay_buffer.pos > 20  # what the run held, and what was added
    assert (here / "agent.zip").exists()


def test_stable_baselines3_on_pictures(seeing_run: Path) -> None:
    (code,) = [code for code in EXAMPLES if "MultiInputPolicy" in code]
    code = code.replace("camera_px=64", "camera_px=40").replace("20_000", "200").replace("5_000", "2")
    names = run(code, seeing_run)
    assert names["agent"].num_timesteps == 2
    assert names["agent"].replay_buffer.observation_space == names["agent"].observation_space
    assert names["agent"].replay_buffer.pos > 2  # what the run held, and what was added


def test_a_plain_loop(finished_run: FinishedRun, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [code for code in EXAMPLES if "while not over" in code]
    names = run(code, finished_run.folder)
    assert names["truncated"]
    assert str(names["total"]) in capsys.readouterr().out
