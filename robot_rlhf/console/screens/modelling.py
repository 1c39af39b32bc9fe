"""What all screens see, put together once a pass from the link, the hands and the bindings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.console.input.bindings import Bindings
from robot_rlhf.console.input.controls import Commands
from robot_rlhf.console.input.signals import Signal
from robot_rlhf.console.input.snapshot import Device, Family, Snapshot
from robot_rlhf.console.screens.model import NEWS_SHOWN, Model, Seen, Shared
from robot_rlhf.feedback import messages as m
from robot_rlhf.feedback.link import OperatorLink, Report

_MEASURE_NS = 250_000_000  # numbers that need sorting are looked at this often
_KEPT_FATES = 1000


class Modeller:
    """Writes `Shared.model`, `Shared.fates` and notices about what was refused. On the main thread."""

    def __init__(self, link: OperatorLink, shared: Shared, bindings: Bindings) -> None:
        self.bindings = bindings
        self._link, self._shared = link, shared
        self._began_ns = time.monotonic_ns()
        self._heard_ns: int | None = None
        self._measured_ns = 0
        self._rejection = ""
        self._round_trip: tuple[float, float] | None = None
        self._row: NDArray[np.float32] | None = None
        self._row_of: m.Moment | None = None
        self._news: tuple[m.News, ...] = ()
        self._reports: tuple[Report, ...] = ()
        self._drove = False
        self._drives = False

    def update(
        self, snapshot: Snapshot, commands: Commands, now_ns: int, *, attending: bool, latched: bool
    ) -> None:
        """Take in what the link has, and put the model of this moment in place."""
        link = self._link
        connected = link.connected
        if connected or self._heard_ns is None:
            self._heard_ns = now_ns if connected else self._heard_ns
        if now_ns - self._measured_ns > _MEASURE_NS:
            self._measured_ns, self._round_trip = now_ns, link.round_trip_ms
            self._rejection = "" if connected else link.rejection
        if link.news and (not self._news or link.news[-1] is not self._news[-1]):
            self._news = tuple(link.news)[-NEWS_SHOWN:]
        moment = link.moment
        if moment is not self._row_of:
            self._row, self._row_of = (moment.row() if moment is not None else None), moment
        self._take_reports()
        self._notice_driving()
        pad = snapshot.pad
        self._shared.model = Model(
            now_ns=now_ns,
            address=link.address,
            name=link.name,
            connected=connected,
            silent_s=self._silent_s(now_ns),
            refusal=link.refusal,
            rejection=self._rejection,
            welcome=link.welcome,
            moment=moment,
            row=self._row,
            status=link.status,
            news=self._news,
            reports=self._reports,
            round_trip_ms=self._round_trip,
            drops=link.drops,
            unsaved=link.unsaved,
            pairs_held=len(link.pairs),
            snapshot=snapshot,
            bindings=self.bindings,
            device=Device.KEYS if pad is None or commands.device == "keyboard" else Device.PAD,
            family=pad.family if pad is not None else Family.XBOX,
            pad=pad,
            problem=commands.problem,
            notice=self._shared.notice,
            attending=attending,
            watches=link.watches,
            latched=latched,
            cameras=link.eyes.names,
            seen={name: Seen(*link.eyes.seen(name)) for name in link.eyes.looked_at},
        )

    def signals(self) -> Iterator[Signal]:
        """What should be heard and felt of this pass."""
        if self._shared.refused:
            self._shared.refused = False
            yield Signal.REFUSED
        for report in self._reports:
            yield Signal.REFUSED if report["reason"] else Signal.SAVED
        if self._drives != self._drove:
            yield Signal.TAKEOVER if self._drives else Signal.RELEASED

    def _silent_s(self, now_ns: int) -> float:
        """Seconds without a word from the session."""
        if self._heard_ns is None:
            return (now_ns - self._began_ns) / 1e9
        return self._link.state_age_s

    def _take_reports(self) -> None:
        reports: list[Report] = []
        while self._link.reports:
            reports.append(self._link.reports.popleft())
        self._reports = tuple(reports)
        fates = self._shared.fates
        for report in reports:
            if report["id"]:
                fates[report["id"]] = report["reason"]
            if report["reason"]:
                self._shared.notify(report["reason"], bad=True)
        while len(fates) > _KEPT_FATES:
            del fates[next(iter(fates))]

    def _notice_driving(self) -> None:
        link = self._link
        moment, welcome = link.moment, link.welcome
        self._drove = self._drives
        self._drives = (
            moment is not None
            and welcome is not None
            and moment.phase is m.Phase.OPERATOR
            and moment.driving == welcome.console
        )
