"""The extras that commands ask for are those of the project."""

from __future__ import annotations

from pathlib import Path

import msgspec
from packaging.requirements import Requirement

from robot_rlhf.commands.extras import EXTRAS

PROJECT = msgspec.toml.decode((Path(__file__).parents[2] / "pyproject.toml").read_bytes())["project"]


def test_the_extras_are_those_of_the_project() -> None:
    for extra, packages in EXTRAS.items():
        lines = PROJECT["optional-dependencies"][extra]
        assert [Requirement(line).name for line in lines] == list(packages)
