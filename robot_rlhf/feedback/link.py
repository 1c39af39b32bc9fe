"""An operator's end of the wire: what a console, or a simulated operator, holds of a session.

Nothing here blocks: call `service` often (a console: 250 times a second) and look at the attributes.
What the operator says is kept and sent again under the same id until the session has it on the disk.
An object belongs to the thread that made it.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections import OrderedDict, deque
from typing import TypeAlias, TypedDict
from urllib.parse import urlsplit

from hardware import wire
from hardware.security import ClientSecurity
from hardware.transport import Client, Endpoint, Expired, Subscriber, wait
from hardware.transport.addresses import is_loopback
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.eyes import Eyes
from robot_rlhf.feedback.types import (
    Choice,
    Evaluation,
    EventFields,
    Feedback,
    OperatorInput,
    Outcome,
    Preference,
    Removal,
    Undo,
    Withdrawal,
)

PREFETCH = 3
"""Pairs held ready, so that the next appears at once."""
_STALE_NS = 1_000_000_000  # a session that is silent for so long is asked to welcome us again
_PING_NS = 500_000_000
_ASK_NS = 1_000_000_000
_INPUT_NS = round(m.INPUT_S * 1e9)
_LEAVE_NS = 300_000_000
_MAX_ANSWER = 16 << 20  # a whole episode's scenes, or a scene description
_KEPT_EPISODES = 8

_ArmStop: TypeAlias = Client[wire.Done | wire.Refused]
_Channel: TypeAlias = Client[m.FromSession] | Client[m.Granted] | Subscriber[m.Watched] | _ArmStop


class Report(TypedDict):
    """What became of something that was said or wished for; `reason` is empty where it was carried out."""

    id: str
    what: Feedback | Withdrawal | m.Wish
    reason: str


class OperatorLink:
    """A connection to the session at `address` (tcp://HOST:PORT), which may come and go.

    `welcome` is None until the session has answered, `moment` and `status` are the newest. `reports` and
    `news` grow at the right and are the caller's to empty.
    """

    def __init__(
        self, address: str, name: str, *, watches: bool = False, security: ClientSecurity | None = None
    ) -> None:
        self.address, self.name, self.watches = address, name, watches
        self.welcome: m.Welcome | None = None
        self.moment: m.Moment | None = None
        self.status: m.Status | None = None
        self.news: deque[m.News] = deque(maxlen=200)
        self.reports: deque[Report] = deque()
        self.pairs: list[m.Pair] = []
        self.episode_lines: tuple[m.EpisodeLine, ...] = ()
        self.refusal = ""
        """Why the session would not have us, in words."""
        self.drops = 0
        """Moments that never came."""
        self.eyes = Eyes(security)
        """The cameras beside the arm."""
        self._security = security
        self._join = m.Join(name=name, watches=watches)
        self._talk: Client[m.FromSession] = Client(
            address, m.FromSession, security=security, max_bytes=_MAX_ANSWER
        )
        self._drive: Client[m.Granted] | None = None
        self._stop: Client[m.Granted] | None = None
        self._watch: Subscriber[m.Watched] | None = None
        self._arm_stop: _ArmStop | None = None
        self._said: dict[str, Feedback | Withdrawal | m.Wish] = {}
        self._episodes: OrderedDict[int, m.Episode] = OrderedDict()
        self._asked_episodes: dict[int, str] = {}  # episode -> the request for it
        self._answered: set[str] = set()
        self._last_news = -1
        self._seq = 0
        self._sent: tuple[OperatorInput, bool] | None = None
        self._sent_ns = self._seen_ns = self._pinged_ns = self._asked_ns = self._joined_ns = 0
        self._round_trips: deque[float] = deque(maxlen=120)
        self._asking = False
        self._is_out = False  # the session knows us no more

    # -- the present -----------------------------------------------------------------------------------

    @property
    def endpoints(self) -> list[Endpoint]:
        """What may have something to take in; for `hardware.transport.wait`."""
        return [*self._channels(), *self.eyes.endpoints]

    @property
    def rejection(self) -> str:
        """Why the session's machine does not let us in (any more), in words, such as that it does not know
        our key; '' where it does, or none is there."""
        ours = (each for each in self._channels() if each is not self._arm_stop)
        return next((why for each in ours if (why := each.rejection)), "")

    @property
    def stops_arm(self) -> bool | None:
        """Whether STOP reaches the arm's own host without the session; None where the arm has none."""
        if self.welcome is None or not self.welcome.arm_stop:
            return None
        return self._arm_stop is not None and self._arm_stop.connected

    def _channels(self) -> list[_Channel]:
        all_ = (self._talk, self._drive, self._stop, self._watch, self._arm_stop)
        return [each for each in all_ if each is not None]

    @property
    def connected(self) -> bool:
        """Whether the session was heard within the last second."""
        return self.welcome is not None and time.monotonic_ns() - self._seen_ns < _STALE_NS

    @property
    def state_age_s(self) -> float:
        """Seconds since the newest moment came."""
        return (time.monotonic_ns() - self._seen_ns) / 1e9

    @property
    def round_trip_ms(self) -> tuple[float, float] | None:
        """Median and 95th percentile over the last minute; None before there was an answer."""
        if not self._round_trips:
            return None
        ordered = sorted(self._round_trips)
        return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]

    @property
    def unsaved(self) -> int:
        """Things said that the session has not confirmed yet."""
        return sum(not isinstance(what, m.Wish) for what in self._said.values())

    def service(self) -> None:
        """Take in what has come and send what is due."""
        now = time.monotonic_ns()
        self.eyes.service()
        is_out = self._is_out or now - self._seen_ns > _STALE_NS
        if is_out and now - self._joined_ns > _STALE_NS:
            self._joined_ns = now
            self._talk.request(self._join, deadline_s=3.0)
        while (answer := self._talk.receive()) is not None:
            if isinstance(answer, Expired) or isinstance(answer.message, m.Refused):
                self._asked_episodes = {
                    id: request for id, request in self._asked_episodes.items() if request != answer.request
                }
            if not isinstance(answer, Expired):
                self._take(answer.message, answer.request)
            elif (what := self._said.pop(answer.request, None)) is not None:
                self._report(what, "the session does not answer")
        for client in (self._drive, self._stop, self._arm_stop):
            while client is not None and client.receive() is not None:
                pass
        while self._watch is not None and (seen := self._watch.receive()) is not None:
            self._look(seen[1], now)
        if self.connected and now - self._pinged_ns > _PING_NS:
            self._pinged_ns = now
            self._talk.request(m.Ping(sent_ns=now), deadline_s=2.0)
        if now - self._asked_ns > _ASK_NS:
            self._asking = False
        self._prefetch(now)

    def _take(self, message: m.FromSession, request: str | None) -> None:
        what = None if request is None else self._said.pop(request, None)
        match message:
            case m.Welcome():
                self._enter(message)
            case m.Saved() | m.Granted():
                if what is not None:
                    self._report(what, "")
            case m.Refused(reason=reason):
                if what is not None:
                    self._report(what, reason)
                elif self.welcome is None:
                    self.refusal = reason
            case m.Pairs(pairs=pairs):
                held = {pair.query.id for pair in self.pairs} | self._answered
                self.pairs += [pair for pair in pairs if pair.query.id not in held]
                self._asking = not pairs  # where there was none, the next question waits a second
            case m.Episode(clip=clip):
                self._asked_episodes.pop(clip.segment.episode, None)
                self._episodes[clip.segment.episode] = message
                if len(self._episodes) > _KEPT_EPISODES:
                    self._episodes.popitem(last=False)
            case m.Episodes(lines=lines):
                self.episode_lines = lines
            case m.NewsSince(news=news):
                for item in news:
                    self._hear(item)
            case m.Pong(sent_ns=sent_ns, joined=joined):
                self._is_out = not joined
                self._round_trips.append((time.monotonic_ns() - sent_ns) / 1e6)

    def _report(self, what: Feedback | Withdrawal | m.Wish, reason: str) -> None:
        self.reports.append(Report(id="" if isinstance(what, m.Wish) else what.id, what=what, reason=reason))

    def _enter(self, welcome: m.Welcome) -> None:
        """Connect to the other channels; again when it is another session that answers."""
        self._seen_ns, self._is_out = time.monotonic_ns(), False
        before, self.welcome, self.refusal = self.welcome, welcome, ""
        self.moment, self.status = welcome.moment, welcome.status
        if before is not None and before.instance != welcome.instance:
            self._last_news = -1  # another session, which counts its news from 0
        for item in welcome.news:
            self._hear(item)
        if before is not None and before.console == welcome.console:
            return
        for channel in (self._drive, self._stop, self._watch, self._arm_stop):
            if channel is not None:
                channel.close()
        host = urlsplit(self.address).hostname or ""
        host = f"[{host}]" if ":" in host else host
        is_here = is_loopback(host)
        self.eyes.offered(welcome.cameras, is_here=is_here)
        security = self._security
        drive, stop, watch = (
            f"tcp://{host}:{port}" for port in (welcome.drive_port, welcome.stop_port, welcome.watch_port)
        )
        self._drive = Client(drive, m.Granted, security=security, hwm=1, immediate=True)
        self._stop = Client(stop, m.Granted, security=security)
        self._watch = Subscriber(watch, m.Watched, security=security)
        self._arm_stop = None
        arm = urlsplit(welcome.arm_stop).hostname or ""
        if arm and (is_here or not is_loopback(arm)):  # else it is the session's own loopback
            self._arm_stop = Client(welcome.arm_stop, wire.Done | wire.Refused, security=security)
        if before is not None and before.session != welcome.session:
            self.pairs.clear()
            self._episodes.clear()

    def _look(self, seen: m.Watched, now: int) -> None:
        match seen:
            case m.Moment():
                if self.moment is not None and seen.seq > self.moment.seq + 1:
                    self.drops += seen.seq - self.moment.seq - 1
                self.moment, self._seen_ns = seen, now
            case m.Status():
                self.status = seen
                self._catch_up(seen.news)
            case m.News():
                self._catch_up(seen.number)
                if seen.number == self._last_news + 1:  # another is heard in its turn, with what was missed
                    self._hear(seen)

    def _catch_up(self, count: int) -> None:
        """Ask for the news that are lacking of the first `count`."""
        if count > self._last_news + 1:
            self._talk.request(m.AskNews(first=self._last_news + 1), deadline_s=5.0)

    def _hear(self, item: m.News) -> None:
        if item.number > self._last_news:
            self._last_news = item.number
            self.news.append(item)

    def _prefetch(self, now: int) -> None:
        waiting = self.status.pairs_waiting if self.status is not None else 0
        if self.watches or self._asking or not self.connected or len(self.pairs) >= PREFETCH:
            return
        if len(self.pairs) >= waiting and now - self._asked_ns < _ASK_NS:
            return  # what waits for another's opinion too is not among those that are waiting
        self._asking, self._asked_ns = True, now
        have = tuple(pair.query.id for pair in self.pairs)
        self._talk.request(m.AskPairs(count=PREFETCH - len(have), have=have), deadline_s=5.0)

    # -- the operator ----------------------------------------------------------------------------------

    def hands(self, given: OperatorInput, attending: bool) -> None:
        """Say what the hands do: at once when that changed, else every 20 ms."""
        now = time.monotonic_ns()
        changed = self._sent != (given, attending)
        if self._drive is None or self.welcome is None or self.moment is None:
            return
        if not changed and now - self._sent_ns < _INPUT_NS:
            return
        self._sent, self._sent_ns = (given, attending), now
        self._seq += 1
        self._drive.send(
            m.Hands(
                console=self.welcome.console,
                seq=self._seq,
                based_on=self.moment.seq,
                given=given,
                attending=attending,
            )
        )

    def stop(self) -> None:
        """Stop the arm, latched. An arm that has a host of its own is told directly too, so that a session
        that hangs does not delay it."""
        if self._arm_stop is not None:
            self._arm_stop.request(wire.Stop(reason=f"{self.name} pressed STOP"), retry_s=0.1, deadline_s=5.0)
        if self._stop is not None:
            self._stop.request(m.Stop(), retry_s=0.1, deadline_s=5.0)

    def wish(self, wish: m.Wish) -> None:
        """Ask for something; a `Report` tells what became of it."""
        self._said[self._talk.request(m.Do(wish=wish), deadline_s=10.0)] = wish

    def say(self, event: Feedback | Withdrawal) -> str:
        """Say it until it is saved; returns the event's id."""
        self._said[self._talk.request(m.Say(event=event))] = event
        return event.id

    def fields(self) -> EventFields:
        """The fields of a new event. Raises RuntimeError before the session has answered."""
        if self.welcome is None:
            raise RuntimeError(f"nothing can be said yet: no session has answered at {self.address}")
        return {
            "id": str(uuid.uuid4()),
            "operator": self.name,
            "session": self.welcome.session,
            "time_ns": time.time_ns(),
        }

    def press(self, good: bool) -> str:
        """Good or bad, about what the arm is doing now; the event's id, or '' where no episode runs."""
        moment = self.moment
        if moment is None or moment.stage is not m.Stage.EPISODE:
            return ""
        return self.say(Evaluation(**self.fields(), episode=moment.episode, step=moment.step, good=good))

    def mark(self, episode: int, success: bool) -> str:
        """The episode succeeded or failed."""
        return self.say(Outcome(**self.fields(), episode=episode, success=success))

    def prefer(self, pair: m.Pair, choice: Choice, response_s: float, replays: int = 0) -> str:
        """An answer to a pair, which leaves `pairs`; `replays`: how often its clips began again."""
        self.pairs = [other for other in self.pairs if other.query.id != pair.query.id]
        self._answered.add(pair.query.id)
        query = pair.query
        return self.say(
            Preference(
                **self.fields(),
                query=query.id,
                left=query.left,
                right=query.right,
                choice=choice,
                response_s=response_s,
                replays=replays,
            )
        )

    def undo(self, target: str) -> str:
        """Take back the event of that id."""
        return self.say(Undo(**self.fields(), target=target))

    def remove(self, episode: int) -> str:
        """Take an episode out of what is learned from."""
        return self.say(Removal(**self.fields(), episode=episode))

    def episode(self, id: int) -> m.Episode | None:
        """A stored episode; asked for, and None until it is here."""
        found = self._episodes.get(id)
        if found is None and id not in self._asked_episodes and self.connected:
            self._asked_episodes[id] = self._talk.request(m.AskClip(episode=id), deadline_s=10.0)
        return found

    def refresh_episodes(self) -> None:
        """Ask for the list of stored episodes anew."""
        self._talk.request(m.AskEpisodes(), deadline_s=10.0)

    def leave(self) -> None:
        """Say that the console is closed, wait until the session has heard it, 0.3 s at most, and
        disconnect."""
        until_ns = time.monotonic_ns() + _LEAVE_NS
        request = self._talk.request(m.Leave(), retry_s=0.1) if self.welcome is not None else None
        while request is not None and time.monotonic_ns() < until_ns:
            wait([self._talk], until_ns)
            while (answer := self._talk.receive()) is not None:
                if answer.request == request:
                    request = None
                elif not isinstance(answer, Expired):
                    self._take(answer.message, answer.request)
        self.close()

    def close(self) -> None:
        """Disconnect; twice is fine."""
        self.eyes.close()
        for channel in self._channels():
            channel.close()
