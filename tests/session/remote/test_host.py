"""The learner's machine: who is let in, what is taken in once, and several arms that feed one learner."""

from __future__ import annotations

import dataclasses
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server
from hardware.transport import Client, Expired, TransportError, wait
from robot_rlhf import __version__
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.episode import Role as EpisodeRole
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_log import Position, Rows
from robot_rlhf.feedback.types import Outcome
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.remote import messages as m
from robot_rlhf.session.remote.arms import arm_of
from robot_rlhf.session.remote.host import LearnerHost
from robot_rlhf.session.remote.link import RemoteLearnerLink
from robot_rlhf.session.remote.uplink import Whose
from robot_rlhf.session.run_folder import DATABASE, RunFolder, to_toml
from tests.session.remote.machine import Machine

Tiny = Callable[..., RunConfig]
OBS, AXES = 9, 3
PATIENCE_S = 60.0


def episode(id: int, role: EpisodeRole = EpisodeRole.ONLINE, steps: int = 4) -> Episode:
    rng = np.random.default_rng(id)
    return Episode(
        id=id,
        role=role,
        task="reach",
        seed=id,
        policy_version=0,
        obs=rng.normal(size=(steps + 1, OBS)).astype(np.float32),
        action=np.zeros((steps, AXES), np.float32),
        proposed=np.zeros((steps, AXES), np.float32),
        driver=np.zeros(steps, np.uint8),
        scenes=np.zeros((steps + 1, 26), np.float32),
        terminated=False,
        truncated=True,
    )


class Raw:
    """A session's end of the wire, word by word."""

    def __init__(self, host: LearnerHost, key: ClientSecurity | None = None) -> None:
        self._host = host
        self._client: Client[m.FromHost] = Client(
            host.address, m.FromHost, security=key, max_bytes=m.MAX_BYTES, max_send_bytes=m.MAX_BYTES
        )

    def ask(self, message: msgspec.Struct) -> m.FromHost:
        self._client.request(message, deadline_s=PATIENCE_S)
        while True:
            self._host.step()
            got = self._client.receive()
            assert not isinstance(got, Expired)
            if got is not None and got.request is not None:
                return got.message

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LearnerHost]:
    """Without keys, and with learners that only sleep."""
    sleeps = [sys.executable, "-c", "import time; time.sleep(1000)"]
    host = LearnerHost("tcp://127.0.0.1:0", None, tmp_path / "learner", lambda _: sleeps)
    yield host
    host.close()


@pytest.fixture
def raw(host: LearnerHost) -> Iterator[Raw]:
    raw = Raw(host)
    yield raw
    raw.close()


def attach(config: RunConfig, run: str = "", **changes: object) -> m.Attach:
    asked = m.Attach(
        run=run or uuid.uuid4().hex,
        group="",
        instance=secrets.token_hex(4),
        name="mine",
        config=to_toml(config).encode(),
        arm=b"",
        checkpoint_step=-1,
        metrics_bytes=0,
    )
    return msgspec.structs.replace(asked, **changes)


def mark(id: str) -> Outcome:
    return Outcome(id=id, operator="ada", session="s", time_ns=1, episode=0, success=True)


def log(after: Position, *ids: str) -> m.Log:
    rows = m.Sealed.of(msgspec.msgpack.encode(Rows(events=tuple(mark(id) for id in ids))))
    upto = Position(events=after.events + len(ids), last_event=ids[-1])
    return m.Log(after=after, upto=upto, rows=rows)


# -- who is let in ----------------------------------------------------------------------------------------


def test_only_a_session_s_key_is_served(tmp_path: Path, tiny: Tiny) -> None:
    keys = tmp_path / "keys"
    make_server(keys)
    host = LearnerHost("tcp://127.0.0.1:0", ServerSecurity(keys), tmp_path / "learner", lambda _: [])
    hello = m.Hello(protocol=m.PROTOCOL, package=__version__)
    for role in Role:
        raw = Raw(host, ClientSecurity(make_client(keys, f"the-{role.value}", role)))
        answer = raw.ask(hello)
        if role in (Role.SESSION, Role.MAINTAINER):
            assert isinstance(answer, m.Welcome)
        else:
            assert isinstance(answer, m.Refused)
            assert f"the role {role.value}" in answer.reason
            assert isinstance(raw.ask(attach(tiny())), m.Refused)
        raw.close()
    assert not (tmp_path / "learner").exists()
    host.close()


def test_without_keys_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="without keys"):
        LearnerHost("tcp://0.0.0.0:0", None, tmp_path, lambda _: [])


@pytest.mark.parametrize(("protocol", "package"), [(m.PROTOCOL + 1, __version__), (m.PROTOCOL, "0.0.1")])
def test_another_version_is_refused_by_name(raw: Raw, protocol: int, package: str) -> None:
    answer = raw.ask(m.Hello(protocol=protocol, package=package))
    assert isinstance(answer, m.Refused)
    assert __version__ in answer.reason
    assert package in answer.reason


def test_who_has_not_attached_is_told_so(raw: Raw) -> None:
    for message in (m.Settled(), m.Leave(), log(Position(), "a"), m.Ping()):
        assert raw.ask(message) == m.Unattached()


def test_settings_that_make_no_sense_are_refused(raw: Raw, tiny: Tiny) -> None:
    answer = raw.ask(msgspec.structs.replace(attach(tiny()), config=b"tusk = 'reach'"))
    assert isinstance(answer, m.Refused)
    assert "did you mean task" in answer.reason


def test_a_run_has_one_session_at_a_time_and_a_new_one_when_that_is_gone(
    host: LearnerHost, raw: Raw, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robot_rlhf.session.remote import hosted

    asked = attach(tiny())
    assert isinstance(raw.ask(asked), m.Attached)
    assert isinstance(raw.ask(asked), m.Attached)  # the same one comes back
    other = Raw(host)
    again = msgspec.structs.replace(asked, instance="another")
    answer = other.ask(again)
    assert isinstance(answer, m.Refused)
    assert "another session" in answer.reason
    monkeypatch.setattr(hosted, "SILENT_NS", 0)
    assert isinstance(other.ask(again), m.Attached)
    other.close()


# -- what is taken in -------------------------------------------------------------------------------------


def test_rows_are_taken_in_once_and_damaged_ones_not_at_all(host: LearnerHost, raw: Raw, tiny: Tiny) -> None:
    asked = attach(tiny())
    raw.ask(asked)
    first = log(Position(), "a", "b")
    assert raw.ask(first) == m.Taken(position=first.upto)
    assert raw.ask(first) == m.Taken(position=first.upto)  # sent again, since the answer was lost
    damaged = m.Sealed(first.rows.data[:-1] + b"!", first.rows.digest)
    assert raw.ask(msgspec.structs.replace(log(first.upto, "c"), rows=damaged)) == m.Damaged()
    ahead = log(Position(events=9, last_event="x"), "d")
    assert raw.ask(ahead) == m.Taken(position=first.upto)
    store = host.runs[f"run-{asked.run}"].mirror.run.store
    assert [event.id for event in store.all_events()] == ["a", "b"]


def test_rows_that_make_no_sense_leave_everything_as_it_was(raw: Raw, host: LearnerHost, tiny: Tiny) -> None:
    asked = attach(tiny())
    raw.ask(asked)
    for data in (
        b"",
        b"\x81",
        msgspec.msgpack.encode({"strange": 1}),
        msgspec.msgpack.encode(Rows(episodes=(b"x",))),
    ):
        nonsense = m.Log(after=Position(), upto=Position(events=1), rows=m.Sealed.of(data))
        assert isinstance(raw.ask(nonsense), m.Refused)
    assert raw.ask(log(Position(), "a")) == m.Taken(position=log(Position(), "a").upto)


def test_files_come_up_before_it_begins(host: LearnerHost, raw: Raw, tiny: Tiny) -> None:
    """A run that was begun elsewhere goes on from its checkpoint."""
    asked = attach(tiny(), checkpoint_step=12, metrics_bytes=3)
    answer = raw.ask(asked)
    assert isinstance(answer, m.Attached)
    assert answer.wants_files
    name = "checkpoints/step-00000012.safetensors"
    whole = b"0123456789"
    for offset in (0, 4, 8):
        piece = m.Sealed.of(whole[offset : offset + 4])
        assert raw.ask(m.Put(path=name, offset=offset, size=10, piece=piece)) == m.Done()
    late = m.Put(path=name, offset=4, size=10, piece=m.Sealed.of(b"4567"))
    assert isinstance(raw.ask(late), m.Refused)
    run = host.runs[f"run-{asked.run}"].mirror.run
    latest = run.latest_checkpoint()
    assert latest is not None
    assert latest.read_bytes() == whole
    again = raw.ask(msgspec.structs.replace(asked, metrics_bytes=0))
    assert isinstance(again, m.Attached)
    assert not again.wants_files


def test_a_session_with_another_history_has_what_is_here_put_aside(
    host: LearnerHost, raw: Raw, tiny: Tiny
) -> None:
    asked = attach(tiny())
    raw.ask(asked)
    raw.ask(log(Position(), "a"))
    answer = raw.ask(msgspec.structs.replace(asked, anew=True))
    assert isinstance(answer, m.Attached)
    assert answer.position == Position()
    folder = host.runs[f"run-{asked.run}"].mirror.path
    assert folder.with_name(f"{folder.name}.aside-1").is_dir()


def test_a_mirror_that_is_damaged_is_made_anew(tmp_path: Path, tiny: Tiny) -> None:
    asked = attach(tiny())
    folder = tmp_path / "learner" / f"run-{asked.run}"
    RunFolder.create(folder, tiny()).close()
    (folder / DATABASE).write_bytes(b"no database")
    host = LearnerHost("tcp://127.0.0.1:0", None, tmp_path / "learner", lambda _: [])
    raw = Raw(host)
    assert isinstance(raw.ask(asked), m.Attached)
    assert raw.ask(log(Position(), "a")) == m.Taken(position=log(Position(), "a").upto)
    raw.close()
    host.close()


def test_arms_that_want_something_else_cannot_join_a_group(raw: Raw, tiny: Tiny) -> None:
    assert isinstance(raw.ask(attach(tiny(seed=1), group="bench")), m.Attached)
    assert isinstance(
        raw.ask(attach(tiny(seed=2), group="bench")), m.Attached
    )  # another seed is another start
    answer = raw.ask(attach(tiny(seed=3, task="push"), group="bench"))
    assert isinstance(answer, m.Refused)
    assert "task (reach, here push)" in answer.reason
    sac = dataclasses.replace(tiny().sac, hidden=64)
    answer = raw.ask(attach(tiny(seed=3, sac=sac), group="bench"))
    assert isinstance(answer, m.Refused)
    assert "sac.hidden (32, here 64)" in answer.reason


# -- several arms -----------------------------------------------------------------------------------------


class Arm:
    """A session's line and store, without an arm."""

    def __init__(self, folder: Path, config: RunConfig, machine: Machine) -> None:
        self.store = RunFolder.create(folder, config).store
        whose = Whose(folder, uuid.uuid4().hex, group="bench")
        self.line = RemoteLearnerLink(machine.address, None, whose, lambda _: None)
        self.heard: list[lm.FromLearner] = []

    def service(self) -> None:
        while (message := self.line.receive()) is not None:
            self.heard.append(message)

    def of(self, kind: type) -> list[lm.FromLearner]:
        return [message for message in self.heard if isinstance(message, kind)]

    def close(self) -> None:
        for _ in self.line.close():
            pass
        self.store.close()


def test_several_arms_feed_one_learner_and_each_has_its_policy(
    machine: Machine, tiny: Tiny, tmp_path: Path
) -> None:
    policy = Learner(tiny(), OBS, AXES).snapshot()
    (machine.folder / "policy.safetensors").write_bytes(policy.to_bytes())
    machine.start()
    arms = [Arm(tmp_path / f"arm{number}", tiny(seed=number), machine) for number in range(3)]

    def until(predicate: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not predicate():
            assert time.monotonic() < deadline, "it never came to be"
            for arm in arms:
                arm.service()
            wait([], time.monotonic_ns() + 5_000_000)

    for number, arm in enumerate(arms):
        for id in range(3 + number):
            arm.store.add_episode(episode(id), (np.ones(4, np.float32), True))
            arm.store.add_feedback(msgspec.structs.replace(mark(f"{number}-{id}"), episode=id))
    (arms[0].line).stand(lm.Begin())
    (arms[1].line).stand(lm.Begin())
    mirror = machine.folder / "group-bench" / DATABASE

    def shared() -> list[int]:
        if not mirror.exists():
            return []
        with Store.open_readonly(mirror) as store:
            return list(store.episode_steps())

    until(lambda: len(shared()) == 3 + 4 + 5)
    assert not any(arm.of(lm.Policy) for arm in arms)  # one of them still has demonstrations to give
    arms[2].line.stand(lm.Begin())
    until(lambda: all(arm.of(lm.Policy) for arm in arms))
    (got,) = {message.data for message in arms[2].of(lm.Policy) if isinstance(message, lm.Policy)}
    assert Snapshot.from_bytes(got).version == policy.version

    with Store.open_readonly(mirror) as store:
        ids = store.episode_steps().keys()
        assert sorted(sum(arm_of(id) == number for id in ids) for number in range(3)) == [3, 4, 5]
        marked = {event.id: event.episode for event in store.feedback() if isinstance(event, Outcome)}
        assert len(marked) == 12
        assert set(marked.values()) == set(ids)
        assert store.truth() == {}

    arms[1].line.tell(lm.MorePairs(count=3))
    until(lambda: arms[1].of(lm.Asked))
    (asked,) = arms[1].of(lm.Asked)
    assert isinstance(asked, lm.Asked)
    assert {query.left.episode for query in asked.queries} <= set(range(4))  # as this arm numbers its own
    assert not arms[0].of(lm.Asked)
    assert not arms[2].of(lm.Asked)

    for arm in arms:  # each with the numbers that it counts from 0
        arm.line.assign(lm.Worsen(job=0, demonstration=0, episodes=(100,)))
    until(lambda: all(arm.of(lm.RolledOut) == [lm.RolledOut(job=0, episodes=(), truths=())] for arm in arms))

    arms[0].line.stand(lm.Finish())
    arms[1].line.stand(lm.Finish())
    arms.pop().close()  # who leaves is waited for no more
    until(lambda: all(arm.of(lm.Ended) for arm in arms))
    for arm in arms:
        assert (arm.store.path.parent / "summary.json").exists()
        arm.close()
