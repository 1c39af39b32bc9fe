"""One control loop that owns an arm, and the sockets by which others ask it to move.

The loop turns at the arm's own rate on absolute deadlines: read the arm, publish what it is like, follow
what the guard says, as far as the limits let it. Between two turns it answers; a STOP is answered, and acted
on, at once. Nothing that comes over the network is waited for, but for an arm at rest that clears its faults,
and nothing raises out of the loop but the arm's own driver.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hardware import wire
from hardware.cameras.server import CameraServer
from hardware.clock import NS_PER_S
from hardware.host.guard import LEASE_S, Guard, NotAllowedError, Safety, Why, Wish
from hardware.host.motion import Motion
from hardware.host.recorder import Recorder, Verdict
from hardware.robot import Robot, RobotError, RobotState, Vector
from hardware.security import ServerSecurity
from hardware.transport import Peer, Publisher, Received, Refusal, Server, wait

_SOME = 16  # messages of a socket that are looked at between two turns: a flood does not hold the loop up
_QUEUED = 16  # for each listener: a turn may publish three, and the next comes at once after a late one
_ANSWERS_KEPT = 256
_REMEMBERED = 1_000  # events that can be asked for
_STRANGERS = (Refusal.UNKNOWN_KEY, Refusal.NOT_AUTHORISED)
_LOOKS_NS = 10 * NS_PER_S
_HUNG_NS = 100_000_000  # a turn that is later than this is told of


@runtime_checkable
class Simulation(Protocol):
    """A simulated arm that knows what lies before it, and puts both at a start when told to."""

    def objects(self) -> Mapping[str, Vector]:
        """Where things are, by name (7,): m and quaternion xyzw."""
        ...

    def lay_out(self, tool_pos_m: Vector, opening: float, poses: Mapping[str, Vector]) -> None:
        """Put the tool (3,), the gripper and the things there. Raises ValueError for what cannot be."""
        ...


@dataclass(frozen=True)
class Addresses:
    """Where a host listens."""

    rpc: str
    commands: str
    stop: str
    states: str


class Host:
    """Serves `robot`. Call `turn_until` again and again, from one thread.

    `attended`: it moves only while a person is heard of; by default unless the arm is a simulated one.
    `record`: a folder where the last minute is written when the arm is stopped, see `hardware.host.recorder`.
    `cameras` publish beside it; the host tells of them, and closes them.
    """

    def __init__(
        self,
        robot: Robot,
        bind: str,
        *,
        security: ServerSecurity | None,
        attended: bool | None = None,
        record: Path | None = None,
        cameras: Sequence[CameraServer] = (),
    ) -> None:
        """`bind` is where it is asked; the other sockets are beside it. Raises TransportError for an address
        that cannot be bound, or is not loopback without `security`, RobotError for a `record` that cannot be
        made."""
        self._robot, self._spec = robot, robot.spec
        self.guard = Guard(attended=not self._spec.simulated if attended is None else attended)
        self._motion = Motion(robot, self.guard)
        self.session = secrets.token_hex(8)
        self._recorder: Recorder | None = None
        if record is not None:
            self._recorder = Recorder(record, self._spec.name, self.session, self._spec.control_hz)
        beside = f"{bind.rpartition(':')[0]}:*"
        self._rpc: Server[wire.ToHost] = Server(bind, wire.ToHost, security=security)
        self._commands: Server[wire.Move] = Server(beside, wire.Move, security=security, hwm=4)
        self._stop: Server[wire.ToStop] = Server(beside, wire.ToStop, security=security)
        self._states = Publisher(beside, security=security, hwm=_QUEUED)
        self.addresses = Addresses(
            self._rpc.address, self._commands.address, self._stop.address, self._states.address
        )
        self._cameras = cameras
        self._simulation = robot if isinstance(robot, Simulation) and robot.spec.simulated else None
        self._period_ns = round(NS_PER_S / self._spec.control_hz)
        self._next_ns = time.monotonic_ns()
        self._seq = self._told = 0
        self._happened: deque[wire.Happened] = deque(maxlen=_REMEMBERED)
        self._refused = self._looks_ns = 0  # handshakes and messages of strangers; when they are counted next
        self._last_command = -1
        self._answers: OrderedDict[tuple[str, str], wire.FromHost] = OrderedDict()
        self._presses: deque[tuple[str, str | None]] = deque(maxlen=_ANSWERS_KEPT)  # of STOP
        self._state: wire.State | None = None
        self.late_ms = 0.0
        """How late the newest turn began."""
        self.overruns = 0
        """Turns that were left out, since the loop was later than a whole one."""

    # -- time --------------------------------------------------------------------------------------------

    def turn_until(self, until_ns: int) -> None:
        """Serve until that time on the monotonic clock. What a driver raises that is no RobotError comes out
        here, and is recorded by `close`."""
        sockets = (self._stop, self._commands, self._rpc)
        try:
            while (now_ns := time.monotonic_ns()) < until_ns:
                if now_ns >= self._next_ns:
                    self._turn(now_ns)
                wait(sockets, min(self._next_ns, until_ns))
                self._hear()
        except Exception as error:
            if self._recorder is not None:
                self._recorder.turn(time.monotonic_ns(), f"{type(error).__name__}: {error}")
            raise

    def _turn(self, now_ns: int) -> None:
        late_ns = now_ns - self._next_ns
        missed = late_ns // self._period_ns
        self.late_ms, self.overruns = late_ns / 1e6, self.overruns + missed
        self._next_ns += (missed + 1) * self._period_ns
        if late_ns > _HUNG_NS and self._state is not None:
            self.guard.happened.append(f"the control loop stood still for {late_ns / 1e6:.0f} ms")
        reading = self._motion.turn()
        if reading is not None:
            self._publish(reading, now_ns)
        if self._recorder is not None:
            self._recorder.turn(now_ns, self.guard.reason if self.guard.safety is Safety.STOPPED else None)
            while self._recorder.told:
                self.guard.happened.append(self._recorder.told.popleft())
        for camera in self._cameras:
            while not camera.told.empty():
                self.guard.happened.append(camera.told.get())
        if now_ns >= self._looks_ns:
            self._looks_ns = now_ns + _LOOKS_NS
            self._tell_refused()
        self._tell(now_ns)

    def _tell_refused(self) -> None:
        sockets = (self._rpc, self._commands, self._stop, self._states)
        refused = sum(one.refused[why] for one in sockets for why in _STRANGERS)
        if refused > self._refused:
            self.guard.happened.append(
                f"{refused - self._refused} times a key was refused that is not here, or revoked"
            )
        self._refused = refused

    # -- what is said ------------------------------------------------------------------------------------

    def _publish(self, reading: RobotState, now_ns: int) -> None:
        self._seq += 1
        guard, lease = self.guard, self.guard.lease
        self._state = wire.State(
            session=self.session,
            seq=self._seq,
            host_ns=now_ns,
            wall_ns=time.time_ns(),
            safety=guard.safety,
            reason=wire.text(guard.reason),
            holder="" if lease is None else lease.peer.name,
            source=None if lease is None else lease.source,
            last_command=self._last_command,
            late_ms=self.late_ms,
            told=self._told,
            stops=guard.stops,
            **wire.reading(reading),
        )
        guard.published(self._seq, now_ns)
        self._states.publish("state", self._state)
        if self._recorder is not None:
            self._recorder.state(self._state)
        if self._simulation is not None:
            poses = {name: wire.numbers(pose) for name, pose in self._simulation.objects().items()}
            self._states.publish("objects", wire.Objects(session=self.session, seq=self._seq, poses=poses))

    def _tell(self, now_ns: int) -> None:
        while self.guard.happened:
            self._told += 1
            text = wire.text(self.guard.happened.popleft())
            event = wire.Happened(
                number=self._told, stops=self.guard.stops, wall_ns=time.time_ns(), text=text
            )
            self._happened.append(event)
            self._states.publish("event", event)
            if self._recorder is not None:
                self._recorder.event(now_ns, event)

    # -- what is heard -----------------------------------------------------------------------------------

    def _hear(self) -> None:
        """Look at what has come; STOP before all else, and again between any two of the others."""
        for _ in range(_SOME):
            self._hear_stops()
            command, asked = self._commands.receive(), self._rpc.receive()
            if command is not None:
                self._hear_command(command)
            if asked is not None and asked.request is not None:  # else nobody waits for an answer
                self._rpc.reply(asked, self._answer_once(asked.request, asked))
            if command is None and asked is None:
                return

    def _hear_stops(self) -> None:
        for _ in range(_SOME):
            said = self._stop.receive()
            if said is None:
                return
            peer = said.peer
            match said.message:
                case wire.Stop(reason=reason):
                    self._hear_stop(said, f"{peer.name}: {reason}" if reason else f"{peer.name} pressed STOP")
                    answer: wire.Done | wire.Refused = wire.Done()
                case wire.Present():
                    answer = self._present(peer)
            if said.request is not None:
                self._stop.reply(said, answer)

    def _hear_stop(self, said: Received[wire.ToStop], reason: str) -> None:
        """Whoever is not answered at once says it again: that is the same stop while it lasts."""
        press = said.peer.key, said.request
        if press not in self._presses or self.guard.safety is not Safety.STOPPED:
            self.guard.stop(reason)
        if said.request is not None:
            self._presses.append(press)
        self._motion.halt()

    def _present(self, peer: Peer) -> wire.Done | wire.Refused:
        try:
            self.guard.heard(peer, time.monotonic_ns())
        except NotAllowedError as refusal:
            return wire.Refused(why=refusal.why, text=wire.text(refusal))
        return wire.Done()

    def _hear_command(self, said: Received[wire.Move]) -> None:
        verdict = self._judged(said)
        self._commands.send(said.peer, verdict)
        if self._recorder is not None:
            self._recorder.command(time.monotonic_ns(), said.peer.name, said.message, verdict)

    def _judged(self, said: Received[wire.Move]) -> Verdict:
        """The answer to a command, which is followed from now on if it is right."""
        move = said.message
        try:
            if move.session != self.session:
                raise ValueError(f"the session is {move.session!r}, here it is {self.session!r}")
            wish = Wish(
                move.lease,
                move.seq,
                wire.vector(move.twist, 6, "twist"),
                move.gripper,
                move.lasts_s,
                move.based_on,
                move.dead_man,
            )
            command = self.guard.command(said.peer, wish, time.monotonic_ns())
        except (NotAllowedError, ValueError) as error:
            why = error.why if isinstance(error, NotAllowedError) else None
            return wire.NotFollowed(seq=move.seq, why=why, text=wire.text(error))
        self._last_command = move.seq
        applied = self._motion.follow(command)
        if applied is not None:
            return wire.followed(applied)
        text = wire.text(f"stopped: {self.guard.reason}")
        return wire.NotFollowed(seq=move.seq, why=Why.STOPPED, text=text)

    def _answer_once(self, request: str, asked: Received[wire.ToHost]) -> wire.FromHost:
        """The answer to a question; the same again where the question only came again, since an act of a
        person is one act, however often the link made it arrive."""
        key = asked.peer.key, request
        if key not in self._answers:
            self._answers[key] = self._answered(asked)
            if len(self._answers) > _ANSWERS_KEPT:
                self._answers.popitem(last=False)
        return self._answers[key]

    def _answered(self, asked: Received[wire.ToHost]) -> wire.FromHost:
        try:
            return self._answer(asked.peer, asked.message)
        except NotAllowedError as refusal:
            return wire.Refused(why=refusal.why, text=wire.text(refusal))
        except RobotError as error:
            return wire.Refused(why=None, text=wire.text(error))

    def _answer(self, peer: Peer, asked: wire.ToHost) -> wire.FromHost:
        now_ns = time.monotonic_ns()
        match asked:
            case wire.Hello():
                return self._welcome(asked)
            case wire.Take(source=source, lease=instead):
                lease = self.guard.take(peer, source, now_ns, instead)
                return wire.Leased(lease=lease.id, seconds=LEASE_S, since=self.guard.since)
            case wire.Renew(lease=id):
                lease = self.guard.renew(peer, id, now_ns)
                return wire.Leased(lease=lease.id, seconds=LEASE_S, since=self.guard.since)
            case wire.Release(lease=id):
                self.guard.release(peer, id, now_ns)
            case wire.Clear(stops=stops):
                self._clear(peer, stops)
            case wire.Arm(stops=stops):
                self.guard.arm(peer, now_ns, stops)
            case wire.Lay():
                return self._lay_out(peer, asked, now_ns)
            case wire.Ping(client_ns=client_ns):
                answered_ns = time.monotonic_ns()
                return wire.Pong(client_ns=client_ns, received_ns=now_ns, answered_ns=answered_ns)
            case wire.Since(number=number):
                later = [event for event in self._happened if event.number > number]
                return wire.Events(events=tuple(later[: wire.MAX_EVENTS]))
            case wire.Ask():
                if self._state is None or self._motion.reading is None:
                    return wire.Refused(why=None, text=wire.text(self.guard.reason))
                return self._state
        return wire.Done()

    def _clear(self, peer: Peer, stops: int) -> None:
        self.guard.require_to_clear(peer, stops)
        self._motion.clear()
        self._next_ns = time.monotonic_ns()  # what that took is no late turn
        self.guard.clear(peer, stops)

    def _lay_out(self, peer: Peer, asked: wire.Lay, now_ns: int) -> wire.FromHost:
        if self._simulation is None:
            text = f"{self._spec.name} cannot be put anywhere: only a simulated arm with things before it can"
            return wire.Refused(why=None, text=text)
        try:
            tool, poses = wire.vector(asked.tool_pos_m, 3, "tool_pos_m"), wire.poses(asked.poses)
            self.guard.laid_out(peer, asked.lease, now_ns)
            self._motion.halt()
            self._simulation.lay_out(tool, asked.opening, poses)
        except ValueError as error:
            return wire.Refused(why=None, text=wire.text(error))
        return wire.Laid(since=self._seq)

    def _welcome(self, said: wire.Hello) -> wire.FromHost:
        if (said.version, said.schema) != (wire.VERSION, wire.schema()):
            ours, theirs = f"{wire.VERSION}/{wire.schema()}", f"{said.version}/{said.schema}"
            text = f"this host speaks {ours}, {said.name} speaks {theirs}: install the same version on both"
            return wire.Refused(why=None, text=wire.text(text))
        where = self.addresses
        return wire.Welcome(
            session=self.session,
            stops=self.guard.stops,
            spec=wire.SpecMessage.of(self._spec),
            attended=self.guard.attended,
            lays_out=self._simulation is not None,
            commands_port=_port(where.commands),
            stop_port=_port(where.stop),
            states_port=_port(where.states),
            cameras={camera.name: camera.port for camera in self._cameras},
        )

    def close(self) -> None:
        """Stop the arm and let go of it, and of the sockets, and record what is due. Calling it twice is
        fine."""
        self._robot.close()
        for socket in (self._rpc, self._commands, self._stop, self._states):
            socket.close()
        if self._recorder is not None:
            self._recorder.close()
        for camera in self._cameras:
            camera.close()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
