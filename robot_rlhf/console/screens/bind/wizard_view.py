"""What the wizard for an unknown pad looks like: a question, the answers so far, the raw inputs moving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pygame

from robot_rlhf.console.drawing import theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.parts import Cap, cut_bottom
from robot_rlhf.console.input.pad_mapping import WIZARD
from robot_rlhf.console.input.pad_wizard import ELEMENTS, PadWizard
from robot_rlhf.console.input.snapshot import UnknownPad

_SHORT = {
    **dict(zip("abxy", ("lower face", "right face", "left face", "upper face"), strict=True)),
    **{f"{side}{part}": f"{side} {part}" for side in ("left", "right") for part in ("shoulder", "trigger")},
    **{f"{side}{axis}": f"{side} stick {axis}" for side in ("left", "right") for axis in "xy"},
    **{f"dp{way}": f"D-pad {way}" for way in ("up", "down", "left", "right")},
    **{f"{side}stick": f"{side} stick in" for side in ("left", "right")},
    **{"back": "middle left", "start": "middle right"},
}
assert set(_SHORT) == set(WIZARD)


@dataclass(frozen=True, eq=False)
class Wizardry:
    """How far the wizard is."""

    pad: UnknownPad
    answers: Mapping[str, str]
    index: int
    question: str
    problem: str
    open: bool
    done: bool

    @staticmethod
    def of(wizard: PadWizard) -> Wizardry:
        return Wizardry(
            wizard.pad,
            dict(wizard.answers),
            wizard.index,
            wizard.question,
            wizard.problem,
            wizard.open,
            wizard.done,
        )


def wizard_hints(wizard: Wizardry) -> list[tuple[Sequence[Cap], str]]:
    hints: list[tuple[Sequence[Cap], str]] = []
    if wizard.done:
        hints.append(([Cap("Enter", False)], "use it"))
    else:
        hints.append(([Cap("Right", False)], "it has no such thing"))
    if wizard.index:
        hints.append(([Cap("Left", False)], "the question before"))
    return [*hints, ([Cap("Backspace", False)], "give up")]


def draw_wizard(canvas: Canvas, area: pygame.Rect, wizard: Wizardry) -> None:
    inner = canvas.panel(area, theme.PANEL).inflate(-canvas.px(12), -canvas.px(8))
    canvas.text(f"Teach {wizard.pad.name}", inner.topleft, theme.TITLE, bold=True, width=inner.width)
    y = inner.y + canvas.line_height(theme.TITLE) + canvas.px(8)
    canvas.bar(pygame.Rect(inner.x, y, inner.width, canvas.px(6)), wizard.index / len(ELEMENTS), theme.SKY)
    y += canvas.px(6 + 20)
    raw_height = canvas.px(150) if canvas.points[1] >= 560 else canvas.px(116)
    raw, middle = cut_bottom(
        pygame.Rect(inner.x, y, inner.width, inner.bottom - y), raw_height, canvas.px(12)
    )
    _question(canvas, middle, wizard)
    _raw(canvas, raw, wizard.pad)


def _question(canvas: Canvas, area: pygame.Rect, wizard: Wizardry) -> None:
    """The question large, what is amiss under it, and the answers so far at the right."""
    roomy = canvas.points[0] >= 900
    left = pygame.Rect(area.x, area.y, area.width * (58 if roomy else 100) // 100, area.height)
    step = "All asked" if wizard.done else f"Question {wizard.index + 1} of {len(ELEMENTS)}"
    canvas.text(step, left.topleft, theme.SMALL, theme.MUTED)
    y = left.y + canvas.line_height(theme.SMALL) + canvas.px(6)
    size = theme.HUGE if roomy else theme.LEAD
    rest = pygame.Rect(left.x, y, left.width, max(0, left.bottom - y))
    y += canvas.paragraph(wizard.question, rest, size, bold=True) + canvas.px(10)
    if wizard.done:
        colour, words = theme.GOOD, "Press Enter to use the pad with these answers."
        if "start" not in wizard.answers:
            colour, words = (
                theme.WARN,
                "No button was given for STOP: it is on the keyboard only. Press Enter to go on.",
            )
    elif wizard.problem:
        colour, words = theme.ALARM, f"{wizard.problem}. Choose another, or go back."
    elif wizard.open:
        colour, words = theme.YELLOW, "Now."
    else:
        colour, words = theme.MUTED, "Let go of everything first."
    canvas.paragraph(words, pygame.Rect(left.x, y, left.width, max(0, left.bottom - y)), theme.BODY, colour)
    if roomy:
        right = pygame.Rect(
            left.right + canvas.px(24), area.y, area.right - left.right - canvas.px(24), area.height
        )
        _given(canvas, right, wizard)


def _given(canvas: Canvas, area: pygame.Rect, wizard: Wizardry) -> None:
    """Every control in two columns, with its raw input once it is known."""
    half = (len(ELEMENTS) + 1) // 2
    height = min(canvas.px(26), area.height // half)
    width = area.width // 2
    for index, element in enumerate(ELEMENTS):
        x, y = area.x + (index // half) * width, area.y + (index % half) * height + height // 2
        asked, source = index < wizard.index, wizard.answers.get(element)
        now = index == wizard.index
        colour = theme.YELLOW if now else theme.TEXT if source else theme.FAINT
        value = source or ("–" if asked else "")
        place = canvas.text(
            value,
            (x + width - canvas.px(16), y),
            theme.SMALL,
            theme.GOOD if source else theme.FAINT,
            bold=True,
            anchor="midright",
        )
        canvas.text(
            _SHORT[element],
            (x, y),
            theme.SMALL,
            colour,
            bold=now,
            anchor="midleft",
            width=place.x - x - canvas.px(6),
        )


def _raw(canvas: Canvas, area: pygame.Rect, pad: UnknownPad) -> None:
    """The pad's raw axes, buttons and hats as they are now."""
    inner = canvas.panel(area, theme.BACKGROUND).inflate(0, -canvas.px(2))
    canvas.text("What the pad says now", inner.topleft, theme.SMALL, theme.MUTED, bold=True)
    top = inner.y + canvas.line_height(theme.SMALL) + canvas.px(10)
    gap = canvas.px(14)
    axes = pygame.Rect(inner.x, top, inner.width * 45 // 100, inner.bottom - top)
    lines = max(1, axes.height // canvas.px(20))
    across = max(2, -(-len(pad.axes) // lines))
    height = min(canvas.px(26), axes.height // lines if across > 2 else canvas.px(26))
    width = (axes.width - gap * (across - 1)) // across
    for index, value in enumerate(pad.axes):
        x, y = axes.x + (index % across) * (width + gap), axes.y + (index // across) * height + height // 2
        canvas.text(f"a{index}", (x, y), theme.TINY, theme.MUTED, anchor="midleft")
        bar = pygame.Rect(x + canvas.px(30), 0, max(0, width - canvas.px(34)), canvas.px(8))
        bar.centery = y
        canvas.centred_bar(bar, value, theme.YELLOW if abs(value) > 0.5 else theme.SKY)
    hats = [(f"h{number}", hat != (0, 0)) for number, hat in enumerate(pad.hats)]
    x, y = axes.right + 2 * gap, top
    for word, down in [*((f"b{number}", down) for number, down in enumerate(pad.buttons)), *hats]:
        width = max(canvas.px(36), canvas.width(word, theme.TINY, True) + canvas.px(14))
        if x + width > inner.right:
            x, y = axes.right + 2 * gap, y + canvas.px(32)
        if y + canvas.px(26) > inner.bottom + canvas.px(6):
            return
        box = pygame.Rect(x, y, width, canvas.px(26))
        canvas.panel(box, theme.YELLOW if down else theme.RAISED, radius=6)
        ink = theme.INK if down else theme.MUTED
        canvas.text(word, box.center, theme.TINY, ink, bold=True, anchor="center")
        x = box.right + canvas.px(6)
