"""Train your own algorithm on what a run was taught: its reward in a Gymnasium environment, its episodes in
a replay buffer. docs/datasets.md has examples.

Needs the extras `sim` and `learn`; `replay_buffer` also stable-baselines3 (extra `bench`).
"""

from __future__ import annotations

from robot_rlhf.bridge.replay import replay_buffer
from robot_rlhf.bridge.reward import LearnedReward

__all__ = ["LearnedReward", "replay_buffer"]
