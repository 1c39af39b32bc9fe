"""Episodes to store and to ask about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store


def _make_episode(id: int, steps: int = 30, role: Role = Role.ONLINE) -> Episode:
    rng = np.random.default_rng(id)
    proposed = rng.uniform(-1, 1, (steps, 4)).astype(np.float32)
    proposed[: steps // 2] = np.nan
    return Episode(
        id=id,
        role=role,
        task="pick_cube",
        seed=1000 + id,
        policy_version=2,
        obs=rng.normal(size=(steps + 1, 6)).astype(np.float32),
        action=rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
        proposed=proposed,
        driver=rng.integers(0, 2, steps).astype(np.uint8),
        scenes=rng.normal(size=(steps + 1, 26)).astype(np.float32),
        terminated=False,
        truncated=True,
    )


@pytest.fixture(scope="session")
def make_episode() -> Callable[..., Episode]:
    """make_episode(id, steps=30, role=ONLINE): the same id gives the same episode."""
    return _make_episode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new, empty, closed store."""
    path = tmp_path / "run.db"
    Store.create(path).close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The store at `path`, open for writing."""
    with Store.open(path) as store:
        yield store
