"""`export`: what a run holds, as a dataset for other people's tools."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from robot_rlhf import __version__
from robot_rlhf.commands.arguments import Export
from robot_rlhf.commands.extras import need
from robot_rlhf.commands.pictures import images_of
from robot_rlhf.commands.telling import progress
from robot_rlhf.data import stream
from robot_rlhf.data.folders import refuse_taken
from robot_rlhf.data.stream import NO_REWARD, Reward, RewardFacts
from robot_rlhf.feedback.episode import Episode, Float32
from robot_rlhf.feedback.store import Store
from robot_rlhf.session.run_folder import DATABASE, RunFolder, arm_of, read_arm, read_config


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and which reward is in it."""

    path: str
    format: str
    episodes: int
    steps: int
    demonstrations: int
    reward: str

    def table(self) -> Table:
        """The same for a person."""
        table = Table(show_header=False, show_edge=False, box=None)
        table.add_row("written", Text(self.path))
        table.add_row(
            "episodes", f"{self.episodes} ({self.demonstrations} demonstrations), {self.steps:,} steps"
        )
        table.add_row("reward", Text(self.reward))
        return table


def export(asked: Export) -> Exported:
    """Write the dataset that was asked for. Raises DataError, RunError, StoreError or CheckpointError naming
    what is not in order; then nothing is left behind."""
    refuse_taken(asked.out)
    write = writer(asked.format)
    config = read_config(asked.run)
    chosen = stream.plan(
        asked.run,
        control_hz=config.control_hz,
        robot=arm_of(asked.run, config).name,
        simulated=read_arm(asked.run) is None,
        software=f"robot-rlhf {__version__}",
        which=asked.episodes,
        reward=learned_reward(asked.run),
        cameras=config.camera_names,
    )
    steps = shown = 0
    with (
        images_of(asked.run, chosen.ids, asked.images, asked.pixels) as images,
        progress("exporting", len(chosen.ids)) as told,
    ):

        def done(record: stream.Record) -> None:
            nonlocal steps, shown
            steps, shown = steps + record.episode.length, shown + record.is_demonstration
            told()

        write(dataclasses.replace(chosen, images=images), asked.out, done)
    return Exported(
        path=str(asked.out),
        format=asked.format,
        episodes=len(chosen.ids),
        steps=steps,
        demonstrations=shown,
        reward=chosen.reward.facts.name,
    )


Write = Callable[[stream.Export, Path, Callable[[stream.Record], None]], None]


def writer(format: str) -> Write:
    """What writes that format."""
    match format:
        case "lerobot":
            from robot_rlhf.data.lerobot.export import export_lerobot

            return export_lerobot
        case "robomimic":
            from robot_rlhf.data.robomimic.export import export_robomimic

            return export_robomimic
        case _:
            from robot_rlhf.data.minari.export import export_minari

            return export_minari


def newest_checkpoint(run: Path) -> Path | None:
    """The file of the run's newest checkpoint, None where there is none yet."""
    with Store.open_readonly(run / DATABASE) as store:
        return RunFolder(run, read_config(run), store).latest_checkpoint()


def learned_reward(run: Path) -> Reward:
    """The learned reward of the run's newest checkpoint: what its policy learns from. None, and every reward
    0, where no reward model was fitted."""
    path = newest_checkpoint(run)
    if path is None:
        return Reward()
    need("export of a learned reward", "learn")
    import torch

    from robot_rlhf.commands.trained import read_learner

    _, learner = read_learner(run, path)
    if learner is None or learner.reward.version == 0:
        return Reward(NO_REWARD)
    model = learner.reward

    def score(episode: Episode) -> Float32:
        seen = episode
        if learner.encoder is not None:  # its reward is about what it makes of pictures
            with Store.open_readonly(run / DATABASE) as store:
                seen = learner.as_seen(episode, store.pictures)
        obs = torch.from_numpy(seen.obs)
        found: Float32 = model.score(obs[:-1], obs[1:]).numpy()
        return found

    name = path.relative_to(run).as_posix()
    return Reward(RewardFacts(model.version, name, stream.digest(path)), score)
