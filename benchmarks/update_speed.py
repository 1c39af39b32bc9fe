"""Gradient updates of SAC a second: ours, Stable-Baselines3's (PyTorch) and sbx's (JAX), interleaved.

One update is critics, actor, temperature and targets, on a batch of 256 from a replay of 10,000 transitions
with 24 numbers of state and 4 of action, two critics, two layers of 256. Everybody has LayerNorm after every
layer, sbx in the critics alone; Stable-Baselines3 has no switch for it, so it is put into what builds its
networks. Beside that the peers as they come, without it, and how fast the machine multiplies matrices: which
share of its time an update would take at that rate, the floor below which no implementation gets. Each is in
a process of its own, set up as it sets itself up: ours keeps the memory that it frees, as `train` does.

    pip install -c constraints.txt -e ".[sim,learn,bench,bench-jax]"      # without bench-jax, no sbx
    python benchmarks/update_speed.py --json update_speed.json [--cores 1] [--repeats 7] [--device cuda]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

STATE, ACTION, HIDDEN, LAYERS, CRITICS, BATCH = 24, 4, 256, 2, 2, 256
TRANSITIONS = 10_000
UPDATES = 100
"""Updates of one timed repeat."""


def multiplications() -> float:
    """Floating-point operations of the matrix products in one update: a product of (B, a) and (a, b) takes
    2 B a b; its gradient by the weights takes as many, and so does its gradient by the input."""

    def forward(inputs: int, outputs: int) -> list[int]:
        sizes = [inputs, *[HIDDEN] * LAYERS, outputs]
        return [2 * BATCH * low * high for low, high in itertools.pairwise(sizes)]

    critic, actor = forward(STATE + ACTION, 1), forward(STATE, 2 * ACTION)
    through = sum(critic)
    total = sum(actor) + CRITICS * through  # the targets: the actor's next action, and its value
    total += CRITICS * (2 * through + sum(critic[1:]))  # critics forward, by weights, by inner inputs
    total += 2 * sum(actor) + sum(actor[1:])  # the actor, the same
    total += CRITICS * through + through  # its value forward, and backward where it is least
    return float(total)


def gemm_rate(device: str) -> float:
    """Floating-point operations a second of 256 x 256 x 256 products in torch."""
    import torch

    a, b, out = torch.randn(3, 256, 256, device=device)
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(100):
            torch.mm(a, b, out=out)
        out[0, 0].item()  # a GPU is done then
        best = max(best, 100 * 2 * 256**3 / (time.perf_counter() - began))
    return best


def arrays() -> dict[str, Any]:
    """The transitions that everybody learns from."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        "obs": rng.normal(size=(TRANSITIONS + 1, STATE)).astype(np.float32),
        "action": rng.uniform(-0.95, 0.95, (TRANSITIONS, ACTION)).astype(np.float32),
        "reward": rng.normal(size=TRANSITIONS).astype(np.float32),
    }


def ours(data: dict[str, Any], device: Any) -> Callable[[], object]:
    """`UPDATES` updates of our SAC."""
    import numpy as np

    from robot_rlhf.feedback.episode import Episode, Role
    from robot_rlhf.learning.policy_config import SACConfig
    from robot_rlhf.learning.processor import keep_memory
    from robot_rlhf.learning.replay import Replay
    from robot_rlhf.learning.sac import SAC

    keep_memory()
    config = SACConfig(
        hidden=HIDDEN,
        layers=LAYERS,
        critics=CRITICS,
        batch_size=BATCH,
        actor_every=1,
        critic_warmup_updates=0,
        bc_weight_start=0.0,
        bc_weight_end=0.0,
    )
    replay = Replay(STATE, ACTION)
    episode = Episode(
        id=0,
        role=Role.ONLINE,
        task="random",
        seed=0,
        policy_version=0,
        obs=data["obs"],
        action=data["action"],
        proposed=data["action"],
        driver=np.zeros(TRANSITIONS, np.uint8),
        scenes=np.zeros((TRANSITIONS + 1, 19), np.float32),
        terminated=False,
        truncated=True,
    )
    replay.add(episode)
    replay.set_rewards(0, data["reward"])
    agent, rng = SAC(STATE, ACTION, config, 0, device), np.random.default_rng(0)
    return lambda: agent.train(replay, UPDATES, rng)


def peer(algorithm: Any, data: dict[str, Any], **policy: object) -> Callable[[], object]:
    """`UPDATES` updates of a SAC with Stable-Baselines3's interface."""
    import gymnasium
    import numpy as np
    from stable_baselines3.common.logger import Logger

    class Nowhere(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (STATE,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION,), np.float32)

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            return np.zeros(STATE, np.float32), {}

        def step(self, _: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            return np.zeros(STATE, np.float32), 0.0, False, False, {}

    agent = algorithm(
        "MlpPolicy",
        Nowhere(),
        buffer_size=TRANSITIONS,
        batch_size=BATCH,
        policy_kwargs={"net_arch": [HIDDEN] * LAYERS, **policy},
        seed=0,
    )
    agent.set_logger(Logger(None, []))
    for row in range(TRANSITIONS):
        agent.replay_buffer.add(
            data["obs"][row][None],
            data["obs"][row + 1][None],
            data["action"][row][None],
            data["reward"][row][None],
            np.zeros(1),
            [{}],
        )
    return lambda: agent.train(gradient_steps=UPDATES, batch_size=BATCH)


@contextlib.contextmanager
def normed() -> Iterator[None]:
    """Stable-Baselines3 makes networks with LayerNorm meanwhile, as ours are."""
    from stable_baselines3.common import policies
    from stable_baselines3.common.torch_layers import create_mlp
    from stable_baselines3.sac import policies as sac_policies
    from torch import nn

    made = functools.partial(create_mlp, post_linear_modules=[nn.LayerNorm])
    with mock.patch.object(policies, "create_mlp", made), mock.patch.object(sac_policies, "create_mlp", made):
        yield


CONTESTANTS = ("ours", "sb3_plain", "sb3", "sbx", "sbx_plain")


def contestant(name: str, device: str) -> Callable[[], object]:
    """`UPDATES` updates of who is called so; sbx is on whatever JAX chooses."""
    data = arrays()
    if name == "ours":
        return ours(data, device)
    if name.startswith("sbx"):
        import sbx

        return peer(sbx.SAC, data, **({"layer_norm": True} if name == "sbx" else {}))
    from stable_baselines3 import SAC

    there = functools.partial(SAC, device=device)
    with normed() if name == "sb3" else contextlib.nullcontext():
        return peer(there, data)


def compete(name: str, device: str, cores: int, pipe: Connection) -> None:
    """What a process does: say the updates a second of a repeat whenever it is asked."""
    import torch

    torch.set_num_threads(cores)
    train = contestant(name, device)
    train()  # compiles, and warms the caches
    pipe.send(None)
    while pipe.recv():
        began = time.perf_counter()
        train()
        pipe.send(UPDATES / (time.perf_counter() - began))


def interleaved(
    names: Sequence[str], repeats: int, device: str, cores: int
) -> tuple[dict[str, list[float]], list[float]]:
    """Updates a second of everybody in turn, and beside each round the machine's rate of products."""
    spawn, pipes = multiprocessing.get_context("spawn"), {}
    for name in names:
        pipes[name], theirs = spawn.Pipe()
        spawn.Process(target=compete, args=(name, device, cores, theirs), daemon=True).start()
        pipes[name].recv()
    rates: dict[str, list[float]] = {name: [] for name in names}
    gemm = []
    for _ in range(repeats):
        gemm.append(gemm_rate(device))
        for name, pipe in pipes.items():
            pipe.send(True)
            rates[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    return rates, gemm


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--cores", type=int, default=1, help="cores that the whole process may use")
    parser.add_argument("--repeats", type=int, default=7, help="interleaved repeats; medians are reported")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what to learn on")
    asked = parser.parse_args()
    # Before any library starts its threads: everybody computes on the same cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
    os.environ["OMP_NUM_THREADS"] = str(asked.cores)
    import torch

    torch.set_num_threads(asked.cores)
    names = [name for name in CONTESTANTS if find_spec("sbx") or not name.startswith("sbx")]
    if "sbx" not in names:
        print('sbx is left out: pip install -e ".[bench-jax]"', file=sys.stderr)
    rates, gemm = interleaved(names, asked.repeats, asked.device, asked.cores)
    median = {name: statistics.median(values) for name, values in rates.items()}
    floor_s = multiplications() / statistics.median(gemm)
    result = {
        "ours": round(median["ours"], 1),
        "sb3": round(median["sb3"], 1),
        "sbx": round(median["sbx"], 1) if "sbx" in median else None,
        "gemm_fraction": round(floor_s * median["ours"], 3),
        "sb3_without_layer_norm": round(median["sb3_plain"], 1),
        "sbx_without_layer_norm": round(median["sbx_plain"], 1) if "sbx_plain" in median else None,
        "gemm_gflops": round(statistics.median(gemm) / 1e9, 1),
        "mflop_an_update": round(multiplications() / 1e6, 1),
        "lowest_and_highest": {name: [round(min(v), 1), round(max(v), 1)] for name, v in rates.items()},
        "cores": asked.cores,
        "device": asked.device,
        "repeats": asked.repeats,
        "versions": {
            name: version(name)
            for name in ("torch", "stable_baselines3", *(("sbx-rl", "jax") if "sbx" in median else ()))
        },
        "machine": {"processor": platform.machine(), "python": platform.python_version()},
    }
    print(f"{'':12}{'updates/s':>10}{'lowest':>9}{'highest':>9}{'against ours':>14}")
    for name, rate in median.items():
        low, high = min(rates[name]), max(rates[name])
        print(f"{name:12}{rate:10.1f}{low:9.1f}{high:9.1f}{rate / median['ours']:13.2f}x")
    print(
        f"matrix products of an update: {result['mflop_an_update']} MFLOP; machine {result['gemm_gflops']} "
        f"GFLOP/s; ours runs at {result['gemm_fraction']:.0%} of that floor"
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
