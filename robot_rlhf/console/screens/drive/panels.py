"""The Drive screen's panels: the episode, the motion, success, the predicted reward, the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.screens.chrome import link_colour
from robot_rlhf.console.screens.drive.state import DriveState
from robot_rlhf.console.screens.model import Model
from robot_rlhf.feedback.messages import Moment, Stage, Status

ROLLING = 5
"""Marks that one point of the success curve stands for."""
_AGE_MS = 200.0
_REWARD_RANGE = 2.5  # standard deviations


@dataclass(frozen=True)
class Panel:
    """`height` in points, without which it is left out; the one with the lowest `rank` is left out last.
    What room is left goes to the one that `grows`."""

    title: str
    height: int
    rank: int
    draw: Callable[[Canvas, pygame.Rect, Model, DriveState], None]
    grows: bool = False


def draw_panels(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    """As many panels as fit, the most important ones first."""
    gap = canvas.px(theme.GAP)
    shown = _fitting(area.height, [canvas.px(panel.height) for panel in PANELS], gap, state)
    spare = area.height - sum(canvas.px(panel.height) + gap for panel in shown) + gap
    top = area.y
    for panel in shown:
        height = canvas.px(panel.height) + (max(0, spare) if panel.grows else 0)
        place = pygame.Rect(area.x, top, area.width, height)
        canvas.panel(place, theme.PANEL)
        panel.draw(canvas, place.inflate(-2 * canvas.px(12), -2 * canvas.px(9)), model, state)
        top += height + gap


def _fitting(room: int, heights: Sequence[int], gap: int, state: DriveState) -> list[Panel]:
    chosen: list[Panel] = []
    for panel, height in sorted(zip(PANELS, heights, strict=True), key=lambda pair: pair[0].rank):
        if panel.title == "Predicted reward" and state.rewards is None:
            continue
        if height <= room:
            chosen.append(panel)
            room -= height + gap
    return [panel for panel in PANELS if panel in chosen]


def _title(canvas: Canvas, area: pygame.Rect, words: str, value: str = "") -> pygame.Rect:
    """A panel's heading with a value at its right; returns what is below."""
    head, rest = parts.cut_top(area, canvas.px(18), canvas.px(5))
    right = head.right
    if value:
        right = canvas.text(value, head.midright, theme.SMALL, theme.TEXT, bold=True, anchor="midright").x
    canvas.text(
        words,
        head.midleft,
        theme.SMALL,
        theme.MUTED,
        anchor="midleft",
        width=right - head.x - canvas.px(8),
    )
    return rest


# -- panels -----------------------------------------------------------------------------------------


def _episode(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    moment, status = model.moment, model.status
    assert moment is not None and status is not None
    rest = _title(canvas, area, *_heading(moment, status, model.hz))
    bar, rest = parts.cut_top(rest, canvas.px(8), canvas.px(5))
    share = moment.step / moment.steps if moment.steps else 0.0
    canvas.bar(bar, share, theme.ORANGE if moment.driving else theme.SKY)
    row, _ = parts.cut_top(rest, canvas.px(20))
    yours = 100.0 * moment.operator_steps / moment.step if moment.step else 0.0
    if moment.stage is Stage.MARK and status.interventions:
        yours = 100.0 * status.interventions[-1]
    text = canvas.text(f"{yours:.0f}% by hand", row.midleft, theme.SMALL, anchor="midleft")
    waiting = f"{status.pairs_waiting} pairs wait"
    if text.right + canvas.width(waiting, theme.SMALL) + canvas.px(10) < row.right:
        colour = theme.PURPLE if status.pairs_waiting else theme.MUTED
        canvas.text(waiting, row.midright, theme.SMALL, colour, anchor="midright")


def _heading(moment: Moment, status: Status, hz: float) -> tuple[str, str]:
    left_s = max(0, moment.steps - moment.step) / hz
    clock = f"{left_s:.1f} s left" if moment.steps else ""
    match moment.stage:
        case Stage.READY | Stage.DEMONSTRATION:
            number = min(status.demonstrations + 1, max(1, status.demonstrations_planned))
            return f"Demonstration {number} of {status.demonstrations_planned}", clock
        case Stage.EVALUATING:
            return "Evaluation", ""
        case Stage.PAUSED | Stage.RESET if _is_showing(status):
            return f"Demonstration {status.demonstrations + 1} of {status.demonstrations_planned}", clock
        case Stage.EPISODE | Stage.MARK | Stage.PAUSED | Stage.RESET:
            number = min(status.episodes + (moment.stage is not Stage.MARK), status.episodes_planned)
            return f"Episode {number} of {status.episodes_planned}", clock
        case Stage.TELEOP:
            return "Free driving", ""
        case Stage.PREPARING:
            return "The first policy is being made", ""
        case Stage.LABELLING:
            return "No robot runs", ""
        case Stage.DONE:
            return "The session is over", ""


def _is_showing(status: Status) -> bool:
    """Whether demonstrations are still to come."""
    return status.demonstrations < status.demonstrations_planned and not status.episodes


def _motion(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    moment, welcome = model.moment, model.welcome
    assert moment is not None and welcome is not None
    rest = _title(canvas, area, "Velocity (tick: asked for)", "precise" if state.precision else "m/s")
    full = welcome.full_speed_m_s or 1.0
    grips = welcome.uses_gripper and model.row is not None
    step = rest.height // (4 if grips else 3)
    names = ("x", "y", "z", "grip") if grips else ("x", "y", "z")
    name = max(canvas.width(each, theme.TINY) for each in names) + canvas.px(8)
    value = canvas.width("+0.00", theme.TINY) + canvas.px(8)
    for index, axis in enumerate("xyz"):
        row = pygame.Rect(rest.x, rest.y + index * step, rest.width, step)
        asked, done = moment.commanded_m_s[index], round(moment.achieved_m_s[index], 2) + 0.0
        canvas.text(axis, row.midleft, theme.TINY, theme.MUTED, anchor="midleft")
        bar = pygame.Rect(row.x + name, row.centery - canvas.px(3), row.width - name - value, canvas.px(7))
        canvas.centred_bar(bar, done / full, theme.SKY, asked / full)
        canvas.text(f"{done:+.2f}", row.midright, theme.TINY, theme.TEXT, anchor="midright")
    if grips:
        assert model.row is not None
        row = pygame.Rect(rest.x, rest.y + 3 * step, rest.width, step)
        opening, target = float(model.row[7]), float(model.row[8])
        canvas.text("grip", row.midleft, theme.TINY, theme.MUTED, anchor="midleft")
        bar = pygame.Rect(row.x + name, row.centery - canvas.px(3), row.width - name - value, canvas.px(7))
        canvas.bar(bar, opening, theme.ORANGE, mark=target)
        canvas.text(f"{100 * opening:.0f}%", row.midright, theme.TINY, anchor="midright")


def rolling(marks: Sequence[bool], window: int = ROLLING) -> list[float]:
    """For each mark the share of successes among it and those before it, `window` at most."""
    return [sum(marks[max(0, i + 1 - window) : i + 1]) / min(window, i + 1) for i in range(len(marks))]


def _success(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    status = model.status
    assert status is not None
    recent = status.marks[-10:]
    value = f"{sum(recent)} of last {len(recent)}" if recent else "no marks yet"
    rest = _title(canvas, area, "Success", value)
    chart = pygame.Rect(rest.x, rest.y + canvas.px(3), rest.width - canvas.px(36), rest.height - canvas.px(6))
    if chart.height < canvas.px(16):
        return
    for share, label in ((0.0, "0"), (0.5, ""), (1.0, "100%")):
        y = chart.bottom - 1 - round(share * (chart.height - 1))
        canvas.fill(pygame.Rect(chart.x, y, chart.width, 1), theme.LINE)
        if label:
            canvas.text(label, (rest.right, y), theme.TINY, theme.FAINT, anchor="midright")
    slots = max(status.episodes_planned, len(status.marks), 2)
    canvas.sparkline(chart, rolling(status.marks), theme.SKY, low=0.0, high=1.0, slots=slots)
    last = max([slots, *(each.after for each in status.evaluations)])
    for each in status.evaluations:
        if each.episodes:
            x = chart.x + round(each.after / last * (chart.width - 1))
            y = chart.bottom - 1 - round(each.successes / each.episodes * (chart.height - 1))
            canvas.icon("pin", (x, y), 13, theme.GOOD)


def _reward(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    moment = model.moment
    assert moment is not None
    value = "none yet" if moment.reward is None else f"{moment.reward:+.1f} sd"
    rest = _title(canvas, area, "Predicted reward", value)
    slots = max(2, moment.steps, len(state.rewards or ()))
    canvas.sparkline(
        rest,
        state.rewards or (),
        theme.PURPLE,
        low=-_REWARD_RANGE,
        high=_REWARD_RANGE,
        slots=slots,
        zero=True,
    )


def _session(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    status = model.status
    assert status is not None
    rows: list[tuple[str, str, theme.Colour]] = []
    if model.round_trip_ms is not None:
        middle, high = model.round_trip_ms
        rows.append(("Round trip, p50 / p95", f"{middle:.0f} / {high:.0f} ms", link_colour(high)))
    else:
        rows.append(("Round trip", "not yet", theme.MUTED))
    age_ms = 1000.0 * model.silent_s
    lost = f"{model.drops} lost" if model.drops else "none lost"
    rows.append(("Age of state", f"{min(age_ms, 9999):.0f} ms, {lost}", link_colour(age_ms / 2)))
    saved = "all saved" if not model.unsaved else f"{model.unsaved} on the way"
    rows.append(("What you said", saved, theme.GOOD if not model.unsaved else theme.WARN))
    rows.append(("Learner", status.learner or "idle", theme.TEXT))
    rows.append(("Updates, reward model", f"{status.updates:,}, v{status.reward_version}", theme.TEXT))
    rows.append(("Overruns", str(status.overruns), theme.TEXT if status.overruns < 10 else theme.WARN))
    step = canvas.px(17)
    for index, (label, value, colour) in enumerate(rows):
        row = pygame.Rect(area.x, area.y + index * step, area.width, step)
        if row.bottom > area.bottom + canvas.px(2):
            return
        _row(canvas, row, label, value, colour)


def _row(canvas: Canvas, area: pygame.Rect, label: str, value: str, colour: theme.Colour) -> None:
    name = canvas.text(
        label, area.midleft, theme.TINY, theme.MUTED, anchor="midleft", width=area.width * 6 // 10
    )
    canvas.text(
        value,
        area.midright,
        theme.TINY,
        colour,
        bold=True,
        anchor="midright",
        width=area.right - name.right - canvas.px(8),
    )


def _news(canvas: Canvas, area: pygame.Rect, model: Model, state: DriveState) -> None:
    rest = _title(canvas, area, "News")
    step = canvas.px(17)
    for index, item in enumerate(reversed(model.news)):
        y = rest.y + index * step
        if y + step > rest.bottom + canvas.px(2):
            return
        colour = theme.TEXT if index == 0 else theme.MUTED
        canvas.text(item.text, (rest.x, y), theme.TINY, colour, width=rest.width)


PANELS: Sequence[Panel] = (
    Panel("Episode", 76, 0, _episode),
    Panel("Velocity", 98, 3, _motion),
    Panel("Success", 80, 1, _success, grows=True),
    Panel("Predicted reward", 62, 4, _reward),
    Panel("Session", 118, 2, _session),
    Panel("News", 92, 5, _news),
)
