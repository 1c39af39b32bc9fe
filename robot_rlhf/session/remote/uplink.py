"""The thread of a session that talks to a learner on another machine.

It has the socket, a view of the session's store of its own, and the files that come down; the thread that has
the arm hands it orders and takes what the learner says, and waits for nothing here. However the link ends, it
is made again and goes on from what was acknowledged.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hardware.security import ClientSecurity
from hardware.transport import TransportError
from robot_rlhf import __version__
from robot_rlhf.feedback.store import Store, StoreError
from robot_rlhf.feedback.store_log import StoreLog
from robot_rlhf.learning.snapshot import Snapshot, SnapshotError
from robot_rlhf.report.files import REPORT
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.arms import members
from robot_rlhf.session.remote.calls import Calls, LostError, RefusedError
from robot_rlhf.session.remote.incoming import Incoming
from robot_rlhf.session.remote.mirror import GROWS, METRICS
from robot_rlhf.session.run_folder import ARM, CONFIG, DATABASE, read_config

_BATCH_BYTES = 512 << 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0


@dataclass(frozen=True)
class Whose:
    """Which run a learner shall learn from, for which group of arms ('' for none), as `run` names it."""

    folder: Path
    run: str
    group: str = ""


@dataclass
class Orders:
    """What the control thread wants; the two threads share nothing else but `said`."""

    given: queue.SimpleQueue[lm.ToLearner] = field(default_factory=queue.SimpleQueue)
    said: queue.SimpleQueue[lm.FromLearner | str] = field(default_factory=queue.SimpleQueue)
    """What the learner says; a str is what there is to say in its place while it is out of reach."""
    leaving: threading.Event = field(default_factory=threading.Event)
    """Have the learner save, and end."""
    over: threading.Event = field(default_factory=threading.Event)
    """End at once."""


class _OverError(Exception):
    """There is nothing more to do."""


class Uplink(threading.Thread):
    """Talks to the learner at `address` (tcp://HOST:PORT) until `orders.over`; `say` tells a person."""

    def __init__(
        self,
        address: str,
        security: ClientSecurity | None,
        whose: Whose,
        orders: Orders,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(name="uplink", daemon=True)
        self._address, self._security, self._whose = address, security, whose
        self._orders, self._say = orders, say
        self._instance = secrets.token_hex(8)
        self._config = read_config(whose.folder)
        self._incoming = Incoming(whose.folder, grows=(GROWS,))
        self._jobs: dict[int, lm.RollOut | lm.Worsen] = {}
        self._standing: list[lm.Begin | lm.Finish] = []
        self._to_send: list[lm.ToLearner] = []
        self._letters: dict[int, lm.FromLearner] = {}
        self._seen: set[int] = set()  # mail of this learner's that was handed on
        self._host = ""  # the learner's instance
        self._weights = 0
        self._is_lost = self._damaged = False
        self._last_words = ""

    def run(self) -> None:
        try:
            with Store.open_readonly(self._whose.folder / DATABASE) as store:
                self._log = StoreLog(store, truths=self._config.reward == "task")
                self._calls = Calls(self._address, self._security, self._pushed, self._between)
                try:
                    self._talk()
                finally:
                    self._calls.close()
        except _OverError:
            pass
        except (StoreError, TransportError) as error:
            self._tell(f"nothing is learned any more: {error}")
        except BaseException as error:  # a defect: it does not end the session, and must not be silent
            self._tell(f"nothing is learned any more, by a defect: {type(error).__name__}: {error}")
            raise

    # -- coming and going --------------------------------------------------------------------------------

    def _talk(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._introduce(pause_s)
                pause_s = _FIRST_PAUSE_S
                self._stay()
            except LostError as error:
                self._lose(str(error))
            except (RefusedError, StoreError) as error:
                self._lose(str(error))
                until = time.monotonic() + pause_s
                while time.monotonic() < until:
                    self._calls.pump()
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _lose(self, why: str) -> None:
        self._calls.forget()
        words = f"{why}; the arm goes on with the policy it has, and what happens is kept and sent later"
        if not self._is_lost or why != self._last_words:
            self._is_lost, self._last_words = True, why
            self._tell(words)
        self._orders.said.put(why)

    def _tell(self, words: str) -> None:
        """Tell whoever is at a console, and the terminal."""
        self._orders.said.put(lm.Told(text=words))
        self._say(words)

    def _introduce(self, pause_s: float) -> None:
        """Say who we are, and find out how far the learner is."""
        welcome = self._calls.ask(
            m.Hello(protocol=m.PROTOCOL, package=__version__), retry_s=max(0.2, pause_s)
        )
        if not isinstance(welcome, m.Welcome):
            raise RefusedError(_reason(welcome))
        if welcome.instance != self._host:
            self._host, self._weights = welcome.instance, 0
            self._seen.clear()
        self._letters.clear()
        attached = self._attach(anew=False)
        if not self._log.begin(attached.position, members(attached.episodes)):
            self._tell(f"the learner at {self._address} knows another history of this run: it begins anew")
            attached = self._attach(anew=True)
            if not self._log.begin(attached.position, members(attached.episodes)):
                raise RefusedError(f"the learner at {self._address} does not begin anew")
        self._calls.attached = True
        if attached.wants_files:
            self._send_files()
        self._send_rows()
        self._calls.ask(m.Settled())
        self._to_send = [*self._jobs.values(), *self._standing]
        if self._is_lost:
            self._is_lost = False
            self._orders.said.put("the learner is there again")
            self._tell(f"the learner at {self._address} is there again")

    def _attach(self, anew: bool) -> m.Attached:
        folder = self._whose.folder
        step, _ = self._checkpoint()
        log, arm = folder / METRICS, folder / ARM
        answer = self._calls.ask(
            m.Attach(
                run=self._whose.run,
                group=self._whose.group,
                instance=self._instance,
                name=folder.name,
                config=(folder / CONFIG).read_bytes(),
                arm=arm.read_bytes() if arm.exists() else b"",
                checkpoint_step=step,
                metrics_bytes=log.stat().st_size if log.exists() else 0,
                anew=anew,
            )
        )
        if not isinstance(answer, m.Attached):
            raise RefusedError(_reason(answer))
        return answer

    def _checkpoint(self) -> tuple[int, str]:
        """The newest that the run's folder holds."""
        with Store.open_readonly(self._whose.folder / DATABASE) as store:
            for saved in store.latest_checkpoints(2):
                if (self._whose.folder / saved.path).exists():
                    return saved.step, saved.path
        return -1, ""

    def _send_files(self) -> None:
        """The checkpoint from which the learner goes on, and the log of metrics."""
        _, checkpoint = self._checkpoint()
        for path in (METRICS, checkpoint):
            file = self._whose.folder / path
            if not path or not file.exists():
                continue
            data = file.read_bytes()
            for offset in range(0, max(1, len(data)), m.PIECE_BYTES):
                piece = m.Sealed.of(data[offset : offset + m.PIECE_BYTES])
                put = m.Put(path=path, offset=offset, size=len(data), piece=piece)
                while isinstance(answer := self._calls.ask(put), m.Damaged):
                    pass
                if not isinstance(answer, m.Done):
                    raise RefusedError(_reason(answer))

    # -- while it is there -------------------------------------------------------------------------------

    def _stay(self) -> None:
        while True:
            self._take_orders()
            if self._log.moved:
                self._send_rows()
            self._relay()
            if self._orders.leaving.is_set():
                self._leave()
            self._fetch()
            self._hand_on()
            self._calls.pump()

    def _take_orders(self) -> None:
        while True:
            try:
                order = self._orders.given.get_nowait()
            except queue.Empty:
                return
            match order:
                case lm.RollOut() | lm.Worsen():
                    self._jobs[order.job] = order
                case lm.Begin() | lm.Finish():
                    self._standing.append(order)
                case lm.MorePairs():
                    self._to_send = [one for one in self._to_send if not isinstance(one, lm.MorePairs)]
                case _:
                    continue  # the store itself shows that there is something new
            self._to_send.append(order)

    def _relay(self) -> None:
        """Orders follow the rows that were there when they were given."""
        while self._to_send and self._calls.send(m.Relay(message=self._to_send[0])):
            self._to_send.pop(0)

    def _send_rows(self) -> None:
        while (batch := self._log.next(_BATCH_BYTES)) is not None:
            rows = m.Sealed.of(msgspec.msgpack.encode(batch.rows))
            answer = self._calls.ask(m.Log(after=batch.after, upto=batch.upto, rows=rows))
            match answer:
                case m.Taken(position=position):
                    if position != batch.upto:
                        raise LostError("the learner is not where it said it was")
                    self._log.acknowledged(batch)
                case m.Damaged():
                    pass  # once more
                case _:
                    raise RefusedError(_reason(answer))

    def _fetch(self) -> None:
        """A piece of a file that the session's folder lacks."""
        asked = self._incoming.wanted()
        if asked is None:
            return
        answer = self._calls.ask(asked)
        if isinstance(answer, m.Piece) and answer.piece.intact:
            try:
                self._incoming.take(answer)
            except OSError as error:
                raise RefusedError(
                    f"cannot write {self._whose.folder / asked.path}: {error.strerror}"
                ) from error

    def _hand_on(self) -> None:
        """Mail, once the files that it speaks of are here."""
        done = [number for number, message in self._letters.items() if self._handed_on(number, message)]
        for number in done:
            del self._letters[number]
        if done:
            self._seen.update(done)
            self._calls.send(m.Got(mail=tuple(done)))

    def _handed_on(self, number: int, message: lm.FromLearner) -> bool:
        if number in self._seen:
            return True
        match message:
            case lm.Written(name=name):
                if not self._incoming.knows(name):
                    return True  # a newer one has taken its place
                if not self._incoming.has(name):
                    return False
            case lm.Ended():
                if not self._incoming.complete:
                    return False
                message = lm.Ended(report=str(self._whose.folder / REPORT))
            case lm.RolledOut(job=job):
                self._jobs.pop(job, None)
            case _:
                pass
        self._orders.said.put(message)
        return True

    def _leave(self) -> None:
        """Have the learner save, and take what it still sends."""
        request = self._calls.begin(m.Leave(), retry_s=1.0)
        while self._calls.answer(request) is None:
            self._fetch()
            self._hand_on()
            self._calls.pump()
        raise _OverError

    # -- what is pushed ----------------------------------------------------------------------------------

    def _between(self) -> None:
        """While something is waited for: whether it is worth waiting."""
        if self._orders.over.is_set():
            raise _OverError
        if self._calls.attached:
            return
        if self._orders.leaving.is_set():
            raise _OverError  # nobody is there who could save
        why = self._calls.rejection
        if why and why != self._last_words:
            self._last_words, self._is_lost = why, True
            self._tell(why)

    def _pushed(self, message: m.FromHost) -> None:
        match message:
            case m.Weights():
                self._weigh(message)
            case m.Mail(number=number, message=word):
                self._letters[number] = word
            case m.Word(message=doing):
                self._orders.said.put(doing)
            case m.Listing(files=files):
                self._incoming.listed(files)
            case m.Unattached():
                if self._calls.attached:
                    raise LostError(f"the learner at {self._address} was started anew")
            case _:
                pass

    def _weigh(self, weights: m.Weights) -> None:
        """A policy is swapped in whole and sound, or not at all."""
        if weights.number <= self._weights:
            self._calls.send(m.Got(weights=self._weights))
            return
        why = "" if weights.policy.intact else "their checksum does not fit"
        if not why:
            try:
                Snapshot.from_bytes(weights.policy.data)
            except SnapshotError as error:
                why = str(error)
        if why:
            if not self._damaged:
                self._tell(f"weights came damaged ({why}): they are dropped, and asked for again")
            self._damaged = True
            self._calls.send(m.Again(weights=weights.number))
            return
        self._weights, self._damaged = weights.number, False
        policy = lm.Policy(number=weights.number, data=weights.policy.data, made_ns=weights.made_ns)
        self._orders.said.put(policy)
        self._calls.send(m.Got(weights=weights.number))


def _reason(answer: m.FromHost) -> str:
    if isinstance(answer, m.Refused):
        return answer.reason
    return f"the learner answers with {type(answer).__name__}, which means nothing here"
