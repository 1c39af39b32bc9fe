"""What a host told of reaches its clients, whatever was lost on the way: in order, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from hardware import wire
from hardware.robot import RobotError
from tests.hardware.host.proxy import HOST, Proxy
from tests.hardware.host.served import Hand, Served, until


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served()) as made:
        yield made


def caught_up(hand: Hand, served: Served) -> list[str] | None:
    """All that it has been told, once that is all there is."""
    with suppress(RobotError):
        if (
            hand.robot.now().told == hand.robot.link.told == served.host._told
            and not served.host.guard.happened
        ):
            return hand.robot.events
    return None


def test_what_a_subscriber_lost_is_asked_for(served: Served) -> None:
    where = served.host.addresses
    rpc, commands, stop, states = (
        int(a.rpartition(":")[2]) for a in (where.rpc, where.commands, where.stop, where.states)
    )
    with ExitStack() as stack:
        stack.enter_context(closing(Proxy([rpc, commands, stop])))
        link = Proxy([states])
        far = stack.enter_context(closing(Hand(f"tcp://{HOST}:{rpc}")))
        served.host.guard.happened.extend(f"before {number}" for number in range(3))
        until(lambda: len(caught_up(far, served) or []) == 3)
        for cut in range(3):
            link.close()
            served.host.guard.happened.extend(f"cut {cut}, {number}" for number in range(60))
            until(lambda: not served.host.guard.happened)
            link = Proxy([states])
            until(lambda: caught_up(far, served))
        link.close()
        assert far.robot.events == [f"before {number}" for number in range(3)] + [
            f"cut {cut}, {number}" for cut in range(3) for number in range(60)
        ]


def test_the_last_event_is_missed_too_and_more_than_a_queue_holds(served: Served) -> None:
    with closing(Hand(served.address)) as one:
        texts = [f"{number} " + "\U0001f916" * 496 for number in range(900)]
        served.host.guard.happened.extend(texts)
        assert until(lambda: caught_up(one, served)) == texts


def test_what_the_host_itself_has_forgotten_is_said(served: Served) -> None:
    with closing(Hand(served.address)) as one:
        for _ in range(3):
            served.host.guard.happened.extend("x" for _ in range(900))
            until(lambda: not served.host.guard.happened)
        known = until(lambda: caught_up(one, served))
        unknown = [text for text in known if text != "x"]
        assert sum(int(text.split()[0]) for text in unknown) + len(known) - len(unknown) == 2_700
        assert all(text.endswith("events are not known any more") for text in unknown)


def test_a_client_hears_of_what_came_to_pass_since_it_was_made(served: Served) -> None:
    served.host.guard.happened.append("before")
    until(lambda: not served.host.guard.happened)
    with closing(Hand(served.address)) as one:
        served.host.guard.happened.append("after")
        assert until(lambda: caught_up(one, served)) == ["after"]


def test_whoever_asks_gets_as_many_as_a_message_holds(served: Served) -> None:
    served.host.guard.happened.extend("\U0001f916" * 500 for _ in range(40))
    until(lambda: not served.host.guard.happened)
    with closing(Hand(served.address)) as one:
        answer = one.robot.link.ask(wire.Since(number=2), wire.Events)
        assert [event.number for event in answer.events] == list(range(3, 3 + wire.MAX_EVENTS))
        assert one.robot.link.ask(wire.Since(number=2**62), wire.Events).events == ()
