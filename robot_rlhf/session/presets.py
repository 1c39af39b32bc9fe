"""The config each task is trained with unless told otherwise; docs/measurements.md shows what it gives."""

from __future__ import annotations

from dataclasses import replace

from robot_rlhf.learning.policy_config import CloneConfig, SACConfig
from robot_rlhf.session.config import RunConfig, ScheduleConfig

_SEEING_DEMONSTRATIONS = {"reach": 60}  # which lasts 2 s each, and shows one place only
_SEEING_OTHERWISE = 30


def preset(task: str) -> RunConfig:
    """The tuned config of a task, whatever its style; a task without one gets the defaults."""
    plain = task.partition("/")[0]
    if plain == "reach":  # a thousand steps in all, so more is made of each
        return RunConfig(
            task=task,
            schedule=ScheduleConfig(episodes=16, pairs_first=6, pairs_last=1, pairs_decay=0.8),
            sac=SACConfig(updates_per_step=8),
        )
    if plain == "push":
        return RunConfig(task=task, schedule=ScheduleConfig(demonstrations=15))
    if plain in ("pick_place", "pick_place_vase"):  # which gains nothing by corrections hardly tried
        sac = SACConfig(correction_margin=0.02, log_std_start=-1.2, log_std_low=-1.6)
        return RunConfig(task=task, sac=sac)
    if plain == "stack":
        clone = CloneConfig(obs_noise=0.35)
        return RunConfig(task=task, schedule=ScheduleConfig(demonstrations=24), clone=clone)
    if plain == "peg_insert":  # whose slow moves have 2 mm to go wrong in
        clone = CloneConfig(stride=0.2, obs_noise=0.35)
        return RunConfig(task=task, schedule=ScheduleConfig(demonstrations=24), clone=clone)
    return RunConfig(task=task)


def with_cameras(config: RunConfig) -> RunConfig:
    """The same for a policy that sees: things are found in pictures from more demonstrations than it takes to
    imitate what is told of them; only pauses are joined, since larger strides overshoot what is seen a
    centimetre off; and what else a clone is made with is as it was measured for pictures."""
    shown = _SEEING_DEMONSTRATIONS.get(config.task.partition("/")[0], _SEEING_OTHERWISE)
    clone = replace(
        config.clone, members=3, steps=3_000, min_steps=100, stride=0.03, obs_noise=0.2, anew_successes=0
    )
    return replace(config, schedule=replace(config.schedule, demonstrations=shown), clone=clone)


def live_preset(task: str) -> RunConfig:
    """The config for a person at a console: some ten minutes, few demonstrations, and success shown as it
    rises."""
    config = preset(task)
    schedule = replace(
        config.schedule,
        demonstrations=3,
        episodes=24,
        warmup_episodes=1,
        takeover_seconds=3600.0,
        evaluate_every=6,
        final_episodes=50,
        compare_with_cloning=False,  # minutes more, while a person waits for the report
    )
    return replace(config, operator="console", schedule=schedule)
