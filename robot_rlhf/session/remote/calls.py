"""Questions to the learner's machine and their answers, what it pushes meanwhile, and whether it is there."""

from __future__ import annotations

import time
from collections.abc import Callable

from hardware.security import ClientSecurity
from hardware.transport import Client, Expired, wait
from robot_rlhf.session.remote import messages as m

SILENT_S = 3.0
"""A learner that says nothing for so long is out of reach."""
PING_S = 1.0
_POLL_S = 0.01
_RETRY_S = 5.0  # a request whose answer was damaged; a link that is lost ends it before
_HWM = 64


class LostError(Exception):
    """The learner is out of reach, or knows us no more; in words."""


class RefusedError(Exception):
    """The learner will not have us; in words."""


class Calls:
    """`pushed` is told what was not asked for. `between` is called some 100 times a second while something is
    waited for, and may raise to end that."""

    def __init__(
        self,
        address: str,
        security: ClientSecurity | None,
        pushed: Callable[[m.FromHost], None],
        between: Callable[[], None],
    ) -> None:
        """Raises TransportError for an address that is none."""
        self.attached = False
        """Whether the learner knows us: then it is lost when it falls silent."""
        self._address, self._pushed, self._between = address, pushed, between
        self._client: Client[m.FromHost] = Client(
            address,
            m.FromHost,
            security=security,
            max_bytes=m.MAX_BYTES,
            max_send_bytes=m.MAX_BYTES,
            hwm=_HWM,
        )
        self._pending: set[str] = set()
        self._answers: dict[str, m.FromHost] = {}
        self._heard_s = self._pinged_s = time.monotonic()

    @property
    def rejection(self) -> str:
        """Why the learner's machine does not let us in, in words; '' where it does, or none is there."""
        return self._client.rejection

    def close(self) -> None:
        self._client.close()

    def send(self, message: m.FromSession) -> bool:
        """Say something that needs no answer; False where so much waits already that it was not taken."""
        return self._client.send(message)

    def begin(self, message: m.FromSession, retry_s: float = _RETRY_S) -> str:
        """Ask something; returns the name of the question."""
        request = self._client.request(message, retry_s=retry_s)
        self._pending.add(request)
        return request

    def answer(self, request: str) -> m.FromHost | None:
        """The answer to a question, once it is here. Raises LostError where the learner knows us no more."""
        answer = self._answers.pop(request, None)
        if isinstance(answer, m.Unattached):
            raise LostError(f"the learner at {self._address} was started anew")
        return answer

    def ask(self, message: m.FromSession, retry_s: float = _RETRY_S) -> m.FromHost:
        """Ask something, and wait for the answer."""
        request = self.begin(message, retry_s)
        while (answer := self.answer(request)) is None:
            self.pump()
        return answer

    def forget(self) -> None:
        """Nobody is there: no question is asked any more."""
        self.attached = False
        for request in self._pending:
            self._client.cancel(request)
        self._pending.clear()
        self._answers.clear()

    def pump(self) -> None:
        """Take in what has come, and wait a moment for it. Raises LostError where nobody is there."""
        self._between()
        wait([self._client], time.monotonic_ns() + round(_POLL_S * 1e9))
        while (got := self._client.receive()) is not None:
            self._heard_s = time.monotonic()
            if isinstance(got, Expired):
                continue
            if got.request is None:
                self._pushed(got.message)
            elif got.request in self._pending:
                self._pending.remove(got.request)
                self._answers[got.request] = got.message
        if self.attached:
            self._mind_silence(time.monotonic())

    def _mind_silence(self, now: float) -> None:
        if now - self._heard_s > SILENT_S:
            why = self.rejection
            raise LostError(f"the learner at {self._address} is out of reach{why and f' ({why})'}")
        if now - max(self._heard_s, self._pinged_s) > PING_S:
            self._pinged_s = now
            self.send(m.Ping())
