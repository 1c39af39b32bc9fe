"""A session's line to a learner on another machine, as the control thread has it: nothing here blocks."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator

from hardware.security import ClientSecurity
from hardware.transport import Client, Endpoint, Expired, wait
from robot_rlhf import __version__
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.uplink import Orders, Uplink, Whose
from robot_rlhf.session.run_folder import RunError

_QUIT_S = 5.0  # what has not come by then comes when the run goes on
_TRY_S = 3.0


class RemoteLearnerLink:
    """As `session.learner_link.LearnerLink`, of a learner at `address` (tcp://HOST:PORT) that may come and
    go: `what` says so, and the console and `say` are told."""

    def __init__(
        self, address: str, security: ClientSecurity | None, whose: Whose, say: Callable[[str], None]
    ) -> None:
        self.what = f"looking for the learner at {address}"
        self.updates = self.reward_version = 0
        self._jobs: set[int] = set()
        self._standing: list[lm.Begin | lm.Finish] = []
        self._orders = Orders()
        self._uplink = Uplink(address, security, whose, self._orders, say)
        self._uplink.start()

    @property
    def endpoints(self) -> list[Endpoint]:
        return []  # the thread's; what it hands over waits for the next pass, 5 ms at most

    def receive(self) -> lm.FromLearner | None:
        while True:
            try:
                message = self._orders.said.get_nowait()
            except queue.Empty:
                return None
            match message:
                case str():
                    self.what = message
                    continue
                case lm.Doing():
                    self.what, self.updates = message.what, message.updates
                    self.reward_version = message.reward_version
                case lm.RolledOut(job=job):
                    if job not in self._jobs:
                        continue
                    self._jobs.remove(job)
                case _:
                    pass
            return message

    def tell(self, message: lm.Stored | lm.MorePairs) -> None:
        self._orders.given.put(message)

    def assign(self, job: lm.RollOut | lm.Worsen) -> None:
        self._jobs.add(job.job)
        self._orders.given.put(job)

    def stand(self, message: lm.Begin | lm.Finish) -> None:
        if message not in self._standing:
            self._standing.append(message)
            self._orders.given.put(message)

    def close(self) -> Iterator[lm.FromLearner]:
        """Have the learner save, and give what it still says, for 5 s at most."""
        self._orders.leaving.set()
        deadline = time.monotonic() + _QUIT_S
        while self._uplink.is_alive() and time.monotonic() < deadline:
            self._uplink.join(0.02)
            while (message := self.receive()) is not None:
                yield message
        self._orders.over.set()
        self._uplink.join()
        while (message := self.receive()) is not None:
            yield message


def try_learner(address: str, security: ClientSecurity | None) -> bool:
    """Whether a learner answers at `address` within some seconds. Raises RunError where it is one that will
    not have us, and TransportError for an address that is none."""
    client: Client[m.FromHost] = Client(address, m.FromHost, security=security)
    try:
        client.request(m.Hello(protocol=m.PROTOCOL, package=__version__), deadline_s=_TRY_S)
        while True:
            wait([client], time.monotonic_ns() + 50_000_000)
            if client.rejection:
                raise RunError(client.rejection)
            got = client.receive()
            if isinstance(got, Expired):
                return False
            if got is not None:
                if isinstance(got.message, m.Refused):
                    raise RunError(got.message.reason)
                return isinstance(got.message, m.Welcome)
    finally:
        client.close()
