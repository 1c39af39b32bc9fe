"""What runs in real time: sessions with a console, free driving, recording; and the processes beside them."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hardware.security import Role, ServerSecurity
from hardware.transport.addresses import reachable
from robot_rlhf.commands.arguments import Record, Teleop
from robot_rlhf.commands.extras import missing
from robot_rlhf.commands.interruption import Interruption
from robot_rlhf.commands.keys import make_key
from robot_rlhf.commands.learner import Elsewhere, command
from robot_rlhf.commands.served import served
from robot_rlhf.commands.telling import say
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.episode import Role as EpisodeRole
from robot_rlhf.feedback.messages import Stage
from robot_rlhf.feedback.queries import Worth, select_queries
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Query, Segment, derived_id
from robot_rlhf.learning.device import Device
from robot_rlhf.session import processes
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.desk import Desk
from robot_rlhf.session.labelling import LabelSession
from robot_rlhf.session.learner_link import LearnerLine, LearnerLink
from robot_rlhf.session.live import LiveSession
from robot_rlhf.session.presets import live_preset
from robot_rlhf.session.run_folder import DATABASE, RunError, RunFolder, arm_of, read_config, write_arm
from robot_rlhf.session.seeds import Purpose, generator
from robot_rlhf.session.stream import Stream
from sim.description import describe
from sim.task import make_task

_LOCAL_KEY = "console-here"
_RESTARTS = 3
_PLACE = ("arm", "robot", "perception", "cameras", "camera_px")
SWITCH_S = 0.0005  # how long another thread of this process may keep the control thread waiting


@dataclass(frozen=True)
class Wire:
    """Where consoles connect, who may, and whether one is opened here."""

    bind: str
    keys: Path | None
    window: bool
    console: tuple[str, ...] = ()
    """Words for the console that is opened here."""
    robot_key: Path | None = None
    """The key with which the session leads a served arm."""
    learner: Elsewhere | None = None
    """The learner on another machine, where there is one."""

    @property
    def security(self) -> ServerSecurity | None:
        """Raises SecurityError where the folder holds no keys."""
        return None if self.keys is None else ServerSecurity(self.keys)


def train_live(path: Path, config: RunConfig, wire: Wire, on: Device = "cpu") -> bool:
    """Go on with the run at `path` until it is done, learning on that device where it is learned here; False
    where its operator left before."""
    learner = command(path, on) if wire.learner is None else wire.learner
    with Interruption() as interruption, live_session(path, config, wire, learner=learner) as session:
        if config.operator == "simulated":
            words = ["-m", "robot_rlhf.commands.live_operator", str(path), session.stream.address]
        else:
            words = _window(session, wire)
        is_window = config.operator != "simulated"
        done = _accompanied(session, words, interruption, is_window=is_window)
    if done and wire.learner is not None:
        from robot_rlhf.commands.report import write_run_report

        write_run_report(path)  # the learner's own lacks what the simulation alone knows
        Store.open(path / DATABASE).close()  # which takes away what readers leave beside the database
    return done


def record(path: Path, config: RunConfig, wire: Wire) -> bool:
    """Record the demonstrations that are lacking at `path`; False where the operator left before."""
    with Interruption() as interruption, live_session(path, config, wire, learner=None) as session:
        return _accompanied(session, _window(session, wire), interruption, is_window=True)


def teleop(config: RunConfig, wire: Wire) -> None:
    """Drive freely until the operator leaves; nothing is kept."""
    with Interruption() as interruption, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teleop"
        RunFolder.create(path, config).close()
        with live_session(path, config, wire, learner=None, free=True) as session:
            _accompanied(session, _window(session, wire), interruption, is_window=True)


def label(path: Path, pairs: int, wire: Wire) -> None:
    """Have a run judged that is over: up to `pairs` open pairs, and every episode."""
    config = read_config(path)
    with Store.open_readonly(path / DATABASE) as store:
        episodes = [one for one in store.episodes() if one.role is not EpisodeRole.COUNTERFACTUAL]
        asked = store.queries()
        lacking = max(0, pairs - len(store.queries(answered=False)))
    visible = [one for one in episodes if one.has_scenes]
    if not visible:
        raise RunError(f"{path} has no episodes that can be looked at: there is nothing to judge")
    queries = _chosen(path, config, episodes, asked, lacking)
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        stream = Stream(wire.bind, wire.security)
        stack.callback(stream.close)
        desk = Desk(path / DATABASE, stream, shared=config.queries.shared_fraction)
        stack.callback(desk.close)
        session = LabelSession(
            config,
            describe(make_task(config.task), arm_of(path, config)),
            stream,
            desk,
            name=path.name,
            row=visible[-1].scenes[-1],
            queries=tuple(queries),
        )
        _accompanied(session, _window(session, wire), interruption, is_window=True)


def _chosen(
    path: Path, config: RunConfig, episodes: Sequence[Episode], asked: Sequence[Query], count: int
) -> list[Query]:
    """New pairs, by disagreement where there is a reward model and torch to ask it with."""
    compare: Worth | None = None
    known = {episode.id: episode for episode in episodes}
    if not missing("learn"):
        from robot_rlhf.commands.trained import read_learner

        learner = read_learner(path)[1]
        if learner is not None and learner.reward.version > 0:
            reward = learner.reward
            with Store.open_readonly(path / DATABASE) as store:
                known = {id: learner.as_seen(episode, store.pictures) for id, episode in known.items()}
            compare = lambda left, right: reward.pair_information(left, right, known)  # noqa: E731
    rng = generator(config.seed, Purpose.QUERY, 10**6 + len(asked))

    def named(left: Segment, right: Segment) -> str:
        return derived_id(config.seed, "label", len(asked), left, right)

    return select_queries(known, asked, compare, count, config.queries, rng, named)


@contextlib.contextmanager
def live_session(
    path: Path, config: RunConfig, wire: Wire, learner: Sequence[str] | Elsewhere | None, free: bool = False
) -> Iterator[LiveSession]:
    sys.setswitchinterval(SWITCH_S)
    with contextlib.ExitStack() as stack:
        stream = Stream(wire.bind, wire.security)
        stack.callback(stream.close)
        task = make_task(config.task)
        cell = served(config, config.robot, config.perception, wire.robot_key)
        if cell is not None:
            stack.callback(cell.close)
            write_arm(path, cell.robot.spec)
        whose = learner.whose(path) if isinstance(learner, Elsewhere) else None
        desk = Desk(path / DATABASE, stream, shared=config.queries.shared_fraction)
        stack.callback(desk.close)
        link: LearnerLine | None = None
        if isinstance(learner, Elsewhere) and whose is not None:
            link = learner.link(whose)
        elif not isinstance(learner, Elsewhere) and learner is not None:
            link = LearnerLink(learner)
        session = LiveSession(
            config,
            describe(task, arm_of(path, config)),
            stream,
            desk,
            link,
            name=path.name,
            teleop=free,
            cell=cell,
        )
        stack.callback(session.close)
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not look at it again
        yield session


def invitation(address: str, wire: Wire) -> str:
    """What a person types to join the session that listens at `address`."""
    best, *others = reachable(address)
    key = " --key FILE" if wire.keys else ""
    also = f" (or {' or '.join(others)})" if others else ""
    return f"robot-rlhf console --connect {best}{key}{also}"


def _window(session: LiveSession | LabelSession, wire: Wire) -> list[str]:
    """The words that open a console here; none where there shall be none."""
    address = session.stream.address
    if not wire.window:
        say(f"consoles connect with: {invitation(address, wire)}")
        return []
    words = ["-m", "robot_rlhf.cli", "console", "--connect", address, *wire.console]
    if wire.keys is not None:
        file = wire.keys / f"{_LOCAL_KEY}.key"
        if not file.exists():
            file = Path(make_key(wire.keys, _LOCAL_KEY, Role.OPERATOR).file)
        words += ["--key", str(file)]
    return words


def _accompanied(
    session: LiveSession | LabelSession, words: Sequence[str], interruption: Interruption, is_window: bool
) -> bool:
    """Run the session with a process at the other end of its wire; whether it came to its end. Raises
    KeyboardInterrupt where it was asked to leave: the arm stops, the learner saves, nothing is left running.
    """
    process: subprocess.Popen[bytes] | None = None
    starts = 0
    try:
        while not session.over:
            interruption.check()
            session.step()
            done = session.stage is Stage.DONE
            if not words:
                if done and (not session.stream.consoles or not is_window):
                    break
                continue
            code = None if process is None else process.poll()
            if process is None or (code and starts <= _RESTARTS and not done):
                process = processes.start([sys.executable, *words])
                starts += 1
            elif code is not None and (done or session.stage is not Stage.EVALUATING):
                break  # whoever closes the window while the policy is measured still gets a report
        return session.stage is Stage.DONE
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3.0)
            process.kill()
            process.wait()


def free(asked: Teleop) -> RunConfig:
    """The config of free driving."""
    return _placed(live_preset(asked.task), asked, seed=asked.seed)


def recording(asked: Record) -> RunConfig:
    """The config of a run that begins with recorded demonstrations. One that is there keeps its own, but
    for their number."""
    config = live_preset(asked.task) if not RunFolder.is_begun(asked.folder) else read_config(asked.folder)
    if config.task != asked.task:
        raise RunError(f"{asked.folder} is about {config.task}, not {asked.task}: choose another --out")
    schedule = replace(config.schedule, demonstrations=asked.demonstrations)
    there = _placed(config, asked, cameras=asked.cameras, camera_px=asked.camera_px)
    if RunFolder.is_begun(asked.folder) and there != config:
        said = " ".join(f"--{name.replace('_', '-')} {getattr(config, name)!r}" for name in _PLACE)
        raise RunError(f"{asked.folder} was begun with {said}: say the same, or choose another --out")
    return replace(there, seed=asked.seed, schedule=schedule)


def _placed(config: RunConfig, asked: Teleop | Record, **changes: Any) -> RunConfig:
    """The same at the arm that was asked for. Raises UsageError for what cannot be."""
    try:
        return replace(config, arm=asked.arm, robot=asked.robot, perception=asked.perception, **changes)
    except ValueError as error:
        raise UsageError(str(error)) from error
