"""What stands over every screen when the session cannot be heard."""

from __future__ import annotations

from typing import Any

import pygame
import pytest

from robot_rlhf.console.drawing import parts
from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.drawing.stamps import Stock
from robot_rlhf.console.screens.chrome import draw_window
from robot_rlhf.console.screens.drive.screen import DriveScreen

Desk = Any
REFUSED = "the server at tcp://there:7000 refused this key: unknown there, or revoked"


@pytest.fixture
def told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draws the window after half a second and returns the titles and words of its cards."""
    pygame.font.init()
    cards: list[tuple[str, str]] = []
    draw = parts.card

    def card(canvas: Canvas, area: pygame.Rect, icon: str, title: str, words: str, colour: Any) -> None:
        cards.append((title, words))
        draw(canvas, area, icon, title, words, colour)

    monkeypatch.setattr(parts, "card", card)
    screen = DriveScreen(desk.shared)
    desk.wait(screen, 0.5)

    def look() -> list[tuple[str, str]]:
        cards.clear()
        desk.wait(screen, 0.5)
        draw_window(Canvas(pygame.Surface((960, 600), 0, 32), Stock(1.0)), desk.shared, screen)
        return list(cards)

    return look


def test_a_session_that_is_heard_needs_no_words(told: Any) -> None:
    assert told() == []


def test_one_that_fell_silent_is_named_with_its_age(told: Any, desk: Desk) -> None:
    desk.link.connected, desk.link.state_age_s = False, 4.2
    assert [title for title, _ in told()] == ["The session has been silent for 4 s"]


def test_a_key_that_is_refused_is_said_instead_of_silence(told: Any, desk: Desk) -> None:
    desk.link.connected, desk.link.state_age_s, desk.link.unsaved = False, 4.2, 2
    desk.link.rejection = REFUSED
    ((title, words),) = told()
    assert title == "This console is not let in"
    assert words.startswith("The server at tcp://there:7000 refused this key: unknown there, or revoked.")
    assert "2 answers are kept here" in words


def test_a_key_that_is_refused_is_said_instead_of_searching(told: Any, desk: Desk) -> None:
    desk.link.silence()
    desk.link.rejection = REFUSED
    assert [title for title, _ in told()] == ["This console is not let in"]


def test_before_anybody_answers_the_address_is_told(told: Any, desk: Desk) -> None:
    desk.link.silence()
    assert [title for title, _ in told()] == ["Looking for the session at tcp://127.0.0.1:1 ..."]
