"""Opening a store: what is not in order is refused in one line and left as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_schema import SCHEMA_VERSION
from robot_rlhf.feedback.types import Outcome

Maker = Callable[..., Episode]
NOBODY = 65534
MARK = Outcome(id="a", operator="ann", session="s1", time_ns=5, episode=0, success=True)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom file permissions bind, also where the tests run as root."""
    root = os.getuid() == 0
    if root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.fixture
def shared_path() -> Iterator[Path]:
    """A store that any user may reach (pytest's own folders are private), to be made read-only."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        Store.create(folder / "run.db").close()
        (folder / "run.db").chmod(0o666)
        yield folder / "run.db"
        folder.chmod(0o777)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def assert_refused(path: Path, match: str) -> None:
    """Both ways of opening refuse with one line that names the file, and change nothing."""
    before = contents(path.parent)
    for opener in (Store.open, Store.open_readonly):
        with pytest.raises(StoreError, match=match) as caught:
            opener(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert contents(path.parent) == before


def test_missing(tmp_path: Path) -> None:
    assert_refused(tmp_path / "run.db", "does not exist")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path)


def test_no_database(path: Path) -> None:
    path.write_bytes(b"what is this?" * 1000)
    assert_refused(path, "damaged, or no database")


def test_another_programs_database(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE feedback (id TEXT PRIMARY KEY)")
    assert_refused(path, "no run database of robot-rlhf")


def test_an_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert_refused(path, "no run database")


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        (
            99,
            f"schema version 99, this program reads up to {SCHEMA_VERSION}: open it with a newer robot-rlhf",
        ),
        (0, "damaged.*schema version 0, which never was"),
    ],
)
def test_another_schema_version(path: Path, version: int, complaint: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    assert_refused(path, complaint)


def test_a_newer_version_that_only_the_log_knows_of(path: Path) -> None:
    """As a newer program that was killed leaves it: its steps are committed, and not yet in the file."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for opener in (Store.open, Store.open_readonly):
        with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}"):
            opener(path)
    connection.close()


def test_cut_off(path: Path, make_episode: Maker) -> None:
    with Store.open(path) as store:
        store.add_episode(make_episode(0, steps=200))
    os.truncate(path, path.stat().st_size // 2)
    assert_refused(path, "damaged")


def test_overwritten_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : 5 * 4096] = b"\xa5" * (4 * 4096)
    path.write_bytes(data)
    assert_refused(path, "damaged")


def test_a_name_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?é" / "run.db"
    path.parent.mkdir()
    with Store.create(path) as store:
        store.set_meta("a", "b")
    with Store.open_readonly(path) as store:
        assert store.meta("a") == "b"


def test_create_overwrites_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="exists already"):
        Store.create(path)
    with pytest.raises(StoreError, match="is not a folder"):
        Store.create(path.parent / "nowhere" / "run.db")


def test_create_goes_over_a_creation_that_was_killed(tmp_path: Path) -> None:
    for name in ("run.db.new", "run.db.new-journal"):
        (tmp_path / name).write_bytes(b"half")
    Store.create(tmp_path / "run.db").close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.db", "run.db.lock"]


def test_a_file_without_write_permission_is_read_only_for_root_too(path: Path) -> None:
    path.chmod(0o444)
    before = contents(path.parent)
    with pytest.raises(StoreError, match=r"run\.db is read-only"):
        Store.open(path)
    assert contents(path.parent) == before
    with Store.open_readonly(path) as store:
        assert store.all_events() == []


def test_a_reader_writes_nothing(path: Path) -> None:
    with Store.open_readonly(path) as store, pytest.raises(StoreError, match="open for reading only"):
        store.add_feedback(MARK)


def test_a_look_leaves_every_file_as_it_was(path: Path, tmp_path: Path) -> None:
    with Store.open(path) as store:
        store.add_feedback(MARK)
        killed = shutil.copytree(path.parent, tmp_path / "killed")
        with Store.open_untouched(path) as look:
            assert look.all_events() == [MARK], "the log is looked into while somebody writes"
            store.set_meta("a", "b")
            assert look.meta("a") == "b"
    for folder, expected in ((path.parent, [MARK]), (killed, [MARK])):
        before = {name: data for name, data in contents(folder).items() if not name.endswith("-shm")}
        with Store.open_untouched(folder / "run.db") as look:
            assert look.all_events() == expected
        assert {name: data for name, data in contents(folder).items() if not name.endswith("-shm")} == before


def test_one_process_writes(store: Store) -> None:
    with pytest.raises(StoreError, match="open for writing elsewhere"):
        Store.open(store.path)
    store.add_feedback(MARK)
    store.close()
    with Store.open(store.path) as next_one:
        assert next_one.all_events() == [MARK]


def test_a_reader_does_not_free_the_writers_place(store: Store) -> None:
    Store.open_readonly(store.path).close()
    with pytest.raises(StoreError, match="open for writing elsewhere"):
        Store.open(store.path)


def test_wrong_use_is_a_bug_and_looks_like_one(store: Store) -> None:
    caught: list[BaseException] = []

    def use() -> None:
        try:
            store.counts()
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_a_finished_run_can_be_read_from_a_read_only_folder(shared_path: Path) -> None:
    with Store.open(shared_path) as store:
        store.add_feedback(MARK)
    shared_path.parent.chmod(0o555)
    with without_privileges():
        for look in (Store.open_readonly, Store.open_untouched):
            with look(shared_path) as store:
                assert store.all_events() == [MARK]
        with pytest.raises(StoreError, match="is read-only"):
            Store.open(shared_path)
        with pytest.raises(StoreError, match="is read-only"):
            Store.create(shared_path.with_name("other.db"))


def test_a_killed_run_in_a_read_only_folder_is_not_read_in_part(shared_path: Path) -> None:
    with Store.open(shared_path) as store:
        store.add_feedback(MARK)
        log = shared_path.with_name("run.db-wal")
        shutil.copy(log, log.with_name("kept"))
    log.with_name("kept").rename(log)
    shared_path.parent.chmod(0o555)
    with without_privileges(), pytest.raises(StoreError, match="not closed cleanly"):
        Store.open_readonly(shared_path)
