"""The line to the learner's process: who is listened to, and what happens when the process dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from hardware.transport import Client, wait
from robot_rlhf.session import learner_link, processes
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.learner_link import LearnerLink
from robot_rlhf.session.run_folder import RunError

SLEEPS = [sys.executable, "-c", "import time; time.sleep(1000)"]
FAILS = [sys.executable, "-c", "raise SystemExit(3)"]


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Iterator[LearnerLink]:
    """To a learner that only sleeps."""
    monkeypatch.setattr(learner_link, "_PAUSE_NS", 0)
    monkeypatch.setattr(learner_link, "_QUIT_S", 0.05)
    link = LearnerLink(SLEEPS)
    yield link
    list(link.close())


def client(link: LearnerLink) -> Client[lm.ToLearner]:
    """The far end, once it is let in."""
    client: Client[lm.ToLearner] = Client(link._server.address, lm.ToLearner, security=None)
    until(lambda: client.connected, client)
    return client


def until(predicate: Callable[[], object], *lines: Client[lm.ToLearner]) -> None:
    deadline = time.monotonic() + 30.0
    while not predicate():
        assert time.monotonic() < deadline
        wait(lines, time.monotonic_ns() + 2_000_000)


def received(link: LearnerLink) -> Callable[[], object]:
    return lambda: link.receive()


def test_only_who_knows_the_token_is_listened_to(link: LearnerLink) -> None:
    stranger, learner = client(link), client(link)
    stranger.send(lm.Ready(token="a guess", cloned=True))
    stranger.send(lm.Failed(reason="I am not yours"))
    learner.send(lm.Ready(token=link._token, cloned=False))
    heard: list[object] = []

    def listened() -> bool:
        message = link.receive()
        if message is not None:
            heard.append(message)
        return message is not None

    until(listened)
    learner.send(lm.Doing(what="learning", updates=7, reward_version=1))
    until(listened)
    assert heard == [
        lm.Ready(token=link._token, cloned=False),
        lm.Doing(what="learning", updates=7, reward_version=1),
    ]
    assert (link.what, link.updates, link.reward_version) == ("learning", 7, 1)
    stranger.close()
    learner.close()


def test_what_stands_and_what_is_owed_is_told_to_every_learner_that_is_started(link: LearnerLink) -> None:
    link.stand(lm.Begin())
    link.stand(lm.Begin())
    link.assign(lm.Worsen(job=4, demonstration=0, episodes=(1,)))
    learner = client(link)
    learner.send(lm.Ready(token=link._token, cloned=False))
    until(received(link), learner)
    told: list[object] = []

    def listened() -> bool:
        got = learner.receive()
        if got is not None:
            told.append(getattr(got, "message", None))
        return len(told) == 2

    until(listened, learner)
    assert told == [lm.Worsen(job=4, demonstration=0, episodes=(1,)), lm.Begin()]
    assert link.owes == 1
    for _ in range(2):  # an answer that is sent again counts once
        learner.send(lm.RolledOut(job=4, episodes=(), truths=()))
    until(received(link))
    assert link.owes == 0
    assert link.receive() is None
    learner.close()


def test_one_that_dies_is_started_anew(link: LearnerLink) -> None:
    pid = link.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: link.receive() or link.starts == 2)
    assert link.pid not in (None, pid)
    assert "started anew" in link.what


def test_one_that_dies_again_and_again_ends_the_session_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learner_link, "_PAUSE_NS", 0)
    link = LearnerLink(FAILS)
    with pytest.raises(RunError, match="5 times in a row with code 3"):
        until(received(link))
    assert link.starts == 5
    list(link.close())


def test_closing_ends_a_process_that_never_answered_and_is_silent_afterwards(link: LearnerLink) -> None:
    pid = link.pid
    assert pid is not None
    assert list(link.close()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    link.tell(lm.Stored())
    link.assign(lm.Worsen(job=1, demonstration=0, episodes=(1,)))


def test_one_that_is_dismissed_is_asked_to_save_and_not_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that has not said yet that it is there."""
    monkeypatch.setattr(learner_link, "_PAUSE_NS", 0)
    reads = [sys.executable, "-c", "import sys; sys.stdin.read(); import time; time.sleep(0.3)"]
    link = LearnerLink(reads)
    link.dismiss()
    assert not link.ended
    learner = client(link)
    learner.send(lm.Ready(token=link._token, cloned=False))
    told: list[object] = []

    def listened() -> bool:
        link.receive()
        got = learner.receive()
        if got is not None:
            told.append(getattr(got, "message", None))
        return bool(told)

    until(listened, learner)
    assert told == [lm.Quit()]
    until(lambda: link.receive() or link.ended, learner)
    assert link.starts == 1
    assert list(link.close()) == []
    learner.close()


def test_ctrl_c_does_not_reach_what_is_started() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); raise SystemExit(7)"
    assert processes.start([sys.executable, "-c", code]).wait(30) == 7
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pytest.raises(FileNotFoundError):
        processes.start(["/no/such/program"])
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
