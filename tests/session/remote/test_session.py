"""A live session whose learner is on another machine: it is killed, cut off, damaged and of another version,
the arm goes on, and what was stored is there once, here and there. The learner's double learns nothing; the
learner itself is in tests/commands/test_learner.py."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.store import Store
from robot_rlhf.learning.snapshot import Snapshot
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.config import RunConfig, ScheduleConfig
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.remote import calls, link
from robot_rlhf.session.remote.link import RemoteLearnerLink, try_learner
from robot_rlhf.session.remote.uplink import Whose
from robot_rlhf.session.run_folder import DATABASE, RunError
from tests.hardware.host.proxy import HOST, Proxy
from tests.session.remote.machine import Machine, rows

if TYPE_CHECKING:
    from tests.session.conftest import OpenRoom, Person, Room

STICK = (0.6, 0.0, 0.0)
SILENT_S = 1.0


@dataclasses.dataclass
class Far:
    """A session here, one person at its console, and its learner behind a network that can be spoilt."""

    room: Room
    ann: Person
    machine: Machine
    proxy: Proxy
    said: list[str]

    @property
    def mirror(self) -> Path:
        (folder,) = self.machine.folder.glob("run-*[0-9a-f]")
        return folder

    @property
    def line(self) -> RemoteLearnerLink:
        line = self.room.live.learner
        assert isinstance(line, RemoteLearnerLink)
        return line

    def agrees(self) -> bool:
        """Whether the same rows are here and there, but for what the simulation alone knows."""
        with contextlib.suppress(Exception):
            mine, theirs = rows(self.room.path), rows(self.mirror)
            return mine | {"truth": []} == theirs
        return False

    def record(self) -> int:
        """Have the policy drive an episode of some steps to its end, mark it, and wait until it is stored."""
        room, ann = self.room, self.ann
        ann.release()
        room.goes_on(0.05)
        room.until(lambda: room.has_let_go(ann))
        room.until(lambda: ann.stage is Stage.EPISODE and ann.now.phase is Phase.POLICY)
        id = ann.now.episode
        room.until(lambda: ann.now.episode == id and ann.now.step >= 3)
        room.saved(ann, ann.link.mark(id, success=False))
        assert room.wish(ann, Wish.CONFIRM) == ""
        room.until(lambda: ann.stage is not Stage.EPISODE)
        room.settled()
        return id

    def is_told(self, words: str) -> Callable[[], bool]:
        """Whether the terminal and the console were told something, from now on."""
        before, news = len(self.said), self.room.live.desk.told

        def told() -> bool:
            heard = [item.text for item in self.room.live.desk.news if item.number >= news]
            return any(words in one for one in self.said[before:]) and any(words in one for one in heard)

        return told

    def moves_on(self) -> None:
        """Wait until a newer policy is in hand."""
        number = self.room.live.course.policy
        self.room.until(lambda: self.room.live.course.policy > number)


def line_to(address: str, said: list[str]) -> Callable[[Path], RemoteLearnerLink]:
    return lambda path: RemoteLearnerLink(address, None, Whose(path, uuid.uuid4().hex), said.append)


@pytest.fixture(scope="module")
def far(
    open_room: OpenRoom,
    tiny: Callable[..., RunConfig],
    machine: Machine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Far]:
    """One demonstration was given, and a policy that came from the other machine drives."""
    schedule = ScheduleConfig(demonstrations=1, alternatives=1, episodes=1000, evaluate_every=0)
    config = dataclasses.replace(tiny(), schedule=schedule)
    axes = 3
    machine.folder.joinpath("policy.safetensors").write_bytes(snapshot(config, axes).to_bytes())
    machine.start()
    proxy, said = Proxy([machine.port]), list[str]()
    path = tmp_path_factory.mktemp("far") / "run"
    try:
        with (
            mock.patch.object(calls, "SILENT_S", SILENT_S),
            mock.patch.object(calls, "PING_S", 0.1),
            open_room(path, config, line=line_to(f"tcp://{HOST}:{machine.port}", said)) as room,
        ):
            ann = room.enter()
            room.until(lambda: ann.stage is Stage.READY)
            room.goes_on(0.05)
            ann.take(STICK)
            room.until(lambda: ann.stage is Stage.DEMONSTRATION and ann.now.step >= 5)
            assert room.wish(ann, Wish.CONFIRM) == ""
            ann.release()
            room.until(lambda: ann.stage is Stage.EPISODE)
            yield Far(room, ann, machine, proxy, said)
            room.live.course.over = True
    finally:
        proxy.close()


def snapshot(config: RunConfig, axes: int) -> Snapshot:
    """A policy of the task that has learned nothing."""
    from sim.env import TaskEnv

    env = TaskEnv(config.task, config.control_hz)
    assert env.axes == axes
    with contextlib.closing(env):
        return Learner(config, env.obs_size, axes).snapshot()


def test_what_is_stored_here_is_there_but_not_what_the_simulation_alone_knows(far: Far) -> None:
    far.record()
    far.room.until(far.agrees)
    assert rows(far.room.path)["truth"]
    far.room.until(lambda: far.line.updates == len(rows(far.room.path)["episodes"]))
    assert far.line.what == "doubling"


def test_the_log_of_metrics_comes_down_and_grows(far: Far) -> None:
    far.record()
    mine, theirs = far.room.path / "metrics.jsonl", far.mirror / "metrics.jsonl"
    far.room.until(lambda: mine.exists() and mine.read_bytes() == theirs.read_bytes())
    before = mine.read_bytes()
    far.record()
    far.room.until(lambda: len(mine.read_bytes()) > len(before))
    assert mine.read_bytes().startswith(before)


def test_what_is_taken_back_has_the_learner_read_all_anew(far: Far) -> None:
    id = far.record()
    far.room.saved(far.ann, far.ann.link.remove(id))
    log = far.mirror / "metrics.jsonl"
    far.room.until(lambda: any(json.loads(one)["anew"] for one in log.read_text().splitlines()))
    far.room.until(far.agrees)


def test_a_learner_that_is_killed_is_missed_by_nobody_and_goes_on_from_its_mirror(far: Far) -> None:
    room, ann = far.room, far.ann
    far.record()
    lost, back = far.is_told("out of reach"), far.is_told("there again")
    far.machine.kill()
    policy = room.live.course.policy
    far.record()  # the arm goes on, with the policy that it has
    room.until(lost)
    assert "out of reach" in far.line.what
    assert room.live.course.policy == policy
    far.record()
    far.machine.start()
    room.until(back)
    room.until(far.agrees)
    far.moves_on()
    assert ann.stage in (Stage.EPISODE, Stage.MARK, Stage.PAUSED)


def test_a_learner_whose_mirror_is_gone_is_sent_all_of_it_again(far: Far) -> None:
    lost = far.is_told("out of reach")
    far.machine.kill()
    shutil.rmtree(far.mirror)
    far.room.until(lost)
    far.record()
    far.machine.start()
    far.room.until(far.agrees)
    far.moves_on()


def cut_off(far: Far, seconds: float) -> None:
    """Let nothing through, while both ends believe that the link is there, for so long at least."""
    lost, back = far.is_told("out of reach"), far.is_told("there again")
    far.proxy.silence(True)
    far.room.until(lost)
    first = far.record()
    far.room.goes_on(seconds)
    assert far.record() != first
    far.proxy.silence(False)
    far.room.until(back)
    far.room.until(far.agrees)
    far.moves_on()


def test_a_link_that_is_cut_costs_nothing(far: Far) -> None:
    cut_off(far, 0.0)


@pytest.mark.slow
def test_a_link_that_is_cut_for_a_minute_costs_nothing(far: Far) -> None:
    cut_off(far, 60.0)


def test_connections_that_break_again_and_again_cost_nothing(far: Far) -> None:
    for _ in range(5):
        far.proxy.cut()
        far.room.goes_on(0.1)
    far.record()
    far.room.until(far.agrees)
    far.moves_on()


def test_weights_that_are_damaged_on_their_way_are_dropped_and_asked_for_again(far: Far) -> None:
    far.moves_on()
    damaged = far.is_told("weights came damaged")

    def flip(data: bytes) -> bytes:
        if len(data) < 20_000:  # nothing but weights is so long
            return data
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

    far.proxy.tamper = flip
    far.room.until(damaged)
    number = far.room.live.course.policy
    far.record()  # with the last sound one
    far.room.goes_on(0.3)
    assert far.room.live.course.policy == number
    far.proxy.tamper = lambda data: data
    far.moves_on()


def test_another_version_is_refused_by_name_and_the_arm_goes_on(far: Far) -> None:
    far.machine.kill()
    told = far.is_told("the learner is robot-rlhf 99.0")
    far.machine.start(version="99.0")
    with pytest.raises(
        RunError, match=r"the learner is robot-rlhf 99\.0 \(protocol 2\), the session .* same"
    ):
        try_learner(far.machine.address, None)
    far.room.until(told)
    far.record()
    far.machine.kill()
    assert not try_learner_briefly(far.machine.address)
    far.machine.start()
    assert try_learner(far.machine.address, None)
    far.room.until(far.agrees)
    far.moves_on()


def try_learner_briefly(address: str) -> bool:
    with mock.patch.object(link, "_TRY_S", 0.2):
        return try_learner(address, None)


def left(far: Far) -> Path:
    """Have the session leave, if it has not; returns the checkpoint that it has then."""
    saved = far.room.path / "checkpoints" / "step-00000007.safetensors"
    if not saved.exists():
        far.record()
        far.room.until(far.agrees)
        session = far.room.live
        for message in far.line.close():
            session._hear_learner(message)
        far.room.settled()
    return saved


def test_a_session_that_leaves_has_its_learner_save_and_takes_the_checkpoint_home(
    far: Far,
) -> None:
    saved = left(far)
    assert saved.read_bytes() == (far.machine.folder / "policy.safetensors").read_bytes()
    with Store.open_readonly(far.room.path / DATABASE) as store:
        assert [saved.step for saved in store.latest_checkpoints()] == [7]


def test_a_run_that_ends_there_is_whole_here(far: Far) -> None:
    """The session is another one, as when a run is resumed, and the learner's machine is another one too: the
    checkpoint goes there first."""
    left(far)
    said: list[str] = []
    run = far.mirror.name.removeprefix("run-")
    far.machine.kill()
    shutil.rmtree(far.mirror)
    far.machine.start()
    line = RemoteLearnerLink(far.machine.address, None, Whose(far.room.path, run), said.append)
    line.stand(lm.Begin())
    line.stand(lm.Finish())
    heard: list[lm.FromLearner] = []

    def ended() -> bool:
        message = line.receive()
        if message is not None:
            heard.append(message)
        return isinstance(message, lm.Ended)

    far.room.until(ended)
    assert heard[-1] == lm.Ended(report=str(far.room.path / "report.html"))
    for name in ("summary.json", "report.html", "metrics.jsonl"):
        assert (far.room.path / name).read_bytes() == (far.mirror / name).read_bytes()
    sent_up = far.mirror / "checkpoints" / "step-00000007.safetensors"
    assert sent_up.read_bytes() == (far.machine.folder / "policy.safetensors").read_bytes()
    assert far.agrees()
    list(line.close())
    assert said == []
