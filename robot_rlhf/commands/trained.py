"""A run's newest learner, taken out of its folder without changing anything there."""

from __future__ import annotations

from pathlib import Path

from robot_rlhf.feedback.store import Store
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.learner import Learner
from robot_rlhf.session.run_folder import DATABASE, RunFolder, read_config


def read_learner(run: Path, checkpoint: Path | None = None) -> tuple[RunConfig, Learner | None]:
    """The config of the run at `run` and the learner of that checkpoint, by default its newest; None where
    there is none yet. The learner's replay is empty.

    Raises RunError, StoreError or CheckpointError naming what is not in order.
    """
    config = read_config(run)
    with Store.open_readonly(run / DATABASE) as store:
        path = checkpoint or RunFolder(run, config, store).latest_checkpoint()
        ids = list(store.episode_steps())
        if path is None or not ids:
            return config, None
        episode = store.episode(ids[0])
    learner = Learner(config, episode.obs.shape[1], episode.action.shape[1])
    learner.load(path)
    return config, learner
