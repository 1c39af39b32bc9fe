"""Our cloning and our reward from pairs beside those of `imitation` (Gleave et al. 2022), on the same data.

From a simulated run's folder: its demonstrations are cloned by both, and the clones driven from fresh starts;
and pairs of clips of its episodes, judged by a simulated person, make a reward in both, which is held against
pairs that an unerring one judges and against the task's utility. `imitation` 1.0.1 wants older packages than
ours, so it has an environment of its own:

    python3.11 -m venv PEER && PEER/bin/pip install imitation==1.0.1 torch==2.13.0
    robot-rlhf train --task pick_cube --seed 0 --out RUN
    python benchmarks/peer_imitation.py RUN --peer PEER/bin/python --json FILE
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the peer's Python has none of ours
    from robot_rlhf.feedback.episode import Episode
    from robot_rlhf.session.config import RunConfig

Float32 = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
Clips = tuple[NDArray[np.int64], NDArray[np.int64]]
"""(K,) episodes by their place in a list, and (K,) first steps."""

WIDTHS = {"its own networks": (32, 32), "ours in width": (256, 256)}
CLONING_EPOCHS = 300
REWARD_EPOCHS = 100
HELD_OUT_PAIRS = 400


def imitated(data: Mapping[str, NDArray[Any]], seed: int) -> Arrays:
    """What `imitation` makes of the data; runs in its environment.

    Behaviour cloning's layers for each of WIDTHS, and a reward of each transition from `pairs`."""
    import gymnasium
    import torch
    from imitation.algorithms import bc
    from imitation.algorithms import preference_comparisons as pc
    from imitation.data.types import TrajectoryWithRew, Transitions
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util.networks import RunningNorm
    from stable_baselines3.common.policies import ActorCriticPolicy

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    obs, action = data["obs"], data["action"]
    observed = gymnasium.spaces.Box(-np.inf, np.inf, obs.shape[1:], np.float32)
    acted = gymnasium.spaces.Box(-1.0, 1.0, action.shape[1:], np.float32)
    nothing = np.array([{}] * len(obs))
    shown = Transitions(obs, action, nothing, obs, np.zeros(len(obs), dtype=bool))
    made: Arrays = {}
    for name, widths in WIDTHS.items():
        policy = ActorCriticPolicy(observed, acted, lambda _: 1e-3, net_arch=list(widths))
        cloning = bc.BC(
            observation_space=observed, action_space=acted, rng=rng, demonstrations=shown, policy=policy
        )
        cloning.train(n_epochs=CLONING_EPOCHS, progress_bar=False, log_interval=10**9)
        parts = [*policy.mlp_extractor.policy_net.children(), policy.action_net]
        linear = (one.state_dict() for one in parts if isinstance(one, torch.nn.Linear))
        for index, layer in enumerate(linear):
            made |= {f"{name}/{index}/{part}": values.numpy() for part, values in layer.items()}
    if "left" not in data:
        return made
    reward = BasicRewardNet(
        observed, acted, use_action=False, use_next_state=True, normalize_input_layer=RunningNorm
    )
    loss = pc.CrossEntropyRewardLoss()
    trainer = pc.BasicRewardTrainer(
        pc.PreferenceModel(reward, discount_factor=1.0), loss, rng=rng, epochs=REWARD_EPOCHS, lr=1e-3
    )
    every, steps, after = data["every_obs"], int(data["segment_steps"]), data["every_next_obs"]

    def clip(start: int) -> TrajectoryWithRew:
        rows = slice(start, start + steps)
        seen = np.concatenate([every[rows], after[start + steps - 1][None]])
        still = np.zeros((steps, action.shape[1]), np.float32)
        return TrajectoryWithRew(seen, still, None, False, np.zeros(steps, np.float32))

    pairs = pc.PreferenceDataset()
    both = [(clip(int(one)), clip(int(two))) for one, two in zip(data["left"], data["right"], strict=True)]
    pairs.push(both, data["left_better"].astype(np.float32))
    trainer.train(pairs)
    with torch.no_grad():
        still, going_on = np.zeros((len(every), action.shape[1]), np.float32), np.zeros(len(every), bool)
        made["reward"] = reward.predict_processed(every, still, after, going_on).astype(np.float32)
    return made


class Layers:
    """A perceptron with tanh between its layers, out of arrays; actions are cut to [-1, 1]."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        count = sum(key.startswith(f"{name}/") for key in arrays) // 2
        self._layers = [
            (arrays[f"{name}/{index}/weight"], arrays[f"{name}/{index}/bias"]) for index in range(count)
        ]

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, obs: Float32) -> Float32:
        """(n,) -> (m,)."""
        hidden = obs
        for weight, bias in self._layers[:-1]:
            hidden = np.tanh(weight @ hidden + bias)
        weight, bias = self._layers[-1]
        return np.clip(weight @ hidden + bias, -1.0, 1.0).astype(np.float32)


def compared(run: Path, peer: Path, pairs: int, starts: int, seed: int) -> list[dict[str, Any]]:
    """Rows of {what, who, ...}."""
    import torch

    from robot_rlhf.feedback.episode import Role
    from robot_rlhf.feedback.store import Store
    from robot_rlhf.feedback.types import Outcome
    from robot_rlhf.learning.strides import strides
    from robot_rlhf.session.evaluation import Actor, evaluate
    from robot_rlhf.session.learner import Driving, make_clone
    from robot_rlhf.session.run_folder import DATABASE, read_config
    from sim.env import TaskEnv

    torch.set_num_threads(1)
    config = read_config(run)
    with Store.open_readonly(run / DATABASE) as store, store.transaction():
        episodes = store.episodes()
        marks = {one.episode: one.success for one in store.feedback() if isinstance(one, Outcome)}
        utility = {id: truth.task_reward for id, truth in store.truth().items()}
    shown = [one for one in episodes if one.role is Role.DEMONSTRATION and marks.get(one.id, True)]
    driven_so = [strides(one.action, config.clone) for one in shown]
    data: Arrays = {
        "obs": np.concatenate([one.obs[first] for one, (first, _) in zip(shown, driven_so, strict=True)]),
        "action": np.concatenate([action for _, action in driven_so]),
    }
    driven = [one for one in episodes if one.role is not Role.COUNTERFACTUAL]
    asked = _Pairs(driven, utility, config, pairs, seed)
    data |= asked.arrays
    theirs = _by(peer, data, seed)
    ours = make_clone(data["obs"].shape[1], data["action"].shape[1], shown, config)
    actors: dict[str, Actor] = {"ours, in chunks": Driving(ours)}
    actors |= {f"imitation, {name}": Driving(Layers(theirs, name)) for name in WIDTHS}
    rows: list[dict[str, Any]] = []
    env = TaskEnv(config.task, config.control_hz, end_on_success=True)
    for who, actor in actors.items():
        success = evaluate(env, actor, starts, seed).success_rate
        rows.append({"what": "cloning", "who": who, "demonstrations": len(shown), "success": success})
    env.close()
    for who, reward in (("ours", asked.ours(seed)), ("imitation", theirs["reward"])):
        rows.append({"what": "reward", "who": who, "pairs": pairs} | asked.judged(reward))
    return rows


def _by(peer: Path, data: Arrays, seed: int) -> Arrays:
    """`imitated` by another Python."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, **data)  # type: ignore[arg-type]
        words = [str(peer), __file__, "--side", str(given), str(made), "--seed", str(seed)]
        done = subprocess.run(
            words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        if done.returncode:
            raise SystemExit(f"{peer} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        with np.load(made) as arrays:
            return dict(arrays)


class _Pairs:
    """Pairs of clips of the episodes, some answered to learn from, others to judge by."""

    def __init__(
        self,
        episodes: list[Episode],
        utility: Mapping[int, Float32],
        config: RunConfig,
        count: int,
        seed: int,
    ) -> None:
        self._config, self._steps = config, config.queries.segment_steps
        self._episodes = [one for one in episodes if one.length > self._steps]
        rng = np.random.default_rng(seed)
        first = np.cumsum([0, *(one.length for one in self._episodes)])
        self._utility = np.concatenate([utility[one.id] for one in self._episodes])

        def drawn(many: int) -> Clips:
            which = rng.integers(len(self._episodes), size=many)
            spare = np.array([self._episodes[one].length - self._steps for one in which])
            return which, rng.integers(0, spare + 1)

        self._left, self._right = drawn(count), drawn(count)
        self._first = first
        opinions = self._means(self._utility, self._left) - self._means(self._utility, self._right)
        wrong = rng.random(count) < config.simulated.mistakes
        self._better = (opinions > 0) != wrong
        self._held_out = drawn(HELD_OUT_PAIRS), drawn(HELD_OUT_PAIRS)
        obs = np.concatenate([one.obs[:-1] for one in self._episodes])
        after = np.concatenate([one.obs[1:] for one in self._episodes])
        self.arrays: Arrays = {
            "every_obs": obs,
            "every_next_obs": after,
            "segment_steps": np.array(self._steps),
            "left": first[self._left[0]] + self._left[1],
            "right": first[self._right[0]] + self._right[1],
            "left_better": self._better,
        }

    def _means(self, values: NDArray[Any], clips: Clips) -> NDArray[Any]:
        starts = self._first[clips[0]] + clips[1]
        means: NDArray[Any] = values[starts[:, None] + np.arange(self._steps)].mean(axis=1)
        return means

    def ours(self, seed: int) -> Float32:
        """Our reward of every transition, from the same answers alone."""
        import torch

        from robot_rlhf.feedback.types import Choice, Kind, Preference, Segment
        from robot_rlhf.learning.reward_model import RewardModel

        def clip(which: int, start: int) -> Segment:
            return Segment(self._episodes[which].id, start, self._steps)

        sides = [np.transpose(clips).tolist() for clips in (self._left, self._right)]
        answers = [
            Preference(
                id=f"pair-{index}",
                operator="simulated",
                session="peer",
                time_ns=index,
                query=f"query-{index}",
                left=clip(*left),
                right=clip(*right),
                choice=Choice.LEFT if better else Choice.RIGHT,
                response_s=4.0,
            )
            for index, (left, right, better) in enumerate(zip(*sides, self._better, strict=True))
        ]
        obs = self.arrays["every_obs"]
        model = RewardModel(obs.shape[1], self._config.reward_model, seed)
        model.fit(answers, {one.id: one for one in self._episodes}, frozenset({Kind.PREFERENCES}))
        said: Float32 = model.score(
            torch.from_numpy(obs), torch.from_numpy(self.arrays["every_next_obs"])
        ).numpy()
        return said

    def judged(self, reward: Float32) -> dict[str, float]:
        """Share of the held-out pairs put in the order of their utility, and correlation with it."""
        left, right = self._held_out
        said = self._means(reward, left) - self._means(reward, right)
        meant = self._means(self._utility, left) - self._means(self._utility, right)
        return {
            "accuracy": float(((said > 0) == (meant > 0)).mean()),
            "correlation": float(np.corrcoef(reward, self._utility)[0, 1]),
        }


def main() -> None:
    """Print the tables, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="*", help="folders of simulated runs")
    parser.add_argument("--peer", type=Path, help="the Python that has imitation")
    parser.add_argument("--pairs", type=int, nargs="*", default=[50, 200], help="answered pairs")
    parser.add_argument("--starts", type=int, default=100, help="fresh starts of a clone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--side", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side is not None:
        with np.load(asked.side[0]) as data:
            np.savez(asked.side[1], **imitated(data, asked.seed))  # type: ignore[arg-type]
        return
    if not asked.run or asked.peer is None:
        parser.error("a run's folder and --peer are needed")
    rows = []
    for run in asked.run:
        for pairs in asked.pairs:
            for row in compared(run, asked.peer, pairs, asked.starts, asked.seed):
                if row["what"] == "reward" or pairs == asked.pairs[0]:
                    rows.append({"run": run.name} | row)
                    print(json.dumps(rows[-1]), flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
