"""One episode as arrays: what was seen, what was done, who did it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.types import Driver, Segment

Float32 = NDArray[np.float32]


class Role(str, Enum):
    """Why an episode was recorded."""

    DEMONSTRATION = "demonstration"  # driven by the operator from start to end
    ONLINE = "online"  # driven by the policy, with takeovers
    COUNTERFACTUAL = "counterfactual"  # rolled out on the side to be compared with; never replayed


@dataclass(frozen=True, eq=False)
class Episode:
    """T transitions. Frozen, checked when made.

    obs (T+1, n) float32; action (T, m) float32 in [-1, 1], what was executed; proposed (T, m)
    float32, what the policy wanted (NaN where it was not asked); driver (T,) uint8 of `Driver`;
    scenes (T+1, k) float32 rows of `hardware.scene.Scene`, NaN where they are not known (the episode came
    from elsewhere); `terminated`: the last step ended the task;
    `truncated`: time ran out. `policy_version` counts the gradient updates behind the
    policy that drove, live behind the one that it began with: newer ones take its place between two steps.
    """

    id: int
    role: Role
    task: str
    seed: int
    policy_version: int
    obs: Float32
    action: Float32
    proposed: Float32
    driver: NDArray[np.uint8]
    scenes: Float32
    terminated: bool
    truncated: bool

    def __post_init__(self) -> None:
        steps = len(self.action)
        if steps == 0:
            raise ValueError(f"episode {self.id} has no steps")
        shapes = {
            "obs": (len(self.obs), steps + 1),
            "scenes": (len(self.scenes), steps + 1),
            "proposed": (len(self.proposed), steps),
            "driver": (len(self.driver), steps),
        }
        for name, (got, expected) in shapes.items():
            if got != expected:
                raise ValueError(f"episode {self.id}: {name} has {got} rows, expected {expected}")
        if not (np.isfinite(self.obs).all() and np.isfinite(self.action).all()):
            raise ValueError(f"episode {self.id}: observations and actions must be finite")
        if np.abs(self.action).max() > 1.0 + 1e-6:
            raise ValueError(f"episode {self.id}: actions must lie in [-1, 1]")
        if self.terminated and self.truncated:
            raise ValueError(f"episode {self.id} cannot be both terminated and truncated")

    @property
    def length(self) -> int:
        """Number of transitions T."""
        return len(self.action)

    @property
    def has_scenes(self) -> bool:
        """Whether it can be looked at."""
        return bool(np.isfinite(self.scenes).all())

    @property
    def operator_steps(self) -> NDArray[np.bool_]:
        """(T,) True where the operator drove."""
        return np.asarray(self.driver == Driver.OPERATOR)

    def window(self, segment: Segment) -> tuple[Float32, Float32]:
        """(obs, next_obs), each (length, n), of a segment of this episode."""
        stop = segment.start + segment.length
        if segment.episode != self.id or stop > self.length:
            raise ValueError(f"{segment} does not lie in episode {self.id} of {self.length} steps")
        return self.obs[segment.start : stop], self.obs[segment.start + 1 : stop + 1]
