"""Files of older versions: read as they are, brought forward by a writer, whole whenever it is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.feedback import store_codec, store_schema
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.types import Outcome

Maker = Callable[..., Episode]
MARK = Outcome(id="a", operator="ann", session="s1", time_ns=5, episode=0, success=True)

# As robot-rlhf wrote it; never to be changed with the program.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    task TEXT NOT NULL,
    seed INTEGER NOT NULL,
    policy_version INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    terminated INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    arrays BLOB NOT NULL
);
CREATE TABLE truth (
    episode INTEGER PRIMARY KEY REFERENCES episodes (id),
    task_reward BLOB NOT NULL,
    success INTEGER NOT NULL
);
CREATE TABLE feedback (
    id TEXT PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    operator TEXT NOT NULL,
    session TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    last_episode INTEGER,
    target TEXT REFERENCES feedback (id),
    payload TEXT NOT NULL
);
CREATE VIEW standing AS -- feedback that was not taken back
    SELECT * FROM feedback WHERE kind != 'undo'
    AND id NOT IN (SELECT target FROM feedback WHERE target IS NOT NULL);
CREATE TABLE queries (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL);
CREATE TABLE operator_time (
    seq INTEGER PRIMARY KEY,
    activity TEXT NOT NULL,
    active_s REAL NOT NULL,
    attended_s REAL NOT NULL,
    episode INTEGER
);
CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    path TEXT NOT NULL,
    created_ns INTEGER NOT NULL
);
-- What a person said is only ever added to. The third trigger stops INSERT OR REPLACE, which would
-- otherwise delete without firing the second.
CREATE TRIGGER feedback_no_update BEFORE UPDATE ON feedback
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_delete BEFORE DELETE ON feedback
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_replace BEFORE INSERT ON feedback
    WHEN EXISTS (SELECT 1 FROM feedback WHERE id = NEW.id OR seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
"""


@pytest.fixture
def old(tmp_path: Path, make_episode: Maker) -> Path:
    """A file of version 1 with two episodes, a mark, booked time and a note, closed."""
    path = tmp_path / "old" / "run.db"
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(VERSION_1)
        connection.execute("PRAGMA application_id = 0x524C4846")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA journal_mode = WAL")
        for id in (0, 1):
            connection.execute(
                f"INSERT INTO episodes VALUES ({','.join('?' * 9)})",
                store_codec.episode_row(make_episode(id)),
            )
        connection.execute(
            "INSERT INTO feedback VALUES ('a', 1, 'outcomes', 'ann', 's1', 5, 0, NULL, ?)",
            (store_codec.encode_event(MARK),),
        )
        connection.execute("INSERT INTO operator_time VALUES (1, 'mark', 1.0, 1.0, 0)")
        connection.execute("INSERT INTO meta VALUES ('task', 'pick_cube')")
    return path


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return int(found)


def assert_all_there(store: Store) -> None:
    assert store.episode_steps() == {0: 30, 1: 30}
    assert store.all_events() == [MARK]
    assert store.operator_seconds() == (1.0, 1.0)
    assert store.meta("task") == "pick_cube"


def test_a_reader_leaves_an_old_file_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    with Store.open_readonly(old) as store:
        assert_all_there(store)
        assert store.cameras(0) == ()
        with pytest.raises(StoreError, match="'front' has no pictures of episode 0, those that have: none"):
            store.pictures(0, "front")
    assert old.read_bytes() == before
    assert not old.with_name("run.db.v1").exists()


def test_a_writer_brings_it_forward_and_keeps_a_copy(old: Path, make_episode: Maker) -> None:
    with Store.open(old) as store:
        assert_all_there(store)
        store.add_episode(make_episode(2, steps=1), pictures={"front": [b"\xff\xd8\xff\xd9"] * 2})
        assert store.cameras(2) == ("front",)
    assert version(old) == store_schema.SCHEMA_VERSION
    copy = old.with_name("run.db.v1")
    assert version(copy) == 1
    with Store.open_readonly(copy) as store:
        assert_all_there(store)


def test_a_file_of_version_2_keeps_what_was_seen(path: Path, make_episode: Maker) -> None:
    seen = [b"\xff\xd8\xff\xd9"] * 2
    with Store.open(path) as store:
        store.add_episode(make_episode(0, steps=1), pictures={"front": seen})
    with contextlib.closing(sqlite3.connect(path)) as connection:  # as version 2 was
        connection.executescript("DROP INDEX feedback_by_episode; DROP INDEX operator_time_by_episode")
        connection.execute("PRAGMA user_version = 2")
    with Store.open(path) as store:
        assert list(store.pictures(0, "front")) == seen
        assert store.next_episode_id() == 1
    assert version(path) == store_schema.SCHEMA_VERSION
    assert version(path.with_name("run.db.v2")) == 2


def test_a_reader_that_was_there_first_goes_on(old: Path, make_episode: Maker) -> None:
    with Store.open_readonly(old) as reader, Store.open(old) as writer:
        writer.add_episode(make_episode(2, steps=1), pictures={"front": [b"\xff\xd8\xff\xd9"] * 2})
        assert reader.cameras(2) == ("front",)
        assert len(reader.pictures(2, "front")) == 2


def test_what_is_brought_forward_is_what_is_made_anew(old: Path, path: Path) -> None:
    Store.open(old).close()
    shapes = []
    for file in (old, path):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            shapes.append(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
    assert shapes[0] == shapes[1]


def test_no_room_for_the_copy_leaves_the_file_as_it_was(old: Path) -> None:
    before = old.read_bytes()
    old.with_name("run.db.v1").mkdir()  # root too cannot put a file there
    with pytest.raises(StoreError, match=r"run\.db\.v1: Is a directory"):
        Store.open(old)
    assert old.read_bytes() == before
    old.with_name("run.db.v1").rmdir()
    assert sorted(file.name for file in old.parent.iterdir()) == ["run.db", "run.db.lock"]
    with Store.open(old) as store:
        assert_all_there(store)


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(store_schema.STEPS, 1, ("CREATE TABLE more (a)", "CREATE TABLE more (a)"))
    with pytest.raises(StoreError, match="already exists"):
        Store.open(old)
    assert version(old) == 1
    monkeypatch.undo()
    with Store.open(old) as store:
        assert_all_there(store)


def test_a_kill_at_any_moment_leaves_a_sound_file_of_either_version(old: Path, tmp_path: Path) -> None:
    """The n-th time that a file is about to change, or has, is the last of the process: for each n."""
    killer = """
import os, shutil, signal, sys
from pathlib import Path
from robot_rlhf.feedback import store_migration
from robot_rlhf.feedback.store import Store

migrate = store_migration.migrate
old, killed = Path(sys.argv[1]), Path(sys.argv[2])

CHANGING = {"execute", "backup", "connect", "close", "fsync", "rename", "replace", "unlink"}

def dies_at(last):
    left = last
    def count(frame, event, argument):
        nonlocal left
        if event.startswith("c_") and argument.__name__ in CHANGING:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return count

for last in range(10_000):
    folder = killed / str(last)
    shutil.copytree(old.parent, folder)
    child = os.fork()
    if not child:
        def migrate_and_die(*known):
            sys.setprofile(dies_at(last))
            migrate(*known)
            sys.setprofile(None)
        store_migration.migrate = migrate_and_die
        store = Store.open(folder / old.name)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""
    killed = tmp_path / "killed"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, "-c", killer, str(old), str(killed)], check=True, env=environment)
    found = set()
    for folder in killed.iterdir():
        path = folder / "run.db"
        found.add((version(path), path.with_name("run.db.v1").exists()))
        with Store.open_readonly(path) as store:
            assert_all_there(store)
        with Store.open(path) as store:
            assert_all_there(store)
        assert version(path) == store_schema.SCHEMA_VERSION
        assert version(path.with_name("run.db.v1")) == 1
        shutil.rmtree(folder)
    assert found == {(1, False), (1, True), (store_schema.SCHEMA_VERSION, True)}


def test_a_copy_is_whole_while_others_write(store: Store, make_episode: Maker) -> None:
    to = store.path.with_name("copy.db")
    store.add_episode(make_episode(0))
    with Store.open_readonly(store.path) as reader:
        reader.copy(to)
    store.add_episode(make_episode(1))
    with Store.open_readonly(to) as copy:
        assert list(copy.episode_steps()) == [0]
        np.testing.assert_array_equal(copy.episode(0).obs, make_episode(0).obs)
