"""The console needs the base install and pygame alone, and a session that runs elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKED = (
    "torch", "safetensors", "tensorboard", "matplotlib", "pybullet", "pybullet_data", "gymnasium",
    "stable_baselines3", "pyarrow", "h5py", "minari", "sim",
)  # fmt: skip
BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
CONSOLE = """
import time
from robot_rlhf.console.app import ConsoleApp, WindowOptions
from robot_rlhf.feedback.link import OperatorLink

app = ConsoleApp(OperatorLink(sys.argv[1], "ada"), WindowOptions(sound=False))
try:
    until = time.monotonic() + 60.0
    seen = None
    while time.monotonic() < until and not (seen is not None and app.frames >= seen + 5):
        app.step()
        time.sleep(0.004)
        if seen is None and app.link.connected and app.link.moment.seq > app.link.welcome.moment.seq:
            seen = app.frames  # what is drawn from here on is drawn from what arrives
    assert seen is not None, f"no session answers at {sys.argv[1]}: {app.link.refusal}"
    assert app.frames >= seen + 5, f"{app.frames - seen} pictures"
    print(app.link.welcome.task, len(app.link.welcome.description.meshes) > 0)
finally:
    app.close()
"""


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    quiet = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "XDG_CONFIG_HOME": str(folder)}
    quiet["TMPDIR"] = str(folder)  # what a session that is ended leaves there goes with it
    return {**os.environ, "PYTHONPATH": path, **quiet}


def console(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` where nothing but the base install and pygame is found."""
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a session of free driving listens, in a process that has everything."""
    folder = tmp_path_factory.mktemp("session")
    command = [sys.executable, "-m", "robot_rlhf.cli", "teleop", "--task", "reach", "--no-window"]
    said = folder / "stderr.txt"
    with said.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stderr=file)
    try:
        until = time.monotonic() + 60.0
        while (found := re.search(r"tcp://127\.0\.0\.1:\d+", said.read_text())) is None:
            assert process.poll() is None and time.monotonic() < until, f"no session: {said.read_text()}"
            time.sleep(0.05)
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize(
    "module", ["robot_rlhf.console.app", "robot_rlhf.feedback.link", "hardware.transport"]
)
def test_it_imports_with_the_base_install_and_pygame(module: str, tmp_path: Path) -> None:
    result = console(f"import {module}; print(sorted({set(BLOCKED)!r} & set(sys.modules)))", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_it_shows_a_session_that_runs_in_another_process(address: str, tmp_path: Path) -> None:
    result = console(CONSOLE, address, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "reach True"
