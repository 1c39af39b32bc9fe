"""What the tests of a learner on another machine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.session.remote.machine import Machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    yield machine
    if machine._process is not None:
        machine.kill()
