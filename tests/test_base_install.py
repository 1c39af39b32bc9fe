"""The base install is small: without the extras' packages the ground floor and the command line work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = (
    "torch", "safetensors", "tensorboard", "matplotlib", "pybullet", "pybullet_data", "pygame", "gymnasium",
    "stable_baselines3", "pyarrow", "h5py", "minari", "av", "franky", "rtde_control", "rtde_receive",
    "rtde_io", "dashboard_client", "cv2", "wandb",
)  # fmt: skip

BLOCK_EXTRAS = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
RUN_CLI = """
import runpy
sys.argv = ["robot-rlhf", *sys.argv[1:]]
runpy.run_module("robot_rlhf.cli", run_name="__main__")
"""

RUN_HOST = """
from hardware.host.__main__ import main
code = main(sys.argv[1:])
"""
RUN_ROBOT = """
from robot_rlhf.cli import main
code = 0
for what in ("ping", "status", "describe", "arm", "home", "stop", "clear-fault"):
    code = code or main(["robot", what, sys.argv[1], "--json"])
"""
# the environments are registered with gymnasium where it is installed
SAY_WHAT_IS_LOADED = f"""
import sys
print(sorted(({set(EXTRAS)!r} - {{"gymnasium"}}) & set(sys.modules)))
sys.exit(code)
"""


def command(code: str, *arguments: str) -> list[str]:
    """Runs `code` in an interpreter of its own."""
    return [sys.executable, "-c", code, *arguments]


def environment() -> dict[str, str]:
    """In which the packages of this tree are found."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def python(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own that finds the packages of this tree."""
    return subprocess.run(
        command(code, *arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_block_blocks() -> None:
    result = python(BLOCK_EXTRAS + "import gymnasium")
    assert result.returncode != 0
    assert "No module named 'gymnasium'" in result.stderr


@pytest.mark.parametrize(
    "module",
    [
        "hardware",
        "hardware.robot",
        "hardware.limits",
        "hardware.drivers.fake",
        "hardware.drivers.franka",
        "hardware.drivers.ur",
        "hardware.host.__main__",
        "hardware.cameras.__main__",
        "hardware.conformance",
        "hardware.remote",
        "robot_rlhf",
    ],
)
def test_it_imports_without_any_extra(module: str) -> None:
    result = python(BLOCK_EXTRAS + f"import {module}")
    assert result.returncode == 0, result.stderr


def test_importing_robot_rlhf_loads_nothing_heavy_even_where_it_is_installed() -> None:
    heavy = set(EXTRAS) - {"gymnasium"}  # the environments are registered with it where it is installed
    code = f"import sys, robot_rlhf; print(sorted(({heavy!r} | {{'sim', 'zmq'}}) & set(sys.modules)))"
    result = python(code)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["demo"], ["train"], ["evaluate"], ["report"], ["doctor"], ["robot"], ["keys"]],
    ids=lambda words: " ".join(words),
)
def test_the_command_line_explains_itself_without_any_extra(arguments: list[str]) -> None:
    result = python(BLOCK_EXTRAS + RUN_CLI, *arguments, "--help")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "--help" in result.stdout


def test_the_simulated_arms_host_says_which_pip_line_brings_its_extra() -> None:
    code = "import sys; from hardware.host.__main__ import main; sys.exit(main(sys.argv[1:]))"
    result = python(BLOCK_EXTRAS + code, "--driver", "sim.driver:make", "--bind", "tcp://127.0.0.1:*")
    assert result.returncode == 1
    assert "No module named 'pybullet'" in result.stderr
    assert 'pip install "robot-rlhf[sim]"' in result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("block", [BLOCK_EXTRAS, ""], ids=["not installed", "installed"])
def test_an_arm_is_served_and_asked_without_any_extra(block: str) -> None:
    code = f"import sys\n{block}{RUN_HOST}{SAY_WHAT_IS_LOADED}"
    words = command(code, "--driver", "fake", "--bind", "tcp://127.0.0.1:*")
    host = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert host.stdout is not None
        address = host.stdout.readline().split()[2]
        asked = python(f"import sys\n{block}{RUN_ROBOT}{SAY_WHAT_IS_LOADED}", address)
        assert asked.returncode == 0, asked.stderr
        host.terminate()
        said, _ = host.communicate(timeout=60)
    finally:
        host.kill()
        host.communicate()
    assert host.returncode == 0
    assert (asked.stdout.splitlines()[-1], said.splitlines()[-1]) == ("[]", "[]")


def test_a_command_whose_extra_is_missing_says_which_pip_line_brings_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = python(BLOCK_EXTRAS + RUN_CLI, "demo", "--headless", "--out", str(out), cwd=tmp_path)
    assert result.returncode != 0
    assert "pip install" in result.stderr
    assert "robot-rlhf[" in result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()
