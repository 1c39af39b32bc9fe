"""The Bind screen: press what is to give an action. And the wizard for a pad that SDL does not know.

It is worked by keys and buttons of its own, which no binding can take away: arrows or D-pad, Enter or A,
Delete or X, R or Y held, Backspace or B. What it looks like is `view.py`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Context
from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.bindings_file import save_bindings
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.pad_wizard import PadWizard
from robot_rlhf.console.input.rebinding import Rebinding, Told
from robot_rlhf.console.input.sdl import SDLError
from robot_rlhf.console.input.snapshot import Device, Snapshot, UnknownPad
from robot_rlhf.console.screens.bind.view import BindState, draw_bind
from robot_rlhf.console.screens.bind.wizard_view import Wizardry
from robot_rlhf.console.screens.model import Shared
from robot_rlhf.feedback.link import OperatorLink

HOLD_NS = 1_000_000_000
"""How long 'everything to default' is held."""
_MOVES = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_KEYS = {
    "return": "change",
    "enter": "change",
    "delete": "reset",
    "backspace": "cancel",
    "r": "all",
    "t": "teach",
}
_PAD = {"a": "change", "x": "reset", "b": "cancel", "y": "all"}


class BindScreen:
    """Changes the bindings of the app at once and saves them. `path` is another file than the user's."""

    context = Context.BIND

    def __init__(self, shared: Shared, path: Path | None = None) -> None:
        self._shared, self._path = shared, path
        self._table = Rebinding(shared.model.bindings)
        self._wizard: PadWizard | None = None
        self._told = Told()
        """What the wizard came to."""
        self._saver = ThreadPoolExecutor(1, "bindings")  # the disk must not hold up the hands
        self._saving: Future[None] | None = None
        self._all_since_ns: int | None = None
        self._state: BindState | None = None

    @property
    def captures(self) -> bool:
        """While something is pressed to be bound, and while the wizard asks."""
        return self._table.listening is not None or self._wizard is not None

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        self._table = Rebinding(self._shared.model.bindings)
        self._wizard, self._told, self._all_since_ns = None, Told(), None

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        snapshot = self._shared.model.snapshot
        if self._wizard is not None:
            self._ask(self._wizard, snapshot, now_ns)
        elif self._table.listening is not None:
            if self._table.hear(snapshot):
                self._use(self._table.bindings)
        else:
            self._browse(snapshot, now_ns)
        self._watch_saving()
        held_ns = 0 if self._all_since_ns is None else now_ns - self._all_since_ns
        self._state = BindState(
            model=self._shared.model,
            now_ns=now_ns,
            bindings=self._table.bindings,
            place=self._table.place,
            row=self._table.row,
            listening=self._table.listening,
            clash=self._table.clash,
            told=self._told if self._told.text else self._table.told,
            all_held=held_ns / HOLD_NS,
            unknown=snapshot.unknown,
            wizard=Wizardry.of(self._wizard) if self._wizard is not None else None,
        )

    def draw(self, canvas: Canvas) -> None:
        if (state := self._state) is not None:
            draw_bind(canvas, state)

    # -- the table -------------------------------------------------------------------------------------

    def _browse(self, snapshot: Snapshot, now_ns: int) -> None:
        table = self._table
        for name in self._orders(snapshot):
            self._told = Told()
            if name in _MOVES:
                table.move(*_MOVES[name])
            elif name == "change" and table.clash is not None:
                if table.swap():
                    self._use(table.bindings)
            elif name == "change":
                table.listen(now_ns, pad=snapshot.pad is not None)
                return
            elif name == "cancel":
                table.move(0, 0)
            elif name == "reset" and table.reset_action():
                self._use(table.bindings)
            elif name == "teach" and snapshot.unknown:
                self._wizard = PadWizard(snapshot.unknown[0], now_ns)
                return
        self._hold_all(snapshot, now_ns)

    def _orders(self, snapshot: Snapshot) -> list[str]:
        """What was pressed of this screen's own keys and buttons, but nothing that leaves it or stops."""
        bound = self._table.bindings.pressed_by(Context.BIND)
        orders = []
        for edge in snapshot.edges:
            if not edge.down or edge.other or (edge.device, edge.name) in bound:
                continue
            if edge.device is Device.KEYS:
                orders.append(edge.name if edge.name in _MOVES else _KEYS.get(edge.name, ""))
            else:
                name = edge.name.removeprefix("dp")
                orders.append(name if name in _MOVES else _PAD.get(edge.name, ""))
        return [order for order in orders if order]

    def _hold_all(self, snapshot: Snapshot, now_ns: int) -> None:
        """Everything to default, once its key or button was pressed here and held for HOLD_NS."""
        held = "r" in snapshot.keys or (snapshot.pad is not None and "y" in snapshot.pad.buttons)
        if "all" in self._orders(snapshot):
            self._all_since_ns = now_ns
        elif not held:
            self._all_since_ns = None
        elif self._all_since_ns is not None and now_ns - self._all_since_ns >= HOLD_NS:
            self._all_since_ns = None
            if self._table.reset_all():
                self._use(self._table.bindings)

    def _use(self, bindings: Bindings) -> None:
        self._shared.rebind(bindings)
        self._saving = self._saver.submit(save_bindings, bindings, self._path)

    def _watch_saving(self) -> None:
        if self._saving is not None and self._saving.done():
            error, self._saving = self._saving.exception(), None
            if isinstance(error, OSError):
                self._shared.notify(f"The bindings count now but could not be saved: {error}", bad=True)
            elif error is not None:
                raise error

    # -- the wizard ------------------------------------------------------------------------------------

    def _ask(self, wizard: PadWizard, snapshot: Snapshot, now_ns: int) -> None:
        pad = next((pad for pad in snapshot.unknown if pad.id == wizard.pad.id), None)
        if pad is None:
            self._wizard, self._told = None, Told("The pad was unplugged: nothing was learned", bad=True)
            return
        wizard.update(pad, now_ns)
        for edge in snapshot.edges:
            if not edge.down or edge.device is not Device.KEYS:
                continue
            if edge.name == "backspace":
                self._wizard, self._told = None, Told("Nothing was learned")
                return
            if edge.name == "left":
                wizard.back(now_ns)
            elif edge.name == "right":
                wizard.skip(now_ns)
            elif edge.name in ("return", "enter") and wizard.done:
                self._finish(wizard, pad)
                return

    def _finish(self, wizard: PadWizard, pad: UnknownPad) -> None:
        """Hand the answers to SDL."""
        self._wizard = None
        if self._shared.teach is None or not wizard.answers:
            self._told = Told("Nothing was learned", bad=True)
            return
        try:
            self._shared.teach(pad, wizard.answers)
        except (ValueError, SDLError) as error:
            self._told = Told(f"That makes no mapping: {error}", bad=True)
        except OSError as error:
            self._told = Told(f"{pad.name} works now but could not be kept: {error}", bad=True)
        else:
            self._told = Told(f"{pad.name} is ready, and known from now on")
