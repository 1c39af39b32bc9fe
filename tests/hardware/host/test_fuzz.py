"""Whatever bytes come, the host goes on, moves nothing and keeps nothing.

1,000 messages a socket here, with keys and without, four millions in all with

    ROBOT_RLHF_FUZZ=350000 python -m pytest tests/hardware/host/test_fuzz.py --timeout 3600
"""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

from hardware import wire
from hardware.cameras.remote import RemoteCamera
from hardware.cameras.server import CameraServer
from hardware.host.guard import Safety, Why
from hardware.robot import Source
from tests.hardware.host.fuzz import GROWTH_MB, MESSAGES, Link, Rig, Table
from tests.hardware.host.served import LOOPBACK, PATIENCE_S, Hand, memory_mb, until
from tests.hardware.host.spoilt import commanded, frames, good, lay, said_at_first, spoilt, subscription


@pytest.fixture(params=["without keys", "with keys"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path / "keys" if request.param == "with keys" else None)


def _is_answered(link: Link, last: msgspec.Struct) -> bool:
    """Whether the host has heard this, and with it all that went before."""
    id_ = b"the very last   "
    link.send_multipart([id_, msgspec.msgpack.encode(last)])
    while link.poll(500):
        if link.recv_multipart()[0] == id_:
            return True
    return False


def test_a_host_takes_any_bytes(rig: Rig) -> None:
    rng, one, host = random.Random(0), rig.one, rig.served.host
    at, messages, where = one.robot.read().tool_pos_m, good(host.session), host.addresses
    links = [rig.link(zmq.DEALER, address) for address in (where.rpc, where.commands, where.stop)]
    before_mb = memory_mb()
    for number in range(MESSAGES):
        for link in links:
            link.send_multipart(frames(rng, messages))
            while link.poll(0):
                link.recv_multipart()
        if number % 500 == 499:
            assert one.robot.ping_s() < 10.0
            one.robot.events.clear()
    for link, last in ((links[0], wire.Ping(client_ns=1)), (links[2], wire.Stop(reason="the last"))):
        until(partial(_is_answered, link, last))
    until(lambda: one.robot.now().safety is Safety.STOPPED)
    assert (one.robot.read().tool_pos_m == at).all()
    # the bytes must get so far as to be looked at
    until(lambda: sum((host._rpc.refused + host._commands.refused).values()) > MESSAGES / 3)
    assert memory_mb() - before_mb < GROWTH_MB
    rig.goes_on()


def _takes(source: Source) -> Callable[[Hand], None]:
    return lambda one: one.robot.take(source)


def _stops_and_takes(one: Hand) -> None:
    one.robot.stop_and_wait()
    one.robot.take(Source.SCRIPT)


def _clears(one: Hand) -> None:
    one.robot.clear_fault()


def _arms(one: Hand) -> None:
    one.robot.arm()


def _answers(commands: Link, seq: int) -> Iterator[wire.FromCommands]:
    """What has been said until the command of that number is answered."""
    while commands.poll(5_000):
        said: wire.FromCommands = msgspec.msgpack.decode(
            commands.recv_multipart()[-1], type=wire.FromCommands
        )
        yield said
        if said.seq == seq:
            return
    raise AssertionError(f"command {seq} was not answered")


def test_whoever_leads_moves_nothing_by_what_is_not_right(rig: Rig) -> None:
    rng, one, robot, where = random.Random(1), rig.one, rig.one.robot, rig.served.host.addresses
    commands, rpc = rig.link(zmq.DEALER, where.commands), rig.link(zmq.DEALER, where.rpc)
    at, seq, answers = robot.read().tool_pos_m, 0, Counter[Why | str | None]()
    before_mb = memory_mb()
    stages = [*map(_takes, Source), _stops_and_takes, _clears, _arms]
    for number in range(MESSAGES // 25):
        if number % 5 == 0:
            stages[number // 5 % len(stages)](one)
            robot.events.clear()
        robot.read()
        for last in range(25):
            seq += 1
            move = robot.move(seq, np.zeros(6), 1.0, 0.1, dead_man=True)
            data = msgspec.msgpack.encode(move) if last == 24 else commanded(rng, move)
            commands.send_multipart([b"", data])
        for answer in _answers(commands, seq):
            answers[answer.why if isinstance(answer, wire.NotFollowed) else "followed"] += 1
        for message in (lay(robot.link.lease), wire.Renew(lease=robot.link.lease)):
            rpc.send_multipart([rng.randbytes(16), spoilt(msgspec.msgpack.encode(message), rng)])
        while rpc.poll(0):
            rpc.recv_multipart()
    until(lambda: robot.now().safety is not Safety.MOVING)
    assert (robot.read().tool_pos_m == at).all()
    # the bytes must get as far as to each of the questions that a host asks itself
    assert answers.keys() == {*Why, None, "followed"} - {Why.ROLE, Why.UNATTENDED, Why.STOPPED_SINCE}
    assert isinstance(rig.served.arm, Table) and rig.served.arm.laid_out
    assert memory_mb() - before_mb < GROWTH_MB
    rig.goes_on()


def test_the_ports_that_publish_take_any_bytes(rig: Rig, tmp_path: Path) -> None:
    rng, robot = random.Random(2), rig.one.robot
    (tmp_path / "0.jpg").write_bytes(b"\xff\xd8 a picture \xff\xd9")
    with (
        closing(CameraServer(f"front=file:{tmp_path},hz=50", LOOPBACK, rig.keys)) as server,
        closing(RemoteCamera("front", server.address, security=rig.key)) as camera,
    ):
        camera.wait(PATIENCE_S)
        before_mb = memory_mb(), memory_mb(server.pid)
        for _ in range(MESSAGES // 100):
            for address in (rig.served.host.addresses.states, server.address):
                with closing(rig.link(zmq.XSUB, address)) as link:
                    for _ in range(100):
                        link.send_multipart(subscription(rng))
                    while link.poll(0):
                        link.recv_multipart()
                host, _, port = address.removeprefix("tcp://").rpartition(":")
                with socket.create_connection((host, int(port))) as raw, suppress(OSError):  # cut already
                    raw.sendall(said_at_first(rng))
            robot.read()
            camera.service()
        assert not camera.trouble
        camera.wait(PATIENCE_S)
        assert memory_mb() - before_mb[0] < GROWTH_MB
        assert memory_mb(server.pid) - before_mb[1] < GROWTH_MB
    rig.goes_on()
