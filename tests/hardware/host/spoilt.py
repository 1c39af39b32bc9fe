"""Messages as they should not be, and some that are right after all."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np

from hardware import wire
from hardware.robot import Source
from tests.hardware.host.stand import SPEED_M_S

NOBODYS = "0" * 16  # no lease
CUBE = np.array([0.5, 0.0, 0.02, 0.0, 0.0, 0.0, 1.0])
NAN, INF = float("nan"), float("inf")
AHEAD = np.full(6, SPEED_M_S)

MUST_BE_REFUSED: dict[str, list[Any]] = {
    "session": ["", "another", 7, None],
    "lease": ["", "another", NOBODYS, 7],
    "seq": [-1, 2**62 + 1, 2**63, 0.5, "1"],
    "gripper": [-0.1, 1.1, NAN, INF, "open"],
    "lasts_s": [0.0, -0.1, 0.3, NAN, INF, 1e308, "long"],
    "based_on": [0, -1, 2**60, 0.5],
    "dead_man": ["yes", 1, None],
    "type": ["Stop", "Followed", 1],
    "more": [0],
    "twist": [
        AHEAD.astype("<f4").tobytes(),
        AHEAD[:5].tobytes(),
        np.full(7, SPEED_M_S).tobytes(),
        np.array([SPEED_M_S, 0, NAN, 0, 0, 0]).tobytes(),
        np.array([SPEED_M_S, 0, INF, 0, 0, 0]).tobytes(),
        b"",
        "ahead",
        AHEAD.tolist(),
    ],
}
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01%s" + bytes(32)  # of ZMTP 3.1 (ZeroMQ RFC 37)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"


def lay(lease: str) -> wire.Lay:
    """Everything is put where it is."""
    tool, poses = np.array([0.5, 0.0, 0.35]), {"cube": CUBE.tobytes()}
    return wire.Lay(lease=lease, tool_pos_m=tool.tobytes(), opening=1.0, poses=poses)


def good(session: str) -> list[bytes]:
    """One of each message that a host understands, as near to being followed as a stranger can make it."""
    move = wire.Move(
        session=session,
        lease=NOBODYS,
        seq=1,
        twist=AHEAD.tobytes(),
        gripper=1.0,
        lasts_s=0.1,
        based_on=10**6,
        dead_man=True,
    )
    messages: list[msgspec.Struct] = [
        wire.Hello(version=wire.VERSION, schema=wire.schema(), name="fuzz"),
        *(wire.Take(source=source, lease=NOBODYS) for source in Source),
        wire.Renew(lease=NOBODYS),
        wire.Release(lease=NOBODYS),
        wire.Clear(stops=0),
        wire.Arm(stops=0),
        lay(NOBODYS),
        wire.Ping(client_ns=1),
        wire.Ask(),
        wire.Since(number=0),
        wire.Present(),
        wire.Stop(reason="fuzz"),
        move,
    ]
    return [msgspec.msgpack.encode(message) for message in messages]


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """A message with something wrong, or right after all."""
    bytes_ = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        place = rng.randrange(len(bytes_) + 1)
        match rng.randrange(5):
            case 0 if bytes_:
                bytes_[min(place, len(bytes_) - 1)] = rng.randrange(256)
            case 1:
                del bytes_[place:]
            case 2:
                bytes_[place:place] = rng.randbytes(rng.choice([1, 4, 40, 400]))
            case 3:
                del bytes_[place : place + rng.randrange(1, 9)]
            case _:
                bytes_ += bytes_[:place]
    return bytes(bytes_)


def frames(rng: random.Random, messages: list[bytes]) -> list[bytes]:
    """What goes out as one message: mostly framed as it should be."""
    body = spoilt(rng.choice(messages), rng) if rng.random() < 0.9 else rng.randbytes(rng.randrange(300))
    match rng.randrange(8):
        case 0:
            return [body]
        case 1:
            return [rng.randbytes(rng.randrange(40)), body]
        case 2:
            return [rng.randbytes(16), body, body]
        case 3 | 4:
            return [b"", body]
        case _:
            return [rng.randbytes(16), body]


def commanded(rng: random.Random, move: wire.Move) -> bytes:
    """That command, which asks for no motion, with something wrong, or right after all. It asks for motion
    where it must be refused."""
    fields = {**msgspec.structs.asdict(move), "type": "Move"}
    match rng.randrange(6):
        case 0:
            fields["seq"] = max(0, move.seq - rng.randrange(50))
            fields["based_on"] = max(0, move.based_on - rng.randrange(60))
            fields["dead_man"] = rng.random() < 0.5
        case 1:
            data = spoilt(msgspec.msgpack.encode(fields), rng)
            return data if _is_harmless(data, move) else b""
        case 2:
            fields["twist"] = AHEAD.tobytes()
            del fields[rng.choice(move.__struct_fields__)]
        case _:
            fields["twist"] = AHEAD.tobytes()
            for name in rng.sample(list(MUST_BE_REFUSED), rng.choice([1, 1, 2])):
                fields[name] = rng.choice(MUST_BE_REFUSED[name])
    return msgspec.msgpack.encode(fields)


def _is_harmless(data: bytes, move: wire.Move) -> bool:
    """Whether these bytes ask for no motion, and use up no numbers that others need."""
    try:
        said = msgspec.msgpack.decode(data, type=wire.Move)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True
    return not any(said.twist) and said.seq <= move.seq


def said_at_first(rng: random.Random) -> bytes:
    """What comes over a TCP connection to a port: as a subscriber says it, up to some place."""
    greeting = GREETING % rng.choice([b"NULL", b"CURVE", b"PLAIN", rng.randbytes(20)]).ljust(20, b"\0")
    frame = bytes([rng.choice([0, 1, 2, 3, 4, 6, 0xFF])])
    length = rng.choice([b"\x06", b"\xff", b"\x7f" + b"\xff" * 7, bytes(7) + b"\x06", b""])
    whole = (
        greeting + rng.choice([READY, b""]) + frame + length + b"\x01state" + rng.randbytes(rng.randrange(99))
    )
    return rng.choice(
        [spoilt(whole, rng), whole[: rng.randrange(len(whole))], rng.randbytes(rng.randrange(300))]
    )


def subscription(rng: random.Random) -> list[bytes]:
    """What a subscriber sends, and what none does."""
    topic = rng.choice([b"state", b"event", b"", rng.randbytes(rng.randrange(40))])
    said = rng.choice([b"\x00", b"\x01", b"\x01", b"\x02", b""]) + topic
    return [bytes(200_000)] if rng.random() < 0.002 else [said] * rng.choice([1, 1, 1, 1, 2, 9])
