"""The scripted newcomer of `guided_demo`: what they look at, decide and press, with the keyboard alone."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.desktop import Album, Keyboard
from hardware.scene import Scene
from hardware.transport import wait
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.messages import Phase, Stage
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Choice, Kind, Query, Segment
from sim.task import make_task

Array = NDArray[np.float64]

MOVING = ("w", "s", "a", "d", "q", "e")
TAKE_OVER, PRECISION, CLOSE, OPEN = "space", "Shift_L", "g", "f"
SUCCESS, FAILURE, DISCARD, GOOD, BAD = "Return", "BackSpace", "r", "Up", "Down"
SCREEN, TO_ARM = "Tab", "n"
CHOICES = {Choice.LEFT: "Left", Choice.RIGHT: "Right", Choice.EQUAL: "Up"}

WAITING = (Stage.PREPARING, Stage.EVALUATING)
DRIVEN = (Stage.READY, Stage.DEMONSTRATION, Stage.EPISODE)
LOOK_S = 0.02
DEAD_BAND_M, FINE_DEAD_BAND_M = 0.008, 0.004
NEAR_M = 0.03  # nearer than this the precision key is held
SURE_S = 0.6  # the goal must have held so long for somebody to say so
STALL_S, STALL_GAIN = 2.0, 0.03
WATCH_FIRST_S = 3.5  # only watching, before the first takeover
PRESS_STEP, PRESSES, PRESS_PAUSE_S = 0.08, 2, 2.0
PAIR_S, PAIRS_AT_ONCE = 2.0, 4
EQUAL_WITHIN = 0.015
_TAKEOVER = "4-takeover-"  # its pictures


class DemoError(RuntimeError):
    """The demo did not do what it should."""


@dataclass
class Story:
    """What happened, and when, in seconds since the start."""

    timeline: list[tuple[float, str]] = field(default_factory=list)
    takeover_ms: list[float] = field(default_factory=list)
    """From the call that presses the key until the watcher sees the operator drive."""
    counts: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[str, Choice]] = field(default_factory=list)
    evaluations: list[tuple[int, int, int]] = field(default_factory=list)
    overruns: int = 0
    began_s: float = field(default_factory=time.monotonic)

    def tell(self, words: str) -> None:
        passed_s = time.monotonic() - self.began_s
        self.timeline.append((round(passed_s, 1), words))
        print(f"{passed_s:6.1f}  {words}", file=sys.stderr, flush=True)


class Newcomer:
    """The scripted person. `run` returns when the report is written."""

    def __init__(
        self,
        link: OperatorLink,
        keys: Keyboard,
        album: Album,
        database: Path,
        deadline_s: float,
        story: Story,
    ) -> None:
        self._link, self._keys, self._album, self._database = link, keys, album, database
        self._deadline_s, self.story = deadline_s, story
        self._directions: dict[str, Array] = {}
        self._opinions: deque[tuple[float, float, bool]] = deque(maxlen=400)  # (when, how good, at the goal)
        self._watched_s = 0.0
        self._noted: tuple[Stage, str] = (Stage.READY, "")
        self._episode = -1
        self._alive: Callable[[], bool] = lambda: True

    def run(self, alive: Callable[[], bool]) -> None:
        """`alive` says whether the demo still runs."""
        self._alive = alive
        self._practise()
        while True:
            self._pass()
            moment, status = self._seen()
            match moment.stage:
                case Stage.READY | Stage.DEMONSTRATION:
                    self._demonstrate()
                case Stage.EPISODE:
                    self._supervise(moment.episode)
                case Stage.MARK:
                    self._mark(moment.episode)
                case Stage.PAUSED if status.pairs_waiting:
                    self._compare(status.pairs_waiting)
                case Stage.PREPARING:
                    self._album.take("3-preparing")
                case Stage.EVALUATING:
                    self._keys.hold(())
                    if moment.phase is Phase.POLICY or status.learner.startswith("eval"):
                        self._album.take("8-evaluating")
                case Stage.DONE if status.report:
                    self.story.tell(f"the report is written: {Path(status.report).name}")
                    self._linger(1.0)
                    self._album.take("9-report")
                    self.story.evaluations = [
                        (each.after, each.successes, each.episodes) for each in status.evaluations
                    ]
                    self.story.overruns = status.overruns
                    return
                case _:
                    pass

    # -- time ------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        """A fiftieth of a second, in which the wire is served."""
        until_ns = time.monotonic_ns() + round(LOOK_S * 1e9)
        while (now := time.monotonic_ns()) < until_ns:
            wait(self._link.endpoints, min(until_ns, now + 5_000_000))
            self._link.service()
        self._link.news.clear()
        if time.monotonic() > self._deadline_s:
            raise DemoError("the time is over")
        if not self._alive():
            raise DemoError("the demo has ended by itself")
        if self._link.moment is not None and self._link.status is not None:
            self._follow(self._link.moment, self._link.status)
            self._judge()

    def _follow(self, moment: m.Moment, status: m.Status) -> None:
        """Note what the operator waits for; another episode begins with another opinion."""
        now = (moment.stage, status.learner if moment.stage in WAITING else "")
        if now != self._noted and moment.stage in WAITING:
            self.story.tell(f"{moment.stage.value}: {status.learner}")
        self._noted = now
        if moment.episode != self._episode:
            self._episode = moment.episode
            self._opinions.clear()

    def _linger(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._pass()

    def _until(self, what: str, met: Callable[[], bool], seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while not met():
            if time.monotonic() > until_s:
                raise DemoError(f"{what}: it did not happen within {seconds:g} s, {self._where()}")
            self._pass()

    def _where(self) -> str:
        moment, _ = self._seen()
        return f"stage {moment.stage.value}, phase {moment.phase.value}: {moment.hold_reason or 'no reason'}"

    def _seen(self) -> tuple[m.Moment, m.Status]:
        moment, status = self._link.moment, self._link.status
        if moment is None or status is None:
            raise DemoError("the session was never heard")
        return moment, status

    def _scene(self) -> Scene:
        welcome = self._link.welcome
        assert welcome is not None
        return Scene.unpack(self._seen()[0].row(), welcome.objects)

    def _judge(self) -> None:
        scene, welcome = self._scene(), self._link.welcome
        assert welcome is not None
        task = make_task(welcome.task)
        self._opinions.append((time.monotonic(), float(task.utility(scene)), bool(task.success(scene))))

    def _rise(self, seconds: float) -> float | None:
        """By how much it got better within the last so many seconds; None when it was not watched so long."""
        now_s, now, _ = self._opinions[-1]
        before = [good for when, good, _ in self._opinions if when <= now_s - seconds]
        return now - before[-1] if before else None

    def _reached(self, seconds: float = SURE_S) -> bool:
        """Whether the goal has held for so long."""
        now_s = self._opinions[-1][0]
        if self._opinions[0][0] > now_s - seconds:
            return False
        return all(reached for when, _, reached in self._opinions if when > now_s - seconds)

    # -- driving ---------------------------------------------------------------------------------------

    def _held(self, key: str, seconds: float) -> None:
        self._keys.hold((key,))
        self._linger(seconds)
        self._keys.hold(())

    def _insist(self, key: str, seconds: float, met: Callable[[], bool]) -> None:
        """Hold a key for so long; whoever sees nothing happen within 3 s does it again."""
        for _ in range(3):
            self._held(key, seconds)
            until_s = time.monotonic() + 3.0
            while time.monotonic() < until_s:
                if met():
                    return
                self._pass()
            self.story.counts["presses that went unheard"] += 1
            self._album.take(f"unheard-{self.story.counts['presses that went unheard']}-{key}")
        raise DemoError(f"the key {key} is not heard, {self._where()}")

    def _take_over(self) -> bool:
        """Hold the key until the arm follows, pressing anew where that is not heard; False where it came
        too late, since nothing is to be driven any more."""
        for _ in range(5):
            if self._seen()[0].stage not in DRIVEN:
                self._keys.hold(())
                return False
            self._keys.hold(())
            self._linger(0.1)
            pressed_s = time.monotonic()
            self._keys.hold((TAKE_OVER,))
            while time.monotonic() < pressed_s + 0.6:
                self._pass()
                if self._seen()[0].phase is Phase.OPERATOR:
                    self.story.takeover_ms.append((time.monotonic() - pressed_s) * 1e3)
                    return True
            self.story.counts["takeover presses that went unheard"] += 1
        raise DemoError(f"takeover is not heard, {self._where()}")

    def _practise(self) -> None:
        """Which way does each key go? Then start over: the practice was recorded."""
        self._until("demonstrations begin", lambda: self._seen()[0].stage is Stage.READY, 20.0)
        self._linger(0.5)
        self._album.take("1-drive")
        self._take_over()
        for key in MOVING:
            self._directions[key] = self._way_of(key)
        if self._uses_gripper:
            for key in (CLOSE, OPEN):
                self._keys.hold((TAKE_OVER, key))
                self._linger(0.8)
        ways = ", ".join(f"{key} {_named(way)}" for key, way in self._directions.items())
        self.story.tell(f"driven by hand: {ways}")
        self._keys.hold(())
        self._linger(0.2)
        if self._seen()[0].stage is Stage.DEMONSTRATION:
            self._insist(DISCARD, 0.8, lambda: self._seen()[0].stage is Stage.READY)
            self.story.tell("the practice was a recording: started over")

    def _way_of(self, key: str) -> Array:
        """Where a key moves the tool: pressed, and pressed anew where the takeover was lost meanwhile."""
        for _ in range(5):
            if self._seen()[0].phase is not Phase.OPERATOR:
                self._take_over()
            self._keys.hold((TAKE_OVER, key))
            self._linger(0.35)
            velocity = np.array(self._seen()[0].commanded_m_s)
            self._album.take("1-driving")
            self._keys.hold((TAKE_OVER,))
            self._linger(0.15)
            speed = float(np.linalg.norm(velocity))
            if speed > 0.02:
                return np.asarray(velocity / speed)
            self.story.counts["keys that moved nothing"] += 1
        raise DemoError(f"the key {key!r} moves nothing, {self._where()}")

    @property
    def _uses_gripper(self) -> bool:
        return self._link.welcome is not None and self._link.welcome.uses_gripper

    def _steer(self) -> None:
        """Hold the keys that lead towards the scripted way's next point."""
        welcome, scene = self._link.welcome, self._scene()
        assert welcome is not None
        waypoint = make_task(welcome.task).expert(scene)
        error = waypoint.pos_m - scene.tool_pos_m
        ahead = {key: float(error @ way) for key, way in self._directions.items()}
        fine = waypoint.precise and max(ahead.values()) < NEAR_M
        band_m = FINE_DEAD_BAND_M if fine else DEAD_BAND_M
        keys = {TAKE_OVER} | {key for key, way_m in ahead.items() if way_m > band_m}
        if fine:
            keys.add(PRECISION)
        if self._uses_gripper:
            closes, closed = waypoint.gripper < 0.5, float(scene.gripper_target) < 0.5
            if closes != closed:
                keys.add(CLOSE if closes else OPEN)
        self._keys.hold(keys)

    def _demonstrate(self) -> None:
        number = self._seen()[1].demonstrations + 1
        self._album.take("2-ready")
        self._take_over()
        self._until("recording", lambda: self._seen()[0].stage is Stage.DEMONSTRATION, 2.0)
        began_s = time.monotonic()
        while not self._reached() and self._seen()[0].stage is Stage.DEMONSTRATION:
            if self._seen()[0].phase is not Phase.OPERATOR:  # the hands were lost
                self.story.counts["takeovers that were lost"] += 1
                self._take_over()
            self._steer()
            self._pass()
            if time.monotonic() > began_s + 1.0:
                self._album.take("2-recording")
        took_s = time.monotonic() - began_s
        reached = self._reached()
        self._keys.hold((TAKE_OVER,))
        stored = lambda: self._seen()[1].demonstrations >= number  # noqa: E731
        if reached:
            self._insist(SUCCESS, 0.45, stored)
        self._until("the demonstration is stored", stored, 5.0)
        self._album.take("2-marked")
        self.story.tell(f"demonstration {number}: {took_s:.1f} s, {'done' if reached else 'not done'}")

    # -- the policy's episodes -------------------------------------------------------------------------

    def _supervise(self, episode: int) -> None:
        """One episode of the policy."""
        self._keys.hold(())
        patient_from_s = pressed_s = time.monotonic()
        said, presses, took = False, 0, 0
        while True:
            self._pass()
            moment, now_s = self._seen()[0], time.monotonic()
            if moment.stage is not Stage.EPISODE or moment.episode != episode:
                break
            if moment.phase is not Phase.POLICY:
                continue
            self._watched_s += LOOK_S
            if self._watched_s > 1.5:
                self._album.take("3-watching")
            if self._reached():
                said = said or self._mark(episode)
                continue
            slow, change = self._rise(STALL_S), self._rise(1.0)
            stalls = slow is not None and slow < STALL_GAIN and now_s - patient_from_s > STALL_S
            good = change is not None and change > PRESS_STEP
            if (good or (stalls and not presses)) and presses < PRESSES and now_s - pressed_s > PRESS_PAUSE_S:
                self._press(good)
                presses, pressed_s = presses + 1, now_s
            elif stalls and self._watched_s > WATCH_FIRST_S:
                self._correct()
                took, patient_from_s = took + 1, time.monotonic()
        self._keys.hold(())
        self.story.tell(f"episode {episode}: {_counted(took, 'takeover')}, {_counted(presses, 'press')}")
        self.story.counts["episodes"] += 1

    def _press(self, good: bool) -> None:
        self._keys.tap(GOOD if good else BAD)
        self.story.counts["good" if good else "bad"] += 1
        self._linger(0.1)
        self._album.take("5-press")

    def _correct(self) -> None:
        """Take over, put it right, let go."""
        welcome = self._link.welcome
        assert welcome is not None
        task = make_task(welcome.task)
        stage = task.expert(self._scene()).stage
        shown = not self._album.has(f"{_TAKEOVER}5-policy")  # all five of one takeover
        if shown:
            self._album.forget(_TAKEOVER)

        def shoot(name: str, drawn_s: float = 0.0) -> None:
            if shown:
                self._linger(drawn_s)
                self._album.take(f"{_TAKEOVER}{name}")

        shoot("1-before")
        if not self._take_over():
            return
        shoot("2-press", 0.1)
        began_s = time.monotonic()
        while self._seen()[0].phase is Phase.OPERATOR:
            self._steer()
            self._pass()
            driven_s = time.monotonic() - began_s
            if driven_s > 0.5:
                shoot("3-driving")
            if driven_s > 1.0 and (self._reached(0.3) or task.expert(self._scene()).stage > stage):
                break
        in_time = self._seen()[0].phase is Phase.OPERATOR  # else the episode's time was over
        self._keys.hold(())
        self.story.counts["takeovers"] += 1
        if not in_time:
            return
        self._until("let go", lambda: self._seen()[0].phase is not Phase.OPERATOR, 1.0)
        shoot("4-hold", 0.08)
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s and self._seen()[0].stage is Stage.EPISODE:
            if self._seen()[0].phase is Phase.POLICY:
                shoot("5-policy", 0.2)
                return
            self._pass()

    def _mark(self, episode: int) -> bool:
        """Success or failure, as it looks now; whether it was heard."""
        before = len(self._seen()[1].marks)
        success = self._reached(0.5)
        if self._seen()[0].stage is Stage.MARK:
            self._linger(0.3)
            self._album.take("6-mark")
        self._held(SUCCESS if success else FAILURE, 0.45)
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            self._pass()
            moment, status = self._seen()
            if len(status.marks) > before or moment.stage is Stage.PAUSED or moment.episode != episode:
                break
            if moment.stage is Stage.EPISODE:
                break  # it counts once the episode is stored
        self.story.counts["success" if success else "failure"] += 1
        return True

    # -- pairs -----------------------------------------------------------------------------------------

    def _compare(self, waiting: int) -> None:
        """Go to the pairs, answer some, come back."""
        self._keys.hold(())
        self._keys.tap(SCREEN)
        self._linger(1.0)
        for _ in range(min(waiting, PAIRS_AT_ONCE)):
            with Store.open_readonly(self._database) as store:
                queries = store.queries(answered=False)
            if not queries:
                break
            self._answer(queries[0])
        self._keys.tap(SCREEN)
        self._linger(0.3)
        self._album.take("7-review")
        self._keys.tap(TO_ARM)
        self._until("back at the arm", lambda: self._seen()[0].stage is not Stage.PAUSED, 15.0)
        self.story.tell(f"{len(self.story.answers)} pairs are compared")

    def _answer(self, query: Query) -> None:
        self._linger(PAIR_S)
        self._album.take("7-compare")
        left, right = self._opinion(query.left), self._opinion(query.right)
        choice = Choice.LEFT if left > right else Choice.RIGHT
        if abs(left - right) < EQUAL_WITHIN:
            choice = Choice.EQUAL
        before = self._pairs_answered()
        self._insist(CHOICES[choice], 0.05, lambda: self._pairs_answered() > before)
        self.story.answers.append((query.id, choice))
        self._album.take("7-answered")

    def _pairs_answered(self) -> int:
        return self._seen()[1].counts.get(Kind.PREFERENCES.value, 0)

    def _opinion(self, segment: Segment) -> float:
        """How good a clip looks."""
        welcome = self._link.welcome
        assert welcome is not None
        with Store.open_readonly(self._database) as store:
            rows = store.episode(segment.episode).scenes[segment.start : segment.start + segment.length + 1]
        task = make_task(welcome.task)
        return float(np.mean(task.utility(Scene.unpack(rows[1:], welcome.objects))))


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 'es' if what.endswith('s') else 's'}"


def _named(way: Array) -> str:
    """A direction of the robot's base frame in a few letters."""
    parts = [
        f"{'+' if part > 0 else '-'}{axis}" for axis, part in zip("xyz", way, strict=True) if abs(part) > 0.3
    ]
    return "".join(parts)
