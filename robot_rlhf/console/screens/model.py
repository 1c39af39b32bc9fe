"""What a screen of the console is, and what all screens know.

Two threads meet here. The main thread calls `Screen.update` 250 times a second; the render thread calls
`Screen.draw`. Between them pass frozen objects only, each put in place by one assignment: `Shared.model`,
and whatever a screen leaves for its own `draw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hardware.appearance import SceneDescription
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import Cap
from robot_rlhf.console.input.actions import ACTIONS, Action, Context, Kind
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS, Bindings
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.labels import action_label, input_label
from robot_rlhf.console.input.snapshot import Device, Family, PadState, Snapshot, UnknownPad
from robot_rlhf.console.scene.picture import Picture
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import OperatorLink, Report

Words: TypeAlias = tuple[str | Action, ...]
"""A sentence; an action stands for what is pressed for it now, '|' for a wider gap."""
NEWS_SHOWN = 6
NOTICE_NS, SHORT_NOTICE_NS = 5_000_000_000, 2_500_000_000
"""How long a notice stays, and one about a press that did not count."""


@dataclass(frozen=True)
class Notice:
    """A line about what just happened, shown for a while wherever the operator is."""

    text: str
    bad: bool
    since_ns: int
    lasts_ns: int = NOTICE_NS


@dataclass(frozen=True)
class Seen:
    """A camera's newest picture, a JPEG, and why what it sees now is not known; empty where it is."""

    jpeg: bytes | None
    trouble: str


@dataclass(frozen=True)
class Model:
    """Everything that any screen may show of the session, the link and the hands, at `now_ns`.

    `welcome`, `moment`, `row` (the moment's scene row) and `status` are None before the session has
    answered. `refusal`: why the session would not have us; `rejection`: why its machine does not let us in.
    `reports` are those that came since the last update: each is seen in one update. `device`
    and `family` say whose words the hints use: those of what was used last.
    """

    now_ns: int
    address: str = ""
    name: str = ""
    connected: bool = False
    silent_s: float = 0.0
    refusal: str = ""
    rejection: str = ""
    welcome: m.Welcome | None = None
    moment: m.Moment | None = None
    row: NDArray[np.float32] | None = None
    status: m.Status | None = None
    news: tuple[m.News, ...] = ()
    reports: tuple[Report, ...] = ()
    round_trip_ms: tuple[float, float] | None = None
    drops: int = 0
    unsaved: int = 0
    pairs_held: int = 0
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(0))
    bindings: Bindings = DEFAULT_BINDINGS
    device: Device = Device.KEYS
    family: Family = Family.XBOX
    pad: PadState | None = None
    problem: str | None = None
    notice: Notice | None = None
    attending: bool = False
    watches: bool = False
    """Whether this console only watches: it may not drive or speak."""
    latched: bool = False
    """Whether a press of takeover turns it on and another off."""
    cameras: tuple[str, ...] = ()
    """The cameras beside the arm."""
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """What those see that are looked at."""

    @property
    def hz(self) -> float:
        """Control steps a second."""
        return self.welcome.control_hz if self.welcome is not None else 10.0

    def caps(self, action: Action) -> list[Cap]:
        """What to press for an action as bound now on the device in use: the first alternative, of an axis
        the stick or (plus, minus)."""
        label = action_label(self.bindings, action, self.device, self.family, joiner="\n")
        pad = self.device is Device.PAD
        is_axis = ACTIONS[action].kind is Kind.AXIS
        names = label.split("\n")[: 2 if is_axis else 1]
        return [Cap(_stick(name) if is_axis else name, pad) for name in names]

    def spelled(self, words: Words) -> list[str | list[Cap]]:
        """A sentence with what is pressed for its actions now."""
        return [self.caps(part) if isinstance(part, Action) else part for part in words]

    def label(self, action: Action) -> str:
        """The same in words: 'RB', 'Space'."""
        return self.caps(action)[0].label

    def cap_of(self, device: Device, name: str) -> Cap:
        """An input as it is called on its device."""
        return Cap(input_label(device, name, self.family), device is Device.PAD)


def _stick(label: str) -> str:
    return label.removesuffix(" left/right").removesuffix(" up/down")


class Shared:
    """What the app and its screens have in common. The main thread writes; `model` may be read anywhere.

    A screen asks the app for things by `go`, `notify`, `refuse`, `rebind`.
    """

    def __init__(self, model: Model | None = None) -> None:
        self.model = model or Model(now_ns=0)
        self.wanted: Context | None = None
        """The screen to go to with the next pass."""
        self.new_bindings: Bindings | None = None
        """Bindings to use from the next pass on."""
        self.notice: Notice | None = None
        self.refused = False
        """Whether a press was refused that has not been heard of yet."""
        self.fates: dict[str, str] = {}
        """What became of the last events, by id: '' for saved, otherwise why not. What a screen said before
        it was left is told here, where `Model.reports` have passed it by."""
        self.teach: Callable[[UnknownPad, Mapping[str, str]], None] | None = None
        """`Devices.teach`, where there is a window."""
        self._picture: tuple[SceneDescription, Picture] | None = None

    def go(self, context: Context) -> None:
        """Show another screen from the next pass on."""
        self.wanted = context

    def rebind(self, bindings: Bindings) -> None:
        """Use other bindings from the next pass on; saving them is the caller's."""
        self.new_bindings = bindings

    def notify(self, text: str, *, bad: bool = False) -> None:
        """Show a line for some seconds, whatever screen is shown."""
        self.notice = Notice(text, bad, self.model.now_ns)

    def refuse(self, text: str) -> None:
        """Say for a moment why a press does not count, to the eye and to the ear."""
        self.notice = Notice(text, True, self.model.now_ns, SHORT_NOTICE_NS)
        self.refused = True

    def picture(self, description: SceneDescription) -> Picture:
        """What draws the session's scenes; made once a description. For the render thread."""
        if self._picture is None or self._picture[0] is not description:
            self._picture = description, Picture(description)
        return self._picture[1]


class Screen(Protocol):
    """One of the console's screens."""

    @property
    def context(self) -> Context:
        """Which screen it is; its bindings count while it is shown."""
        ...

    @property
    def captures(self) -> bool:
        """Whether it wants every press for itself now (press-to-bind): only STOP is then acted on for it."""
        ...

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        """It is shown from now on. Called on the main thread."""
        ...

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        """React to what the hands did and leave a state for `draw`. Called on the main thread 250 times a
        second while the screen is shown, with `Shared.model` of the same moment; must not take more than
        a millisecond. STOP, the change of screens and help are done by the app."""
        ...

    def draw(self, canvas: Canvas) -> None:
        """Draw the newest state over the whole canvas. Called on the render thread."""
        ...
