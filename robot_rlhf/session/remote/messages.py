"""What a session and a learner on another machine say to each other; it travels through hardware/transport.

The session connects. It asks, and is answered; the learner also pushes: weights, of which the newest
counts, and mail, which is sent until it is acknowledged. `Hello`, its two answers and `Unattached` stay as
they are in every version, so that two versions can tell each other that they are two.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeAlias

import msgspec

from robot_rlhf.feedback.store_log import Position
from robot_rlhf.session import learner_messages as lm

PROTOCOL = 2
"""Sessions and learners of different numbers refuse each other by name."""
MAX_BYTES = 64 << 20
MAX_FILE_BYTES = 1 << 30
PIECE_BYTES = 256 << 10
"""Of a file, in one message."""
GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RUN = re.compile(r"[0-9a-f]{32}")
FILE = re.compile(
    r"checkpoints/step-\d{8,}\.safetensors|metrics\.jsonl|summary\.json|report\.html"
    r"|tensorboard/[A-Za-z0-9_][A-Za-z0-9_.-]*"
)
"""The files of a run's folder that travel: no other is asked for, given out or written."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    pass


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes with their checksum: what was damaged on its way is known to be."""

    data: bytes
    digest: bytes

    @staticmethod
    def of(data: bytes) -> Sealed:
        return Sealed(data, _digest(data))

    @property
    def intact(self) -> bool:
        return _digest(self.data) == self.digest


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _check_file(path: str) -> None:
    if not FILE.fullmatch(path):
        raise ValueError(f"path is {path!r}: no such file of a run travels")


class FileState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the learner's folder of a run. What has the same `version` only grows; of a file that is
    replaced whole (all but the log and TensorBoard's) it has its size once and for all."""

    path: str
    size: int
    version: str

    def __post_init__(self) -> None:
        _check_file(self.path)
        if self.size < 0:
            raise ValueError(f"size is {self.size}: it must not be negative")


# -- from a session -----------------------------------------------------------------------------------


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """The first request: which software this is."""

    protocol: int
    package: str


class Attach(_Message, frozen=True, kw_only=True, tag="attach"):
    """Learn for this run. `instance` is another one for every session that was ever started on it; `config`
    and `arm` are the run's files; `checkpoint_step` and `metrics_bytes` say how far the session's own copies
    are; with `anew` what the learner has of the run is put aside."""

    run: str
    group: str
    instance: str
    name: str
    config: bytes
    arm: bytes
    checkpoint_step: int
    metrics_bytes: int
    anew: bool = False

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run):
            raise ValueError(f"run is {self.run!r}: it must be 32 hexadecimal digits")
        if self.group and not GROUP.fullmatch(self.group):
            raise ValueError(f"group is {self.group!r}: letters, digits, '_', '.' and '-'")


class Put(_Message, frozen=True, kw_only=True, tag="put"):
    """A piece of a file that the learner lacks, from its first to its last."""

    path: str
    offset: int
    size: int
    piece: Sealed

    def __post_init__(self) -> None:
        _check_file(self.path)
        if not 0 <= self.offset <= self.size <= MAX_FILE_BYTES:
            raise ValueError(f"offset {self.offset} of {self.size} bytes: the most is {MAX_FILE_BYTES}")


class Log(_Message, frozen=True, kw_only=True, tag="log"):
    """Rows of the session's store, `feedback.store_log.Rows` in MessagePack, which come after `after`."""

    after: Position
    upto: Position
    rows: Sealed


class Settled(_Message, frozen=True, kw_only=True, tag="settled"):
    """All that there was when the session attached is with the learner: it may begin."""


class Relay(_Message, frozen=True, kw_only=True, tag="relay"):
    """For the learner itself. One way: told again after every `Attach` where it must arrive."""

    message: lm.ToLearner


class AskPiece(_Message, frozen=True, kw_only=True, tag="ask_piece"):
    """For a piece of a file, from `offset` on."""

    path: str
    version: str
    offset: int

    def __post_init__(self) -> None:
        _check_file(self.path)
        if self.offset < 0:
            raise ValueError(f"offset is {self.offset}: it must not be negative")


class Got(_Message, frozen=True, kw_only=True, tag="got"):
    """What came, and is in hand. One way."""

    weights: int = 0
    mail: tuple[int, ...] = ()


class Again(_Message, frozen=True, kw_only=True, tag="again"):
    """Weights that came are not what was sent: once more. One way."""

    weights: int


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Is somebody there?"""


class Leave(_Message, frozen=True, kw_only=True, tag="leave"):
    """The session ends: save what is learned. Answered when that is done."""


FromSession: TypeAlias = Hello | Attach | Put | Log | Settled | Relay | AskPiece | Got | Again | Ping | Leave


# -- from a learner -----------------------------------------------------------------------------------


class Welcome(_Message, frozen=True, kw_only=True, tag="welcome"):
    """The answer to `Hello`. `instance` is another one for every learner that was ever started."""

    protocol: int
    package: str
    instance: str


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """It cannot be, and why, in words for a person."""

    reason: str


class Unattached(_Message, frozen=True, kw_only=True, tag="unattached"):
    """Who asks is not known here (any more): say `Hello` and `Attach` first."""


class Attached(_Message, frozen=True, kw_only=True, tag="attached"):
    """How far the learner is: its position, the ids of the episodes that it has as ranges (first, last), and
    whether it wants the session's checkpoint and log of metrics first."""

    position: Position
    episodes: tuple[tuple[int, int], ...]
    wants_files: bool


class Taken(_Message, frozen=True, kw_only=True, tag="taken"):
    """The learner is at this position, on its disk."""

    position: Position


class Damaged(_Message, frozen=True, kw_only=True, tag="damaged"):
    """What came is not what was sent: once more."""


class Done(_Message, frozen=True, kw_only=True, tag="done"):
    """It is done."""


class Piece(_Message, frozen=True, kw_only=True, tag="piece"):
    """Bytes of a file; none where the file is another one by now."""

    path: str
    version: str
    offset: int
    piece: Sealed


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """Somebody is here."""


class Listing(_Message, frozen=True, kw_only=True, tag="listing"):
    """The files that the session shall have, as they are now."""

    files: tuple[FileState, ...]


class Weights(_Message, frozen=True, kw_only=True, tag="weights"):
    """The policy published as `number`, a safetensors file as `learning.snapshot` makes it; `made_ns` is the
    wall clock at the learner when it was."""

    number: int
    made_ns: int
    policy: Sealed


class Mail(_Message, frozen=True, kw_only=True, tag="mail"):
    """A word of the learner's that must arrive."""

    number: int
    message: lm.FromLearner


class Word(_Message, frozen=True, kw_only=True, tag="word"):
    """A word of the learner's of which the newest counts."""

    message: lm.Doing


FromHost: TypeAlias = (
    Welcome
    | Refused
    | Unattached
    | Attached
    | Taken
    | Damaged
    | Done
    | Piece
    | Pong
    | Listing
    | Weights
    | Mail
    | Word
)
