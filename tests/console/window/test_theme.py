"""What is drawn can be read: contrast, sizes, text that fits, at every UI scale."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pygame
import pytest

from robot_rlhf.console.drawing import parts, theme
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.icons import ICONS, drawn_icon
from robot_rlhf.console.drawing.parts import Cap
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.input.actions import Action
from robot_rlhf.console.input.snapshot import Device, Family
from robot_rlhf.console.screens.chrome import PHASES, link_colour
from robot_rlhf.console.screens.model import Model

SCALES = (1.0, 1.5, 2.0, 3.0)


@pytest.fixture
def canvas(request: pytest.FixtureRequest, window: None) -> Canvas:
    pygame.font.init()
    scale = getattr(request, "param", 1.0)
    surface = pygame.Surface((900, 600), 0, 32)
    surface.fill(theme.BACKGROUND)
    return Canvas(surface, Stock(scale))


def pixel(canvas: Canvas, at: tuple[int, int]) -> tuple[int, ...]:
    return tuple(canvas.surface.get_at(at))[:3]


def inked(canvas: Canvas, area: pygame.Rect | None = None) -> pygame.Rect:
    """Where something other than the background was drawn."""
    area = area or canvas.area
    part = canvas.surface.subsurface(area)
    mask = pygame.mask.from_threshold(part, theme.BACKGROUND, (1, 1, 1, 255))
    mask.invert()
    rects: Any = mask.get_bounding_rects()
    return rects[0].unionall(rects[1:]).move(area.topleft) if rects else pygame.Rect(0, 0, 0, 0)


def test_text_can_be_read_on_every_ground() -> None:
    for ground in (theme.BACKGROUND, theme.PANEL, theme.RAISED):
        assert theme.contrast(theme.TEXT, ground) >= 7.0
        assert theme.contrast(theme.MUTED, ground) >= 4.5
        for colour in (theme.GOOD, theme.WARN, theme.ALARM, theme.SKY, theme.PURPLE, theme.YELLOW):
            assert theme.contrast(colour, ground) >= 4.5
    for _, _, colour in PHASES.values():
        assert theme.contrast(theme.INK, colour) >= 4.5
        assert theme.contrast(theme.as_ink(colour), theme.PANEL) >= 4.5


def test_black_on_white_has_the_contrast_that_the_standard_says() -> None:
    assert theme.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    assert theme.contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_who_has_the_arm_is_told_without_colour() -> None:
    assert len({word for word, _, _ in PHASES.values()}) == len(PHASES) == 4
    assert len({icon for _, icon, _ in PHASES.values()}) == 4


@pytest.mark.parametrize(
    ("size", "scale"),
    [((1280, 800), 1.0), ((2560, 1600), 2.0), ((960, 600), 1.0), ((1920, 1200), 1.5), ((9000, 9000), 3.0)],
)
def test_the_scale_follows_the_window(size: tuple[int, int], scale: float) -> None:
    assert theme.fitting_scale(size) == scale


@pytest.mark.parametrize("scale", [0.9, 3.1, float("nan")])
def test_another_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="from 1 to 3"):
        theme.checked_scale(scale)


def test_a_slow_link_is_amber_and_a_very_slow_one_red() -> None:
    assert [link_colour(ms) for ms in (49.0, 51.0, 149.0, 151.0)] == [
        theme.GOOD,
        theme.WARN,
        theme.WARN,
        theme.ALARM,
    ]


@pytest.mark.parametrize("canvas", SCALES, indirect=True)
def test_text_stays_within_the_width_it_is_given(canvas: Canvas) -> None:
    for words in ("short", "a rather longer line that cannot fit by any means", "W" * 80):
        for width in (60, 120, 300):
            place = canvas.text(words, (10, 10), theme.BODY, width=width)
            assert place.width <= width + 1
    assert (
        canvas.text("short", (10, 10), theme.BODY, width=10_000).width == canvas.text("short", (0, 0)).width
    )


@pytest.mark.parametrize("canvas", SCALES, indirect=True)
def test_a_paragraph_keeps_to_its_area_and_loses_no_word_that_fits(canvas: Canvas) -> None:
    words = "one two three four five six seven eight nine ten"
    area = pygame.Rect(50, 40, 260, 500)
    lines = canvas.lines(words, area.width)
    assert " ".join(lines) == words
    assert canvas.paragraph(words, area) == canvas.paragraph_height(words, area.width)
    assert area.inflate(2, 2).contains(inked(canvas))
    low = pygame.Rect(50, 40, 260, canvas.line_height(theme.BODY) + canvas.px(3))
    assert canvas.paragraph(words, low) <= low.height


def test_regular_text_is_lighter_than_bold_and_as_tall(canvas: Canvas) -> None:
    canvas.text("Hamburg", (10, 10), 20)
    regular, box = pygame.transform.average_color(canvas.surface), inked(canvas)
    canvas.surface.fill(theme.BACKGROUND)
    canvas.text("Hamburg", (10, 10), 20, bold=True)
    bold, bold_box = pygame.transform.average_color(canvas.surface), inked(canvas)
    assert sum(regular[:3]) <= sum(bold[:3])
    assert abs(box.height - bold_box.height) <= 2


def test_letters_are_centred_by_their_capitals(canvas: Canvas) -> None:
    for size in (theme.SMALL, theme.BODY, theme.TITLE):
        canvas.surface.fill(theme.BACKGROUND)
        canvas.text("HOLD", (450, 300), size, bold=True, anchor="center")
        assert abs(inked(canvas).centery - 300) <= 1
        assert abs(inked(canvas).centerx - 450) <= 2


@pytest.mark.parametrize("name", list(ICONS))
def test_every_icon_shows_something_in_its_colour(name: str, window: None) -> None:
    icon = drawn_icon(name, 48, theme.SKY)
    assert icon.get_size() == (48, 48)
    assert pygame.mask.from_surface(icon).count() > 48
    where = pygame.mask.from_surface(icon, 250).outline()[0]
    assert tuple(icon.get_at(where))[:3] == pytest.approx(theme.SKY, abs=2)


def test_an_icon_that_is_none_is_refused_by_name(window: None) -> None:
    with pytest.raises(ValueError, match=r"no icon named 'chek'.*check"):
        drawn_icon("chek", 20, theme.TEXT)


@pytest.mark.parametrize("canvas", SCALES, indirect=True)
def test_a_bar_is_filled_by_its_share(canvas: Canvas) -> None:
    area = pygame.Rect(100, 100, 400, 24)

    def filled() -> int:
        return sum(pixel(canvas, (x, 112)) == theme.SKY for x in range(100, 500))

    for share in (0.0, 0.25, 1.0, 7.0):
        canvas.bar(area, share)
        assert filled() == pytest.approx(400 * min(1.0, share), abs=26 if share else 0)


def test_a_ring_fills_clockwise_from_the_top(canvas: Canvas) -> None:
    canvas.ring((450, 300), 40, 0.5, theme.YELLOW, width=8)
    assert pixel(canvas, (450 + 36, 300)) == theme.YELLOW
    assert pixel(canvas, (450 - 36, 300)) == theme.LINE


def caps() -> Iterator[Cap]:
    for family in Family:
        for device in Device:
            model = Model(now_ns=0, device=device, family=family)
            for action in Action:
                yield from model.caps(action)


@pytest.mark.parametrize("canvas", SCALES, indirect=True)
def test_every_button_is_drawn_within_the_place_it_takes(canvas: Canvas) -> None:
    height = canvas.px(22)
    for cap in set(caps()):
        canvas.surface.fill(theme.BACKGROUND)
        place = parts.draw_cap(canvas, cap, (20, 300), height=height)
        assert place.size == (parts.cap_width(canvas, cap, height), height)
        assert place.inflate(2, 2).contains(inked(canvas)), cap


@pytest.mark.parametrize("canvas", SCALES, indirect=True)
def test_a_sentence_with_buttons_takes_the_height_that_was_measured(canvas: Canvas) -> None:
    keys = [Cap("W", False), Cap("S", False)]
    words: list[str | list[Cap]] = ["Hold", [Cap("RB", True)], "and move with", keys, ", then", "let go"]
    area = pygame.Rect(30, 30, 300, 500)
    measured = parts.flow(canvas, area, words, draws=False)
    assert inked(canvas).size == (0, 0)
    assert parts.flow(canvas, area, words) == measured
    assert pygame.Rect(30, 30, 302, measured).contains(inked(canvas))


def test_a_stick_is_named_without_its_direction_and_keys_one_by_one() -> None:
    model = Model(now_ns=0, device=Device.PAD)
    assert [cap.label for cap in (*model.caps(Action.X), *model.caps(Action.Y))] == [
        "left stick",
        "left stick",
    ]
    keys = Model(now_ns=0)
    assert [cap.label for cap in (*keys.caps(Action.X), *keys.caps(Action.Y))] == ["W", "S", "A", "D"]


def test_areas_are_divided_without_a_pixel_twice() -> None:
    area = pygame.Rect(10, 20, 301, 200)
    top, rest = parts.cut_top(area, 50, 10)
    assert (top, rest) == (pygame.Rect(10, 20, 301, 50), pygame.Rect(10, 80, 301, 140))
    low, rest = parts.cut_bottom(area, 50, 10)
    assert (low, rest) == (pygame.Rect(10, 170, 301, 50), pygame.Rect(10, 20, 301, 140))
    three = parts.columns(area, 3, 10)
    assert three[0].left == area.left
    assert abs(three[-1].right - area.right) <= 1
    assert all(one.right <= other.left for one, other in pairwise(three))
