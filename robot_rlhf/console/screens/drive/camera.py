"""The Drive screen's cameras, and what lies over the main one. On the render thread."""

from __future__ import annotations

import numpy as np
import pygame
from numpy.typing import NDArray

from hardware import appearance as scene
from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.screens.drive.asks import State, is_mine
from robot_rlhf.console.screens.drive.film import Film
from robot_rlhf.console.screens.drive.guide_card import GuideCard
from robot_rlhf.console.screens.drive.sights import sights
from robot_rlhf.console.screens.drive.state import DriveState
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.feedback.messages import Moment, Phase, Stage

_INSET_EVERY = 3  # the second view is drawn with every third picture
_FRAME, _PROBLEM = 7, 36  # the frame of HUMAN and the line of a problem, in points
_HELD = (Action.SUCCESS, Action.FAILURE, Action.DISCARD, Action.CLEAR_FAULT)
_SILENT = ("speed", "acceleration")  # limits that honest driving meets all the time, with three keys at once


class View:
    """One camera's picture, kept while what it shows is the same."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._surface: pygame.Surface | None = None
        self._shown: tuple[object, ...] = ()
        self._row: NDArray[np.float32] | None = None
        self._complaint = ""

    def draw(
        self,
        canvas: Canvas,
        area: pygame.Rect,
        model: Model,
        view: Viewpoint,
        *,
        late: bool = False,
        workspace: bool = False,
        velocity_m_s: tuple[float, float, float] | None = None,
    ) -> None:
        """The model's scene in `area`. `late`: an older moment of the same view will do."""
        welcome, row = model.welcome, model.row
        if welcome is None or row is None or area.width < 8 or area.height < 8:
            return
        wanted = (area.size, view, id(welcome.description), workspace, velocity_m_s)
        same = wanted == self._shown and (late or (self._row is not None and np.array_equal(row, self._row)))
        if self._surface is None or not same:
            self._surface = self._drawn(area.size, model, row, view, workspace, velocity_m_s)
            self._shown, self._row = wanted, row
        canvas.surface.blit(self._surface, area)
        if self._complaint:
            parts.card(canvas, area, "warning", "This moment cannot be drawn", self._complaint, theme.WARN)

    def _drawn(
        self,
        size: tuple[int, int],
        model: Model,
        row: NDArray[np.float32],
        view: Viewpoint,
        workspace: bool,
        velocity_m_s: tuple[float, float, float] | None,
    ) -> pygame.Surface:
        assert model.welcome is not None
        surface = self._surface
        if surface is None or surface.get_size() != size:
            surface = pygame.Surface(size, 0, 32)
        twist = None if velocity_m_s is None else np.array([*velocity_m_s, 0.0, 0.0, 0.0])
        self._complaint = ""
        try:
            self._shared.picture(model.welcome.description).draw(
                surface, surface.get_rect(), row, view, workspace=workspace, ghost_twist=twist
            )
        except ValueError as error:  # a row of another shape, or not finite: said in the picture's place
            surface.fill(theme.PANEL)
            self._complaint = str(error)
        return surface


class Cameras:
    """The main camera and the second view."""

    def __init__(self, shared: Shared) -> None:
        self._main, self._inset = View(shared), View(shared)
        self._main_film, self._inset_film = Film(), Film()
        self._guide = GuideCard()
        self._count = 0

    def draw_main(
        self, canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState, banner: State
    ) -> None:
        """The camera that was chosen, with the goal, the guide and so on over it."""
        welcome, moment, shown = model.welcome, model.moment, sights(model, state.view)
        if welcome is None or moment is None or shown is None:
            return
        view = welcome.description.views[0] if isinstance(shown.main, str) else shown.main
        if isinstance(shown.main, str):
            self._main_film.draw(canvas, area, model.seen.get(shown.main))
            _draw_trouble(canvas, area, shown.main, model)
        else:
            self._main.draw(
                canvas,
                area,
                model,
                Viewpoint.of(view),
                workspace=state.workspace or any("workspace" in name for name in moment.limits),
                velocity_m_s=moment.commanded_m_s if is_mine(model) else None,
            )
        _draw_goal(canvas, area, welcome.goal)
        _draw_recording(canvas, area, moment)
        _draw_view_name(canvas, area, model, _name(shown.main))
        if banner.framed:
            canvas.frame(area, banner.colour, _FRAME)
        has_problem = _draw_problem(canvas, area, model, moment)
        if state.card is not None:
            lowered = _PROBLEM + 8 if has_problem else 0
            self._guide.draw(canvas, area, model, state.card, Viewpoint.of(view), lowered)
        _draw_holding(canvas, area, model, state)

    def draw_inset(self, canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
        """The other thing that is looked at."""
        shown = sights(model, state.view)
        if shown is None or area.width < 8 or area.height < 8:
            return
        self._count += 1
        words = _name(shown.inset)
        if isinstance(shown.inset, str):
            seen = model.seen.get(shown.inset)
            self._inset_film.draw(canvas, area, seen)
            if seen is not None and seen.trouble:
                words += f": {seen.trouble}"
        else:
            late = self._count % _INSET_EVERY != 0
            self._inset.draw(canvas, area, model, Viewpoint.of(shown.inset), late=late)
        width = area.width - canvas.px(32)
        _tag(canvas, words, (area.x + canvas.px(8), area.bottom - canvas.px(8)), "bottomleft", width)


def _name(sight: scene.View | str) -> str:
    return sight if isinstance(sight, str) else sight.name


# -- over the main camera ---------------------------------------------------------------------------


def _tag(
    canvas: Canvas, words: str, at: tuple[int, int], anchor: str, width: int | None = None
) -> pygame.Rect:
    """Words on a dark ground, over a picture."""
    if width is not None and canvas.width(words, theme.SMALL) > width:
        while words and canvas.width(words + "…", theme.SMALL) > width:
            words = words[:-1]
        words = words.rstrip() + "…"
    place = pygame.Rect(0, 0, canvas.width(words, theme.SMALL) + canvas.px(16), canvas.px(24))
    setattr(place, anchor, at)
    canvas.panel(place, theme.BACKGROUND, radius=6)
    canvas.text(words, place.center, theme.SMALL, theme.TEXT, anchor="center")
    return place


def _draw_trouble(canvas: Canvas, area: pygame.Rect, camera: str, model: Model) -> None:
    seen = model.seen.get(camera)
    if seen is not None and seen.trouble:
        title = f"The camera {camera} shows {'nothing' if seen.jpeg is None else 'the past'}"
        parts.card(canvas, area, "warning", title, seen.trouble, theme.WARN)


def _draw_goal(canvas: Canvas, area: pygame.Rect, goal: str) -> None:
    """In one line, or two where it must."""
    pad, icon_room = canvas.px(12), canvas.px(36)
    most = area.width - 2 * pad - canvas.px(112)  # the recording stands to the right of it
    text = min(canvas.width(goal, theme.BODY, True), most - icon_room - canvas.px(10))
    height = min(2, len(canvas.lines(goal, text + 1, theme.BODY, True))) * canvas.px(19)
    place = pygame.Rect(area.x + pad, area.y + pad, text + icon_room + canvas.px(10), height + canvas.px(14))
    canvas.panel(place, theme.BACKGROUND, radius=8)
    canvas.icon("flag", (place.x + canvas.px(10), place.centery), 16, theme.GOOD, "midleft")
    room = pygame.Rect(
        place.x + icon_room, place.y + canvas.px(7), text + canvas.px(4), height + canvas.px(4)
    )
    canvas.paragraph(goal, room, theme.BODY, bold=True, most=2)


def _draw_recording(canvas: Canvas, area: pygame.Rect, moment: Moment) -> None:
    at = (area.right - canvas.px(12), area.y + canvas.px(12))
    if not moment.recording:
        _tag(canvas, "not recorded", at, "topright")
        return
    place = pygame.Rect(0, 0, canvas.width("REC", theme.SMALL, True) + canvas.px(38), canvas.px(26))
    place.topright = at
    canvas.panel(place, theme.BACKGROUND, radius=6)
    dot = canvas.icon("record", (place.x + canvas.px(8), place.centery), 16, theme.ALARM, "midleft")
    canvas.text("REC", (dot.right + canvas.px(6), place.centery), theme.SMALL, bold=True, anchor="midleft")


def _draw_view_name(canvas: Canvas, area: pygame.Rect, model: Model, name: str) -> None:
    height = canvas.px(20)
    right, y = area.right - canvas.px(12), area.bottom - canvas.px(24)
    last = parts.draw_cap(
        canvas, model.caps(Action.CAMERA_RIGHT)[0], (right, y), height=height, anchor="midright"
    )
    tag = _tag(canvas, name, (last.x - canvas.px(4), y), "midright")
    parts.draw_cap(
        canvas,
        model.caps(Action.CAMERA_LEFT)[0],
        (tag.x - canvas.px(4), y),
        height=height,
        anchor="midright",
    )


def _draw_problem(canvas: Canvas, area: pygame.Rect, model: Model, moment: Moment) -> bool:
    """Whether there is one."""
    words, colour, icon = "", theme.WARN, "warning"
    if model.problem is not None:
        words = model.problem
    elif not model.snapshot.focus:
        words = "Click into this window to drive"
    elif moment.phase is Phase.OPERATOR and (met := [each for each in moment.limits if each not in _SILENT]):
        words, colour = f"At a limit: {', '.join(met)}", theme.SKY
    if not words:
        return False
    width = min(area.width - canvas.px(24), canvas.width(words, theme.BODY) + canvas.px(56))
    place = pygame.Rect(0, 0, width, canvas.px(_PROBLEM))
    place.midtop = (area.centerx, area.y + canvas.px(54))
    canvas.panel(place, theme.BACKGROUND, radius=8, outline=colour, thickness=1.5)
    mark = canvas.icon(icon, (place.x + canvas.px(12), place.centery), 18, colour, "midleft")
    left = mark.right + canvas.px(8)
    canvas.text(
        words, (left, place.centery), theme.BODY, anchor="midleft", width=place.right - left - canvas.px(10)
    )
    return True


def _draw_holding(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    """A large ring while a button is held that wants a hold."""
    moment = model.moment
    for action in _HELD:
        share = state.holding.get(action, 0.0)
        if action is Action.CLEAR_FAULT and share < 0.25:
            continue  # a short confirm is no hold
        if share <= 0.0 or moment is None:
            continue
        colour = theme.ALARM if action in (Action.FAILURE, Action.DISCARD) else theme.GOOD
        words = _HOLD_WORDS[action]
        if action is Action.CLEAR_FAULT and moment.phase is not Phase.STOPPED:
            words = "enough" if moment.stage is Stage.READY else "end the episodes"
        ground = pygame.Rect(0, 0, canvas.px(176), min(canvas.px(124), area.height))
        ground.midbottom = (area.centerx, area.bottom - canvas.px(14))
        middle = ground.center
        canvas.panel(ground, theme.BACKGROUND, radius=14)
        canvas.ring((middle[0], middle[1] - canvas.px(16)), 34, share, colour, width=7)
        parts.draw_cap(
            canvas,
            model.caps(action)[0],
            (middle[0], middle[1] - canvas.px(16)),
            height=canvas.px(26),
            anchor="center",
        )
        canvas.text(words, (middle[0], ground.bottom - canvas.px(20)), theme.BODY, bold=True, anchor="center")
        return


_HOLD_WORDS = {
    Action.SUCCESS: "success",
    Action.FAILURE: "failure",
    Action.DISCARD: "discard",
    Action.CLEAR_FAULT: "clear the stop",
}
