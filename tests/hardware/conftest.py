"""What the tests of the ground floor share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.hardware.wires import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Opens sockets, and closes them all."""
    with ExitStack() as stack:
        yield Wire(stack)
