"""The project's own files keep their promises: a small base install, exact pins, one clear line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
PINNED_EXTRAS = ("sim", "learn", "console", "export", "wandb", "bench", "dev")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = {
        line: re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines if line[0] != "#"
    }
    assert all(matches.values()), f"not exact pins: {[line for line, match in matches.items() if not match]}"
    return {match[1]: match[2] for match in matches.values() if match}


def test_the_base_install_is_the_ground_floor_and_the_command_line() -> None:
    base = {
        requirement.name
        for requirement in map(Requirement, PROJECT["dependencies"])
        if not requirement.marker
    }
    assert base == {"numpy", "pyzmq", "msgspec", "tyro", "rich"}


def test_all_is_everything_for_a_person_without_a_real_arm() -> None:
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.extras == {"sim", "learn", "console", "export"}


def test_every_requirement_that_is_tested_with_is_pinned_within_its_range() -> None:
    pinned, extras = pins(), PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + [line for extra in PINNED_EXTRAS for line in extras[extra]]
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate():
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} against the pin {version}"


@pytest.mark.parametrize("target", ["setup", "demo", "test"])
def test_make_says_in_one_line_how_to_get_the_python_it_lacks(target: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    command = [make, "--no-print-directory", target, "PYTHON=", f"VENV={tmp_path}/venv"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert len((result.stdout + result.stderr).strip().splitlines()) == 1
    assert "3.11" in result.stderr
    assert "uv python install" in result.stderr
