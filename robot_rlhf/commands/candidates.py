"""What cloning alone makes of the same demonstrations: the policies that feedback has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from robot_rlhf.learning.sac import SAC
from robot_rlhf.session.evaluation import Plain, Result, evaluate
from robot_rlhf.session.learner import clone_in_chunks, clone_policy
from robot_rlhf.session.seeds import Purpose, seed_of
from robot_rlhf.session.study import Study
from sim.env import TaskEnv


class Candidates:
    """Clones from a study's demonstrations, evaluated on the same starts as its policy."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def evaluated(self, episodes: int) -> Iterator[tuple[Literal["clone", "chunked_clone"], Result]]:
        """The single-step and the chunked clone; nothing where there were no demonstrations."""
        demonstrations = self._study.to_imitate()
        if not demonstrations:
            return
        config = self._study.config
        env = TaskEnv(config.task, config.control_hz, end_on_success=True)
        single = SAC(env.obs_size, env.axes, config.sac, seed_of(config.seed, Purpose.POLICY))
        clone_policy(single, demonstrations, config)
        actor = Plain(lambda obs: single.act(obs, deterministic=True))
        yield "clone", evaluate(env, actor, episodes, config.seed)
        chunked = clone_in_chunks(env.obs_size, env.axes, demonstrations, config)
        yield "chunked_clone", evaluate(env, chunked, episodes, config.seed)
        env.close()
