"""The program on the learner's machine: sessions connect, and a process of its own learns from each run."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from pathlib import Path

import msgspec

from hardware.security import Role, ServerSecurity
from hardware.transport import Endpoint, Peer, Received, Server, wait
from hardware.wire import SpecMessage
from robot_rlhf import __version__
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.attached import ArmAttached
from robot_rlhf.session.remote.hosted import HostedRun, Learner
from robot_rlhf.session.remote.mirror import Mirror, StrangerError, put_aside
from robot_rlhf.session.run_folder import RunError, config_from

ROLES = (Role.SESSION, Role.MAINTAINER)
"""Whose keys may have a run learned from."""
_TICK_NS = 20_000_000
_AT_ONCE = 64  # messages taken in before the learners are looked at again
_HWM = 32


class LearnerHost:
    """Serves sessions at `bind`, their runs' mirrors in `folder`. Call `step` for ever, then `close`."""

    def __init__(self, bind: str, security: ServerSecurity | None, folder: Path, learner: Learner) -> None:
        """Raises TransportError for an address that cannot be bound, or is not loopback without keys."""
        self.runs: dict[str, HostedRun] = {}
        self.instance = secrets.token_hex(8)
        self._folder, self._learner = folder, learner
        self._server: Server[m.FromSession] = Server(
            bind,
            m.FromSession,
            security=security,
            local_role=Role.SESSION,
            max_bytes=m.MAX_BYTES,
            max_send_bytes=m.MAX_BYTES,
            hwm=_HWM,
            send_hwm=_HWM,
        )
        self._attached: dict[Peer, tuple[HostedRun, ArmAttached]] = {}
        self._troubles: set[str] = set()

    @property
    def address(self) -> str:
        """Where sessions connect."""
        return self._server.address

    def step(self) -> None:
        """Wait for what comes next, and handle it."""
        lines: list[Endpoint] = [self._server]
        for run in self.runs.values():
            lines += run.endpoints
        wait(lines, time.monotonic_ns() + _TICK_NS)
        now = time.monotonic_ns()
        for _ in range(_AT_ONCE):
            got = self._server.receive()
            if got is None:
                break
            self._received(got, now)
        for key, run in list(self.runs.items()):
            try:
                run.service(now, self._let_go)
            except (StoreError, OSError) as error:
                self._trouble(f"{run.mirror.path}: {error}")
            if run.over:
                run.close()
                del self.runs[key]
        self._attached = {peer: (run, arm) for peer, (run, arm) in self._attached.items() if arm.peer == peer}

    def close(self) -> None:
        """Let every learner save, and drop every session."""
        for run in self.runs.values():
            with contextlib.suppress(StoreError):
                run.close()
        self._server.close()

    def _send(self, peer: Peer, message: m.FromHost) -> bool:
        return self._server.send(peer, message)

    def _let_go(self, arm: ArmAttached, request: str) -> None:
        """Answer a session that leaves: its learner has saved."""
        if arm.peer is not None:
            self._server.reply(Received(arm.peer, m.Leave(), request), m.Done())

    def _trouble(self, text: str) -> None:
        """Say what is wrong here, once."""
        if text not in self._troubles:
            self._troubles.add(text)
            print(f"robot-rlhf: {text}", file=sys.stderr, flush=True)

    def _received(self, got: Received[m.FromSession], now: int) -> None:
        try:
            answer = self._answer(got, now)
        except (StoreError, RunError, OSError) as error:
            self._trouble(str(error))
            answer = m.Refused(reason=f"at the learner's machine: {error}")
        if answer is None:
            return
        if got.request is not None:
            self._server.reply(got, answer)
        elif isinstance(answer, (m.Unattached, m.Pong)):
            self._server.send(got.peer, answer)

    def _answer(self, got: Received[m.FromSession], now: int) -> m.FromHost | None:
        peer, message = got.peer, got.message
        if isinstance(message, m.Hello):
            return self._hello(message, peer)
        if peer.role not in ROLES:
            return m.Refused(reason=_not_allowed(peer))
        if isinstance(message, m.Attach):
            return self._attach(message, peer)
        if peer not in self._attached:
            return m.Unattached()
        run, arm = self._attached[peer]
        arm.heard_ns = now
        match message:
            case m.Ping():
                return m.Pong()
            case m.Log():
                return run.take_in(arm, message)
            case m.Put():
                if not message.piece.intact:
                    return m.Damaged()
                took = run.mirror.put(message)
                return m.Done() if took else m.Refused(reason=f"{message.path} does not come in order")
            case m.Settled():
                run.settled(arm)
                return m.Done()
            case m.Relay(message=word):
                run.relay(arm, word)
            case m.AskPiece(path=path, version=version, offset=offset):
                data = run.mirror.piece(m.FileState(path, 0, version), offset)
                return m.Piece(path=path, version=version, offset=offset, piece=m.Sealed.of(data))
            case m.Got():
                arm.got(message)
            case m.Again():
                arm.again(message, now)
            case m.Leave():
                if got.request is None or run.leave(arm, got.request):
                    return m.Done()
        return None

    def _hello(self, hello: m.Hello, peer: Peer) -> m.Welcome | m.Refused:
        if peer.role not in ROLES:
            return m.Refused(reason=_not_allowed(peer))
        if (hello.protocol, hello.package) != (m.PROTOCOL, __version__):
            return m.Refused(
                reason=f"the learner is robot-rlhf {__version__} (protocol {m.PROTOCOL}), the session "
                f"{hello.package} (protocol {hello.protocol}): install the same on both machines"
            )
        return m.Welcome(protocol=m.PROTOCOL, package=__version__, instance=self.instance)

    def _attach(self, asked: m.Attach, peer: Peer) -> m.Attached | m.Refused:
        try:
            config = config_from(asked.config, f"the settings of {asked.name}")
            if asked.arm:
                msgspec.json.decode(asked.arm, type=SpecMessage).spec()
        except (RunError, ValueError, msgspec.MsgspecError) as error:
            return m.Refused(reason=str(error))
        key = f"group-{asked.group}" if asked.group else f"run-{asked.run}"
        if asked.anew and not asked.group:
            self._start_anew(key)
        elif asked.anew:
            return m.Refused(
                reason=f"group {asked.group} has learned from what {asked.name} does not hold any more: "
                "choose another --group"
            )
        run = self.runs.get(key)
        try:
            if run is None:
                mirror = Mirror.open(self._folder / key, config, asked.arm, shared=bool(asked.group))
                run = self.runs[key] = HostedRun(mirror, self.instance, self._learner, self._send)
            elif asked.group:
                run.mirror.check(config)
            answer = run.attach(asked, peer)
        except StrangerError as error:
            return m.Refused(reason=str(error))
        if isinstance(answer, m.Attached):
            self._attached[peer] = run, run.arms[asked.run]
        return answer

    def _start_anew(self, key: str) -> None:
        """Put what is here of a run aside: its session holds another history."""
        run = self.runs.pop(key, None)
        if run is not None:
            run.close()
        put_aside(self._folder / key)


def _not_allowed(peer: Peer) -> str:
    return (
        f"the key of {peer.name} has the role {peer.role.value}: a session needs one of "
        "`robot-rlhf keys make NAME --role session`, made on the learner's machine"
    )
