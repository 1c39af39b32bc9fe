"""A session on an arm behind a real host: one that is simulated, and one that says it is real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hardware.clock import MonotonicClock
from hardware.drivers.fake import FAKE_SPEC, FakeArm
from hardware.host.guard import Safety
from hardware.perception import PerceptionError
from hardware.remote import RemoteRobot
from hardware.robot import Robot, RobotError, Source
from hardware.scene import Scene
from hardware.security import ClientSecurity, Role, ServerSecurity, make_client, make_server
from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.live_operator import LiveOperator
from robot_rlhf.feedback.messages import Phase, Stage, Wish
from robot_rlhf.feedback.operator import OperatorConfig
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Demonstration, Kind
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import DATABASE
from sim.driver import make
from sim.env import SPEED_M_S, TaskEnv
from sim.jpeg import decode, encode
from sim.served import OUT_OF_SIGHT, ServedCell
from sim.task import make_task
from tests.hardware.cameras.test_served import host
from tests.hardware.host.served import Served, fake_real, until

if TYPE_CHECKING:
    from tests.session.conftest import OpenRoom, Person, Room

Tiny = Callable[..., RunConfig]
STICK = (0.6, 0.0, 0.0)


@contextmanager
def opened(
    open_room: OpenRoom, config: RunConfig, path: Path, arm: Callable[[], Robot]
) -> Iterator[tuple[Room, Served]]:
    with closing(Served(arm)) as served:
        cell = ServedCell(make_task(config.task), served.address)
        with open_room(path, config, cell=cell) as room:
            yield room, served


def six_jointed() -> Robot:
    """A fake arm that says it is a real one, of six joints that do not stand at 0."""
    return FakeArm(
        MonotonicClock(),
        replace(
            FAKE_SPEC,
            simulated=False,
            joint_names=FAKE_SPEC.joint_names[:6],
            joint_low_rad=np.zeros(6),
            joint_high_rad=np.ones(6),
            joint_speed_limit_rad_s=np.ones(6),
        ),
    )


@pytest.fixture
def simulated(open_room: OpenRoom, tiny: Tiny, tmp_path: Path) -> Iterator[tuple[Room, Served]]:
    """Demonstrations of `reach` on a served simulated arm."""
    with opened(open_room, tiny(), tmp_path / "run", lambda: make("reach")) as both:
        yield both


@pytest.fixture
def real(open_room: OpenRoom, tiny: Tiny, tmp_path: Path) -> Iterator[tuple[Room, Served]]:
    """The same on one that says it is real."""
    with opened(open_room, tiny(), tmp_path / "run", fake_real) as both:
        yield both


def arm_it(room: Room, person: Person) -> None:
    """Take over, which lets an arm move that was just switched on, and let go."""
    room.until(lambda: "take over" in person.now.hold_reason)
    person.take((0.0, 0.0, 0.0))
    room.until(lambda: room.live.drive.armed and room.live.env.cell.armed)
    person.release()
    room.until(lambda: person.now.phase is Phase.HOLD)


def tool_m(person: Person) -> np.ndarray:
    return Scene.unpack(person.now.row(), ["target"]).tool_pos_m


def demonstrate(room: Room, person: Person, steps: int = 6) -> None:
    person.release()
    room.until(lambda: person.stage is Stage.READY)
    room.goes_on(0.05)
    person.take(STICK)
    room.until(lambda: person.stage is Stage.DEMONSTRATION and person.now.step >= steps)
    assert room.wish(person, Wish.CONFIRM) == ""
    person.release()
    room.settled()


def test_a_policy_that_sees_has_the_hosts_cameras_and_holds_where_their_pictures_are_old(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(encode(np.full((48, 64, 3), 90, np.uint8)))
    task = make_task("push")
    with host(f"bench=file:{folder},hz=50") as (_, address):
        with pytest.raises(RobotError, match="no camera 'nose' \\(there are bench\\)"):
            ServedCell(task, address, cameras=("nose",))
        cell = ServedCell(task, address, cameras=("bench",), camera_px=32)
        assert (cell.poses()["cube"] == OUT_OF_SIGHT).all(), "nobody says where it is, and nobody needs to"
        config = tiny(task="push", robot=address, operator="console", cameras="bench", camera_px=32)
        with open_room(tmp_path / "run", config, cell=cell) as room:
            ann = room.enter()
            arm_it(room, ann)
            room.until(lambda: ann.stage is Stage.RESET)
            assert room.wish(ann, Wish.CONFIRM) == "", "the start is laid out"
            demonstrate(room, ann)
            (episode,) = room.episodes()
            with Store.open_readonly(room.path / DATABASE) as store:
                frames = store.pictures(episode.id, "bench")
            assert len(frames) == episode.length + 1 and episode.obs.shape[1] == 6
            assert (
                decode(frames[0]).shape == (32, 32, 3)
                and np.abs(decode(frames[0]).astype(int) - 90).max() < 9
            )
            (folder / "0.jpg").unlink()
            room.until(lambda: "the camera bench: " in room.live.env.cell.trouble)
            ann.take(STICK)
            room.until(lambda: "the camera bench: " in ann.now.hold_reason)
            assert ann.now.phase is Phase.HOLD


def test_what_is_stored_is_what_the_served_arm_did(simulated: tuple[Room, Served]) -> None:
    room, _ = simulated
    ann = room.enter()
    arm_it(room, ann)
    demonstrate(room, ann)
    (episode,), (event,) = room.episodes(), room.events()
    tool = Scene.unpack(episode.scenes, ["target"]).tool_pos_m
    went, said = tool[-1] - tool[0], episode.action[:, :3].sum(axis=0) * SPEED_M_S * 0.1
    assert went == pytest.approx(said, abs=0.012)  # a machine that stalls sees the arm late
    assert went[0] > 0.02
    assert isinstance(event, Demonstration) and event.alternatives == ()


def test_the_simulated_operator_takes_over_an_arm_that_was_just_switched_on(
    simulated: tuple[Room, Served],
) -> None:
    room, _ = simulated
    with closing(OperatorLink(room.session.stream.address, "simulated")) as link:
        rng = np.random.default_rng(0)
        person = LiveOperator(link, OperatorConfig(), frozenset(Kind), 10.0, rng, pair_s=0.1)
        room.until(lambda: person.step() or room.events())
        assert isinstance(room.events()[0], Demonstration)


def test_a_simulated_arm_goes_to_its_next_start_by_itself(simulated: tuple[Room, Served]) -> None:
    room, _ = simulated
    ann = room.enter()
    arm_it(room, ann)
    demonstrate(room, ann)
    room.until(lambda: ann.stage is Stage.READY)
    start = room.live.env.start
    room.until(lambda: np.abs(tool_m(ann) - start.tool_pos_m).max() < 2e-3)


def test_a_real_arm_is_brought_to_its_start_by_whoever_holds_it(real: tuple[Room, Served]) -> None:
    room, _ = real
    ann = room.enter()
    arm_it(room, ann)
    room.until(lambda: ann.stage is Stage.RESET)
    start_m = room.live.env.start.tool_pos_m
    far = np.linalg.norm(tool_m(ann) - start_m)
    room.goes_on(0.3)
    assert np.linalg.norm(tool_m(ann) - start_m) == pytest.approx(far, abs=1e-3)  # nobody holds it
    ann.take((0.0, 0.0, 0.0))
    assert far > 0.02
    room.until(lambda: np.linalg.norm(tool_m(ann) - start_m) < 3e-3)
    assert room.wish(ann, Wish.CONFIRM) == "let go of the arm first"
    ann.release()
    room.until(lambda: ann.now.phase is Phase.HOLD)
    assert room.wish(ann, Wish.CONFIRM) == ""
    demonstrate(room, ann)
    room.until(lambda: ann.stage is Stage.RESET)
    assert len(room.episodes()) == 1


def test_an_arm_of_six_joints_is_demonstrated_on_and_drawn_as_a_hand(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    with opened(open_room, tiny(), tmp_path / "run", six_jointed) as (room, _):
        ann = room.enter()
        arm_it(room, ann)
        room.until(lambda: ann.stage is Stage.RESET)
        ann.take((0.0, 0.0, 0.0))
        start_m = room.live.env.start.tool_pos_m
        room.until(lambda: np.linalg.norm(tool_m(ann) - start_m) < 3e-3)
        ann.release()
        room.until(lambda: ann.now.phase is Phase.HOLD)
        assert room.wish(ann, Wish.CONFIRM) == ""
        demonstrate(room, ann)
        room.until(lambda: len(room.episodes()) == 1)
        scenes = Scene.unpack(room.episodes()[0].scenes, ["target"])
        assert scenes.joint_pos_rad[:, :6].all() and not scenes.joint_pos_rad[:, 6].any()


def test_an_arm_with_too_little_room_is_refused_by_its_corners() -> None:
    def small() -> Robot:
        return FakeArm(MonotonicClock(), replace(FAKE_SPEC, workspace_high_m=np.array([0.6, 0.4, 0.7])))

    with closing(Served(small)) as served:
        with pytest.raises(
            RobotError, match=r"reach takes place from .* the workspace of fake is .*0\.6, 0\.4"
        ):
            ServedCell(make_task("reach"), served.address)
        with closing(ServedCell(make_task("bare"), served.address)) as cell:
            assert cell.robot.spec.name == "fake"


def test_stop_at_the_console_stops_the_host_until_it_is_cleared_and_taken(
    simulated: tuple[Room, Served],
) -> None:
    room, served = simulated
    ann = room.enter()
    arm_it(room, ann)
    room.until(lambda: ann.link.stops_arm)
    ann.link.stop()  # goes to the host itself, and to the session, which stops it too
    room.until(lambda: served.host.guard.stops == 2 and ann.now.phase is Phase.STOPPED)

    def is_cleared() -> bool:
        safety = served.host.guard.safety
        if safety is Safety.STOPPED:  # who has not heard of the second stop clears none
            assert room.wish(ann, Wish.CLEAR) == ""
        return safety is Safety.DISARMED

    room.until(is_cleared)
    room.until(lambda: ann.now.phase is Phase.HOLD)
    room.goes_on(0.7)  # nothing goes on by itself
    assert served.host.guard.safety is Safety.DISARMED
    arm_it(room, ann)
    room.until(lambda: served.host.guard.safety in (Safety.HOLDING, Safety.MOVING))
    room.until(lambda: ann.stage is Stage.READY)


def test_a_session_that_hangs_does_not_hold_stop_up(simulated: tuple[Room, Served]) -> None:
    room, served = simulated
    ann = room.enter()
    arm_it(room, ann)
    room.until(lambda: ann.link.stops_arm)
    ann.link.stop()  # and the session takes no step any more

    def is_stopped() -> bool:
        ann.service()
        return served.host.guard.safety is Safety.STOPPED

    until(is_stopped)
    assert served.host.guard.reason == "local: Ann pressed STOP"
    room.until(lambda: ann.now.phase is Phase.STOPPED)


def test_a_stop_by_somebody_else_is_shown_with_its_reason(simulated: tuple[Room, Served]) -> None:
    room, served = simulated
    ann = room.enter()
    arm_it(room, ann)
    with closing(RemoteRobot(served.address)) as other:
        other.stop()
        room.until(lambda: ann.now.phase is Phase.STOPPED)
    assert ann.now.hold_reason == "local pressed STOP"


def test_a_host_that_dies_ends_the_episode_and_is_named(simulated: tuple[Room, Served]) -> None:
    room, served = simulated
    ann = room.enter()
    arm_it(room, ann)
    room.until(lambda: ann.stage is Stage.READY)
    room.goes_on(0.05)
    ann.take(STICK)
    room.until(lambda: ann.stage is Stage.DEMONSTRATION and ann.now.step >= 2)
    served.frozen = True
    room.until(lambda: ann.stage is not Stage.DEMONSTRATION)
    assert any("no fresh state" in news.text for news in ann.link.news)
    assert room.episodes() == []


def test_a_real_arm_holds_and_then_stops_when_nobody_is_there(real: tuple[Room, Served]) -> None:
    room, served = real
    ann = room.enter()
    arm_it(room, ann)
    ann.silent = True
    room.until(lambda: served.host.guard.safety is Safety.STOPPED)
    assert served.host.guard.reason == "nobody was heard of for 0.5 s"
    ann.silent = False
    room.until(lambda: ann.now.phase is Phase.STOPPED)
    assert "nobody was heard of" in ann.now.hold_reason


def test_an_arm_that_somebody_else_leads_is_not_taken_from_them(real: tuple[Room, Served]) -> None:
    room, served = real
    ann = room.enter()
    room.until(lambda: "take over" in ann.now.hold_reason)
    with closing(RemoteRobot(served.address)) as other:
        other.take(Source.OPERATOR)
        ann.take(STICK)  # which arms it, whoever leads it
        room.until(lambda: other.read() and ann.stage is Stage.RESET)
        ann.release()
        room.until(lambda: other.read() and not room.live.env.cell.trouble)
        ann.take(STICK)
        room.until(lambda: other.read() and "local has the arm, as operator" in ann.now.hold_reason)
        assert ann.now.phase is Phase.HOLD
        assert other.leading is Source.OPERATOR and served.host.guard.lease is not None


@pytest.mark.parametrize(
    ("perception", "complaint"),
    [
        ("none", "pick_cube needs to know where 'cube' is, and the perception 'none' does not say"),
        ("host", "fake knows of no things before it"),
        ("file:nowhere.json", "perception file:nowhere.json: .*No such file"),
        ("x", "no perception 'x'"),
        ("no_such_module:make", "No module named 'no_such_module'"),
        ("builtins:dict", "made a dict, which"),
    ],
)
def test_a_source_that_does_not_see_what_the_task_needs_is_refused_by_name(
    perception: str, complaint: str
) -> None:
    with closing(Served(fake_real)) as served:
        with pytest.raises(PerceptionError, match=complaint):
            ServedCell(make_task("pick_cube"), served.address, perception=perception)
        assert served.host.guard.lease is None


class Tracker:
    """One of somebody's own, whose `said` everybody sees."""

    GOOD = (0.45, 0.0, 0.025, 0.0, 0.0, 0.0, 1.0)
    said: object = GOOD
    closed = 0

    def poses(self) -> dict[str, object]:
        if isinstance(self.said, Exception):
            raise self.said
        return {} if self.said is None else {"cube": self.said}

    def close(self) -> None:
        Tracker.closed += 1


@pytest.fixture
def tracked() -> Iterator[type[Tracker]]:
    """What the tracker says, to be changed."""
    Tracker.said, Tracker.closed = Tracker.GOOD, 0
    yield Tracker
    Tracker.said = Tracker.GOOD


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ((0.45, 0.0, 0.025), "cube is [0.45, 0.0, 0.025]: a pose is 7 finite numbers"),
        ((*Tracker.GOOD[:6], float("nan")), "nan]: a pose is 7 finite numbers"),
        (RuntimeError("no picture"), f"perception {__name__}:Tracker: RuntimeError: no picture"),
        (None, "the perception"),
    ],
)
def test_a_source_that_fails_is_refused_before_a_run_is_made(
    tracked: type[Tracker], said: object, told: str, here: Path, refused: Callable[..., str]
) -> None:
    tracked.said = said
    words = ["train", "--task", "push", "--no-window", "--perception", f"{__name__}:Tracker"]
    with closing(Served(lambda: make("push"))) as served:
        assert told in refused(*words, "--robot", served.address, "--out", str(here / "run"))
    assert list(here.iterdir()) == [] and tracked.closed == 1


def banner_says(person: Person, words: str) -> bool:
    return words in person.now.hold_reason


def test_the_arm_holds_while_a_source_fails_and_the_banner_says_why(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path, tracked: type[Tracker]
) -> None:
    task = make_task("push")
    with closing(Served(lambda: make("push"))) as served:
        cell = ServedCell(task, served.address, perception=f"{__name__}:Tracker")
        with open_room(tmp_path / "run", tiny(task="push"), cell=cell) as room:
            ann = room.enter()
            arm_it(room, ann)
            room.until(lambda: ann.stage is Stage.RESET)
            for said, told in (
                ((*Tracker.GOOD[:6], float("nan")), "nan]: a pose is 7 finite numbers"),
                ((0.45, 0.0, 0.025), "cube is [0.45, 0.0, 0.025]"),
                ((0.45, 0.0, 0.025, 0.0, 0.0, 0.0, 0.0), "its quaternion has length 0"),
                (OSError("the device is gone"), "perception tests.session.test_served:Tracker: the device"),
                (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
                (None, "'cube' is seen no more"),
            ):
                ann.take(STICK)
                room.until(lambda: ann.now.phase is Phase.OPERATOR)
                tracked.said = said
                room.until(partial(banner_says, ann, told))
                assert ann.now.phase is Phase.HOLD
                tracked.said = Tracker.GOOD
                ann.release()
                room.until(lambda: not cell.trouble and room.has_let_go(ann))
    assert tracked.closed == 1


def test_with_keys_the_session_leads_by_its_own_and_observers_lead_nothing(
    open_room: OpenRoom, tiny: Tiny, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    make_server(keys)
    for role in (Role.OPERATOR, Role.OBSERVER):
        make_client(keys, role.value, role)
    task = make_task("reach")
    with closing(Served(lambda: make("reach"), security=ServerSecurity(keys))) as served:
        with pytest.raises(RobotError, match="with keys: connect to it with one"):
            ServedCell(task, served.address)
        observer = ServedCell(task, served.address, security=key_of(keys, Role.OBSERVER))
        with closing(observer), pytest.raises(RobotError, match="observer is observer: it may not lead"):
            TaskEnv(task, cell=observer)
        cell = ServedCell(task, served.address, security=key_of(keys, Role.OPERATOR))
        with open_room(tmp_path / "run", tiny(), cell=cell) as room:
            ann = room.enter()
            arm_it(room, ann)
            room.until(lambda: ann.stage is Stage.READY)
            assert ann.link.stops_arm is False  # this console has no key to the host,
            ann.link.stop()
            room.until(lambda: served.host.guard.safety is Safety.STOPPED)  # but the session has


def key_of(keys: Path, role: Role) -> ClientSecurity:
    return ClientSecurity(keys / f"{role.value}.key")
