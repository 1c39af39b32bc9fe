"""`report`: the page of a run, with what the reward model makes of its episodes and two clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from robot_rlhf.commands.extras import missing
from robot_rlhf.commands.trained import read_learner
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Kind, Outcome
from robot_rlhf.learning.reward_model import RewardModel
from robot_rlhf.report.page import write_report
from robot_rlhf.report.pictures import Picture, film_indices
from robot_rlhf.session.run_folder import DATABASE, RunError, arm_of
from sim.arms.model import ARMS

_WIDTH, _HEIGHT = 224, 224  # a frame is shown about half as wide


def write_run_report(run: Path) -> Path:
    """Write RUN/report.html from what the run at `run` holds, finished or not, and return its path.

    Without a fitted reward model there are no predicted returns; without the extra `sim`, and of an arm that
    nothing here can draw, no clips. The page says so. Raises RunError, StoreError or
    CheckpointError naming what is not in order.
    """
    config, learner = read_learner(run)
    with Store.open_readonly(run / DATABASE) as store, store.transaction():
        online = list(store.episode_steps(Role.ONLINE))
        seen = sorted([*online, *store.episode_steps(Role.DEMONSTRATION)])
        marks = {e.episode: e.success for e in store.feedback({Kind.OUTCOMES}) if isinstance(e, Outcome)}
        returns: dict[int, float] = {}
        if learner is not None and learner.reward.version > 0:
            # One at a time: a long run does not fit into memory.
            episodes = (learner.as_seen(episode, store.pictures) for episode in store.each_episode(seen))
            returns = predicted_returns(learner.reward, episodes)
        clips: dict[str, Sequence[Picture]] = {}
        arm = arm_of(run, config).looks
        if not missing("sim") and arm in ARMS:  # what can be rendered
            chosen = best_and_worst(online, marks, returns)
            clips = {name: _pictures(config.task, arm, store.episode(id)) for name, id in chosen.items()}
    try:
        return write_report(run, clips, returns)
    except ValueError as error:
        raise RunError(str(error)) from error


def predicted_returns(reward: RewardModel, episodes: Iterable[Episode]) -> dict[int, float]:
    """Episode id -> the sum over its steps of the mean of the reward model's members."""
    returns = {}
    for episode in episodes:
        obs = torch.from_numpy(episode.obs)
        returns[episode.id] = float(reward.members(obs[:-1], obs[1:]).mean(dim=0).sum())
    return returns


def best_and_worst(
    online: Sequence[int], marks: Mapping[int, bool], returns: Mapping[int, float]
) -> dict[str, int]:
    """'best' and 'worst' of the episodes that the policy drove, by their ids: first by the operator's mark,
    then by the predicted return, then the later one is better. With one episode there is no worst."""

    def merit(id: int) -> tuple[float, float, int]:
        mark = marks.get(id)
        return 0.5 if mark is None else float(mark), returns.get(id, 0.0), id

    ranked = sorted(online, key=merit)
    chosen = {"best": ranked[-1]} if ranked else {}
    return chosen | ({"worst": ranked[0]} if len(ranked) > 1 else {})


def _pictures(task: str, arm: str, episode: Episode) -> list[Picture]:
    """The frames of the film strip that the page shows of an episode."""
    from sim.camera import render

    chosen = list(film_indices(len(episode.scenes)))
    return list(render(task, episode.scenes[chosen], _WIDTH, _HEIGHT, arm=arm))
