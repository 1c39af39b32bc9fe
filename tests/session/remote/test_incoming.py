"""Files that come down: whole or not at all, growing ones at their end, none outside the run's folder."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from robot_rlhf.session.remote.incoming import DRAFTS, Incoming
from robot_rlhf.session.remote.messages import AskPiece, FileState, Piece, Sealed

CHECKPOINT, LOG, BOARD = "checkpoints/step-00000007.safetensors", "metrics.jsonl", "tensorboard/events.1"


class There:
    """The files at the other end."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}

    def listing(self) -> list[FileState]:
        return [FileState(path, len(data), version) for path, (version, data) in self.files.items()]

    def answer(self, asked: AskPiece, size: int = 10) -> Piece:
        version, data = self.files.get(asked.path, ("", b""))
        piece = data[asked.offset : asked.offset + size] if version == asked.version else b""
        return Piece(path=asked.path, version=asked.version, offset=asked.offset, piece=Sealed.of(piece))


def fetch(incoming: Incoming, there: There, most: int = 1_000) -> int:
    """Fetch all that is lacking; returns in how many pieces."""
    incoming.listed(there.listing())
    for count in range(most):
        asked = incoming.wanted()
        if asked is None:
            return count
        incoming.take(there.answer(asked))
    return most


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    there, incoming = There(), Incoming(tmp_path)
    there.files[CHECKPOINT] = "1", bytes(range(25))
    assert fetch(incoming, there, most=2) == 2
    assert not (tmp_path / CHECKPOINT).exists()
    assert not incoming.has(CHECKPOINT)
    assert fetch(incoming, there) == 1
    assert (tmp_path / CHECKPOINT).read_bytes() == bytes(range(25))
    assert incoming.has(CHECKPOINT)
    assert incoming.complete
    assert list((tmp_path / DRAFTS).iterdir()) == []


def test_a_log_grows_and_is_written_anew_where_it_was_there(tmp_path: Path) -> None:
    there, incoming = There(), Incoming(tmp_path)
    there.files[LOG] = "a", b"1\n2\n"
    fetch(incoming, there)
    there.files[LOG] = "a", b"1\n2\n3\n"
    assert fetch(incoming, there) == 1
    assert (tmp_path / LOG).read_bytes() == b"1\n2\n3\n"
    there.files[LOG] = "b", b"1\n"
    fetch(incoming, there)
    assert (tmp_path / LOG).read_bytes() == b"1\n"


def test_one_that_changes_on_its_way_is_fetched_as_it_is_then(tmp_path: Path) -> None:
    there, incoming = There(), Incoming(tmp_path)
    there.files[CHECKPOINT] = "1", b"o" * 25
    fetch(incoming, there, most=1)
    there.files[CHECKPOINT] = "2", b"n" * 25
    asked = incoming.wanted()
    assert asked is not None
    assert not incoming.take(there.answer(asked))  # nothing is there any more of what was asked for
    fetch(incoming, there)
    assert (tmp_path / CHECKPOINT).read_bytes() == b"n" * 25


def test_what_is_only_ever_added_to_does_not_come_twice(tmp_path: Path) -> None:
    there = There()
    there.files[BOARD] = "grows", bytes(25)
    fetch(Incoming(tmp_path, grows=["grows"]), there)
    there.files[BOARD] = "grows", bytes(27)
    assert fetch(Incoming(tmp_path, grows=["grows"]), there) == 1
    assert (tmp_path / BOARD).read_bytes() == bytes(27)


def test_an_empty_file_comes_too(tmp_path: Path) -> None:
    there = There()
    there.files[LOG] = "a", b""
    fetch(Incoming(tmp_path), there)
    assert (tmp_path / LOG).read_bytes() == b""


def test_a_piece_that_was_not_asked_for_is_passed_over(tmp_path: Path) -> None:
    there, incoming = There(), Incoming(tmp_path)
    there.files[CHECKPOINT] = "1", bytes(25)
    incoming.listed(there.listing())
    late = AskPiece(path=CHECKPOINT, version="1", offset=10)
    assert not incoming.take(there.answer(late))
    incoming.wanted()
    assert not incoming.take(there.answer(late))


@pytest.mark.parametrize(
    "path",
    ["../run.db", "run.db", "checkpoints/../run.db", "/etc/passwd", "tensorboard/..", "tensorboard/a/b", ""],
)
def test_no_other_file_can_be_named(path: str) -> None:
    with pytest.raises(ValueError, match="no such file"):
        FileState(path, 1, "1")
    told = msgspec.msgpack.encode({"type": "ask_piece", "path": path, "version": "1", "offset": 0})
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(told, type=AskPiece)
