"""Many environments at once, by Gymnasium's vector API: in one process, or each in a process of its own."""

from __future__ import annotations

from functools import partial

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from sim.env import NEVER, TaskEnv
from sim.randomise import RandomiseConfig


def vector_env(
    task: str,
    count: int,
    *,
    processes: bool = True,
    control_hz: float = 10.0,
    end_on_success: bool = False,
    arm: str = "panda",
    randomise: RandomiseConfig = NEVER,
) -> VectorEnv:
    """`count` environments of a task, each with a physics client of its own. An episode that is over begins
    anew at the next step, whose action is ignored (Gymnasium's default).

    With the same seed given to `reset`, environments go the same way to the bit with `processes` and without.
    ValueError for a count below 1, or a task or an arm that is not there.
    """
    if count < 1:
        raise ValueError(f"count is {count}: there must be at least 1 environment")
    TaskEnv(task, control_hz, arm=arm).close()  # what is wrong is said here and not in another process
    makers = [partial(TaskEnv, task, control_hz, end_on_success, arm=arm, randomise=randomise)] * count
    if not processes:
        return SyncVectorEnv(makers)
    return AsyncVectorEnv(makers, context="spawn")  # forking would copy locks of threads that torch has
