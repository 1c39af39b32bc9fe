"""Where the guide's card stands: where it hides neither tool nor objects, and without hopping about."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pygame
import pytest

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.scene.camera import Viewpoint
from robot_rlhf.console.screens.drive.card_place import STAYS_NS, Corner, Placer, clearance, corners
from robot_rlhf.console.screens.drive.guide import Card
from robot_rlhf.console.screens.drive.guide_card import GuideCard
from robot_rlhf.console.screens.drive.guide_texts import Step

AREA = pygame.Rect(100, 50, 800, 600)
PLACES = corners(AREA, (300, 160))
NEAR = 60.0


def test_there_are_four_corners_and_all_lie_within() -> None:
    assert set(PLACES) == set(Corner)
    assert all(AREA.contains(place) for place in PLACES.values())
    assert len({place.topleft for place in PLACES.values()}) == 4


def test_how_far_off_a_point_is() -> None:
    place = pygame.Rect(0, 0, 10, 10)
    assert clearance(place, [(5.0, 5.0), (50.0, 5.0)]) == 0.0
    assert clearance(place, [(13.0, 14.0)]) == 5.0
    assert clearance(place, []) == math.inf


def test_it_stays_at_the_upper_left_while_nothing_is_near() -> None:
    placer = Placer()
    assert placer.place(PLACES, [(600.0, 400.0)], NEAR, 0) == PLACES[Corner.UPPER_LEFT]
    assert placer.place(PLACES, [], NEAR, 1) == PLACES[Corner.UPPER_LEFT]


def test_it_makes_room_for_what_comes_near() -> None:
    placer = Placer()
    place = placer.place(PLACES, [(250.0, 100.0), (300.0, 500.0)], NEAR, 0)
    assert clearance(place, [(250.0, 100.0), (300.0, 500.0)]) > NEAR
    assert placer.corner in (Corner.UPPER_RIGHT, Corner.LOWER_RIGHT)


def test_it_does_not_go_where_it_would_hide_as_much() -> None:
    placer = Placer()
    everywhere = [(float(x), float(y)) for x in range(100, 900, 50) for y in range(50, 650, 50)]
    placer.place(PLACES, everywhere, NEAR, 0)
    assert placer.corner is Corner.UPPER_LEFT


def test_it_does_not_come_back_at_once_nor_without_need() -> None:
    placer, crowd = Placer(), [(250.0, 100.0)]
    placer.place(PLACES, crowd, NEAR, 0)
    moved = placer.corner
    assert moved is not Corner.UPPER_LEFT
    middle = PLACES[moved].center
    pursuer = [(float(middle[0]), float(middle[1]))]
    placer.place(PLACES, pursuer, NEAR, STAYS_NS - 1)
    assert placer.corner is moved
    placer.place(PLACES, [], NEAR, STAYS_NS + 1)
    assert placer.corner is moved
    placer.place(PLACES, pursuer, NEAR, STAYS_NS + 2)
    assert placer.corner is not moved


def test_something_that_trembles_at_the_edge_moves_it_once() -> None:
    placer, seen = Placer(), []
    for index in range(200):
        x = 100.0 + 300.0 + NEAR + (2.0 if index % 2 else -2.0)
        placer.place(PLACES, [(x, 100.0)], NEAR, index * 33_000_000)
        seen.append(placer.corner)
    assert sum(a is not b for a, b in itertools.pairwise(seen)) <= 1


@pytest.mark.parametrize("size", [(871, 604), (600, 300), (240, 120), (40, 30)])
def test_the_card_leaves_the_tool_and_the_objects_in_sight(desk: Any, size: tuple[int, int]) -> None:
    pygame.font.init()
    description = desk.link.welcome.description
    view = Viewpoint.of(description.views[0])
    guide = GuideCard()
    card = Card(Step.DRIVE, 1, 10, ("Hold on and see.",), (("take over", False),))
    desk.shared.model = model = _model(desk)
    for seconds in range(3):
        surface = pygame.Surface(size, 0, 32)
        canvas = Canvas(surface, Stock(1.0))
        guide.draw(canvas, canvas.area, _at(model, seconds * 2 * 10**9), card, view, lowered=44 * seconds)


def test_it_moves_away_from_a_tool_at_the_upper_left(desk: Any) -> None:
    pygame.font.init()
    view = Viewpoint.of(desk.link.welcome.description.views[0])
    guide = GuideCard()
    card = Card(Step.DRIVE, 1, 10, ("Hold on and see.",), (("take over", False),))
    canvas = Canvas(pygame.Surface((871, 604), 0, 32), Stock(1.0))
    guide.draw(canvas, canvas.area, _model(desk), card, view)
    before = guide._placer.corner
    guide.draw(canvas, canvas.area, _model(desk, tool=(0.4, 0.35, 0.5)), card, view)
    assert before is Corner.UPPER_LEFT
    assert guide._placer.corner is not Corner.UPPER_LEFT


def _model(desk: Any, tool: tuple[float, float, float] = (0.4, 0.0, 0.2)) -> Any:
    row = np.zeros(26, np.float32)
    row[9:12], row[19:22] = tool, (0.5, 0.0, 0.02)
    return replace(desk.shared.model, row=row)


def _at(model: Any, now_ns: int) -> Any:
    return replace(model, now_ns=now_ns)
