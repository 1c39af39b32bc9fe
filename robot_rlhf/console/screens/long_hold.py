"""A second meaning for a button: what happens when it is held long."""

from __future__ import annotations

from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.snapshot import Device
from robot_rlhf.console.screens.model import Model

LONG_S = 0.7


class LongHold:
    """Watches the button of `action`, whose press has its own meaning as well. `share` is how far a hold
    has come, 0..1."""

    def __init__(self, action: Action) -> None:
        self.share = 0.0
        self._action = action
        self._since_ns: int | None = None
        self._fired = False

    def update(self, model: Model, now_ns: int) -> bool:
        """True once a hold, when it has lasted LONG_S."""
        snapshot, bindings = model.snapshot, model.bindings
        held = not snapshot.keys.isdisjoint(bindings.table(Device.KEYS)[self._action]) or (
            snapshot.pad is not None
            and not snapshot.pad.buttons.isdisjoint(bindings.table(Device.PAD)[self._action])
        )
        if not held:
            self._since_ns, self._fired, self.share = None, False, 0.0
            return False
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._fired:
            self.share = 0.0
            return False
        self.share = min(1.0, (now_ns - self._since_ns) / (LONG_S * 1e9))
        self._fired = self.share >= 1.0
        return self._fired
