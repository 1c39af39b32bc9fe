"""A scripted newcomer goes through the guided demo at its real window, with the keyboard alone.

The window opens on a screen of its own (Xvfb); keys are pressed through xdotool. What a person would see in
the picture, the script sees as a second console that only watches; which pair is on the screen, and what it
shows, it looks up in the run's store. It drives, records the demonstrations, lets the policy try, takes over
when it stalls, says good and bad, marks, compares, and closes the window when the report is written.

    python -m benchmarks.guided_demo --task reach --out runs/guided --pictures shots --json guided.json
    python -m benchmarks.guided_demo --task reach --out runs/short -- --schedule.episodes 6
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console as Terminal
from rich.table import Table

from benchmarks.desktop import Album, Desktop, Keyboard, lacking
from benchmarks.newcomer import DemoError, Newcomer, Story
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Kind, Preference
from robot_rlhf.report.summary import read_summary
from robot_rlhf.session.run_folder import DATABASE


@dataclass(frozen=True)
class Result:
    """How it ended. Rates are of the run's own summary; `as_meant` counts the answers to pairs that stand
    in the store for the pair and the side that the script meant."""

    task: str
    wall_s: float
    exit_code: int
    success_rate: float
    wilson: tuple[float, float]
    evaluated_starts: int
    feedback: dict[str, int]
    as_meant: int
    takeover_ms_median: float | None
    operator_s: float
    counts: dict[str, int]
    evaluations: list[tuple[int, int, int]]
    overruns: int
    key_presses: int
    timeline: list[tuple[float, str]]


def _free_ports(count: int = 4) -> int:
    """The first of so many free ports in a row."""
    for base in range(20_000 + os.getpid() % 8_000 * 4, 60_000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    one = stack.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise DemoError("no ports are free")


@contextlib.contextmanager
def _started(desktop: Desktop, words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The demo's process, its words in a file; ended at the end, whatever happens."""
    with tempfile.TemporaryDirectory() as settings, log.open("wb") as file:
        env = {**desktop.env, "XDG_CONFIG_HOME": settings}
        process = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.cli", *words], env=env, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def play(task: str, out: Path, pictures: Path | None, minutes: float, more: Sequence[str] = ()) -> Result:
    """The whole demo, from its start to its report. Raises DemoError where it does not do what it should."""
    if lacking():
        raise DemoError(f"not installed: {', '.join(lacking())}")
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.parent / f"{out.name}.log"
    address = f"tcp://127.0.0.1:{_free_ports()}"
    story = Story()
    with contextlib.ExitStack() as stack:
        desktop = Desktop()
        stack.callback(desktop.close)
        words = ["demo", "--task", task, "--out", str(out), "--bind", address, *more]
        process = stack.enter_context(_started(desktop, words, log))
        link = OperatorLink(address, "script", watches=True)
        stack.callback(link.close)
        window = _window(desktop, link, process, log)
        story.tell("the window is open")
        album, keys = Album(desktop, pictures), Keyboard(desktop)
        stack.callback(album.develop)
        deadline_s = time.monotonic() + minutes * 60
        person = Newcomer(link, keys, album, out / DATABASE, deadline_s, story)
        try:
            person.run(lambda: process.poll() is None)
        except DemoError as error:
            album.take("failed")
            raise DemoError(f"{error} (the demo's own words: {log})") from error
        finally:
            keys.hold(())
        link.close()
        desktop.ask_to_close(window)
        try:
            code = process.wait(20.0)
        except subprocess.TimeoutExpired as error:
            raise DemoError("the window was closed, and the demo went on") from error
        story.tell(f"the window is closed; exit code {code}")
    return _checked(task, out, story, code, keys.presses)


def _window(desktop: Desktop, link: OperatorLink, process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the window and for the session, and go to the window."""
    until_s = time.monotonic() + 60.0
    window: int | None = None
    while window is None or link.welcome is None or len(link.status.consoles if link.status else ()) < 2:
        link.service()
        if process.poll() is not None or time.monotonic() > until_s:
            raise DemoError(f"the demo does not open its window; its own words: {log}")
        window = window or desktop.window("robot-rlhf")
        time.sleep(0.05)
    desktop.focus(window)
    return window


def _checked(task: str, out: Path, story: Story, code: int, presses: int) -> Result:
    """What the run's folder holds, and whether that is all of it."""
    summary = read_summary(out)
    if code != 0 or summary is None or not (out / "report.html").exists():
        raise DemoError(f"exit code {code}, summary {summary is not None}, report.html in {out}?")
    with Store.open_readonly(out / DATABASE) as store:
        given = {kind.value: count for kind, count in store.counts().items()}
        stored = [each for each in store.feedback({Kind.PREFERENCES}) if isinstance(each, Preference)]
    lacks = [kind.value for kind in Kind if not given.get(kind.value)]
    if lacks:
        raise DemoError(f"no feedback of these kinds was stored: {', '.join(lacks)}")
    answers = {answer.query: answer.choice for answer in stored}
    return Result(
        task=task,
        wall_s=round(time.monotonic() - story.began_s, 1),
        exit_code=code,
        success_rate=summary.success_rate,
        wilson=(summary.wilson_low, summary.wilson_high),
        evaluated_starts=summary.episodes,
        feedback=given,
        as_meant=sum(answers.get(query) is choice for query, choice in story.answers),
        takeover_ms_median=statistics.median(story.takeover_ms) if story.takeover_ms else None,
        operator_s=summary.operator_seconds,
        counts=dict(story.counts),
        evaluations=story.evaluations,
        overruns=story.overruns,
        key_presses=presses,
        timeline=story.timeline,
    )


def show(result: Result) -> None:
    """The table of what happened."""
    table = Table("at, s", "what", title=f"the guided demo of {result.task}, by keyboard")
    for when_s, words in result.timeline:
        table.add_row(f"{when_s:.1f}", words)
    terminal = Terminal()
    terminal.print(table)
    low, high = result.wilson
    terminal.print(
        f"success {result.success_rate:.0%} of {result.evaluated_starts} starts ({low:.0%} to {high:.0%})\n"
        f"feedback {', '.join(f'{count} {kind}' for kind, count in result.feedback.items())}\n"
        f"{result.as_meant} of {result.feedback[Kind.PREFERENCES.value]} answers stand as they were meant\n"
        f"takeover, key to arm as a watcher sees it: median {result.takeover_ms_median or 0:.0f} ms\n"
        f"counts {result.counts}, overruns {result.overruns}, keys {result.key_presses}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--task", choices=("reach", "pick_cube"), default="reach")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; must not exist")
    parser.add_argument("--pictures", type=Path, help="folder for PNG files of every step")
    parser.add_argument("--json", type=Path, help="file for all of the numbers")
    parser.add_argument("--minutes", type=float, default=20.0, help="give up after so long")
    parser.add_argument("more", nargs="*", metavar="-- MORE", help="more words for `robot-rlhf demo`")
    options = parser.parse_args()
    try:
        result = play(options.task, options.out, options.pictures, options.minutes, options.more)
    except DemoError as error:
        print(f"guided_demo: {error}", file=sys.stderr)
        return 1
    show(result)
    if options.json:
        options.json.write_text(json.dumps(asdict(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
