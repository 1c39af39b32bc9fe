"""What the Drive screen can look at: the drawn scene from its views, and the cameras beside the arm."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.appearance import View
from robot_rlhf.console.screens.model import Model


@dataclass(frozen=True)
class Sights:
    """What is shown large and what small: a view of the scene, or a camera's name."""

    main: View | str
    inset: View | str

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those that are looked at."""
        return tuple(each for each in (self.main, self.inset) if isinstance(each, str))


def count(model: Model) -> int:
    """How many there are to go round; at least 1."""
    views = 0 if model.welcome is None else len(model.welcome.description.views)
    return max(1, views + len(model.cameras))


def sights(model: Model, chosen: int) -> Sights | None:
    """The `chosen`-th of views and then cameras is the main one. Beside it is a camera where there is
    another, the view from the hand otherwise. None before the session has answered."""
    if model.welcome is None:
        return None
    views = model.welcome.description.views
    everything: tuple[View | str, ...] = (*views, *model.cameras)
    main = everything[chosen % len(everything)]
    beside: list[View | str] = [*model.cameras, *(view for view in views if view.follows_tool), *views]
    return Sights(main, next((each for each in beside if each != main), main))
