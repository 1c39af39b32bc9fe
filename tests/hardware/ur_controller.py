"""A Universal Robots controller as far as the network shows it: RTDE, dashboard, scripts; an arm that moves.

It speaks RTDE version 2 on port 30004 (Universal Robots' RTDE guide), the dashboard's lines on 29999, and
takes ur-rtde's control program on 30003. The ports are the controller's own and not to be chosen, so each
controller has a loopback address of its own. It says that it is PolyScope 5.11 and turns at 125 Hz.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from enum import IntEnum

from tests.hardware.ur_program import CYCLE_S, NOTHING, Arm, Program
from tests.hardware.ur_rtde import Peer, format_of, kind_of

VERSION = (5, 11, 1, 108318)
UNLOCKS_S = 5.0
"""How long a protective stop has to have been there before it can be unlocked."""

_DASHBOARD, _SCRIPTS, _RTDE = 29999, 30003, 30004
_BEHIND_S = 10 * CYCLE_S  # what it was later than that it leaves out
_STARTS_CYCLES = 5  # a program that was sent runs after so many


class Mode(IntEnum):
    POWER_OFF = 3
    RUNNING = 7


class Safety(IntEnum):
    NORMAL = 1
    PROTECTIVE_STOP = 3
    ROBOT_EMERGENCY_STOP = 7


class Runtime(IntEnum):
    STOPPED = 1
    PLAYING = 2
    PAUSED = 4


class UrController:
    """Serves at `host`, a loopback address, from when it is made until it is closed."""

    def __init__(self, host: str) -> None:
        self.host, self.arm = host, Arm()
        self.frozen = False
        """While it does nothing at all."""
        self.is_remote = True
        """Whether its pendant is set to remote control."""
        self.watchdog_struck = 0
        """How often the program was ended since nothing was heard."""
        self.program: Program | None = None
        self.mode, self.safety, self.runtime = Mode.RUNNING, Safety.NORMAL, Runtime.STOPPED
        self.outputs_bits = 0
        self._inputs: dict[str, float] = {}
        self._owners: dict[str, Peer] = {}
        self._cycles = self._fed_cycle = self._stopped_cycle = 0
        self._starts_cycle: int | None = None
        self._peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()
        self._listeners = [
            self._listen(port, hear)
            for port, hear in ((_DASHBOARD, self._dashboard), (_SCRIPTS, self._script), (_RTDE, self._rtde))
        ]
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    # -- what a test does to it ----------------------------------------------------------------------------

    def protect(self) -> None:
        """A protective stop, as after a collision: the program waits, and goes on if it is let."""
        with self._lock:
            self.safety, self._stopped_cycle = Safety.PROTECTIVE_STOP, self._cycles
            self.runtime = Runtime.PAUSED if self.program else Runtime.STOPPED

    def press_emergency(self, pressed: bool) -> None:
        """Its emergency stop; once it is released somebody has switched it on again."""
        with self._lock:
            self.safety = Safety.ROBOT_EMERGENCY_STOP if pressed else Safety.NORMAL
            self.mode = Mode.POWER_OFF if pressed else Mode.RUNNING
            self._end_program()

    def cut(self) -> None:
        """Every connection ends."""
        with self._lock:
            for peer in list(self._peers):
                self._forget(peer)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for peer in list(self._peers):
            self._forget(peer)
        for listener in self._listeners:
            listener.close()
        self._selector.close()

    # -- its time ------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        due_s = time.monotonic()
        while not self._over.is_set():
            if self.frozen:
                self._over.wait(CYCLE_S)
                continue
            due_s = max(due_s, time.monotonic() - _BEHIND_S)
            ready = self._selector.select(max(0.0, due_s - time.monotonic()))
            with self._lock:
                for key, _ in ready:
                    key.data()
                if time.monotonic() >= due_s:
                    self._cycle()
                    due_s += CYCLE_S

    def _cycle(self) -> None:
        self._cycles += 1
        if self._starts_cycle is not None and self._cycles >= self._starts_cycle:
            self._starts_cycle = None
            self.program, self.runtime = Program(), Runtime.PLAYING
        program = self.program
        if program is None or self.runtime is not Runtime.PLAYING:
            self.arm.brake()
        else:
            inputs = {f"input_double_register_{index}": 0.0 for index in range(8)}
            program.cycle(inputs | {"input_int_register_0": NOTHING} | self._inputs, self.arm)
            silent_s = (self._cycles - self._fed_cycle) * CYCLE_S
            if program.watchdog_s is not None and silent_s > program.watchdog_s:
                self.watchdog_struck += 1
                self._end_program()
            elif program.is_over:
                self._end_program()
        for peer in [peer for peer in self._peers if peer.started]:
            values = b"".join(self._packed(name) for name in peer.outputs)
            peer.pack("U", b"\1" + values)

    def _end_program(self) -> None:
        self.program, self.runtime, self._starts_cycle = None, Runtime.STOPPED, None

    def _packed(self, name: str) -> bytes:
        value = self._value(name)
        return struct.pack(f">{format_of(name, 'out')}", *(value if isinstance(value, list) else [value]))

    def _value(self, name: str) -> float | list[float]:
        match name:
            case "timestamp":
                return self._cycles * CYCLE_S
            case "actual_q":
                return self.arm.joint_pos_rad.tolist()
            case "actual_TCP_pose":
                return self.arm.pose.tolist()
            case "actual_TCP_speed":
                return self.arm.twist.tolist()
            case "actual_qd" | "actual_TCP_force":
                return [0.0] * 6
            case "actual_digital_output_bits":
                return self.outputs_bits
            case "robot_mode":
                return self.mode
            case "safety_mode":
                return self.safety
            case "runtime_state":
                return self.runtime
            case "robot_status_bits":
                return (self.mode is Mode.RUNNING) | (self.runtime is Runtime.PLAYING) << 1
            case "safety_status_bits":
                bit = {Safety.NORMAL: 0, Safety.PROTECTIVE_STOP: 2, Safety.ROBOT_EMERGENCY_STOP: 7}
                return 1 << bit[self.safety]
            case "output_int_register_0":
                return 0 if self.program is None else self.program.says
            case _:  # registers that nobody writes
                return 0

    # -- its connections -----------------------------------------------------------------------------------

    def _listen(self, port: int, hear: Callable[[Peer], None]) -> socket.socket:
        listener = socket.create_server((self.host, port))
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener, hear))
        return listener

    def _accept(self, listener: socket.socket, hear: Callable[[Peer], None]) -> None:
        connection, _ = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(connection, hear)
        self._peers.append(peer)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(peer))
        if hear == self._dashboard:
            peer.say(b"Connected: Universal Robots Dashboard Server\n")

    def _receive(self, peer: Peer) -> None:
        try:
            data = peer.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._forget(peer)
            return
        peer.waiting += data
        peer.hear(peer)

    def _forget(self, peer: Peer) -> None:
        if peer not in self._peers:
            return
        self._peers.remove(peer)
        self._selector.unregister(peer.socket)
        peer.socket.close()
        self._owners = {name: owner for name, owner in self._owners.items() if owner is not peer}

    # -- what it hears -------------------------------------------------------------------------------------

    def _script(self, peer: Peer) -> None:
        """A program ends with an `end` that stands at the beginning of a line."""
        script, end, rest = peer.waiting.partition(b"\nend\n")
        if end:
            assert script.startswith(b"def rtde_control():\n")
            peer.waiting = rest
            if self.mode is Mode.RUNNING and self.safety is Safety.NORMAL and self.is_remote:
                self._end_program()
                self._starts_cycle = self._cycles + _STARTS_CYCLES

    def _dashboard(self, peer: Peer) -> None:
        while b"\n" in peer.waiting:
            line, _, peer.waiting = peer.waiting.partition(b"\n")
            peer.say(f"{self._answer(line.decode().strip())}\n".encode())

    def _answer(self, asked: str) -> str:
        match asked:
            case "PolyscopeVersion":
                return f"URSoftware {'.'.join(map(str, VERSION))} (Mar 01 2021)"
            case "get serial number":
                return "20215500001"
            case "is in remote control":
                return str(self.is_remote).lower()
            case "safetystatus":
                return f"Safetystatus: {self.safety.name}"
            case "close safety popup":
                return "closing safety popup"
            case "stop":
                if self.program is None:
                    return "Failed to execute: stop"
                self._end_program()
                return "Stopped"
            case "unlock protective stop":
                if (self._cycles - self._stopped_cycle) * CYCLE_S < UNLOCKS_S:
                    return "Cannot unlock protective stop until 5s after occurrence."
                self.safety = Safety.NORMAL
                return "Protective stop releasing"
            case _:
                return f"could not understand: {asked}"

    def _rtde(self, peer: Peer) -> None:
        while len(peer.waiting) >= 3:
            size, kind = struct.unpack(">HB", peer.waiting[:3])
            if len(peer.waiting) < size:
                return
            payload, peer.waiting = peer.waiting[3:size], peer.waiting[size:]
            self._obey(peer, chr(kind), payload)

    def _obey(self, peer: Peer, kind: str, payload: bytes) -> None:
        match kind:
            case "V":
                peer.pack("V", bytes([struct.unpack(">H", payload)[0] == 2]))
            case "v":
                peer.pack("v", struct.pack(">4I", *VERSION))
            case "O":
                peer.outputs = [name for name in payload[8:].decode().split(",") if name]
                kinds = [kind_of(name, "out") for name in peer.outputs]
                peer.pack("O", b"\1" + ",".join(kinds).encode())
            case "I":
                self._add_recipe(peer, [name for name in payload.decode().split(",") if name])
            case "S" | "P":
                peer.started = kind == "S"
                peer.pack(kind, b"\1")
            case "U":
                self._take(peer.recipes[payload[0] - 1], payload[1:])
            case _:
                raise AssertionError(f"a package of the kind {kind!r}")

    def _add_recipe(self, peer: Peer, names: list[str]) -> None:
        kinds = [kind_of(name, "in") for name in names]
        kinds = [
            "IN_USE" if self._owners.get(name, peer) is not peer else kind
            for name, kind in zip(names, kinds, strict=True)
        ]
        valid = {"IN_USE", "NOT_FOUND"}.isdisjoint(kinds)
        if valid:
            peer.recipes.append(names)
            self._owners.update(dict.fromkeys(names, peer))
        peer.pack("I", bytes([len(peer.recipes) if valid else 0]) + ",".join(kinds).encode())

    def _take(self, names: list[str], data: bytes) -> None:
        formats = "".join(format_of(name, "in") for name in names)
        given = dict(zip(names, struct.unpack(f">{formats}", data), strict=True))
        self._inputs |= given
        if "input_int_register_0" in given:
            self._fed_cycle = self._cycles
        for place, first in (("standard", 0), ("tool", 16)):
            mask = given.get(f"{place}_digital_output_mask", 0) << first
            bits = given.get(f"{place}_digital_output", 0) << first
            self.outputs_bits = self.outputs_bits & ~mask | bits & mask
