"""What a check of a run finds, and that it finds nothing where there is nothing, and changes nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from robot_rlhf import cli
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_schema import SCHEMA_VERSION
from robot_rlhf.feedback.types import Evaluation, Outcome, Preference, Segment, Undo
from robot_rlhf.session.run_folder import GROUP, RunError, RunFolder
from robot_rlhf.verify import Finding, verify
from robot_rlhf.verify.finding import capped

if TYPE_CHECKING:
    pass

Captured = pytest.CaptureFixture[str]
Spoil = Callable[[Path], None]


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@contextlib.contextmanager
def database(run: Path) -> Iterator[sqlite3.Connection]:
    """The run's database, without what protects it."""
    with contextlib.closing(sqlite3.connect(run / "run.db", isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection


def sql(statement: str) -> Spoil:
    def spoil(run: Path) -> None:
        with database(run) as connection:
            assert connection.execute(statement).rowcount, statement

    spoil.__name__ = statement
    return spoil


def payload(kind: str, old: str, new: str) -> Spoil:
    return sql(f"UPDATE feedback SET payload = replace(payload, '{old}', '{new}') WHERE kind = '{kind}'")


def written(name: str, text: str, more: bool = False) -> Spoil:
    def spoil(run: Path) -> None:
        with (run / name).open("a" if more else "w") as file:
            file.write(text)

    spoil.__name__ = f"{name}: {text[:30]}"
    return spoil


def summary(**change: object) -> Spoil:
    def spoil(run: Path) -> None:
        path = run / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    spoil.__name__ = f"summary {change}"
    return spoil


def newest(run: Path) -> Path:
    with Store.open_untouched(run / "run.db") as store:
        return run / store.latest_checkpoints()[0].path


def no_checkpoint(run: Path) -> None:
    newest(run).unlink()


def torn_checkpoint(run: Path) -> None:
    newest(run).write_bytes(newest(run).read_bytes()[:-50])


def poisoned_checkpoint(run: Path) -> None:
    path = newest(run)
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    name = next(name for name, tensor in tensors.items() if tensor.dtype == np.float32 and tensor.size)
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, path, metadata)


def overwritten(run: Path) -> None:
    data = bytearray((run / "run.db").read_bytes())
    data[2 * 4096 : 6 * 4096] = b"\xa5" * (4 * 4096)
    (run / "run.db").write_bytes(data)


def other_widths(run: Path) -> None:
    with Store.open(run / "run.db") as store:
        one = store.episode(1)
        wide = np.concatenate([one.obs, one.obs[:, :1]], axis=1)
        object.__setattr__(one, "obs", wide)
        object.__setattr__(one, "scenes", one.scenes[:, 1:].copy())
        object.__setattr__(one, "id", store.next_episode_id())
        store.add_episode(one)


def pictures_of_another_length(run: Path) -> None:
    with database(run) as connection:
        connection.execute("INSERT INTO pictures VALUES (1, 'front', x'90')")


def asks_for_a_camera(run: Path) -> None:
    config = run / "config.toml"
    config.write_text(config.read_text().replace('cameras = ""', 'cameras = "wrist"'))


def a_press_after_the_end(run: Path) -> None:
    with Store.open(run / "run.db") as store:
        store.add_feedback(
            Evaluation(id="late", operator="o", session="s", time_ns=0, episode=1, step=9_999, good=True)
        )


def an_answer_to_nothing(run: Path) -> None:
    with Store.open(run / "run.db") as store:
        answer = next(event for event in store.feedback() if isinstance(event, Preference))
        fields = {name: getattr(answer, name) for name in answer.__struct_fields__}
        store.add_feedback(Preference(**fields | {"id": "new", "query": "never asked"}))
        store.add_feedback(Preference(**fields | {"id": "newer", "left": Segment(1, 0, 3)}))


def test_a_run_that_has_ended_is_sound_and_left_as_it_was(
    run_copy: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    before = files(run_copy)
    assert list(verify(run_copy)) == []
    assert cli.main(["verify", str(run_copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": str(run_copy), "sound": True, "findings": []}
    assert cli.main(["verify", str(run_copy)]) == 0
    assert capsys.readouterr().out == f"{run_copy} is sound\n"
    assert files(run_copy) == before


@pytest.mark.parametrize(
    ("spoil", "where", "what"),
    [
        (written("config.toml", "what is this"), "config.toml", "not valid TOML"),
        (written("config.toml", '\n[console]\na = "b"', more=True), "config.toml", "unknown key console"),
        (written("arm.json", "{"), "arm.json", "cannot be read"),
        (overwritten, "run.db", "damaged"),
        (written("run.db", "no database at all" * 1000), "run.db", "damaged, or no database"),
        (
            sql("PRAGMA user_version = 7"),
            "run.db",
            f"schema version 7, this program reads up to {SCHEMA_VERSION}",
        ),
        (sql("UPDATE meta SET value = 'push' WHERE key = 'task'"), "run.db", "its task is 'push'"),
        (
            sql("UPDATE meta SET value = '4' WHERE key = 'seed'"),
            "run.db",
            "its seed is '4', config.toml says",
        ),
        (sql("UPDATE episodes SET arrays = x'00' WHERE id = 1"), "run.db", "episode 1 is damaged"),
        (
            sql("UPDATE episodes SET steps = 'many' WHERE id = 1"),
            "run.db",
            "steps of episodes is not INTEGER",
        ),
        (sql("UPDATE episodes SET task = 'push' WHERE id = 1"), "run.db", "episode 1: it is of the task"),
        (other_widths, "run.db", "obs is"),
        (other_widths, "run.db", "a scene row has"),
        (sql("UPDATE truth SET task_reward = x'0000' WHERE episode = 0"), "run.db", "reward of episode 0"),
        (sql("UPDATE truth SET task_reward = x'00000000' WHERE episode = 0"), "run.db", "has 1 rewards"),
        (sql("UPDATE truth SET success = 2 WHERE episode = 0"), "run.db", "success 2"),
        (sql("DELETE FROM episodes WHERE id = 0"), "run.db", "of truth points at a row of episodes"),
        (pictures_of_another_length, "run.db", "camera 'front', are damaged in the store: 0 pictures"),
        (asks_for_a_camera, "run.db", "episode 0 has no pictures by 'wrist', which config.toml asks for"),
        (sql("DELETE FROM feedback WHERE seq = 2"), "run.db", "jumps from place 1 to 3"),
        (payload("outcomes", '"success"', '"sucess"'), "run.db", "a feedback event is damaged"),
        (sql("UPDATE feedback SET operator = 'eve' WHERE seq = 1"), "run.db", "its column operator is 'eve'"),
        (sql("UPDATE feedback SET last_episode = NULL WHERE seq = 1"), "run.db", "its column last_episode"),
        (a_press_after_the_end, "run.db", "is of step 9999 of episode 1"),
        (an_answer_to_nothing, "run.db", "answers a question that is not stored"),
        (an_answer_to_nothing, "run.db", "is about other clips than its question"),
        (sql("UPDATE queries SET payload = '{}' WHERE seq = 1"), "run.db", "a query is damaged"),
        (payload("preferences", '"length":', '"length":9'), "run.db", "is about steps"),
        (sql("UPDATE operator_time SET active_s = -1 WHERE seq = 1"), "run.db", "operator time 1"),
        (sql("UPDATE checkpoints SET path = '/etc/passwd'"), "run.db", "which is not in the run"),
        (no_checkpoint, "checkpoints/", "it is not there"),
        (torn_checkpoint, "checkpoints/", "cannot be read"),
        (poisoned_checkpoint, "checkpoints/", "not finite"),
        (written("metrics.jsonl", '{"event":"never"}\n', more=True), "metrics.jsonl", "is no event of this"),
        (written("summary.json", "{"), "summary.json", "not a run's summary"),
        (summary(task="push"), "summary.json", "it is of push"),
        (summary(environment_steps=10**6), "summary.json", "1e+06 environment steps, the store has"),
        (summary(operator_seconds=10**6), "summary.json", "active operator seconds"),
        (sql("DELETE FROM feedback WHERE kind = 'outcomes'"), "summary.json", "outcomes, the store has 0"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_sound_is_named(
    run_copy: Path, spoil: Spoil, where: str, what: str, capsys: Captured
) -> None:
    spoil(run_copy)
    before = files(run_copy)
    found = list(verify(run_copy))
    assert any(one.where.startswith(where) and what in one.what and not one.harmless for one in found), found
    assert cli.main(["verify", str(run_copy)]) == 1
    assert capsys.readouterr().out.splitlines() == [str(one) for one in found]
    assert files(run_copy) == before


def test_what_a_kill_leaves_is_named_and_harmless(run_copy: Path) -> None:
    written("metrics.jsonl", '{"event":"sac","up', more=True)(run_copy)
    lost = 10**6  # an episode that ran when it was killed
    fields = {"operator": "o", "session": "s", "time_ns": 0}
    with Store.open(run_copy / "run.db") as store:
        store.add_feedback(Outcome(id="o", episode=lost, success=True, **fields))  # type: ignore[arg-type]
        store.add_feedback(Undo(id="u", target="o", **fields))  # type: ignore[arg-type]
        store.book("watching", 0.0, 1.0, episode=lost)
    found = list(verify(run_copy))
    assert all(one.harmless for one in found)
    assert [one.what.partition(" ")[0] for one in found] == ["feedback", "operator", "line"]


def test_an_older_checkpoint_is_not_needed_where_the_newest_is_there(run_copy: Path) -> None:
    older = newest(run_copy)
    with contextlib.closing(RunFolder.open(run_copy)) as run:
        fresh = run.new_checkpoint(10_000)
        shutil.copyfile(older, fresh)
        run.keep(10_000, fresh)
    older.unlink()
    (only,) = verify(run_copy)
    assert only.where.endswith(older.name) and only.harmless


def test_log_and_summary_of_an_arm_of_a_group_are_of_all_its_arms(run_copy: Path) -> None:
    log = run_copy / "metrics.jsonl"
    ended = next(line for line in log.read_text().splitlines() if '"event":"episode"' in line)
    shared = json.dumps(json.loads(ended) | {"episode": 1025})
    written("metrics.jsonl", f"{shared}\n", more=True)(run_copy)
    summary(environment_steps=10**6)(run_copy)
    assert len(list(verify(run_copy))) == 2
    with Store.open(run_copy / "run.db") as store:
        store.set_meta(GROUP, "bench")
    assert list(verify(run_copy)) == []
    written("metrics.jsonl", "nonsense\n", more=True)(run_copy)
    assert [one.where for one in verify(run_copy)] == ["metrics.jsonl"]


def test_it_may_be_worked_on_meanwhile(run_copy: Path) -> None:
    with Store.open(run_copy / "run.db") as store:
        store.add_feedback(Outcome(id="o", operator="o", session="s", time_ns=0, episode=0, success=True))
        (only,) = verify(run_copy)
        assert only.harmless and "outcomes, the store has" in only.what
        store.set_meta("and", "goes on")


def test_what_only_the_log_holds_is_looked_at(run_copy: Path, tmp_path: Path) -> None:
    """As after a kill: the newest is not in the file yet."""
    with Store.open(run_copy / "run.db") as store:
        store.add_feedback(
            Undo(id="u", operator="o", session="s", time_ns=0, target=store.all_events()[0].id)
        )
        killed = shutil.copytree(run_copy, tmp_path / "killed")
    (only,) = verify(killed)
    assert only.where == "summary.json" and only.harmless


def test_no_run_is_no_finding(tmp_path: Path, refused: Callable[..., str]) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        next(verify(tmp_path))
    assert "is not a run folder" in refused("verify", str(tmp_path))
    assert "there is no flag --jsn" in refused("verify", str(tmp_path), "--jsn")


def test_of_many_alike_a_few_are_told() -> None:
    many = [Finding("run.db", f"{i}") for i in range(50)] + [Finding("metrics.jsonl", "torn", harmless=True)]
    told = list(capped(many, most=3))
    assert [one.what for one in told] == ["0", "1", "2", "torn", "and 47 more like these"]
