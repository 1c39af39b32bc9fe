"""A run's folder at the learner's machine: what the sessions that feed it have stored, row by row.

It follows from their stores and can be thrown away: then all is sent again. What the learner makes there,
checkpoints, metrics, summary and report, goes to the sessions' folders, which stay the truth.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_file import DiskError
from robot_rlhf.feedback.store_log import Position, Rows, take_in
from robot_rlhf.report.files import write_atomically
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.remote.arms import MOST_ARMS, Alone, Numbering, ranges
from robot_rlhf.session.remote.messages import FILE, PIECE_BYTES, FileState, Put
from robot_rlhf.session.run_folder import ARM, CONFIG, RunError, RunFolder, to_toml

METRICS, BOARD = "metrics.jsonl", "tensorboard"
GROWS = "grows"
"""The version of a file that is only ever added to."""
_WHOLE = ("summary.json", "report.html")
_PLACE = "arm:"
"""Notes with this before a run's id say how far its session's rows are here."""
SHARED = "shared"
"""The note that is there where several arms feed the folder."""
_OWN = {"seed", "robot", "perception", "operator", "live", "simulated", "threads"}
"""Settings in which the arms of a group may differ."""


class _Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is noted of an arm, in one transaction with its rows."""

    name: str
    number: int
    first: int
    position: Position


class StrangerError(Exception):
    """A run that cannot be learned from here; the message says why in one line."""


@dataclass(frozen=True)
class _Upload:
    """A file that is on its way from a session."""

    path: str
    size: int
    pieces: list[bytes]

    @property
    def length(self) -> int:
        return sum(map(len, self.pieces))


class Mirror:
    """A folder, open for writing. Use `open`."""

    def __init__(self, run: RunFolder, *, shared: bool) -> None:
        self.run, self.shared = run, shared
        self.path = run.path
        self._numberings: dict[str, Alone | Numbering] = {}
        self._upload: _Upload | None = None

    @classmethod
    def open(cls, path: Path, config: RunConfig, arm: bytes, *, shared: bool) -> Mirror:
        """The mirror at `path`, made where there is none. One that cannot be used is put aside. Raises
        StrangerError for a run that does not fit what a shared one was begun with, RunError, StoreError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            run = RunFolder.open(path) if RunFolder.is_begun(path) else None
        except DiskError:  # it is in use, or the disk fails: nothing is wrong with the folder
            raise
        except (RunError, StoreError):
            put_aside(path)
            run = None
        if run is None:
            run = RunFolder.create(path, config)
            if shared:
                run.store.set_meta(SHARED, str(MOST_ARMS))
        elif not shared and run.config != config:
            write_atomically(path / CONFIG, to_toml(config).encode())
            run = RunFolder(path, config, run.store)
        if arm:
            write_atomically(path / ARM, arm)
        mirror = cls(run, shared=shared)
        if shared:
            try:
                mirror.check(config)
            except StrangerError:
                mirror.close()
                raise
        return mirror

    def check(self, config: RunConfig) -> None:
        """Raises StrangerError for settings with which an arm cannot join those that are here."""
        if odd := differences(self.run.config, config):
            raise StrangerError(f"the group was begun with another {', '.join(odd)}: choose another --group")

    def close(self) -> None:
        self.run.close()

    # -- arms --------------------------------------------------------------------------------------------

    def enter(self, run: str, name: str) -> Alone | Numbering:
        """The numbering of the run of that id, the same whenever it comes back."""
        if run not in self._numberings:
            place = self._place(run)
            if place is None:
                place = self._new_place(name)
                self.run.store.set_meta(_PLACE + run, msgspec.json.encode(place).decode())
            found = Numbering(place.number, place.first) if self.shared else Alone()
            self._numberings[run] = found
        return self._numberings[run]

    def _new_place(self, name: str) -> _Place:
        store = self.run.store
        ((known,),) = store.execute("SELECT COUNT(*) FROM meta WHERE key GLOB ?", (f"{_PLACE}*",))
        if known >= (MOST_ARMS if self.shared else 1):
            raise StrangerError(f"{known} arms feed this learner already")
        first = store.next_episode_id() // MOST_ARMS + 1 if self.shared and known else 0
        return _Place(name=name, number=known, first=first, position=Position())

    def _place(self, run: str) -> _Place | None:
        noted = self.run.store.meta(_PLACE + run)
        return None if noted is None else msgspec.json.decode(noted, type=_Place)

    def position(self, run: str) -> Position:
        """How far the rows of that run are here."""
        place = self._place(run)
        return Position() if place is None else place.position

    def episodes(self, run: str) -> tuple[tuple[int, int], ...]:
        """The ids of its episodes that are here, as its session numbers them, in ranges."""
        numbering = self._numberings[run]
        ids = (id for (id,) in self.run.store.execute("SELECT id FROM episodes ORDER BY id"))
        return ranges(numbering.inner(id) for id in ids if numbering.owns(id))

    def take_in(self, run: str, after: Position, upto: Position, rows: Rows) -> tuple[Position, bool]:
        """Write rows down, if they are those that come next; the position then, and whether something is
        taken back by them. Raises StoreError, and nothing is written then."""
        store, numbering = self.run.store, self._numberings[run]
        with store.transaction():
            place = self._place(run)
            assert place is not None
            if place.position != after:
                return place.position, False
            kept = {} if self.shared else {k: v for k, v in rows.notes.items() if not _is_ours(k)}
            rows = msgspec.structs.replace(rows, notes=kept)
            takes_back = take_in(store, rows, numbering.outer)
            place = msgspec.structs.replace(place, position=upto)
            store.set_meta(_PLACE + run, msgspec.json.encode(place).decode())
        return upto, takes_back

    # -- files -------------------------------------------------------------------------------------------

    def wants(self, checkpoint_step: int, metrics_bytes: int) -> bool:
        """Whether a session's checkpoint and metrics are further than what is here."""
        latest = self.run.store.latest_checkpoints(1)
        here = latest[0].step if latest and (self.path / latest[0].path).exists() else -1
        log = self.path / METRICS
        mine = log.stat().st_size if log.exists() else 0
        return (checkpoint_step, metrics_bytes) > (here, mine)

    def put(self, put: Put) -> bool:
        """Take a piece of a file; False where it is not the one that comes next."""
        if put.offset == 0:
            self._upload = _Upload(put.path, put.size, [])
        upload = self._upload
        if upload is None or (upload.path, upload.size, upload.length) != (put.path, put.size, put.offset):
            return False
        upload.pieces.append(put.piece.data)
        if upload.length >= upload.size:
            self._upload = None
            write_atomically(self.path / upload.path, b"".join(upload.pieces))
            if upload.path.startswith("checkpoints/"):
                self.enter_checkpoint(int(Path(upload.path).stem.removeprefix("step-")), upload.path)
        return True

    def enter_checkpoint(self, step: int, name: str) -> None:
        """A checkpoint lies, whole, in the folder."""
        with contextlib.suppress(FileNotFoundError):  # another has come and taken its place
            self.run.keep(step, self.path / name)

    def listing(self, generation: str) -> tuple[FileState, ...]:
        """The files that sessions shall have. `generation` is another one whenever the log may have been
        written anew."""
        found = []
        latest = self.run.store.latest_checkpoints(1)
        for path in (*_WHOLE, *(saved.path for saved in latest)):
            with contextlib.suppress(FileNotFoundError):
                stat = (self.path / path).stat()
                found.append(FileState(path, stat.st_size, f"{stat.st_mtime_ns}.{stat.st_size}"))
        for file in (self.path / METRICS, *sorted((self.path / BOARD).glob("*"))):
            path = str(file.relative_to(self.path))
            if FILE.fullmatch(path) and file.is_file():
                stat = file.stat()
                version = f"{generation}.{stat.st_ino}" if path == METRICS else GROWS
                found.append(FileState(path, stat.st_size, version))
        return tuple(found)

    def piece(self, state: FileState, offset: int) -> bytes:
        """Bytes of a file that was listed so; none where there are none, or it is another one by now."""
        try:
            with (self.path / state.path).open("rb") as file:
                stat = os.fstat(file.fileno())
                whole = state.path != METRICS and state.version != GROWS
                if whole and state.version != f"{stat.st_mtime_ns}.{stat.st_size}":
                    return b""
                if state.path == METRICS and not state.version.endswith(f".{stat.st_ino}"):
                    return b""
                file.seek(offset)
                return file.read(PIECE_BYTES)
        except FileNotFoundError:
            return b""


def put_aside(path: Path) -> None:
    """Give the folder at `path` another name, so that nothing is there."""
    if path.exists():
        names = (path.with_name(f"{path.name}.aside-{n}") for n in itertools.count(1))
        path.rename(next(name for name in names if not name.exists()))


def differences(one: RunConfig, other: RunConfig) -> list[str]:
    """The settings that all arms of a group must have in common, and these two have not."""

    def compared(mine: Any, theirs: Any, prefix: str) -> list[str]:
        odd: list[str] = []
        for item in fields(mine):
            a, b = getattr(mine, item.name), getattr(theirs, item.name)
            if not prefix and item.name in _OWN:
                continue
            if is_dataclass(a) and is_dataclass(b):
                odd += compared(a, b, f"{prefix}{item.name}.")
            elif a != b:
                odd.append(f"{prefix}{item.name} ({a}, here {b})")
        return odd

    return compared(one, other, "")


def _is_ours(key: str) -> bool:
    return key == SHARED or key.startswith(_PLACE)


def shared_by(store: Store) -> list[int]:
    """The numbers of the arms that feed a shared folder; empty for one that has its run to itself."""
    if store.meta(SHARED) is None:
        return []
    places = store.execute("SELECT value FROM meta WHERE key GLOB ?", (f"{_PLACE}*",))
    return sorted(msgspec.json.decode(value, type=_Place).number for (value,) in places)
