"""Buttons that fire once: on the press, or after they were held for as long as their action asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from robot_rlhf.console.input.actions import ACTIONS, Action, Context, Kind
from robot_rlhf.console.input.snapshot import Device, Edge

STALL_NS = 100_000_000
"""What happened is uncertain by so much only where the window was not served meanwhile."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An action, and when its button was pressed or had been held for long enough, monotonic. Where that
    is not known exactly, the latest it can have been."""

    action: Action
    time_ns: int


class Presses:
    """What is being held on its way to firing. A hold fires while it is held, or on a release that comes
    in late, by when the button really went down and up: letting go too early, by however little, means
    nothing. STOP ends every hold.
    """

    def __init__(self) -> None:
        self.unclear: tuple[Action, ...] = ()
        """Holds of the last `take` that did not fire, and may have been long enough: the window stalled."""
        self._holds: dict[Action, Edge] = {}

    def take(self, edges: Iterable[tuple[Edge, Action]], context: Context, now_ns: int) -> tuple[Fired, ...]:
        """What fires by edges and their actions in `context`, in order, then what has been held for long
        enough at `now_ns`."""
        fired: list[Fired] = []
        self.unclear = ()
        for edge, action in edges:
            if not edge.down:
                fired.extend(self._let_go(edge))
                continue
            if action is Action.STOP:
                self._holds.clear()
            fired.extend(self._press(action, edge, context))
        for action in [action for action, share in self.progress(now_ns).items() if share >= 1.0]:
            fired.append(Fired(action, self._holds.pop(action).time_ns + _hold_ns(action)))
        return tuple(fired)

    def progress(self, now_ns: int) -> Mapping[Action, float]:
        """How far each hold has come, [0, 1]."""
        return {
            action: min(1.0, max(0.0, (now_ns - press.time_ns) / _hold_ns(action)))
            for action, press in self._holds.items()
        }

    def forget(self, device: Device | None = None) -> None:
        """End the holds of a device, or all: they must be pressed anew."""
        for action in [held for held, press in self._holds.items() if device in (None, press.device)]:
            del self._holds[action]

    def _press(self, pressed: Action, edge: Edge, context: Context) -> Iterator[Fired]:
        for action, info in ACTIONS.items():
            if pressed not in (action, info.follows) or context not in info.contexts:
                continue
            if info.hold_s > 0.0:
                self._holds.setdefault(action, edge)
            elif info.kind is Kind.PRESS:
                yield Fired(action, edge.time_ns)

    def _let_go(self, edge: Edge) -> Iterator[Fired]:
        for action, press in list(self._holds.items()):
            if (press.device, press.name) != (edge.device, edge.name):
                continue
            del self._holds[action]
            wanted_ns = _hold_ns(action)
            if edge.earliest_ns - press.time_ns >= wanted_ns:
                yield Fired(action, press.time_ns + wanted_ns)
            elif edge.time_ns - press.earliest_ns >= wanted_ns and _is_uncertain(press, edge):
                self.unclear += (action,)


def _hold_ns(action: Action) -> int:
    return round(ACTIONS[action].hold_s * 1e9)


def _is_uncertain(*edges: Edge) -> bool:
    return any(edge.time_ns - edge.earliest_ns > STALL_NS for edge in edges)
