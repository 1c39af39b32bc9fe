"""What cloning alone makes of the same demonstrations: the policy that feedback has to beat."""

from __future__ import annotations

from robot_rlhf.session.environment import environment
from robot_rlhf.session.evaluation import Result, evaluate
from robot_rlhf.session.learner import make_clone
from robot_rlhf.session.study import Study


def evaluate_clone(study: Study, episodes: int) -> Result | None:
    """A clone of a study's demonstrations on the same starts as its policy; None where there were none."""
    demonstrations, config = study.to_imitate(), study.config
    if not demonstrations:
        return None
    env = environment(config, end_on_success=True)
    clone = make_clone(env.obs_size, env.axes, demonstrations, config)
    result = evaluate(env, clone, episodes, config.seed)
    env.close()
    return result
