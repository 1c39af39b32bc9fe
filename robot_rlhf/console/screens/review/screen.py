"""The Review screen: the run's episodes, looked at again, marked, removed and brought back.

What it looks like is `view.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from robot_rlhf.console.drawing.canvas import Canvas
from robot_rlhf.console.input.actions import Action, Context
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.scene.orbit import Orbit
from robot_rlhf.console.screens.clips import Playhead, Reel
from robot_rlhf.console.screens.model import Model, Shared
from robot_rlhf.console.screens.review.view import Review, ReviewState, draw_review
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Episode, EpisodeLine

SETTLE_NS = 150_000_000
"""A selection that stands for so long is asked for; what is scrolled past is not."""
REPEAT_AFTER_NS, REPEAT_NS = 400_000_000, 70_000_000
"""A direction that is held goes on by itself."""
SCRUB_S_S = 4.0
"""Seconds of the episode a second, at a full stick."""
_REFRESH_NS = 3_000_000_000
_LONGEST_S = 0.1
_STEPS = {Action.PREVIOUS_EPISODE: -1, Action.NEXT_EPISODE: 1}


@dataclass(frozen=True)
class _Said:
    """What was said of an episode and does not show in the list yet: until then nothing more is said."""

    ids: tuple[str, ...]
    saved_ns: int | None = None
    before: tuple[EpisodeLine, ...] = ()


class ReviewScreen:
    """A list of the stored episodes in the order of their ids, and the selected one playing."""

    context = Context.REVIEW
    captures = False

    def __init__(self, shared: Shared, orbit: Orbit | None = None) -> None:
        self._shared = shared
        self._orbit = orbit or Orbit()
        self._selected: int | None = None
        self._selected_ns = 0
        self._newest = True
        """Whether the newest episode was selected, and so the next one is when it comes."""
        self._review: Review | None = None
        self._speed = 1.0
        self._said: dict[int, _Said] = {}
        self._counted: tuple[int, int] | None = None
        self._asked_ns = 0
        self._last_ns = 0
        self._repeat_ns: int | None = None
        self._state: ReviewState | None = None

    def enter(self, link: OperatorLink, now_ns: int) -> None:
        self._refresh(link, now_ns)
        self._last_ns = now_ns
        if self._review is not None:
            self._review = self._review.begun(now_ns, self._speed)

    def update(self, commands: Commands, link: OperatorLink, now_ns: int) -> None:
        model, lines = self._shared.model, link.episode_lines
        self._hear(link, now_ns)
        self._select(self._wanted(commands, model, now_ns), lines, now_ns)
        self._load(link, model.hz, now_ns)
        line = next((each for each in lines if each.episode == self._selected), None)
        if line is not None and line.episode not in self._said and not link.watches:
            for action in commands.fired:
                if ids := _say(action, line, link):
                    self._said[line.episode] = _Said(ids)
                    break
        self._play(commands, now_ns)
        self._last_ns = now_ns
        view = None
        if model.welcome is not None:
            view = self._orbit.update(model.welcome.description, commands.orbit, model.snapshot.focus, now_ns)
        self._state = ReviewState(
            model=model,
            now_ns=now_ns,
            lines=lines,
            line=line,
            review=self._review,
            view=view,
            saying=frozenset(self._said),
            holding=commands.holding,
            watches=link.watches,
        )

    def draw(self, canvas: Canvas) -> None:
        if (state := self._state) is not None:
            draw_review(canvas, state, self._shared.picture)

    # -- the list --------------------------------------------------------------------------------------

    def _refresh(self, link: OperatorLink, now_ns: int) -> None:
        self._asked_ns = now_ns
        link.refresh_episodes()

    def _hear(self, link: OperatorLink, now_ns: int) -> None:
        """What was said is over once it is saved and a newer list is here; new episodes ask for one too."""
        fates, status = self._shared.fates, self._shared.model.status
        for episode, said in list(self._said.items()):
            if said.saved_ns is None:
                if all(id in fates for id in said.ids):
                    self._said[episode] = replace(said, saved_ns=now_ns, before=link.episode_lines)
                    self._refresh(link, now_ns)
            elif link.episode_lines is not said.before or now_ns - said.saved_ns > _REFRESH_NS:
                del self._said[episode]
        counted = (status.demonstrations, status.episodes) if status is not None else None
        if counted != self._counted or (not link.episode_lines and now_ns - self._asked_ns > _REFRESH_NS):
            self._counted = counted
            self._refresh(link, now_ns)

    def _wanted(self, commands: Commands, model: Model, now_ns: int) -> int:
        """How many lines down the hands want to go, a held direction repeating itself."""
        steps = sum(_STEPS.get(action, 0) for action in commands.fired)
        held = [step for action, step in _STEPS.items() if _is_held(action, model)]
        if steps or len(held) != 1:
            self._repeat_ns = now_ns + REPEAT_AFTER_NS if steps else None
        elif self._repeat_ns is not None and now_ns >= self._repeat_ns:
            self._repeat_ns = now_ns + REPEAT_NS
            return held[0]
        return steps

    def _select(self, steps: int, lines: tuple[EpisodeLine, ...], now_ns: int) -> None:
        ids = [line.episode for line in lines]
        if not ids:
            self._selected = None
            return
        if self._selected not in ids or (self._newest and not steps):
            selected = ids[-1]
        else:
            selected = ids[min(max(ids.index(self._selected) + steps, 0), len(ids) - 1)]
        self._newest = selected == ids[-1]
        if selected != self._selected:
            self._selected, self._selected_ns, self._review = selected, now_ns, None

    # -- the episode -----------------------------------------------------------------------------------

    def _load(self, link: OperatorLink, hz: float, now_ns: int) -> None:
        """The selected episode, asked for once the selection stands still."""
        settled = now_ns - self._selected_ns >= SETTLE_NS
        if self._selected is None or self._review is not None or not settled:
            return
        if (stored := link.episode(self._selected)) is not None:
            self._review = _reviewed(stored, hz, now_ns, self._speed)

    def _play(self, commands: Commands, now_ns: int) -> None:
        if self._review is None:
            return
        head = self._review.head
        if commands.scrub:
            passed_s = min(max(now_ns - self._last_ns, 0) / 1e9, _LONGEST_S)
            head = head.moved(now_ns, head.at(self._last_ns) + commands.scrub * SCRUB_S_S * passed_s)
        for action in commands.fired:
            if action is Action.PLAY:
                head = head.toggled(now_ns)
            elif action in (Action.SLOWER, Action.FASTER):
                head = head.paced(now_ns, 1 if action is Action.FASTER else -1)
        self._speed = head.speed
        self._review = replace(self._review, head=head)


def _reviewed(stored: Episode, hz: float, now_ns: int, speed: float) -> Review:
    reel = Reel.of(stored.clip, hz)
    head = Playhead(reel.duration_s, now_ns, speed=speed)
    return Review(stored.clip.segment.episode, reel, stored.reward, head)


def _say(action: Action, line: EpisodeLine, link: OperatorLink) -> tuple[str, ...]:
    """Say of an episode what the action means, unless that is said already; the ids of what was said."""
    if action in (Action.SUCCESS, Action.FAILURE) and not line.removed:
        success = action is Action.SUCCESS
        if line.mark is success:
            return ()
        before = (link.undo(line.mark_id),) if line.mark is not None and line.mark_id else ()
        return (*before, link.mark(line.episode, success))
    if action is Action.DELETE and not line.removed:
        return (link.remove(line.episode),)
    if action is Action.UNDO and line.removed and line.removed_id:
        return (link.undo(line.removed_id),)
    if action is Action.UNDO and not line.removed and line.mark is not None and line.mark_id:
        return (link.undo(line.mark_id),)
    return ()


def _is_held(action: Action, model: Model) -> bool:
    snapshot = model.snapshot
    pad = snapshot.pad.buttons if snapshot.pad is not None else frozenset()
    bound = model.bindings
    return not (snapshot.keys.isdisjoint(bound.keys[action]) and pad.isdisjoint(bound.pad[action]))
