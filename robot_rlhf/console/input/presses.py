"""Buttons that fire once: on the press, or after they were held for as long as their action asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from robot_rlhf.console.input.actions import ACTIONS, Action, Context, Kind
from robot_rlhf.console.input.snapshot import Device, Edge


@dataclass(frozen=True, slots=True)
class _Hold:
    device: Device
    name: str
    since_ns: int


class Presses:
    """What is being held on its way to firing. A hold fires while it is held: letting go too early, by
    however little, means nothing. STOP ends every hold."""

    def __init__(self) -> None:
        self._holds: dict[Action, _Hold] = {}

    def take(self, edges: Iterable[tuple[Edge, Action]], context: Context, now_ns: int) -> tuple[Action, ...]:
        """What fires by edges and their actions in `context`, in order, then what has been held for long
        enough at `now_ns`."""
        fired: list[Action] = []
        for edge, action in edges:
            if not edge.down:
                self._let_go(edge.device, edge.name)
                continue
            if action is Action.STOP:
                self._holds.clear()
            fired.extend(self._press(action, edge, context))
        for action in [action for action, share in self.progress(now_ns).items() if share >= 1.0]:
            del self._holds[action]
            fired.append(action)
        return tuple(fired)

    def progress(self, now_ns: int) -> Mapping[Action, float]:
        """How far each hold has come, [0, 1]."""
        return {
            action: min(1.0, max(0.0, (now_ns - hold.since_ns) / (ACTIONS[action].hold_s * 1e9)))
            for action, hold in self._holds.items()
        }

    def forget(self, device: Device | None = None) -> None:
        """End the holds of a device, or all: they must be pressed anew."""
        for action in [held for held, hold in self._holds.items() if device in (None, hold.device)]:
            del self._holds[action]

    def _press(self, pressed: Action, edge: Edge, context: Context) -> Iterator[Action]:
        for action, info in ACTIONS.items():
            if pressed not in (action, info.follows) or context not in info.contexts:
                continue
            if info.hold_s > 0.0:
                self._holds.setdefault(action, _Hold(edge.device, edge.name, edge.time_ns))
            elif info.kind is Kind.PRESS:
                yield action

    def _let_go(self, device: Device, name: str) -> None:
        for action in [
            act for act, hold in self._holds.items() if (hold.device, hold.name) == (device, name)
        ]:
            del self._holds[action]
