"""What a machine does to a store: a full disk, a log cut off by a power cut, a clock that jumps."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_file import DiskError, StoreError
from robot_rlhf.feedback.types import Outcome

Maker = Callable[..., Episode]


def mark(number: int, time_ns: int = 0) -> Outcome:
    return Outcome(
        id=f"e{number}", operator="ann", session="s", time_ns=time_ns, episode=0, success=number % 2 == 0
    )


class SmallDisk:
    """A folder with room for a megabyte, and `grow`, which makes room: a file system of its own where that
    can be mounted, else a limit on the size of this process's files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        options = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(self.folder)]
        self._mounted = subprocess.run(options, check=False, capture_output=True).returncode == 0
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        if not self._mounted:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, self._limit[1]))

    def grow(self) -> None:
        if self._mounted:
            subprocess.run(["mount", "-o", "remount,size=20m", str(self.folder)], check=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)

    def close(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limit)
        if self._mounted:
            subprocess.run(["umount", str(self.folder)], check=True)
        shutil.rmtree(self.folder)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    disk = SmallDisk()
    yield disk
    disk.close()


def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(
    disk: SmallDisk, make_episode: Maker
) -> None:
    path = disk.folder / "run.db"
    with Store.create(path) as store:
        acknowledged = 0
        with pytest.raises(DiskError, match=r"run\.db: the disk (is full|failed)"):
            for number in range(100_000):
                with store.transaction():
                    store.add_feedback(mark(number))
                    store.add_episode(make_episode(number))
                acknowledged += 1
        assert acknowledged > 20
        kept = [mark(number) for number in range(acknowledged)]
        assert store.all_events() == kept
        disk.grow()
        store.add_feedback(mark(acknowledged))  # the same process goes on once there is room
    with Store.open(path) as store:
        assert store.all_events() == [*kept, mark(acknowledged)]
        assert list(store.episode_steps()) == list(range(acknowledged))


def test_a_process_that_dies_on_a_full_disk_leaves_a_sound_file(disk: SmallDisk, make_episode: Maker) -> None:
    path = disk.folder / "run.db"
    store = Store.create(path)
    acknowledged: list[Outcome] = []
    with contextlib.suppress(DiskError):
        for number in range(100_000):
            store.add_feedback(mark(number))
            acknowledged.append(mark(number))
            store.add_episode(make_episode(number))
    left = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        for file in disk.folder.iterdir():  # as a kill leaves them: the log is not taken in
            shutil.copy(file, left)
        with Store.open(left / "run.db") as copy:
            assert copy.all_events()[: len(acknowledged)] == acknowledged
    finally:
        shutil.rmtree(left)
        disk.grow()
        store.close()


def test_a_copy_that_finds_no_room_leaves_nothing(disk: SmallDisk, path: Path, make_episode: Maker) -> None:
    with Store.open(path) as store:
        for number in range(40):
            store.add_episode(make_episode(number, steps=600))
        with pytest.raises(DiskError, match=r"copy\.db: the disk (is full|failed)"):
            store.copy(disk.folder / "copy.db")
    assert list(disk.folder.iterdir()) == []


def test_a_log_cut_anywhere_gives_what_was_committed_up_to_there(path: Path, tmp_path: Path) -> None:
    """A power cut on a disk that lies about what it has written: the log ends somewhere, or its end is no
    longer what was written. What is left is the record up to some event, never another one."""
    with Store.open(path) as store:
        for number in range(40):
            store.add_feedback(mark(number))
        killed = shutil.copytree(path.parent, tmp_path / "killed")
    log = (killed / "run.db-wal").read_bytes()
    everything = [mark(number) for number in range(40)]
    rng = np.random.default_rng(0)
    lengths = []
    for case, cut in enumerate([0, 16, 32, *rng.integers(32, len(log), 30).tolist(), len(log)]):
        folder = tmp_path / f"cut-{case}"
        folder.mkdir()
        shutil.copy(killed / "run.db", folder)
        torn = (
            rng.integers(0, 256, min(200, cut), dtype=np.uint8).tobytes()
            if case % 2 and cut < len(log)
            else b""
        )
        (folder / "run.db-wal").write_bytes(log[: cut - len(torn)] + torn)
        with Store.open_readonly(folder / "run.db") as store:
            seen = store.all_events()
        with Store.open(folder / "run.db") as store:
            assert store.all_events() == seen == everything[: len(seen)]
            store.add_feedback(mark(1000))
        with Store.open(folder / "run.db") as store:
            assert store.all_events() == [*seen, mark(1000)]
        lengths.append(len(seen))
    assert min(lengths) == 0
    assert max(lengths) == 40
    assert len(set(lengths)) > 10


def test_a_file_that_found_no_room_for_its_log_is_whole_with_it(
    path: Path, tmp_path: Path, make_episode: Maker
) -> None:
    """What a disk that is full leaves when the log is taken in: pages of the file are new, and those that it
    was to grow by are not there, though it says so."""
    with Store.open(path) as store:
        before = path.stat().st_size
        for number in range(5):
            store.add_episode(make_episode(number))
            store.add_feedback(mark(number))
        killed = shutil.copytree(path.parent, tmp_path / "killed")
    taken_in = path.read_bytes()
    assert len(taken_in) > before
    (killed / "run.db").write_bytes(taken_in[:before])
    for opened in (Store.open_untouched, Store.open_readonly, Store.open):
        with opened(killed / "run.db") as store:
            assert store.all_events() == [mark(number) for number in range(5)]
            assert list(store.episode_steps()) == list(range(5))
    (killed / "run.db").write_bytes(taken_in[:before])  # and without it, it is not
    with pytest.raises(StoreError, match="damaged"):
        Store.open(killed / "run.db")


def test_a_clock_that_jumps_back_changes_no_order(store: Store) -> None:
    times = [10**18, 10**18 + 5, 5, -7, 10**18 + 6, 0]
    marks = [mark(number, time_ns) for number, time_ns in enumerate(times)]
    for one in marks:
        store.add_feedback(one)
    assert store.feedback() == marks
    assert [entry.event for entry in store.history.entries()] == marks[::-1]
