"""`feedback`: what was said is listed, taken back and brought back, and nothing is ever deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf import cli
from robot_rlhf.commands.said import nanoseconds
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Evaluation, Outcome, Undo
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import RunFolder

Captured = pytest.CaptureFixture[str]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Twenty marks by ann and twenty presses by bob, about episodes 0 to 19, a second apart."""
    path = tmp_path / "run"
    with RunFolder.create(path, RunConfig(task="reach")).store as store:
        for i in range(20):
            who: dict[str, Any] = {"session": "s", "time_ns": 10**18 + i * 10**9}
            store.add_feedback(
                Outcome(id=f"mark-{i:02}", operator="ann", episode=i, success=i % 2 == 0, **who)
            )
            press = Evaluation(id=f"press-{i:02}", operator="bob", episode=i, step=3, good=True, **who)
            store.add_feedback(press)
    return path


@pytest.fixture
def ask(run: Path, capsys: Captured) -> Ask:
    """What `feedback WHAT RUN WORDS --json` answers."""

    def call(what: str, *words: str) -> dict[str, Any]:
        assert cli.main(["feedback", what, str(run), *words, "--json", "--name", "eve"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        return dict(json.loads(line))

    return call


def ids(answer: dict[str, Any]) -> list[str]:
    return [event["id"] for event in answer["events"]]


def test_the_newest_come_first_and_as_many_as_asked_for(ask: Ask) -> None:
    answer = ask("list")
    assert ids(answer)[:3] == ["press-19", "mark-19", "press-18"]
    assert (len(answer["events"]), answer["more"]) == (30, True)
    assert len(ask("list", "--limit", "0")["events"]) == 40


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--kind", "outcomes", "--limit", "2"], ["mark-19", "mark-18"]),
        (["--operator", "bob", "--limit", "1"], ["press-19"]),
        (["--episode", "7"], ["press-07", "mark-07"]),
        (["--search", 'SUCCESS":FALSE', "--limit", "1"], ["mark-19"]),
        (["--kind", "outcomes", "--since", "2001-09-09T01:46:48+00:00", "--limit", "0"], None),
        (["--undone"], []),
        (["--kind", "takeovers"], []),
    ],
)
def test_what_fits_is_found(ask: Ask, words: list[str], found: list[str] | None) -> None:
    answer = ask("list", *words)
    if found is None:
        found = [f"mark-{i:02}" for i in range(19, 7, -1)]
    assert ids(answer) == found


def test_taken_back_brought_back_and_taken_back_again(ask: Ask, run: Path) -> None:
    def standing() -> list[bool]:
        with Store.open_untouched(run / "run.db") as store:
            return [e.success for e in store.feedback() if isinstance(e, Outcome) and e.episode == 4]

    assert standing() == [True]
    (undo,) = ask("undo", "mark-04")["added"]
    assert (undo["operator"], undo["kind"], standing()) == ("eve", "undo", [])
    assert ask("undo", "mark-04")["already"] == [f"9 was taken back already, by {undo['seq']}"]
    (again,) = ask("redo", "mark-04")["added"]
    assert (again["operator"], again["about"], standing()) == ("ann", "episode 4: success", [True])
    assert ask("redo", "mark-04")["already"] == [f"{again['seq']} stands: there is nothing to bring back"]
    ask("undo", "mark-04")
    assert standing() == []
    ask("redo", "mark-04")
    assert standing() == [True]
    history = ask("list", "--episode", "4", "--kind", "outcomes")["events"]
    assert [event["undone_by"] is None for event in history] == [True, False, False]
    assert len(ask("list", "--undone")["events"]) == 2
    with Store.open_untouched(run / "run.db") as store:
        assert len(store.all_events()) == 44, "nothing is deleted"


def test_several_at_once_or_none(ask: Ask, run: Path, refused: Callable[..., str]) -> None:
    said = refused("feedback", "undo", str(run), "mark-01", "mark-02", "nothing")
    assert "no event's id begins with 'nothing'" in said
    assert ask("list", "--undone")["events"] == []
    assert len(ask("undo", "mark-01", "mark-02")["added"]) == 2
    assert "more than one event begin with 'mark-0'" in refused("feedback", "undo", str(run), "mark-0")
    with Store.open_untouched(run / "run.db") as store:
        undo = next(event for event in store.all_events() if isinstance(event, Undo))
    assert "is an undo: name what it took back, mark-01" in refused("feedback", "undo", str(run), undo.id)


def test_not_while_a_session_writes(run: Path, refused: Callable[..., str]) -> None:
    with Store.open(run / "run.db"):
        assert "open for writing elsewhere" in refused("feedback", "undo", str(run), "mark-01")


def test_for_a_person_it_is_a_line_each(run: Path, capsys: Captured) -> None:
    assert cli.main(["feedback", "list", str(run), "--kind", "outcomes", "--limit", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "ann" in out[0] and out[0].endswith("episode 19: failure")
    assert out[1] == "--limit shows more of them"
    assert cli.main(["feedback", "list", str(run), "--kind", "undo"]) == 0
    assert capsys.readouterr().out == "nothing fits\n"


def test_a_name_in_somebody_elses_run_has_the_terminal_do_nothing(run: Path, capsys: Captured) -> None:
    with Store.open(run / "run.db") as store:
        who: dict[str, Any] = {"operator": "\x1b[2Jboo\n", "session": "s", "time_ns": 10**18}
        store.add_feedback(Outcome(id="hostile", episode=0, success=True, **who))
    assert cli.main(["feedback", "list", str(run), "--limit", "1"]) == 0
    line, _ = capsys.readouterr().out.splitlines()
    assert r"\x1b[2Jboo\n" in line


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["list", "RUN", "mark-01"], "feedback list RUN takes none"),
        (["undo", "RUN"], "say which"),
        (["list", "RUN", "--kind", "outcome"], "did you mean outcomes?"),
        (["list", "RUN", "--limit", "-1"], "--limit is -1"),
        (["list", "RUN", "--since", "yesterday"], "--since is 'yesterday'"),
        (["forget", "RUN"], "forget"),
    ],
)
def test_nonsense_is_refused(
    words: list[str], complaint: str, run: Path, refused: Callable[..., str]
) -> None:
    assert complaint in refused("feedback", *(str(run) if word == "RUN" else word for word in words))


def test_so_long_ago() -> None:
    for said, seconds in (("90s", 90), ("1.5m", 90), ("2h", 7200), ("3d", 259200)):
        assert abs(time.time() - seconds - nanoseconds(said) / 1e9) < 5
    with pytest.raises(UsageError, match="say 90s, 30m"):
        nanoseconds("99999-01-01")
