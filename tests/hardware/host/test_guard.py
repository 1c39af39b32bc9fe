"""An arm moves on a valid word alone, and stops by itself when it falls silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hardware.host.guard import (
    HOLD_AFTER_S,
    LEASE_S,
    LONGEST_S,
    STOP_AFTER_S,
    Guard,
    NotAllowedError,
    Safety,
    Why,
    Wish,
)
from hardware.robot import Command, Source
from hardware.security import Role
from hardware.transport import Peer

MS = 1_000_000
OPERATOR = Peer(b"1", "ada", Role.OPERATOR)
POLICY = Peer(b"2", "learner", Role.POLICY)
OBSERVER = Peer(b"3", "screen", Role.OBSERVER)
MAINTAINER = Peer(b"4", "carl", Role.MAINTAINER)


class Bench:
    """A guard whose states go out every 10 ms of a clock of our own."""

    def __init__(self, attended: bool = False) -> None:
        self.guard, self.now_ns, self.seq, self.state = Guard(attended=attended), 0, 0, 0
        self.guard.published(0, 0)

    def passes(self, ms: float, heard: Peer | None = None) -> Command | None:
        """Time passes, states go out, the control loop turns, and somebody may be heard of all the while."""
        until, due = self.now_ns + round(ms * MS), None
        while self.now_ns < until:
            self.now_ns = min(until, self.now_ns + 10 * MS)
            self.state += 1
            self.guard.published(self.state, self.now_ns)
            if heard is not None:
                self.guard.heard(heard, self.now_ns)
            due = self.guard.due(self.now_ns)
        return due

    def led(self, peer: Peer = POLICY, source: Source = Source.POLICY) -> str:
        """Armed, with a lease, and a state that has gone out since."""
        if self.guard.attended:
            self.guard.heard(OPERATOR, self.now_ns)
        self.guard.arm(OPERATOR, self.now_ns, self.guard.stops)
        lease = self.guard.take(peer, source, self.now_ns).id
        self.passes(10)
        return lease

    def command(self, lease: str, peer: Peer = POLICY, **other: Any) -> Command:
        self.seq += 1
        wish: dict[str, Any] = {
            "seq": self.seq,
            "twist": np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]),
            "gripper": 1.0,
            "lasts_s": 0.1,
            "based_on": self.state,
            "dead_man": True,
        }
        return self.guard.command(peer, Wish(lease, **{**wish, **other}), self.now_ns)

    def refused(self, why: Why, lease: str, peer: Peer = POLICY, **other: Any) -> None:
        before = self.guard.due(self.now_ns)
        with pytest.raises(NotAllowedError) as refusal:
            self.command(lease, peer, **other)
        assert refusal.value.why is why
        assert self.guard.due(self.now_ns) is before


def test_it_moves_once_armed_and_leased_and_holds_when_the_command_has_run_out() -> None:
    bench = Bench()
    command = bench.command(bench.led(), lasts_s=0.15)
    assert bench.guard.due(bench.now_ns) is command
    assert bench.guard.safety is Safety.MOVING
    assert bench.passes(140) is command
    assert bench.passes(10) is None
    assert (bench.guard.safety, bench.guard.reason) == (Safety.HOLDING, "the command has run out")


def test_nothing_moves_before_it_is_armed_nor_without_a_lease() -> None:
    bench = Bench()
    lease = bench.guard.take(POLICY, Source.POLICY, 0).id
    bench.passes(10)
    bench.refused(Why.DISARMED, lease)
    bench.guard.arm(OPERATOR, bench.now_ns, bench.guard.stops)
    bench.passes(10)
    bench.refused(Why.LEASE, "another")
    bench.refused(Why.LEASE, lease, MAINTAINER)
    bench.command(lease)


@pytest.mark.parametrize(("peer", "source"), [(OBSERVER, Source.POLICY), (POLICY, Source.OPERATOR)])
def test_a_lease_is_for_those_whose_role_allows_it(peer: Peer, source: Source) -> None:
    with pytest.raises(NotAllowedError, match=f"{peer.name} is {peer.role.value}"):
        Bench().guard.take(peer, source, 0)


def test_an_operator_takes_the_arm_from_a_policy_at_once_and_nobody_takes_it_from_an_operator() -> None:
    bench = Bench()
    policy = bench.led()
    bench.command(policy)
    taken = bench.guard.take(OPERATOR, Source.OPERATOR, bench.now_ns).id
    assert bench.guard.due(bench.now_ns) is None
    bench.refused(Why.LEASE, policy)
    bench.refused(Why.STALE, taken, OPERATOR, based_on=bench.state - 1)  # the newest, or none
    bench.command(taken, OPERATOR)
    for peer, source in ((POLICY, Source.POLICY), (MAINTAINER, Source.OPERATOR)):
        with pytest.raises(NotAllowedError, match="ada has the arm, as operator"):
            bench.guard.take(peer, source, bench.now_ns)


def test_a_lease_ends_unless_it_is_renewed() -> None:
    bench = Bench()
    lease = bench.led()
    for _ in range(5):
        bench.passes(1e3 * LEASE_S - 20)
        bench.guard.renew(POLICY, lease, bench.now_ns)
    bench.command(lease)
    bench.passes(1e3 * LEASE_S)
    assert bench.guard.lease is None
    bench.refused(Why.LEASE, lease)
    with pytest.raises(NotAllowedError, match="nobody has the arm"):
        bench.guard.renew(POLICY, lease, bench.now_ns)


@pytest.mark.parametrize("cleared", [False, True])
def test_a_lease_that_was_taken_from_an_arm_that_is_stopped_ends_too(cleared: bool) -> None:
    bench = Bench()
    bench.guard.stop("ada pressed STOP")
    if cleared:
        bench.guard.clear(OPERATOR, bench.guard.stops)
    bench.guard.take(POLICY, Source.POLICY, bench.now_ns)
    bench.passes(2e3 * LEASE_S)
    assert bench.guard.lease is None


@pytest.mark.parametrize("seq", [5, 4, 0, -1])
def test_a_command_is_followed_once(seq: int) -> None:
    bench = Bench()
    lease = bench.led()
    bench.command(lease, seq=5)
    bench.refused(Why.SEQUENCE, lease, seq=seq)


@pytest.mark.parametrize("based_on", [-1, 0, 10**6])
def test_a_command_that_answers_no_state_of_now_is_refused(based_on: int) -> None:
    bench = Bench()
    lease = bench.led()
    bench.passes(200)
    bench.refused(Why.STALE, lease, based_on=based_on)


def test_age_counts_from_the_state_that_a_command_answers() -> None:
    bench = Bench()
    lease = bench.led()
    answered = bench.state
    bench.passes(90)
    command = bench.command(lease, based_on=answered, lasts_s=0.1)
    assert command.valid_for_s == pytest.approx(0.01)
    assert bench.passes(10) is None
    bench.refused(Why.STALE, lease, based_on=answered, lasts_s=0.1)


@pytest.mark.parametrize("source", list(Source))
def test_nobody_commands_for_longer_than_they_may(source: Source) -> None:
    bench = Bench()
    lease = bench.led(OPERATOR, source)
    for lasts_s in (0.0, -1.0, float("nan"), float("inf"), LONGEST_S[source] * 1.01):
        bench.refused(Why.LONG, lease, OPERATOR, lasts_s=lasts_s)
    bench.command(lease, OPERATOR, lasts_s=LONGEST_S[source])


def test_an_operator_holds_the_dead_man_switch() -> None:
    bench = Bench()
    lease = bench.led(OPERATOR, Source.OPERATOR)
    bench.refused(Why.DEAD_MAN, lease, OPERATOR, dead_man=False)


def test_a_stop_lasts_until_it_is_cleared_and_armed_by_a_person() -> None:
    bench = Bench()
    lease = bench.led()
    bench.command(lease)
    bench.guard.stop("ada pressed STOP")
    assert bench.guard.due(bench.now_ns) is None
    assert bench.passes(3000) is None
    bench.refused(Why.LEASE, lease)
    again = bench.guard.take(POLICY, Source.POLICY, bench.now_ns).id
    bench.passes(10)
    bench.refused(Why.STOPPED, again)
    with pytest.raises(NotAllowedError, match="clear it first"):
        bench.guard.arm(OPERATOR, bench.now_ns, bench.guard.stops)
    for act in (
        lambda: bench.guard.clear(POLICY, bench.guard.stops),
        lambda: bench.guard.arm(POLICY, bench.now_ns, bench.guard.stops),
    ):
        with pytest.raises(NotAllowedError, match="learner is policy"):
            act()
    bench.guard.clear(MAINTAINER, bench.guard.stops)
    bench.refused(Why.DISARMED, again)
    bench.guard.arm(OPERATOR, bench.now_ns, bench.guard.stops)
    bench.passes(10)
    bench.command(again)


def test_an_act_of_before_a_stop_does_not_end_it() -> None:
    bench = Bench()
    bench.guard.stop("ada pressed STOP")
    known = bench.guard.stops
    bench.guard.stop("bob pressed STOP too")
    with pytest.raises(NotAllowedError, match="it was stopped since that was asked: ada pressed STOP"):
        bench.guard.clear(OPERATOR, known)
    bench.guard.clear(OPERATOR, bench.guard.stops)
    known = bench.guard.stops
    bench.guard.stop("ada pressed STOP")
    bench.guard.clear(OPERATOR, bench.guard.stops)
    with pytest.raises(NotAllowedError, match="it was stopped since"):
        bench.guard.arm(OPERATOR, bench.now_ns, known)
    assert bench.guard.safety is Safety.DISARMED


def test_who_has_a_lease_may_change_it_over_another_connection() -> None:
    bench = Bench()
    lease = bench.led()
    elsewhere = replace(POLICY, identity=b"b")
    with pytest.raises(NotAllowedError, match="has the arm"):
        bench.guard.take(elsewhere, Source.POLICY, bench.now_ns)
    assert bench.guard.take(elsewhere, Source.POLICY, bench.now_ns, lease).id != lease


def test_a_real_arm_moves_only_while_a_person_is_heard_of() -> None:
    bench = Bench(attended=True)
    with pytest.raises(NotAllowedError, match="nobody is heard of"):
        bench.guard.arm(OPERATOR, 0, bench.guard.stops)
    lease = bench.led()
    bench.passes(100, heard=OPERATOR)
    bench.command(lease, lasts_s=0.2)
    bench.passes(1e3 * HOLD_AFTER_S - 10)
    bench.command(lease, lasts_s=0.2)
    assert bench.passes(20) is None
    assert bench.guard.safety is Safety.HOLDING
    bench.refused(Why.UNATTENDED, lease)
    bench.passes(1e3 * (STOP_AFTER_S - HOLD_AFTER_S))
    assert (bench.guard.safety, bench.guard.lease) == (Safety.STOPPED, None)


def test_an_operator_at_the_stick_is_heard_of() -> None:
    bench = Bench(attended=True)
    lease = bench.led(OPERATOR, Source.OPERATOR)
    for _ in range(50):
        bench.guard.renew(OPERATOR, lease, bench.now_ns)
        command = bench.command(lease, OPERATOR)
        assert bench.passes(50) is command


def test_a_policy_cannot_stand_in_for_a_person() -> None:
    with pytest.raises(NotAllowedError, match="may not stand in for a person"):
        Bench(attended=True).guard.heard(POLICY, 0)


def test_what_came_to_pass_is_told() -> None:
    bench = Bench()
    bench.command(bench.led())
    bench.passes(200)
    bench.guard.stop("ada pressed STOP")
    bench.guard.clear(OPERATOR, bench.guard.stops)
    assert list(bench.guard.happened) == [
        "armed by ada",
        "learner has the arm, as policy",
        "holding: the command has run out",
        "stopped: ada pressed STOP",
        "cleared by ada",
    ]


PEERS = st.sampled_from([OPERATOR, POLICY, OBSERVER, MAINTAINER])


class Anything(RuleBasedStateMachine):
    """Whatever is asked in whatever order, the arm moves only on a valid word, by a second account."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(attended=True)
        self.ids = ["none"]
        self.acts = "off"  # what has happened since the last stop
        self.heard_ns = -(10**12)

    def trying(self, act: Any, *given: Any) -> Any:
        try:
            return act(*given)
        except NotAllowedError:
            return None

    @rule(ms=st.sampled_from([1, 7, 40, 150, 600]))
    def time(self, ms: int) -> None:
        self.bench.passes(ms)
        if self.bench.guard.safety is Safety.STOPPED:
            self.acts = "stopped"

    @rule(peer=PEERS)
    def heard(self, peer: Peer) -> None:
        self.trying(self.bench.guard.heard, peer, self.bench.now_ns)
        if peer.role in (Role.OPERATOR, Role.MAINTAINER):
            self.heard_ns = self.bench.now_ns

    @rule(peer=PEERS, source=st.sampled_from(Source))
    def take(self, peer: Peer, source: Source) -> None:
        lease = self.trying(self.bench.guard.take, peer, source, self.bench.now_ns)
        self.ids += [lease.id] if lease else []

    @rule(peer=st.sampled_from([OPERATOR, POLICY]), source=st.sampled_from(Source))
    def drive(self, peer: Peer, source: Source) -> None:
        """All that it takes, so that the arm does move now and then."""
        self.clear(OPERATOR)
        self.heard(OPERATOR)
        self.arm(OPERATOR)
        self.take(peer, source)
        self.time(10)
        self._command(peer, Wish(self.ids[-1], 40, np.ones(6), 1.0, 0.1, self.bench.state, True))

    @rule(peer=PEERS, data=st.data())
    def renew(self, peer: Peer, data: st.DataObject) -> None:
        self.trying(self.bench.guard.renew, peer, data.draw(st.sampled_from(self.ids)), self.bench.now_ns)

    @rule(peer=PEERS, data=st.data())
    def release(self, peer: Peer, data: st.DataObject) -> None:
        self.trying(self.bench.guard.release, peer, data.draw(st.sampled_from(self.ids)), self.bench.now_ns)

    @rule()
    def stop(self) -> None:
        self.bench.guard.stop("somebody pressed STOP")
        self.acts = "stopped"

    @rule(peer=PEERS)
    def clear(self, peer: Peer) -> None:
        self.trying(self.bench.guard.clear, peer, self.bench.guard.stops)
        if peer.role in (Role.OPERATOR, Role.MAINTAINER) and self.acts == "stopped":
            self.acts = "cleared"

    @rule(peer=PEERS)
    def arm(self, peer: Peer) -> None:
        self.trying(self.bench.guard.arm, peer, self.bench.now_ns, self.bench.guard.stops)
        if peer.role in (Role.OPERATOR, Role.MAINTAINER) and self.acts in ("off", "cleared"):
            self.acts = "armed"

    @rule(
        peer=PEERS,
        data=st.data(),
        seq=st.integers(0, 80),
        back=st.integers(-2, 40),
        lasts_s=st.sampled_from([0.05, 0.1, 0.2, 1.0, float("nan")]),
        dead_man=st.booleans(),
    )
    def command(
        self, peer: Peer, data: st.DataObject, seq: int, back: int, lasts_s: float, dead_man: bool
    ) -> None:
        lease = data.draw(st.sampled_from(self.ids[-2:]))
        self._command(peer, Wish(lease, seq, np.ones(6), 1.0, lasts_s, self.bench.state - back, dead_man))

    def _command(self, peer: Peer, wish: Wish) -> None:
        bench = self.bench
        command = self.trying(bench.guard.command, peer, wish, bench.now_ns)
        if command is None:
            return
        held = bench.guard.lease
        assert held is not None and held.peer == peer and held.id == wish.lease
        assert wish.based_on <= bench.state and wish.lasts_s <= LONGEST_S[held.source]
        if held.source is Source.OPERATOR:
            self.heard_ns = bench.now_ns

    @invariant()
    def moves_on_a_valid_word_alone(self) -> None:
        bench = self.bench
        due = bench.guard.due(bench.now_ns)
        assert (due is not None) == (bench.guard.safety is Safety.MOVING)
        if due is None:
            return
        held = bench.guard.lease
        assert held is not None and bench.now_ns < held.expires_ns
        assert self.acts == "armed"
        assert bench.now_ns - self.heard_ns <= HOLD_AFTER_S * 1e9
        assert bench.now_ns < bench.guard._deadline_ns

    @precondition(lambda self: self.bench.guard.safety is Safety.MOVING)
    @rule()
    def silence(self) -> None:
        assert self.bench.passes(1e3 * max(LONGEST_S.values())) is None


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
