"""Messages as bytes and back: strict MessagePack of msgspec structs, nothing that can execute.

What arrives is one of the structs that the receiver named, with exactly their fields, or it is refused.
Arrays travel as little-endian bytes whose type and shape the receiver knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import Enum
from types import UnionType
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

In = TypeVar("In")

ID_BYTES = 16  # of a request's id, drawn at random


class TransportError(Exception):
    """A socket that cannot be opened or used as asked; one line names the value and what is valid."""


class AddressInUseError(TransportError):
    """Something listens at this address, or has only just ceased to."""


class Refusal(str, Enum):
    """Why something that arrived was dropped."""

    UNKNOWN_KEY = "unknown key"  # in the handshake: a key that is not, or no longer, in the registry
    NOT_AUTHORISED = "not authorised"  # after it: the key has been revoked meanwhile
    TOO_BIG = "too big"
    MALFORMED = "malformed"  # not MessagePack, or not framed as our messages are
    INVALID = "invalid"  # MessagePack, but not one of the messages: an unknown field, a wrong type or value


class RefusedError(Exception):
    """Something that arrived and is dropped; the text says what about it was wrong."""

    def __init__(self, reason: Refusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Decoder(Generic[In]):
    """Bytes to one of the structs `incoming`, a struct or a union of tagged ones.

    Raises TransportError if any struct in it, however deep, lets unknown fields pass, or if it has a
    part that no type describes (Any and the like).
    """

    def __init__(self, incoming: type[In] | UnionType, max_bytes: int) -> None:
        try:
            self._decoder: msgspec.msgpack.Decoder[In] = msgspec.msgpack.Decoder(incoming)
            described = inspect.type_info(incoming)
        except (TypeError, NameError) as error:
            raise TransportError(f"{incoming} cannot be received: {error}") from error
        kinds = described.types if isinstance(described, inspect.UnionType) else (described,)
        for kind in kinds:
            if not isinstance(kind, inspect.StructType):
                raise TransportError(f"{incoming} cannot be received: a struct or a union of them can")
        complaint = next(_complaints(described, set()), None)
        if complaint is not None:
            raise TransportError(f"{incoming} cannot be received: {complaint}")
        self._max_bytes = max_bytes

    def decode(self, data: memoryview | bytes) -> In:
        """Raises RefusedError."""
        if len(data) > self._max_bytes:
            raise RefusedError(Refusal.TOO_BIG, f"{len(data)} bytes, more than {self._max_bytes}")
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            raise RefusedError(Refusal.INVALID, str(error)) from error
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RefusedError(Refusal.MALFORMED, str(error)) from error
        except Exception as error:  # from a struct's own checks: a stranger's bytes must not end a server
            raise RefusedError(Refusal.INVALID, f"{type(error).__name__}: {error}") from error


def encode(message: msgspec.Struct, max_bytes: int) -> bytes:
    """Raises TransportError for a message that the receiver would find too big."""
    data = msgspec.msgpack.encode(message)
    if len(data) > max_bytes:
        raise TransportError(f"{type(message).__name__} has {len(data)} bytes, more than {max_bytes}")
    return data


def array_bytes(array: NDArray[Any], dtype: str) -> bytes:
    """An array's numbers in C order as `dtype`, such as '<f8'; the receiver knows type and shape."""
    return np.ascontiguousarray(array, dtype=np.dtype(dtype)).tobytes()


def array_from(data: bytes, dtype: str, shape: Sequence[int], name: str) -> NDArray[Any]:
    """The inverse, read-only. Raises ValueError naming `name` where the length does not fit the shape."""
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise ValueError(f"{name} has {len(data)} bytes, expected {expected} for {tuple(shape)} of {dtype}")
    return np.frombuffer(data, dtype=dtype).reshape(shape)


def _complaints(kind: inspect.Type, seen: set[type]) -> Iterator[str]:
    """What in a type would let something unnamed pass."""
    match kind:
        case inspect.StructType():
            if kind.cls in seen:
                return
            seen.add(kind.cls)
            if not kind.forbid_unknown_fields:
                yield f"{kind.cls.__name__} must be declared with forbid_unknown_fields=True"
            for field in kind.fields:
                yield from _complaints(field.type, seen)
        case inspect.UnionType():
            for one in kind.types:
                yield from _complaints(one, seen)
        case inspect.CollectionType():
            yield from _complaints(kind.item_type, seen)
        case inspect.TupleType():
            for one in kind.item_types:
                yield from _complaints(one, seen)
        case inspect.DictType():
            yield from _complaints(kind.key_type, seen)
            yield from _complaints(kind.value_type, seen)
        case inspect.Metadata():
            yield from _complaints(kind.type, seen)
        case _ if not isinstance(kind, _PLAIN):
            yield f"it contains {type(kind).__name__}: only structs, collections and plain values may be"
        case _:
            pass


_PLAIN = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.DateTimeType,
    inspect.UUIDType,
)
