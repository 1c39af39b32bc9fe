"""Episodes and feedback events as rows, and back. What is read is checked, never executed.

An episode's arrays are one zlib-compressed msgpack record of (shape, little-endian bytes) pairs; types
are fixed per array, so that the bytes decide sizes and nothing else. Events and queries are JSON, an
event tagged by its kind.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hardware.cameras import NAME, CameraError, checked
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.types import (
    KIND_OF,
    Demonstration,
    Evaluation,
    Feedback,
    Outcome,
    Preference,
    Query,
    Removal,
    Takeover,
    Undo,
    Withdrawal,
)

StoredEvent: TypeAlias = Feedback | Withdrawal
Row: TypeAlias = tuple[Any, ...]

EPISODE_COLUMNS = "id, role, task, seed, policy_version, steps, terminated, truncated, arrays"
MAX_EPISODE_BYTES = 1 << 28  # uncompressed; about 2,000 times an ordinary episode
MAX_PICTURES_BYTES = 1 << 28  # of one camera in one episode

_KINDS = (int, str, str, int, int, int, int, int, bytes)  # of EPISODE_COLUMNS
_ARRAYS = {  # name -> (type, dimensions)
    "obs": ("<f4", 2),
    "action": ("<f4", 2),
    "proposed": ("<f4", 2),
    "driver": ("|u1", 1),
    "scenes": ("<f4", 2),
}


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    shape: tuple[int, ...]
    data: bytes


_arrays = msgspec.msgpack.Decoder(dict[str, _Packed])
_events: msgspec.json.Decoder[StoredEvent] = msgspec.json.Decoder(StoredEvent)
_queries = msgspec.json.Decoder(Query)
_pictures = msgspec.msgpack.Decoder(tuple[bytes, ...])
_rows = msgspec.msgpack.Decoder(tuple[int, str, str, int, int, int, bool, bool, bytes])


def episode_row(episode: Episode) -> Row:
    """The values of `EPISODE_COLUMNS`. StoreError for an array whose type or shape is not as documented."""
    packed = {}
    for name, (kind, dimensions) in _ARRAYS.items():
        array = getattr(episode, name)
        if array.dtype.newbyteorder("<") != np.dtype(kind) or array.ndim != dimensions:
            raise StoreError(
                f"episode {episode.id}: {name} is {array.dtype} with {array.ndim} dimensions, "
                f"expected {np.dtype(kind).name} with {dimensions}"
            )
        packed[name] = _Packed(array.shape, array.astype(kind, copy=False).tobytes())
    arrays = msgspec.msgpack.encode(packed)
    if len(arrays) > MAX_EPISODE_BYTES:
        raise StoreError(f"episode {episode.id} has {len(arrays)} bytes, more than {MAX_EPISODE_BYTES}")
    return (
        int(episode.id),
        episode.role.value,
        episode.task,
        int(episode.seed),
        int(episode.policy_version),
        episode.length,
        bool(episode.terminated),
        bool(episode.truncated),
        zlib.compress(arrays),
    )


def episode_from_row(row: Row) -> Episode:
    """The inverse of `episode_row`; StoreError where the row does not make a sound episode."""
    id_, role, task, seed, policy_version, steps, terminated, truncated, blob = row
    try:
        for column, kind, value in zip(EPISODE_COLUMNS.split(", "), _KINDS, row, strict=True):
            if not isinstance(value, kind):  # SQLite keeps whatever it was given
                raise ValueError(f"{column} is no {kind.__name__}")
        arrays = _unpack(blob)
        episode = Episode(
            id=id_,
            role=Role(role),
            task=task,
            seed=seed,
            policy_version=policy_version,
            terminated=bool(terminated),
            truncated=bool(truncated),
            **arrays,
        )
    except (ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise StoreError(f"episode {id_} is damaged in the store: {error}") from error
    if episode.length != steps:
        raise StoreError(f"episode {id_} is damaged in the store: {episode.length} steps, expected {steps}")
    return episode


def encode_episode(episode: Episode) -> bytes:
    """An episode as one piece, for another process. StoreError as `episode_row`."""
    return packed(episode_row(episode))


def decode_episode(data: bytes) -> Episode:
    """The inverse of `encode_episode`; StoreError where the bytes are no episode."""
    return episode_from_row(unpacked(data))


def packed(row: Row) -> bytes:
    """The values of `EPISODE_COLUMNS`, as they are stored, in one piece."""
    *plain, terminated, truncated, arrays = row
    return msgspec.msgpack.encode((*plain, bool(terminated), bool(truncated), arrays))


def unpacked(data: bytes) -> Row:
    """The inverse of `packed`; StoreError where the bytes are no such values. Whether they make a sound
    episode is not known yet."""
    try:
        return _rows.decode(data)
    except msgspec.MsgspecError as error:
        raise StoreError(f"these {len(data)} bytes are no episode: {error}") from error


def _unpack(blob: bytes) -> dict[str, NDArray[Any]]:
    inflater = zlib.decompressobj()
    raw = inflater.decompress(blob, MAX_EPISODE_BYTES + 1)
    if len(raw) > MAX_EPISODE_BYTES or not inflater.eof or inflater.unused_data:
        raise ValueError("its compressed arrays are cut off, too long, or followed by something else")
    packed = _arrays.decode(raw)
    if packed.keys() != _ARRAYS.keys():
        raise ValueError(f"it holds the arrays {sorted(packed)}, expected {sorted(_ARRAYS)}")
    return {name: _array(name, packed[name]) for name in _ARRAYS}


def _array(name: str, packed: _Packed) -> NDArray[Any]:
    dtype, dimensions = np.dtype(_ARRAYS[name][0]), _ARRAYS[name][1]
    shape = packed.shape
    sound = len(shape) == dimensions and min(shape) >= 0
    if not sound or math.prod(shape) * dtype.itemsize != len(packed.data):
        raise ValueError(f"{name} has shape {shape} and {len(packed.data)} bytes, which do not agree")
    array = np.frombuffer(packed.data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))  # a copy: writable, as a recorded episode's arrays are


def reward_bytes(reward: NDArray[np.float32], episode: Episode) -> bytes:
    """An episode's task reward (T,) as little-endian float32 bytes."""
    if reward.shape != (episode.length,) or not np.isfinite(reward).all():
        raise StoreError(
            f"episode {episode.id}: the task reward has shape {reward.shape}, "
            f"expected ({episode.length},) finite numbers"
        )
    return reward.astype("<f4").tobytes()


def reward_from_bytes(data: bytes, episode: int) -> NDArray[np.float32]:
    """The inverse of `reward_bytes`."""
    if not isinstance(data, bytes) or len(data) % 4:
        raise StoreError(f"the task reward of episode {episode} is damaged in the store: no whole numbers")
    return np.frombuffer(data, "<f4").astype(np.float32)


def pictures_bytes(frames: Sequence[bytes], episode: int, camera: str, count: int) -> bytes:
    """What a camera saw of an episode as one piece. StoreError unless they are `count` whole JPEGs."""
    where = f"episode {episode}, camera {camera!r}"
    if not NAME.fullmatch(camera):
        raise StoreError(f"{where}: a camera's name is 1 to 32 letters, digits, - and _")
    data = msgspec.msgpack.encode(_checked_pictures(tuple(frames), where, count))
    if len(data) > MAX_PICTURES_BYTES:
        raise StoreError(f"{where}: its pictures have {len(data)} bytes, more than {MAX_PICTURES_BYTES}")
    return data


def pictures_from_bytes(data: bytes, episode: int, camera: str, count: int) -> tuple[bytes, ...]:
    """The inverse of `pictures_bytes`; StoreError where the bytes are not such pictures."""
    where = f"the pictures of episode {episode}, camera {camera!r}, are damaged in the store"
    if not isinstance(data, bytes) or len(data) > MAX_PICTURES_BYTES:
        raise StoreError(f"{where}: no bytes, or more than {MAX_PICTURES_BYTES}")
    try:
        frames = _pictures.decode(data)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{where}: {error}") from error
    return _checked_pictures(frames, where, count)


def _checked_pictures(frames: tuple[bytes, ...], where: str, count: int) -> tuple[bytes, ...]:
    if len(frames) != count:
        raise StoreError(f"{where}: {len(frames)} pictures, expected {count}, one for each observation")
    try:
        for index, frame in enumerate(frames):
            checked(frame, MAX_PICTURES_BYTES, f"picture {index}")
    except CameraError as error:
        raise StoreError(f"{where}: {error}") from error
    return frames


def encode_event(event: StoredEvent) -> str:
    """The event as tagged JSON. StoreError when it would not come back as it is: a number that is NaN
    or infinite, a NumPy number, a field of another type."""
    try:
        payload = msgspec.json.encode(event).decode()
        same = _events.decode(payload) == event
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise StoreError(f"{type(event).__name__} {event.id!r} cannot be stored: {error}") from error
    if not same:
        raise StoreError(f"{type(event).__name__} {event.id!r} cannot be stored: it would change in storage")
    return payload


def decode_event(payload: str) -> StoredEvent:
    """The inverse of `encode_event`; StoreError where the text is not an event."""
    try:
        return _events.decode(payload)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise StoreError(f"a feedback event is damaged in the store: {error}") from error


EVENT_COLUMNS = ("id", "kind", "operator", "session", "time_ns", "last_episode", "target")
REMOVAL = "removal"  # what the column kind says of one


def event_columns(event: StoredEvent) -> Row:
    """What stands beside an event's payload, in the columns EVENT_COLUMNS."""
    match event:
        case Undo():
            kind = "undo"
        case Removal():
            kind = REMOVAL
        case _:
            kind = KIND_OF[type(event)].value
    last_episode = max(episodes_of(event), default=None)
    target = event.target if isinstance(event, Undo) else None
    return event.id, kind, event.operator, event.session, event.time_ns, last_episode, target


def encode_query(query: Query) -> str:
    """The query as JSON."""
    return msgspec.json.encode(query).decode()


def decode_query(payload: str) -> Query:
    """The inverse of `encode_query`; StoreError where the text is not a query."""
    try:
        return _queries.decode(payload)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise StoreError(f"a query is damaged in the store: {error}") from error


def episodes_of(event: StoredEvent) -> frozenset[int]:
    """The episodes an event speaks about: all of them must be stored before it can be learned from."""
    match event:
        case Preference(left=left, right=right):
            return frozenset({left.episode, right.episode})
        case Takeover(executed=executed, counterfactual=other):
            return frozenset({executed.episode} if other is None else {executed.episode, other.episode})
        case Demonstration(episode=episode, alternatives=alternatives):
            return frozenset({episode, *alternatives})
        case Evaluation(episode=episode) | Outcome(episode=episode) | Removal(episode=episode):
            return frozenset({episode})
        case Undo():
            return frozenset()
