"""What a simulated arm's controller remembers between two updates, as bytes: a part of a saved moment."""

from __future__ import annotations

import msgspec
import numpy as np

from hardware.robot import Applied, Command, Limit, Source


class InForce(msgspec.Struct, frozen=True):
    """An `Applied` as it travels."""

    seq: int
    twist: tuple[float, ...]
    gripper: float
    valid_for_s: float
    source: Source
    limits: tuple[Limit, ...]

    @staticmethod
    def of(applied: Applied | None) -> InForce | None:
        if applied is None:
            return None
        command, twist = applied.command, tuple(applied.command.twist.tolist())
        return InForce(
            command.seq, twist, command.gripper, command.valid_for_s, command.source, applied.limits
        )

    def applied(self) -> Applied:
        twist = np.array(self.twist)
        return Applied(Command(self.seq, twist, self.gripper, self.valid_for_s, self.source), self.limits)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; what has a default came later than the others, and is not in every stored moment."""

    seq: int
    waited: int
    """Physics steps since the last update."""
    changed: bool
    gripper_target: float
    applied: InForce | None
    before: InForce | None
    sent_ns: int
    expires_ns: int
    goal_pos: tuple[float, ...]
    goal_velocity: tuple[float, ...]
    goal_yaw: float = 0.0
    goal_turn: float = 0.0

    @staticmethod
    def from_bytes(saved: bytes) -> Memory:
        return msgspec.msgpack.decode(saved, type=Memory)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(self)
