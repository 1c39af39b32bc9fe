"""Demonstrations on their way in, whatever the format, as a reader in another process hands them over."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.data.errors import DataError

Float32 = NDArray[np.float32]

MAX_EPISODE_BYTES = 1 << 27
"""Of one demonstration's numbers; half of what the store takes, and a thousand times an ordinary one."""

MAX_NAME = 40
"""Characters of an operator's name, as at the console."""


class Part(msgspec.Struct, frozen=True):
    """Numbers of an observation that have a name of their own in the dataset."""

    name: str
    size: int


class Header(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a dataset says of itself, where it does: the task, the arm, steps a second, what an observation is
    made of in this order, and the size of an action."""

    task: str | None
    robot: str | None
    control_hz: float | None
    obs: tuple[Part, ...]
    action_size: int
    episodes: int

    @property
    def obs_size(self) -> int:
        return sum(part.size for part in self.obs)


class Shown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One demonstration of T steps. The arrays are little-endian float32: obs (T+1, n), action (T, m) and,
    where the dataset has them, scenes (T+1, k). `seed` is that of its start, `success` the operator's mark;
    None where they are not known. A seed that the store has no room for is not known either."""

    name: str
    steps: int
    obs: bytes
    action: bytes
    scenes: bytes | None = None
    seed: int | None = None
    operator: str = ""
    success: bool | None = None
    terminated: bool = False

    @staticmethod
    def of(
        name: str,
        obs: Float32,
        action: Float32,
        scenes: Float32 | None = None,
        *,
        seed: int | None = None,
        operator: str = "",
        success: bool | None = None,
        terminated: bool = False,
    ) -> Shown:
        """Checked: DataError names what is wrong with it."""
        if len(operator) > MAX_NAME or not operator.isprintable():
            raise DataError(
                f"{name}: its operator is {operator[:MAX_NAME]!r}, expected {MAX_NAME} printable characters "
                "at most"
            )
        steps = len(action)
        if steps == 0 or len(obs) != steps + 1:
            raise DataError(
                f"{name} has {len(obs)} observations and {steps} actions: there must be one action at least, "
                "and one observation more"
            )
        for what, values in (("observations", obs), ("actions", action)):
            if not np.isfinite(values).all():
                raise DataError(f"{name}: its {what} hold numbers that are not finite")
        if float(np.abs(action).max()) > 1.0:
            raise DataError(
                f"{name}: its actions go to {float(np.abs(action).max()):.3g}, and must lie in [-1, 1]: "
                "speeds as a share of the full one"
            )
        if obs.nbytes + action.nbytes > MAX_EPISODE_BYTES:
            raise DataError(f"{name} is longer than {MAX_EPISODE_BYTES >> 20} MB")
        known = scenes is not None and len(scenes) == len(obs) and np.isfinite(scenes).all()
        return Shown(
            name=name,
            steps=steps,
            obs=_bytes(obs),
            action=_bytes(action),
            scenes=_bytes(scenes) if known and scenes is not None else None,
            seed=seed if seed is not None and 0 <= seed < 1 << 63 else None,
            operator=operator,
            success=success,
            terminated=terminated,
        )

    def arrays(self) -> tuple[Float32, Float32, Float32 | None]:
        """obs (T+1, n), action (T, m), scenes (T+1, k) or None. DataError where the bytes make no such."""
        rows = self.steps + 1
        scenes = None if self.scenes is None else _array(self.scenes, rows, self.name)
        return _array(self.obs, rows, self.name), _array(self.action, self.steps, self.name), scenes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The dataset is not in order, and why."""

    why: str


class End(msgspec.Struct, frozen=True, tag=True):
    """That was all."""


Message: TypeAlias = Header | Shown | Refused | End


def _bytes(values: NDArray[np.floating]) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _array(data: bytes, rows: int, name: str) -> Float32:
    if rows < 1 or len(data) % (4 * rows):
        raise DataError(f"{name} has {len(data)} bytes for {rows} rows, which do not agree")
    return np.frombuffer(data, "<f4").reshape(rows, -1).astype(np.float32)
