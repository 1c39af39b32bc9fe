"""The session's end of the line to its learner: starts it, starts it anew when it dies, and forgets nothing
that it still owes. `LearnerLine` is what a session wants of such a line, wherever its learner runs."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from hardware.transport import Endpoint, Peer, Server, wait
from robot_rlhf.session import learner_messages as to
from robot_rlhf.session import processes
from robot_rlhf.session.run_folder import RunError

ADDRESS, TOKEN = "ROBOT_RLHF_LEARNER_ADDRESS", "ROBOT_RLHF_LEARNER_TOKEN"
"""Where, in its environment, a learner finds whom to connect to and how to prove that it is ours."""
SESSION = "ROBOT_RLHF_SESSION_PID"
"""Where it finds whose child it is: an orphan has nobody to learn for."""
MAX_BYTES = 64 << 20
_PAUSE_NS = 2_000_000_000  # between two starts of a learner that dies
_QUIT_S = 5.0  # what it then has not saved it does again when the run goes on
_SHORT_NS = 60_000_000_000  # a learner that lives no longer has failed at once
_MOST_SHORT = 5
_QUIET = {  # one thread, and none that spins while it waits: two cores carry the arm and the window too
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}


class LearnerLine(Protocol):
    """A session's line to its learner. Nothing blocks but `close`."""

    what: str
    """What the learner does, in words."""
    updates: int
    reward_version: int

    @property
    def endpoints(self) -> list[Endpoint]:
        """For `hardware.transport.wait`."""
        ...

    def receive(self) -> to.FromLearner | None:
        """The next thing it says, or None; raises RunError where it can say nothing more."""
        ...

    def tell(self, message: to.Stored | to.MorePairs) -> None:
        """Tell it; one that is not there reads the store when it is."""
        ...

    def assign(self, job: to.RollOut | to.Worsen) -> None:
        """A job that it owes until `RolledOut` comes, also across its death."""
        ...

    def stand(self, message: to.Begin | to.Finish) -> None:
        """Something that holds from now on, for every learner that there is."""
        ...

    def close(self) -> Iterator[to.FromLearner]:
        """Have it save and end, and give what it still says."""
        ...


class LearnerLink:
    """Runs `command` as the learner, on this machine."""

    def __init__(self, command: Sequence[str]) -> None:
        self.what = "starting"
        """What the learner does, in words."""
        self.updates = self.reward_version = 0
        self.starts = 0
        self._command = list(command)
        self._server: Server[to.FromLearner] = Server(
            "tcp://127.0.0.1:0",
            to.FromLearner,
            security=None,
            max_bytes=MAX_BYTES,
            max_send_bytes=MAX_BYTES,
            hwm=1000,
            send_hwm=1000,
        )
        self._peer: Peer | None = None
        self._token = ""
        self._standing: list[to.Begin | to.Finish] = []  # what holds for every learner that is started
        self._jobs: dict[int, to.RollOut | to.Worsen] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started_ns = 0
        self._failure = ""  # what it said of its end
        self._short = 0  # short lives in a row
        self._dismissed = False
        self._start()

    def _start(self) -> None:
        self._token = secrets.token_hex(16)
        environment = {**os.environ, **_QUIET, ADDRESS: self._server.address, TOKEN: self._token}
        environment[SESSION] = str(os.getpid())
        self._process = processes.start(self._command, environment)
        self._started_ns = time.monotonic_ns()
        self.starts += 1

    @property
    def endpoints(self) -> list[Endpoint]:
        """For `hardware.transport.wait`."""
        return [self._server]

    @property
    def pid(self) -> int | None:
        """The learner's process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def owes(self) -> int:
        """Jobs it was given and has not answered."""
        return len(self._jobs)

    def receive(self) -> to.FromLearner | None:
        """The next thing it says, or None. Starts it anew where it has died; raises RunError where that
        is of no use."""
        process = self._process
        if process is not None and process.poll() is not None:
            if self._dismissed:
                self._process = None
            else:
                self._has_died(process.returncode)
        rested = time.monotonic_ns() - self._started_ns > _PAUSE_NS
        if self._process is None and rested and not self._dismissed:
            self._start()
        while (got := self._server.receive()) is not None:
            message = got.message
            if got.request is not None:
                self._server.reply(got, to.Heard())
            if isinstance(message, to.Ready):
                if secrets.compare_digest(message.token, self._token) and self._peer != got.peer:
                    self._peer = got.peer
                    for told in (*self._jobs.values(), *self._standing):
                        self._send(told)
                    if self._dismissed:
                        self._send(to.Quit())
                    return message
                continue
            if got.peer != self._peer:
                continue
            match message:
                case to.RolledOut(job=job):
                    if self._jobs.pop(job, None) is None:
                        continue
                case to.Doing():
                    self.what, self.updates = message.what, message.updates
                    self.reward_version = message.reward_version
                case to.Failed(reason=reason):
                    self.what = self._failure = reason
                case _:
                    pass
            return message
        return None

    def _has_died(self, code: int) -> None:
        was = f": {self._failure}" if self._failure else ""
        self.what = f"the learner ended with code {code}{was}; it is started anew"
        self._peer, self._process, self._failure = None, None, ""
        lived_ns = time.monotonic_ns() - self._started_ns
        self._short = self._short + 1 if lived_ns < _SHORT_NS else 0
        if self._short >= _MOST_SHORT:
            raise RunError(f"the learner ended {self._short} times in a row with code {code}{was}")

    def tell(self, message: to.Stored | to.MorePairs) -> None:
        """Tell it; one that is not there reads the store when it starts."""
        self._send(message)

    def assign(self, job: to.RollOut | to.Worsen) -> None:
        """A job that it owes until `RolledOut` comes, also across its death."""
        self._jobs[job.job] = job
        self._send(job)

    def stand(self, message: to.Begin | to.Finish) -> None:
        """Something that holds from now on, for every learner that is started."""
        if message not in self._standing:
            self._standing.append(message)
            self._send(message)

    def _send(self, message: to.ToLearner) -> None:
        if self._peer is not None:
            self._server.send(self._peer, message)

    def dismiss(self) -> None:
        """Have it save and end, and start no other."""
        if not self._dismissed:
            self._dismissed = True
            self._send(to.Quit())

    @property
    def ended(self) -> bool:
        """Whether it was dismissed, and has ended."""
        return self._dismissed and self._process is None

    def close(self) -> Iterator[to.FromLearner]:
        """Have it save and end, and give what it still says; it is killed if it takes longer than 5 s."""
        self.dismiss()
        deadline = time.monotonic() + (_QUIT_S if self._peer is not None else 0.0)
        while self._process is not None and time.monotonic() < deadline:
            wait(self.endpoints, time.monotonic_ns() + 50_000_000)
            while (message := self.receive()) is not None:
                yield message
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._peer = None
        self._server.close()
