"""`backup`: a copy that is sound, whoever writes meanwhile, and whole or not there."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from robot_rlhf import cli
from robot_rlhf.commands.backup import back_up
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Outcome
from robot_rlhf.session.run_folder import RunFolder
from robot_rlhf.verify import verify

Captured = pytest.CaptureFixture[str]


def test_the_copy_is_a_run_like_any_other(run_copy: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "deep" / "copy"
    assert cli.main(["backup", str(run_copy), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(verify(out)) == []
    with Store.open_untouched(run_copy / "run.db") as ours, Store.open(out / "run.db") as theirs:
        assert theirs.all_events() == ours.all_events()
        assert told["events"] == len(ours.all_events())
        assert told["episodes"] == len(ours.episode_steps()) == len(theirs.episode_steps())
    assert (out / "report.html").read_bytes() == (run_copy / "report.html").read_bytes()
    assert RunFolder.open(out).latest_checkpoint() is not None
    assert cli.main(["train", "--resume", "--out", str(out), "--json"]) == 0


def test_while_a_session_writes_and_drops_old_checkpoints(run_copy: Path, tmp_path: Path) -> None:
    run = RunFolder.open(run_copy)
    saved = run.latest_checkpoint()
    assert saved is not None
    stop, steps = threading.Event(), [0]

    def backups() -> None:
        for number in range(5):
            back_up(run_copy, tmp_path / f"copy-{number}")
        stop.set()

    thread = threading.Thread(target=backups)
    thread.start()
    while not stop.is_set() and thread.is_alive():
        steps[0] += 1
        run.store.add_feedback(
            Outcome(id=f"e{steps[0]}", operator="o", session="s", time_ns=0, episode=0, success=True)
        )
        if steps[0] % 20 == 0:  # what the index names as newest may be gone when it is copied
            fresh = run.new_checkpoint(10_000 + steps[0])
            shutil.copyfile(saved, fresh)
            saved = fresh
            run.keep(10_000 + steps[0], fresh)
    thread.join()
    run.close()
    assert stop.is_set()
    for number in range(5):
        assert [one for one in verify(tmp_path / f"copy-{number}") if not one.harmless] == []
        with Store.open_untouched(tmp_path / f"copy-{number}" / "run.db") as copy:
            extra = [event.id for event in copy.all_events() if event.operator == "o"]
        assert extra == [f"e{i}" for i in range(1, len(extra) + 1)]


def test_a_checkpoint_that_leads_out_of_the_run_is_not_copied(
    run_copy: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """As a run made to harm names one: where it leads to stays as it is."""
    (run_copy.parent / "there").write_text("ours")
    with contextlib.closing(sqlite3.connect(run_copy / "run.db")) as connection, connection:
        connection.execute("INSERT INTO checkpoints (step, path, created_ns) VALUES (9999999, '../there', 0)")
    target = tmp_path / "deep" / "copy"
    assert "which is not in the run" in refused("backup", str(run_copy), "--out", str(target))
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_nothing_is_replaced_and_nothing_half_stays(
    run_copy: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new"
    (tmp_path / "there").mkdir()
    assert "exists" in refused("backup", str(run_copy), "--out", str(tmp_path / "there"))
    assert "lies in the run itself" in refused("backup", str(run_copy), "--out", str(run_copy / "new"))
    assert "is not a run folder" in refused("backup", str(tmp_path), "--out", str(out))
    with monkeypatch.context() as full:
        full.setattr(Store, "copy", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert "No space left" in refused("backup", str(run_copy), "--out", str(out))
    with Store.open(run_copy / "run.db") as store:
        (run_copy / store.latest_checkpoints()[0].path).unlink()
    assert "is not there" in refused("backup", str(run_copy), "--out", str(out))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["copy", "there"]
