"""Many environments at once, by Gymnasium's vector API: in one process, or each in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from sim.env import NEVER
from sim.pictured import make_env
from sim.pictures import CAMERA_PX
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
    cameras: Sequence[str] = (),
    camera_px: int = CAMERA_PX,
) -> VectorEnv:
    """`count` environments of a task, each with a physics client of its own. An episode that is over begins
    anew at the next step, whose action is ignored (Gymnasium's default).

    With the same seed given to `reset`, environments go the same way to the bit with `processes` and without.
    With `cameras` an observation is as `sim.pictured.PicturedEnv` has it. ValueError for a count below 1, or
    a task, an arm or a camera that is not there.
    """
    if count < 1:
        raise ValueError(f"count is {count}: there must be at least 1 environment")
    make = partial(
        make_env,
        task,
        cameras=tuple(cameras),
        camera_px=camera_px,
        control_hz=control_hz,
        end_on_success=end_on_success,
        arm=arm,
        randomise=randomise,
    )
    make().close()  # what is wrong is said here and not in another process
    makers = [make] * count
    if not processes:
        return SyncVectorEnv(makers)
    return AsyncVectorEnv(makers, context="spawn")  # forking would copy locks of threads that torch has
