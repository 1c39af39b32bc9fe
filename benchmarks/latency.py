"""From a thumb to the arm: takeover pressed to command in force, STOP pressed to zero velocity.

    python -m benchmarks.latency --json latency.json [--presses 2000] [--load {learner,none}]

The thumb is SDL's virtual joystick in a real console that draws 30 pictures a second (under a display where
there is one, otherwise under SDL's dummy driver), the wire is ZeroMQ on loopback, the arm is the live
session's in another process. The time of arrival is taken by a recorder around PyBullet's own motor call in
that process, of which the session knows nothing: the moment at which the joint motors get the targets of the
operator's command, or of zero velocity. With `--load learner` the session's own learner, a third process,
trains without a pause. All clocks are the machine's monotonic clock.

With `--through-host` the arm is the simulated one behind a `robot-host`, with the recorder in that process.

    python benchmarks/latency.py --served --json served.json

measures the wire to a served arm instead: see host_latency.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[1]

FIELD_TICK_MS = 100.0
"""What others do: a takeover is sampled at the 10 Hz policy tick, after inference."""
STOP_EVERY = 6
LATEST_S = 0.5
"""A press that has not arrived after this long counts as missed."""


def percentiles(values_ms: Sequence[float]) -> dict[str, float | int]:
    """p50, p99 and max in ms, and how many there were."""
    array = np.asarray(values_ms)
    return {
        "p50_ms": round(float(np.percentile(array, 50)), 3),
        "p99_ms": round(float(np.percentile(array, 99)), 3),
        "max_ms": round(float(array.max()), 3),
        "count": len(array),
    }


# -- the arm's side, a process of its own -----------------------------------------------------------------


class MotorRecorder:
    """Writes down when the joint motors first get an operator's command, and when they first get none."""

    def __init__(self, arm: Any) -> None:
        self.operator_ns: list[int] = []
        self.moving_ns: list[int] = []
        self.still_ns: list[int] = []
        self._arm, self._before = arm, ("", False)
        self._set = arm._client.setJointMotorControlArray
        arm._client.setJointMotorControlArray = self._recorded

    @property
    def seen(self) -> dict[str, list[int]]:
        """All that was written down, by the machine's monotonic clock."""
        return {
            "operator_ns": self.operator_ns,
            "moving_ns": self.moving_ns,
            "still_ns": self.still_ns,
        }

    def _recorded(self, *arguments: Any, **named: Any) -> Any:
        result = self._set(*arguments, **named)
        applied = self._arm._applied  # None at a new start: no command is in force
        now = ("", False) if applied is None else _in_force(applied.command)
        if now != self._before:
            at = time.monotonic_ns()
            begins = now[0] == "operator" and (self._before[0] != "operator" or now[1])
            if begins and not (self._before[0] == "operator" and self._before[1]):
                self.operator_ns.append(at)
            if now[1] != self._before[1]:
                (self.moving_ns if now[1] else self.still_ns).append(at)
            self._before = now
        return result


def _in_force(command: Any) -> tuple[str, bool]:
    """Whose command it is, and whether it moves anything."""
    return command.source.value, bool(command.twist.any())


def recorded_arm(out: str) -> Any:
    """The driver of `--through-host`: writes what its recorder saw to `out` when it is closed."""
    from sim.driver import make

    arm = make("pick_cube")
    recorder, close = MotorRecorder(arm._cell.robot), arm.close

    def closed() -> None:
        close()
        Path(out).write_text(json.dumps(recorder.seen))

    arm.close = closed  # type: ignore[method-assign]
    return arm


@contextlib.contextmanager
def served_arm(out: Path) -> Iterator[str]:
    """The address of a host with that driver."""
    words = ["--driver", "benchmarks.latency:recorded_arm", "--option", f"out={out}"]
    words += ["--bind", "tcp://127.0.0.1:*"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware.host", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2]
    finally:
        process.terminate()
        process.wait()


def host(load: bool, through: bool) -> None:
    """A live session whose policy drives without end, until something stands on standard input."""
    from robot_rlhf.commands.live import Wire, live_session
    from robot_rlhf.session.presets import live_preset
    from robot_rlhf.session.run_folder import RunFolder

    plain = live_preset("pick_cube")
    # On the task's own reward there is something to learn from the first episode on, and with so many
    # updates a step owed the learner never rests.
    config = replace(
        plain,
        reward="task",
        feedback="takeovers",
        schedule=replace(
            plain.schedule,
            demonstrations=0,
            episodes=10**6,
            warmup_episodes=0 if load else 10**6,  # without load it never begins to learn
            evaluate_every=0,
        ),
        sac=replace(plain.sac, updates_per_step=100_000 if load else 1),
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path, out = Path(folder) / "run", Path(folder) / "seen.json"
        if through:
            config = replace(config, robot=stack.enter_context(served_arm(out)))
        RunFolder.create(path, config).close()
        command = [sys.executable, "-m", "robot_rlhf.commands.live_learner", str(path)]
        with live_session(path, config, Wire("tcp://127.0.0.1:0", None, False), command) as session:
            recorder = None if through else MotorRecorder(session.env.robot)
            print(session.stream.address, flush=True)
            over = threading.Event()

            def wait_for_the_end() -> None:
                sys.stdin.readline()
                over.set()

            threading.Thread(target=wait_for_the_end, daemon=True).start()
            while not over.is_set():
                session.step()
            found = {
                "tick_lateness_ms": list(session.pace.lateness_ms),
                "overruns": session.pace.overruns,
                "updates": 0 if session.learner is None else session.learner.updates,
            }
        stack.close()
        seen = json.loads(out.read_text()) if recorder is None else recorder.seen
        print(json.dumps(found | seen), flush=True)


@contextlib.contextmanager
def running_host(load: bool, through: bool) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "benchmarks.latency", "--host", "--load", "learner" if load else "none"]
    words += ["--through-host"] if through else []
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# -- the operator's side -----------------------------------------------------------------------------------


def press_again_and_again(pad: Any, link: Any, presses: int, over: threading.Event) -> list[dict[str, int]]:
    """The thumb: takes over with the stick pushed, lets go, and now and then presses STOP meanwhile."""
    from robot_rlhf.feedback.messages import Phase, Stage

    chance = random.Random(0)
    thumbs: list[dict[str, int]] = []
    while len(thumbs) < presses and not over.is_set():
        pad.axis("leftx", 0.0)  # after a stop the console wants to see the sticks at rest
        time.sleep(chance.uniform(0.04, 0.09) if chance.random() < 0.9 else chance.uniform(0.35, 0.45))
        moment = link.moment
        if moment is None or moment.stage is not Stage.EPISODE or moment.phase is Phase.STOPPED:
            pad.press("rightshoulder")  # after a stop this arms the arm again
            time.sleep(0.06)
            pad.release("rightshoulder")
            time.sleep(0.06)
            continue
        pad.axis("leftx", chance.choice((-0.8, 0.8)))
        time.sleep(0.02)
        thumb = {"take_ns": time.monotonic_ns(), "stop_ns": 0}
        pad.press("rightshoulder")
        time.sleep(chance.uniform(0.04, 0.07))
        if len(thumbs) % STOP_EVERY == 0:
            thumb["stop_ns"] = time.monotonic_ns()
            pad.press("start")
            time.sleep(0.03)
            pad.release("start")
        pad.release("rightshoulder")
        thumbs.append(thumb)
    over.set()
    return thumbs


def operate(address: str, presses: int, at_once: bool) -> tuple[list[dict[str, int]], dict[str, float]]:
    """A console in this process, its main loop here, the thumb in a thread; `at_once` where the arm waits
    for it to be armed."""
    import pygame

    from robot_rlhf.console.app import ConsoleApp, WindowOptions
    from robot_rlhf.console.input.virtual_pad import VirtualPad
    from robot_rlhf.feedback.link import OperatorLink
    from robot_rlhf.feedback.messages import Phase, Stage, Wish

    link = OperatorLink(address, "thumb")
    app = ConsoleApp(link, WindowOptions(sound=False))
    over = threading.Event()
    thumbs: list[dict[str, int]] = []
    with VirtualPad() as pad:
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSGAINED))
        thread = threading.Thread(
            target=lambda: thumbs.extend(press_again_and_again(pad, link, presses, over))
        )
        began, frames, cleared = 0.0, 0, 0.0
        while not over.is_set():
            app.step()
            moment = link.moment
            begins = moment is not None and (at_once or moment.stage is Stage.EPISODE)
            if begins and not thread.is_alive() and not began:
                thread.start()
                began, frames = time.monotonic(), app.frames
            if moment is not None and moment.phase is Phase.STOPPED and time.monotonic() - cleared > 0.3:
                cleared = time.monotonic()
                link.wish(Wish.CLEAR)
            app.wait()
        thread.join()
        seconds = time.monotonic() - began
        facts = {
            "seconds": round(seconds, 1),
            "pictures_per_second": round((app.frames - frames) / seconds, 1),
            "console_passes_skipped": app.passes_skipped,
        }
    app.close()
    return thumbs, facts


def matched(thumbs: Sequence[int], arrivals: Sequence[int]) -> tuple[list[float], int]:
    """Each press with the first arrival after it, in ms, and how many had none in time."""
    found: list[float] = []
    missed = 0
    at = np.asarray(arrivals, dtype=np.int64)
    for thumb in thumbs:
        index = int(np.searchsorted(at, thumb))
        if index < len(at) and at[index] - thumb < LATEST_S * 1e9:
            found.append((int(at[index]) - thumb) / 1e6)
        else:
            missed += 1
    return found, missed


def moves_at(time_ns: int, seen: dict[str, Any]) -> bool:
    """Whether the arm had a velocity to lose when STOP was pressed; false for 0, no press."""
    moving, still = (max((t for t in seen[n] if t < time_ns), default=0) for n in ("moving_ns", "still_ns"))
    return moving > still


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--presses", type=int, default=2000)
    parser.add_argument("--load", choices=("learner", "none"), default="learner")
    parser.add_argument("--through-host", action="store_true", help="the arm is behind a robot-host")
    parser.add_argument("--served", action="store_true", help="the wire to a served arm instead")
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.host:
        host(asked.load == "learner", asked.through_host)
        return
    if asked.served:
        words = ["--json", str(asked.json)] if asked.json is not None else []
        script = Path(__file__).with_name("host_latency.py")
        sys.exit(subprocess.call([sys.executable, str(script), *words]))
    os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    with running_host(asked.load == "learner", asked.through_host) as process:
        assert process.stdin is not None and process.stdout is not None
        address = process.stdout.readline().strip()
        thumbs, facts = operate(address, asked.presses, asked.through_host)
        process.stdin.write("\n")
        process.stdin.flush()
        seen: dict[str, Any] = msgspec.json.decode(process.stdout.readline())
    takeover, missed = matched([thumb["take_ns"] for thumb in thumbs], seen["operator_ns"])
    stops = [thumb["stop_ns"] for thumb in thumbs if moves_at(thumb["stop_ns"], seen)]
    stop, unstopped = matched(stops, seen["still_ns"])
    result = {
        "takeover": percentiles(takeover),
        "stop": percentiles(stop),
        "tick_jitter": percentiles(seen["tick_lateness_ms"]),
        "missed": {"takeover": missed, "stop": unstopped},
        "field_tick_ms": FIELD_TICK_MS,
        "overruns": seen["overruns"],
        "updates_per_second": round(seen["updates"] / facts["seconds"], 1),
        **facts,
        "load": asked.load,
        "through_host": asked.through_host,
        "machine": {
            "cpus": os.cpu_count(),
            "processor": platform.machine(),
            "python": sys.version.split()[0],
        },
    }
    print(f"{'':14}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'count':>8}")
    for name in ("takeover", "stop", "tick_jitter"):
        row = result[name]
        assert isinstance(row, dict)
        figures = "".join(f"{row[key]:9.2f}" for key in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{name:14}{figures}{row['count']:8}")
    print({key: value for key, value in result.items() if key not in ("takeover", "stop", "tick_jitter")})
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
