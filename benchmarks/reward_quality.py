"""What the reward of a run knows of the task's utility, which it was never shown, as its evidence comes in.

Fits the reward model to what stood in the run's store after every few policy episodes, then without each kind
of feedback and with each alone, and correlates it (Pearson) with the utility over all steps of the policy's
episodes. A simulated run's folder is needed:

    robot-rlhf train --task pick_cube --seed 11 --out RUN
    python benchmarks/reward_quality.py RUN
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import episodes_of
from robot_rlhf.feedback.types import Feedback, Kind
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import FitError, RewardModel
from robot_rlhf.session.run_folder import DATABASE, read_config

EVERY = 6
"""Policy episodes between two fits."""


def quality(
    events: Sequence[Feedback],
    episodes: Mapping[int, Episode],
    judged: Mapping[int, Episode],
    utility: Mapping[int, np.ndarray],
    kinds: Collection[Kind],
    config: RewardConfig,
) -> str:
    """A table's cells: correlation over `judged`, held-out likelihood and accuracy; why not, where not."""
    model = RewardModel(next(iter(episodes.values())).obs.shape[1], config, seed=0)
    try:
        fit = model.fit(events, episodes, frozenset(kinds))
    except FitError:
        return "nothing to compare | |"
    said = [
        model.score(torch.from_numpy(one.obs[:-1]), torch.from_numpy(one.obs[1:])) for one in judged.values()
    ]
    meant = np.concatenate([utility[id] for id in judged])
    correlation = np.corrcoef(torch.cat(said).numpy(), meant)[0, 1]
    held = fit.heldout
    rest = [f"{value:.2f}" if value is not None else "" for value in (held.nll, held.accuracy)]
    return f"{correlation:.2f} | {' | '.join(rest)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a simulated run")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config(asked.run).reward_model
    with Store.open_readonly(asked.run / DATABASE) as store, store.transaction():
        episodes = {episode.id: episode for episode in store.episodes()}
        events = store.feedback(learnable=True)
        utility = {id: truth.task_reward for id, truth in store.truth().items()}
    online = {id: episode for id, episode in sorted(episodes.items()) if episode.role is Role.ONLINE}
    if not online:
        parser.error(f"{asked.run} has no episodes of the policy yet")
    print("| evidence | events | correlation | held-out nll | accuracy |\n|---|---|---|---|---|")
    starts = [*online, max(episodes) + 1]
    for count in range(0, len(online) + 1, EVERY):
        known = {id: episode for id, episode in episodes.items() if id < starts[count]}
        said = [event for event in events if episodes_of(event) <= known.keys()]
        cells = quality(said, known, online, utility, list(Kind), config)
        print(f"| after {count} episodes | {len(said)} | {cells} |", flush=True)
    for name, kinds in (
        *((f"all but {kind.value}", [other for other in Kind if other is not kind]) for kind in Kind),
        *((f"{kind.value} alone", [kind]) for kind in Kind),
    ):
        cells = quality(events, episodes, online, utility, kinds, config)
        print(f"| {name} | | {cells} |", flush=True)


if __name__ == "__main__":
    main()
