"""What the reward of a run knows of the task's utility, which it was never shown, as its evidence comes in.

Fits the reward model to what stood in the run's store after every few policy episodes, then without each kind
of feedback and with each alone, and correlates it (Pearson) with the utility over all steps of the policy's
episodes. A simulated run's folder is needed:

    robot-rlhf train --task pick_cube --seed 11 --out RUN
    python benchmarks/reward_quality.py RUN
    python benchmarks/reward_quality.py RUN --clips 5 10 20 40   # how many steps of a clip tell most

The latter puts pairs of clips drawn at random, answered anew by the run's simulated operator, in the place of
those that were asked, and fits to them and the demonstrations, and to them and all else.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from hardware.scene import Scene
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.operator import SimulatedOperator
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.store_codec import episodes_of
from robot_rlhf.feedback.types import Feedback, Kind, Preference, Segment
from robot_rlhf.learning.reward_config import RewardConfig
from robot_rlhf.learning.reward_model import FitError, RewardModel
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.run_folder import DATABASE, read_config
from sim.env import SPEED_M_S
from sim.task import make_task

EVERY = 6
"""Policy episodes between two fits."""
PAIRS, DRAWS = 32, 6
"""Of clips: how many are answered, and how often other ones are drawn."""


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
        held = model.fit(events, episodes, frozenset(kinds)).heldout
    except FitError:
        return "nothing to compare | |"
    rest = [f"{value:.2f}" if value is not None else "" for value in (held.nll, held.accuracy)]
    return f"{correlation(model, judged, utility):.2f} | {' | '.join(rest)}"


def correlation(
    model: RewardModel, judged: Mapping[int, Episode], utility: Mapping[int, np.ndarray]
) -> float:
    """Pearson's, of the learned reward with the utility over all steps of `judged`."""
    said = [
        model.score(torch.from_numpy(one.obs[:-1]), torch.from_numpy(one.obs[1:])) for one in judged.values()
    ]
    meant = np.concatenate([utility[id] for id in judged])
    return float(np.corrcoef(torch.cat(said).numpy(), meant)[0, 1])


def answered(
    online: Mapping[int, Episode], steps: int, config: RunConfig, rng: np.random.Generator
) -> list[Feedback]:
    """Random pairs of clips of so many steps, each answered by the run's simulated operator."""
    task = make_task(config.task)
    operator = SimulatedOperator(task, config.simulated, SPEED_M_S, config.control_hz)
    objects = [prop.name for prop in task.props]
    long_enough = [id for id, episode in online.items() if episode.length >= steps]
    if steps < 1 or len(long_enough) < 2:
        raise SystemExit(f"--clips {steps}: it must be at least 1, and two episodes as long")
    events: list[Feedback] = []
    for number in range(PAIRS):
        clips, scenes = [], []
        for id in rng.choice(long_enough, 2, replace=False).tolist():
            start = int(rng.integers(0, online[id].length - steps + 1))
            clips.append(Segment(id, start, steps))
            scenes.append(Scene.unpack(online[id].scenes[start : start + steps + 1], objects))
        choice = operator.compare(scenes[0], scenes[1], rng)
        who = {"id": f"clips-{number}", "operator": "simulated", "session": "clips", "time_ns": number}
        asked = {"query": f"clips-{number}", "left": clips[0], "right": clips[1]}
        events.append(Preference(choice=choice, response_s=1.0, **asked, **who))  # type: ignore[arg-type]
    return events


def print_clips(
    lengths: Sequence[int],
    events: Sequence[Feedback],
    episodes: Mapping[int, Episode],
    online: Mapping[int, Episode],
    utility: Mapping[int, np.ndarray],
    config: RunConfig,
) -> None:
    """The table of clip lengths."""
    others = [event for event in events if not isinstance(event, Preference)]
    size = next(iter(episodes.values())).obs.shape[1]
    print("| steps of a clip | pairs and demonstrations | pairs and all else |\n|---|---|---|")
    for steps in lengths:
        cells = []
        for kinds in ((Kind.PREFERENCES, Kind.DEMONSTRATIONS), tuple(Kind)):
            found = []
            for draw in range(DRAWS):
                pairs = answered(online, steps, config, np.random.default_rng([draw, steps]))
                model = RewardModel(size, config.reward_model, seed=draw)
                model.fit([*others, *pairs], episodes, frozenset(kinds))
                found.append(correlation(model, online, utility))
            cells.append(f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})")
        print(f"| {steps} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="the folder of a simulated run")
    parser.add_argument("--clips", type=int, nargs="+", help="steps of a clip, to be compared")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run = read_config(asked.run)
    config = run.reward_model
    with Store.open_readonly(asked.run / DATABASE) as store, store.transaction():
        episodes = {episode.id: episode for episode in store.episodes()}
        events = store.feedback(learnable=True)
        utility = {id: truth.task_reward for id, truth in store.truth().items()}
    online = {id: episode for id, episode in sorted(episodes.items()) if episode.role is Role.ONLINE}
    if not online:
        parser.error(f"{asked.run} has no episodes of the policy yet")
    if asked.clips:
        print_clips(asked.clips, events, episodes, online, utility, run)
        return
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
