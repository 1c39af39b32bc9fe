"""From hands to meaning: what a snapshot of pad and keyboard says in the screen that is shown.

Pure logic on plain values: no pygame, no clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from robot_rlhf.console.input.actions import ACTIONS, Action, Context, Kind, live
from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.presses import Presses
from robot_rlhf.console.input.snapshot import STICK_AXES, TRIGGERS, Device, Edge, PadState, Snapshot
from robot_rlhf.console.input.sticks import FrozenWatch, Ramp, Rest, Trigger, shape
from robot_rlhf.console.input.takeover import DeadMan

DIRECTION: Mapping[Action, float] = {
    # The robot's base frame as somebody sees it who stands behind the arm: x away, y left, z up, and
    # yaw counter-clockwise from above. SDL counts right and down as positive.
    Action.X: -1.0,  # left stick up: away
    Action.Y: -1.0,  # left stick left: left
    Action.Z: -1.0,  # right stick up: up
    Action.YAW: -1.0,  # right stick left: turn left
    # The eye of whoever looks at a clip, and the time in it.
    Action.ORBIT_X: 1.0,  # right stick right: look from the right
    Action.ORBIT_Y: -1.0,  # right stick up: look from above
    Action.SCRUB: 1.0,  # left stick right: forward
}
"""What a pad's stick axis is multiplied by to give the action. Keys have (plus, minus) instead."""

PRECISION = 0.25
_SETTLE_NS = 100_000_000
_MOTION = (Action.X, Action.Y, Action.Z, Action.YAW)
_AXES = {
    context: tuple(action for action in live(context) if ACTIONS[action].kind is Kind.AXIS)
    for context in Context
}
_CHORDS = frozenset(f"{side} {name}" for side in ("left", "right") for name in ("alt", "ctrl", "meta"))


@dataclass(frozen=True, slots=True)
class Commands:
    """What the hands mean at one moment.

    `stick` (x, y, z), `yaw`, `orbit` (x, y) and `scrub` lie in [-1, 1]; `grip` is -1 to close, 1 to open,
    0 to leave. They say what the hands do, also without `takeover`: it alone makes stick, yaw and grip
    count. All are zero in contexts where they mean nothing and while the window lacks the focus.
    `fired` are the actions that happened, in order, and `fired_ns` when each did. `holding` says how far
    the actions that want a hold have come, [0, 1]; `unclear` are those whose hold ended while the window
    stalled, so that nobody knows whether it was long enough: they have not fired. `problem` says in words
    why takeover does not count although somebody wants it.
    `device` is what was used last: 'keyboard' or the pad's name.
    """

    stick: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    grip: float = 0.0
    takeover: bool = False
    precision: bool = False
    fired: tuple[Action, ...] = ()
    fired_ns: tuple[int, ...] = ()
    unclear: tuple[Action, ...] = ()
    holding: Mapping[Action, float] = field(default_factory=dict)
    orbit: tuple[float, float] = (0.0, 0.0)
    scrub: float = 0.0
    problem: str | None = None
    device: str = "keyboard"

    def presses(self, now_ns: int) -> Iterator[tuple[Action, int]]:
        """What fired and when, in order; `now_ns` where that was not noted."""
        return zip(self.fired, self.fired_ns or (now_ns,) * len(self.fired), strict=True)


class Controls:
    """One operator's hands. `update` is called for every snapshot, in order of time.

    `latched`: a press of takeover turns it on and another off (for simulation; see DeadMan).
    """

    def __init__(self, bindings: Bindings, *, latched: bool = False) -> None:
        self._dead_man = DeadMan(latched)
        self._presses = Presses()
        self._focus_since_ns: int | None = None
        self._chord: set[str] = set()
        self._started = False
        self._seen_ns = 0
        self._pad_id: int | None = None
        self._context: Context | None = None
        self._device = "keyboard"
        self._new_pad(None)
        self.rebind(bindings)

    @property
    def bindings(self) -> Bindings:
        return self._bindings

    def rebind(self, bindings: Bindings) -> None:
        """Use other bindings from now on: what is held means nothing until it is let go."""
        self._bindings = bindings
        self._meanings = {context: bindings.pressed_by(context) for context in Context}
        self._chords = _CHORDS.difference(*bindings.keys.values())
        self._ramps: dict[tuple[Device, Action], Ramp] = {}
        self._presses.forget()
        self._dead_man.guard(None)

    def update(self, snapshot: Snapshot, context: Context) -> Commands:
        """What the hands mean now. Each edge of a snapshot is taken once: give each snapshot once."""
        now_ns, pad, focus = snapshot.time_ns, snapshot.pad, snapshot.focus
        self._notice_changes(snapshot, context)
        edges = self._edges_with_meaning(snapshot, context)
        fired = self._presses.take(edges, context, now_ns)
        if any(each.action is Action.STOP for each in fired):
            self._dead_man.guard(None)
        sticks = self._read_sticks(pad, focus, now_ns)
        is_frozen = sticks is None
        values = self._axes(snapshot, sticks or {}, context)
        self._note_device(snapshot, any((sticks or {}).values()))

        takeover = precision = False
        if context is Context.DRIVE and focus:
            precision = self._is_held(Action.PRECISION, snapshot)
            takeover = self._dead_man.update(
                held=self._is_held(Action.TAKEOVER, snapshot),
                fresh=any(edge.down and action is Action.TAKEOVER for edge, action in edges),
                neutral=not is_frozen and not any(values.values()),
                now_ns=now_ns,
            )
        if pad is not None and focus and not takeover:
            self._rest.watch(pad.axes[:4], now_ns)
        scale = PRECISION if precision else 1.0
        x, y, z, yaw = (values.get(action, 0.0) * scale for action in _MOTION)
        return Commands(
            stick=(x, y, z),
            yaw=yaw,
            grip=values.get(Action.GRIP, 0.0),
            takeover=takeover,
            precision=precision,
            fired=tuple(each.action for each in fired),
            fired_ns=tuple(each.time_ns for each in fired),
            unclear=self._presses.unclear,
            holding=self._presses.progress(now_ns),
            orbit=(values.get(Action.ORBIT_X, 0.0), values.get(Action.ORBIT_Y, 0.0)),
            scrub=values.get(Action.SCRUB, 0.0),
            problem=self._dead_man.problem,
            device=self._device,
        )

    def _notice_changes(self, snapshot: Snapshot, context: Context) -> None:
        """Another screen, another pad (except at the start) or no focus: takeover is released."""
        if context is not self._context:
            self._context = context
            self._presses.forget()
            self._dead_man.guard(None)
        pad_id = None if snapshot.pad is None else snapshot.pad.id
        if pad_id != self._pad_id:
            if self._started:
                what = "unplugged" if snapshot.pad is None else "connected"
                self._dead_man.guard(f"A gamepad was {what}")
            self._new_pad(snapshot.pad)
        self._started = True
        if snapshot.focus:
            if self._focus_since_ns is None:
                self._focus_since_ns = snapshot.time_ns
        else:
            self._focus_since_ns = None
            self._presses.forget()
            self._ramps.clear()
            self._dead_man.guard("The window lost the focus")

    def _new_pad(self, pad: PadState | None) -> None:
        self._pad_id = None if pad is None else pad.id
        self._device = "keyboard" if pad is None else pad.name
        self._rest, self._frozen = Rest(), FrozenWatch()
        self._triggers = {name: Trigger() for name in TRIGGERS}
        self._trigger_edges(pad, 0)  # what is squeezed already was not pressed now
        self._presses.forget(Device.PAD)

    def _trigger_edges(self, pad: PadState | None, now_ns: int) -> tuple[Edge, ...]:
        """Triggers as buttons, with hysteresis."""
        if pad is None:
            return ()
        values = zip(self._triggers.items(), pad.axes[4:], strict=True)
        return tuple(
            Edge(Device.PAD, name, trigger.down, now_ns, after_ns=self._seen_ns)
            for (name, trigger), value in values
            if trigger.moved(value)
        )

    def _edges_with_meaning(self, snapshot: Snapshot, context: Context) -> list[tuple[Edge, Action]]:
        """The edges that belong to an action of this screen. STOP always counts; other presses do once the
        window has had the focus for 0.1 s (what was pressed elsewhere arrives with it), not from a pad that
        is not in use, and not as part of a chord such as Alt+Tab."""
        since_ns = self._focus_since_ns
        has_focus = since_ns is not None and snapshot.time_ns - since_ns >= _SETTLE_NS
        found = []
        for edge in (*snapshot.edges, *self._trigger_edges(snapshot.pad, snapshot.time_ns)):
            is_key = edge.device is Device.KEYS
            if is_key and edge.name in self._chords:
                (self._chord.add if edge.down else self._chord.discard)(edge.name)
            action = self._meanings[context].get((edge.device, edge.name))
            counts = not edge.down or (has_focus and not (is_key and self._chord))
            if action is Action.STOP or (action is not None and counts and not edge.other):
                found.append((edge, action))
        self._chord &= snapshot.keys
        self._seen_ns = snapshot.time_ns
        return found

    def _read_sticks(self, pad: PadState | None, focus: bool, now_ns: int) -> Mapping[str, float] | None:
        """The stick axes as they are meant; None where the pad only repeats itself."""
        if pad is None:
            return {}
        if not focus:  # SDL reports no sticks now
            self._frozen.forget()
            self._rest.forget()
            return {}
        raw = pad.axes[:4]
        corrected = self._rest.correct(raw)
        if self._frozen.frozen(raw, corrected, now_ns):
            self._dead_man.guard("The gamepad has repeated one stick position for 1.5 s")
            return None
        left, right = shape(*corrected[:2]), shape(*corrected[2:])
        return dict(zip(STICK_AXES, (*left, *right), strict=True))

    def _axes(
        self, snapshot: Snapshot, sticks: Mapping[str, float], context: Context
    ) -> Mapping[Action, float]:
        """Each axis of this screen from pad or keyboard, whichever is deflected further."""
        return {action: self._axis(action, snapshot, sticks) for action in _AXES[context] if snapshot.focus}

    def _axis(self, action: Action, snapshot: Snapshot, sticks: Mapping[str, float]) -> float:
        pad_names, key_names = self._bindings.pad[action], self._bindings.keys[action]
        if len(pad_names) == 1:
            from_pad = sticks.get(pad_names[0], 0.0) * DIRECTION[action] + 0.0  # no -0.0 on a screen
        else:
            from_pad = self._pair(action, Device.PAD, pad_names, snapshot)
        from_keys = self._pair(action, Device.KEYS, key_names, snapshot)
        return from_pad if abs(from_pad) >= abs(from_keys) else from_keys

    def _pair(self, action: Action, device: Device, names: tuple[str, ...], snapshot: Snapshot) -> float:
        """Two buttons or keys as an axis; the gripper has no speed, so it does not ramp."""
        plus, minus = (self._is_down(device, name, snapshot) for name in names)
        if action is Action.GRIP:
            return float(plus - minus)
        if (ramp := self._ramps.get((device, action))) is None:
            ramp = self._ramps[device, action] = Ramp()
        return ramp.value(plus, minus, snapshot.time_ns)

    def _is_held(self, action: Action, snapshot: Snapshot) -> bool:
        return any(
            self._is_down(device, name, snapshot)
            for device in Device
            for name in self._bindings.table(device)[action]
        )

    def _is_down(self, device: Device, name: str, snapshot: Snapshot) -> bool:
        if device is Device.KEYS:
            return name in snapshot.keys
        if snapshot.pad is None:
            return False
        return self._triggers[name].down if name in self._triggers else name in snapshot.pad.buttons

    def _note_device(self, snapshot: Snapshot, sticks_moved: bool) -> None:
        pad = snapshot.pad
        if any(edge.down and edge.device is Device.KEYS for edge in snapshot.edges):
            self._device = "keyboard"
        elif pad is not None and (pad.buttons or sticks_moved):
            self._device = pad.name
