"""`train --live`, and all else that waits for a console: what it leaves, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hardware.security import ClientSecurity, Role, ServerSecurity
from robot_rlhf import cli
from robot_rlhf.feedback.episode import Role as EpisodeRole
from robot_rlhf.feedback.store import Store, StoredEvent
from robot_rlhf.feedback.types import Demonstration, Evaluation, Kind, Outcome, Preference, Takeover
from robot_rlhf.report.metrics import EpisodeEnded, read_events
from robot_rlhf.report.summary import read_summary
from robot_rlhf.session.presets import preset
from robot_rlhf.session.run_folder import DATABASE, RunFolder, read_config

if TYPE_CHECKING:
    from tests.conftest import FinishedRun

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]
Refused = Callable[..., str]
QUICK = {**os.environ, "PYTHONPATH": str(ROOT), "ROBOT_RLHF_PAIR_S": "0.2"}


def said(run: Path) -> list[StoredEvent]:
    """What of feedback is on the disk, in its order."""
    if not RunFolder.is_begun(run):
        return []
    with Store.open_readonly(run / DATABASE) as store:
        return store.all_events()


def episodes(run: Path, role: EpisodeRole) -> list[int]:
    with Store.open_readonly(run / DATABASE) as store:
        return list(store.episode_steps(role))


def learners(group: int) -> list[int]:
    """Learners that run in that process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"live_learner" in (folder / "cmdline").read_bytes() and os.getpgid(int(folder.name)) == group:
                found.append(int(folder.name))
    return found


def killed_when(
    reached: Callable[[], bool], words: Sequence[str], run: Path, alone: bool = False
) -> list[StoredEvent]:
    """Have session, learner and operator work on `run` until that is so, kill them all at once, or the
    session alone, and return what had been said."""
    with (run.parent / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "robot_rlhf.cli", *words],
            env=QUICK,
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not reached():
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"it ended too early: {(run.parent / 'stderr').read_text()}")
        if alone:
            assert learners(process.pid)
            process.kill()
            process.wait()
            while learners(process.pid):  # they end by themselves
                time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return said(run)


@dataclass(frozen=True)
class LiveRun:
    """A run in real time that was killed twice, and then went on to its end."""

    folder: Path
    words: tuple[str, ...]
    kills: tuple[list[StoredEvent], ...]
    before: frozenset[int]
    """Episodes that were stored at the second kill."""
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def live_run(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    run = tmp_path_factory.mktemp("live") / "run"
    words = (*finished_run.words, "--live", "--schedule.demonstrations", "1", "--out", str(run))
    first = killed_when(lambda: len(said(run)) >= 1, words, run, alone=True)
    online = EpisodeRole.ONLINE
    second = killed_when(lambda: len(said(run)) > len(first) and bool(episodes(run, online)), words, run)
    with Store.open_readonly(run / DATABASE) as store:
        before = frozenset(store.episode_steps())
    assert not (run / "summary.json").exists()
    done = subprocess.run(
        [sys.executable, "-m", "robot_rlhf.cli", *words, "--json"],
        env=QUICK,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return LiveRun(run, words, (first, second), before, done)


def test_it_ends_with_one_line_of_json_and_a_report(live_run: LiveRun) -> None:
    (line,) = live_run.done.stdout.splitlines()
    assert json.loads(line) == json.loads((live_run.folder / "summary.json").read_text())
    assert "going on with" in live_run.done.stderr
    assert "Traceback" not in live_run.done.stderr
    assert (live_run.folder / "report.html").exists()
    assert read_config(live_run.folder).in_real_time


def test_nothing_that_was_acknowledged_is_lost_and_nothing_is_said_twice(live_run: LiveRun) -> None:
    events = said(live_run.folder)
    for before in live_run.kills:
        assert events[: len(before)] == before
    assert len(live_run.kills[0]) < len(live_run.kills[1]) < len(events)
    assert len({event.id for event in events}) == len(events)
    for of in (
        [event.episode for event in events if isinstance(event, Demonstration)],
        [event.episode for event in events if isinstance(event, Outcome)],
        [event.query for event in events if isinstance(event, Preference)],
        [event.executed for event in events if isinstance(event, Takeover)],
        [(event.episode, event.step) for event in events if isinstance(event, Evaluation)],
    ):
        assert len(set(of)) == len(of)


def test_the_schedule_was_done_just_once(live_run: LiveRun) -> None:
    schedule = read_config(live_run.folder).schedule
    shown = episodes(live_run.folder, EpisodeRole.DEMONSTRATION)
    events = said(live_run.folder)
    assert len(shown) == schedule.demonstrations
    assert [event.episode for event in events if isinstance(event, Demonstration)] == shown
    assert len(episodes(live_run.folder, EpisodeRole.ONLINE)) == schedule.episodes


def test_every_takeover_is_there_and_has_what_it_is_compared_with(live_run: LiveRun) -> None:
    """But for one whose learner was killed before it had rolled that out."""
    events = {e.executed: e for e in said(live_run.folder) if isinstance(e, Takeover)}
    with Store.open_readonly(live_run.folder / DATABASE) as store:
        driven = store.episodes(role=EpisodeRole.ONLINE)
        for episode in driven:
            taken = sorted(one.length for one in events if one.episode == episode.id)
            assert sum(taken) == episode.operator_steps.sum()
        for executed, event in events.items():
            if event.counterfactual is None:
                assert executed.episode in live_run.before
            else:
                other = store.episode(event.counterfactual.episode)
                assert (other.role, other.length) == (EpisodeRole.COUNTERFACTUAL, executed.length)


def test_the_summary_is_of_the_whole_run(live_run: LiveRun) -> None:
    summary = read_summary(live_run.folder)
    assert summary is not None
    with Store.open_readonly(live_run.folder / DATABASE) as store:
        assert summary.feedback == store.counts()
        assert summary.operator_seconds == pytest.approx(store.operator_seconds().active_s)
        assert len(store.feedback({Kind.OUTCOMES})) == summary.feedback[Kind.OUTCOMES]
        arm = [one.length for one in store.episodes() if one.role is not EpisodeRole.COUNTERFACTUAL]
    assert summary.environment_steps == sum(arm)


def test_the_log_has_every_episode_once_and_with_its_mark(live_run: LiveRun) -> None:
    """But for one that a kill parted from its mark, which came when the run went on."""
    marks = {e.episode: e.success for e in said(live_run.folder) if isinstance(e, Outcome)}
    logged = [event for _, event in read_events(live_run.folder) if isinstance(event, EpisodeEnded)]
    arms = [EpisodeRole.DEMONSTRATION, EpisodeRole.ONLINE]
    assert sorted(event.episode for event in logged) == sorted(
        id for role in arms for id in episodes(live_run.folder, role)
    )
    unlike = [event for event in logged if event.success_mark != marks.get(event.episode)]
    assert len(unlike) <= len(live_run.kills)
    assert all(event.success_mark is None for event in unlike)


def test_it_says_that_it_is_finished(live_run: LiveRun, capsys: Captured) -> None:
    assert cli.main([*live_run.words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert out == live_run.done.stdout
    assert "is finished" in err


def test_ctrl_c_ends_all_three_processes_and_says_how_to_go_on(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.cli", *finished_run.words, "--live", "--out", str(run)],
        env=QUICK,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )
    while not said(run):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].endswith(f"robot-rlhf train --resume --out {run}")
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    with Store.open(run / DATABASE) as store:  # nobody has it any more
        assert store.all_events()


# -- words that make no sense ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["teleop"], "there is no screen here"),
        (["record", "--out", "run"], "there is no screen here"),
        (["train", "--operator", "console", "--out", "run"], "there is no screen here"),
        (["teleop", "--task", "juggle"], "juggle"),
        (["teleop", "--seed", "-1"], "--seed is -1"),
        (["record", "--task", "juggle"], "juggle"),
        (["record", "--demonstrations", "0"], "--demonstrations is 0"),
        (["record", "--seed", "-1"], "--seed is -1"),
        (["record", "--no-window", "--out", "run", "--cameras", "front,nose"], "nose"),
        (["record", "--no-window", "--out", "run", "--perception", "host"], "without --robot"),
        (["label", "nowhere", "--no-window"], "nowhere is not a run folder"),
        (["label", "nowhere", "--pairs", "-1"], "--pairs is -1"),
        (["label"], "label needs RUN"),
        (["console"], "--connect"),
        (["console", "--connect", "here"], "tcp://HOST:PORT"),
        (["console", "--connect", "tcp://127.0.0.1:70000"], "at most 65535"),
        (["console", "--connect", "tcp://192.0.2.1:5000"], "without keys"),
        (["console", "--connect", "tcp://127.0.0.1:5000", "--key", "none.key"], "none.key"),
        (["teleop", "--no-window", "--bind", "everywhere"], "tcp://HOST:PORT"),
        (["teleop", "--no-window", "--bind", "tcp://0.0.0.0:5000"], "without keys"),
        (["teleop", "--no-window", "--bind", "tcp://0.0.0.0:5000", "--keys", "none"], "none"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_told_in_one_line(
    words: list[str], told: str, here: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    assert told in refused(*words)
    assert not (here / "runs").exists()
    assert not (here / "run").exists()


def test_a_person_is_told_an_address_that_can_be_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    from robot_rlhf.commands import live

    wire = live.Wire(bind="tcp://0.0.0.0:7001", keys=Path("keys"), window=False)
    assert "0.0.0.0" not in live.invitation("tcp://0.0.0.0:7001", wire)
    monkeypatch.setattr(live, "reachable", lambda address: ["tcp://192.168.1.7:7001", "tcp://bench:7001"])
    told = live.invitation("tcp://0.0.0.0:7001", wire)
    assert told == "robot-rlhf console --connect tcp://192.168.1.7:7001 --key FILE (or tcp://bench:7001)"


def test_a_record_for_another_task_leaves_the_run_alone(run_copy: Path, refused: Refused) -> None:
    line = refused("record", "--task", "push", "--out", str(run_copy), "--no-window")
    assert "reach" in line
    assert "push" in line


def test_a_run_without_episodes_cannot_be_labelled(here: Path, refused: Refused) -> None:
    RunFolder.create(here / "run", preset("reach")).close()
    assert "no episodes that can be looked at" in refused("label", "run", "--no-window")


# -- keys -----------------------------------------------------------------------------------------------


def test_keys_are_made_listed_and_revoked(here: Path, capsys: Captured) -> None:
    def call(*words: str) -> str:
        assert cli.main(["keys", *words]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.strip()

    told = call("make", "ann")
    file = here / "keys" / "ann.key"
    assert "ann.key" in told
    assert file.stat().st_mode & 0o777 == 0o600
    made = json.loads(call("make", "eve", "--role", "observer", "--json"))
    assert (made["name"], made["role"]) == ("eve", "observer")
    server = ServerSecurity(here / "keys")
    key = ClientSecurity(file).public_key
    user = server.user(key)
    assert user is not None
    assert user.role is Role.OPERATOR
    assert [line.split(",")[0] for line in call("list").splitlines()] == ["ann: operator", "eve: observer"]
    assert "ann is refused" in call("revoke", "ann")
    assert server.user(key) is None
    assert "refused since" in call("list").splitlines()[0]
    listed = json.loads(call("list", "--json"))
    assert [one["name"] for one in listed] == ["ann", "eve"]
    assert "secret" not in call("list", "--json").lower()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["keys", "make"], "keys make NAME"),
        (["keys", "revoke"], "keys make NAME"),
        (["keys", "list", "ann"], "keys list needs none"),
        (["keys", "make", "../ann"], "the name is"),
        (["keys", "make", "ann", "--role", "king"], "king"),
        (["keys", "revoke", "ann"], "keys make NAME"),
        (["keys", "burn"], "burn"),
    ],
    ids=" ".join,
)
def test_keys_that_cannot_be_are_told_in_one_line(
    words: list[str], told: str, here: Path, refused: Refused
) -> None:
    assert told in refused(*words)
    assert list(here.iterdir()) == []
