"""The store's own thread: the order of what is handed in, and a disk that fails for a while."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_file import DiskError
from robot_rlhf.session import writer as module
from robot_rlhf.session.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.db"
    Store.create(path).close()
    return path


@pytest.fixture
def writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr(module, "_RETRY_S", 0.001)
    writer = Writer(path)
    yield writer
    writer.close()


def settled(writer: Writer, until: Callable[[], bool] | None = None) -> None:
    """Settle until nothing is waited for, or until what is wanted is so."""
    deadline = time.monotonic() + 20.0
    while not (until() if until is not None else writer.waiting == 0):
        assert time.monotonic() < deadline
        writer.settle()
        time.sleep(0.0005)


def noted(path: Path, key: str) -> str | None:
    with Store.open_readonly(path) as store:
        return store.meta(key)


def fill(size: int) -> Callable[[Store], None]:
    """Work that needs `size` bytes of the disk."""
    return lambda store: store.set_meta("big", "x" * size)


def test_work_is_done_in_order_and_handed_back_on_the_thread_that_settles(writer: Writer) -> None:
    done: list[int] = []
    threads: set[int] = set()

    def number(index: int) -> Callable[[Store], int]:
        return lambda _: index

    for index in range(50):
        writer.submit(number(index), done.append)
        writer.submit(lambda _: threading.get_ident(), threads.add)
    assert writer.waiting == 100
    settled(writer)
    assert done == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_nothing_is_handed_back_before_it_is_asked_for(writer: Writer) -> None:
    worked = threading.Event()
    handed: list[None] = []
    writer.submit(lambda _: worked.set(), handed.append)
    assert worked.wait(20.0)
    assert handed == []
    settled(writer)
    assert handed == [None]


def test_what_was_handed_back_is_on_the_disk(writer: Writer, path: Path) -> None:
    seen: list[str | None] = []
    writer.submit(lambda store: store.set_meta("a", "1"), lambda _: seen.append(noted(path, "a")))
    settled(writer)
    assert seen == ["1"]


def test_data_that_are_at_fault_are_told_and_hold_up_nothing(writer: Writer) -> None:
    errors: list[StoreError] = []
    found: list[int] = []
    writer.submit(lambda store: store.episode(7), lambda _: pytest.fail("there is none"), errors.append)
    writer.submit(lambda store: store.next_episode_id(), found.append)
    settled(writer)
    assert "no episode 7" in str(errors[0])
    assert found == [0]
    assert writer.trouble == ""


def test_a_fault_that_nobody_asked_about_is_raised_where_it_was_asked_for(writer: Writer) -> None:
    writer.submit(lambda store: store.episode(7))
    writer.submit(lambda store: [][store.next_episode_id()])
    with pytest.raises(StoreError, match="no episode 7"):
        settled(writer)
    with pytest.raises(IndexError):
        settled(writer)
    assert writer.waiting == 0


def test_a_disk_that_fails_is_tried_until_it_takes_it_again(writer: Writer, path: Path) -> None:
    failing = threading.Event()
    failing.set()

    def work(store: Store) -> None:
        if failing.is_set():
            raise DiskError("the disk is full")
        store.set_meta("order", (store.meta("order") or "") + "a")

    def behind(store: Store) -> None:
        store.set_meta("order", (store.meta("order") or "") + "b")

    done: list[str] = []
    writer.submit(work, lambda _: done.append("a"), lambda error: pytest.fail(str(error)))
    writer.submit(behind, lambda _: done.append("b"))
    settled(writer, lambda: writer.trouble != "")
    assert writer.trouble == "the disk is full"
    assert done == []
    failing.clear()
    settled(writer)
    assert done == ["a", "b"]
    assert noted(path, "order") == "ab"
    assert writer.trouble == ""


def test_a_disk_that_is_really_full_loses_nothing_either(writer: Writer, path: Path) -> None:
    def bound(store: Store, pages: int) -> None:
        store._connection.execute(f"PRAGMA max_page_count = {pages}")

    writer.submit(lambda store: bound(store, 40))
    done: list[str] = []
    tries: list[int] = []

    def big(store: Store) -> None:
        tries.append(1)
        if len(tries) == 5:  # somebody made room
            bound(store, 10_000)
        with store.transaction():
            store.set_meta("before", "1")
            fill(1_000_000)(store)

    writer.submit(big, lambda _: done.append("big"), lambda error: pytest.fail(str(error)))
    writer.submit(lambda store: store.set_meta("small", "1"), lambda _: done.append("small"))
    settled(writer, lambda: bool(writer.trouble) or bool(done))
    settled(writer)
    assert len(tries) == 5
    assert done == ["big", "small"]
    assert noted(path, "small") == noted(path, "before") == "1"
    assert len(noted(path, "big") or "") == 1_000_000


def test_closing_finishes_what_was_handed_in_and_what_follows_from_it(path: Path) -> None:
    writer = Writer(path)
    done: list[str] = []

    def first(_: None) -> None:
        done.append("first")
        writer.submit(lambda store: store.set_meta("b", "2"), lambda _: done.append("second"))

    writer.submit(lambda store: store.set_meta("a", "1"), first)
    writer.close()
    assert done == ["first", "second"]
    assert (noted(path, "a"), noted(path, "b")) == ("1", "2")
    assert writer.waiting == 0
    writer.close()
    Store.open(path).close()  # nobody has it any more


def test_closing_while_the_disk_fails_gives_up_and_says_so(path: Path) -> None:
    def full(store: Store) -> None:
        raise DiskError("the disk is full")

    writer = Writer(path)
    told: list[str] = []
    writer.submit(full)
    writer.submit(full, failed=lambda error: told.append(str(error)))
    writer.submit(lambda store: store.set_meta("a", "1"), lambda _: told.append("stored"))
    with pytest.raises(DiskError, match="full"):
        writer.close()
    assert told == ["the disk is full", "stored"]
    assert noted(path, "a") == "1"


def test_a_store_that_cannot_be_opened_is_told_at_once(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Writer(tmp_path / "none.db")
    with Store.open(path), pytest.raises(StoreError, match="open for writing elsewhere"):
        Writer(path)


def test_readers_see_it_meanwhile(writer: Writer, path: Path) -> None:
    writer.submit(lambda store: store.set_meta("a", "1"))
    settled(writer)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'a'").fetchone() == ("1",)
    connection.close()
