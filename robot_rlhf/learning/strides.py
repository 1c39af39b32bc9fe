"""What the operator drove, as a policy is to do it: without the hesitations and the trembling of a hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.feedback.episode import Episode, Float32
from robot_rlhf.learning.policy_config import CloneConfig

_GRIPPER = 3  # where an action has it: the velocity before it, behind it how the hand turns, if it does
_REST = 0.1  # of a stride, which is one of its own before the gripper moves and at the end


def operator_runs(episode: Episode) -> list[slice]:
    """The uninterrupted stretches of an episode that the operator drove, in order."""
    edges = np.flatnonzero(np.diff(episode.operator_steps.astype(np.int8), prepend=0, append=0))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def shows_how(episode: Episode, config: CloneConfig) -> bool:
    """Whether the operator moved the arm in it, so that there is something to imitate."""
    return any(len(strides(episode.action[run], config)[0]) > 0 for run in operator_runs(episode))


def strides(action: Float32, config: CloneConfig) -> tuple[NDArray[np.int64], Float32]:
    """(T, m) consecutive actions -> the step (K,) that each stride begins at, and the action (K, m) it is.

    Steps slower than `stride` of full speed are joined with those after them until together they move the
    tool as far as one step of that speed does, so that the clone does at once what a careful hand did in many
    small moves, and its trembling goes out of it. Steps around a change of the gripper's command stand for
    themselves. What moves the tool nowhere is left out.
    """
    alone = _waits_for_gripper(action, config)
    motion = _motion(action)
    begins: list[int] = []
    moves: list[NDArray[np.float32]] = []
    begin, way = 0, np.zeros(motion.shape[1], np.float32)
    for step in range(len(action)):
        way = way + motion[step]
        is_far = float(np.linalg.norm(way)) >= config.stride
        last = step + 1 == len(action) or bool(alone[step + 1])
        rest = last and float(np.linalg.norm(way)) >= _REST * config.stride
        if alone[step] or is_far or rest:
            begins.append(begin)
            moves.append(way)
        if alone[step] or is_far or last:
            begin, way = step + 1, np.zeros_like(way)
    first = np.array(begins, np.int64)
    joined = action[first].copy()
    joined[:, _moving_columns(action)] = np.clip(
        np.array(moves).reshape(len(first), motion.shape[1]), -1.0, 1.0
    )
    return first, joined


def moving_steps(action: Float32, config: CloneConfig) -> NDArray[np.bool_]:
    """(T, m) consecutive actions -> (T,) False where the operator hesitated: moved slower than `stride` of
    full speed, turning included, and neither told the gripper something else nor waited for its fingers,
    which is part of the task."""
    speed = np.linalg.norm(_motion(action), axis=1)
    moving: NDArray[np.bool_] = (speed >= config.stride) | _waits_for_gripper(action, config)
    return moving


def gripper_changes(action: Float32) -> NDArray[np.bool_]:
    """(T, m) consecutive actions -> (T,) True where the gripper is told something else than before."""
    gripper = np.sign(action[:, _GRIPPER : _GRIPPER + 1])
    changed = np.zeros(len(action), np.bool_)
    changed[1:] = (gripper[1:] != gripper[:-1]).any(axis=1)
    return changed


def _waits_for_gripper(action: Float32, config: CloneConfig) -> NDArray[np.bool_]:
    """(T,) whether the gripper was told something else at most `idle_keep_steps` before."""
    steps = np.arange(len(action))
    changed = gripper_changes(action)
    last_change = np.maximum.accumulate(np.where(changed, steps, -config.idle_keep_steps - 1))
    waits: NDArray[np.bool_] = steps - last_change <= config.idle_keep_steps
    return waits


def _motion(action: Float32) -> Float32:
    """(T, m) -> (T, m - 1) or what there is without the gripper's column."""
    return action[:, _moving_columns(action)]


def _moving_columns(action: Float32) -> list[int]:
    """All but the gripper's."""
    return [column for column in range(action.shape[1]) if column != _GRIPPER]
