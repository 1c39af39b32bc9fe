"""What of a command may reach an arm: a pure function, run before the vendor's own limits.

The twists that may be applied form a convex set: a ball of tool speeds, a ball of turning rates and, on
each axis, the speed from which the tool still stops before the workspace wall. A command is first cut to
that set; the applied twist then moves towards it from the one before, itself cut to the set, by no more
than the acceleration allows. So speed, turn and wall always hold, and a wall that is too near to stop
gently for outranks the acceleration limit.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hardware.robot import Applied, Command, Limit, RobotSpec, RobotState, vector

Three = list[float]

_ROUNDING = 1e-9  # relative; what lies within it of a limit is not cut again


def limit(
    command: Command, state: RobotState, previous: Applied | None, spec: RobotSpec, dt_s: float
) -> Applied:
    """The part of `command` that may be applied for the next `dt_s` seconds, and which limits cut it.

    `state` says where the tool is. `previous` is what is being applied now; None means that nothing has
    been yet, and the measured tool twist stands in for it. `dt_s` is the control period, not the time
    since the last command: a pause earns no larger jump.

    - Speed and turn are cut to their limits and keep their direction.
    - Outward motion on an axis is cut to what still stops within `max_acceleration_m_s2` before the
      wall, beyond the wall to zero. Motion back inside and along the wall is free.
    - The velocity changes by at most `max_acceleration_m_s2` times `dt_s` towards what is left, and
      turning reaches its own limit no sooner than the velocity does.
    - An arm without a gripper is sent opening 0.

    `limits` names exactly those that changed what the ones before them let through, so it is empty just
    when the command passes untouched. Applying the function to its own result, all else equal, changes
    nothing. Raises ValueError for a `dt_s` that is not positive and finite or a measurement that is not
    finite.
    """
    if not 0.0 < dt_s < math.inf:
        raise ValueError(f"dt_s is {dt_s}: it must be positive and finite")
    measured = vector(state.tool_pos_m, 3, "tool_pos_m").tolist()
    before = (
        vector(state.tool_twist, 6, "tool_twist") if previous is None else previous.command.twist
    ).tolist()
    walls = _axis_speeds(measured, spec, dt_s)
    acceleration = spec.max_acceleration_m_s2
    turn_acceleration = acceleration * spec.max_turn_rad_s / spec.max_speed_m_s

    asked = command.twist.tolist()
    speed_cut = _shorten(asked[:3], spec.max_speed_m_s)
    turn_cut = _shorten(asked[3:], spec.max_turn_rad_s)
    wall_cut = _between(speed_cut, walls)
    velocity_before = _between(_shorten(before[:3], spec.max_speed_m_s), walls)
    turn_before = _shorten(before[3:], spec.max_turn_rad_s)
    velocity = _between(_approach(velocity_before, wall_cut, acceleration * dt_s), walls)
    turn = _approach(turn_before, turn_cut, turn_acceleration * dt_s)
    gripper = command.gripper if spec.gripper else 0.0

    acted = (
        (Limit.SPEED, speed_cut != asked[:3]),
        (Limit.TURN, turn_cut != asked[3:]),
        (Limit.WORKSPACE, wall_cut != speed_cut),
        (Limit.ACCELERATION, velocity != wall_cut or turn != turn_cut),
        (Limit.GRIPPER, gripper != command.gripper),
    )
    limits = tuple(name for name, did in acted if did)
    if not limits:
        return Applied(command)
    return Applied(replace(command, twist=np.array(velocity + turn), gripper=gripper), limits)


def expire(state: RobotState, previous: Applied, spec: RobotSpec, dt_s: float) -> Applied:
    """What is applied for the next `dt_s` seconds once the command behind `previous` has run out.

    The tool slows down to a stop within the limits, the gripper keeps what it was told (letting go is
    not safer), and EXPIRED is named before whatever else acted. Raises as `limit` does.
    """
    halted = limit(replace(previous.command, twist=np.zeros(6)), state, previous, spec, dt_s)
    return Applied(halted.command, (Limit.EXPIRED, *halted.limits))


# Lists of three numbers below: numpy takes several times as long for so few.


def _axis_speeds(tool_pos_m: Three, spec: RobotSpec, dt_s: float) -> list[tuple[float, float]]:
    """The least (<= 0) and greatest (>= 0) velocity of each axis that still stops before the wall.

    v solves v * dt + v^2 / (2 * a) = d: a control period's travel and then the braking distance fill
    the room d, so that braking from one period to the next never takes more than a.
    """
    low, high, gentle = (
        spec.workspace_low_m.tolist(),
        spec.workspace_high_m.tolist(),
        spec.max_acceleration_m_s2,
    )
    return [
        (-_stops_within(at - least, gentle, dt_s), _stops_within(most - at, gentle, dt_s))
        for at, least, most in zip(tool_pos_m, low, high, strict=True)
    ]


def _stops_within(room_m: float, acceleration_m_s2: float, dt_s: float) -> float:
    if room_m <= 0.0:
        return 0.0
    return 2.0 * room_m / (dt_s + math.sqrt(dt_s**2 + 2.0 * room_m / acceleration_m_s2))


def _between(wanted: Three, walls: list[tuple[float, float]]) -> Three:
    return [min(max(one, low), high) for one, (low, high) in zip(wanted, walls, strict=True)]


def _shorten(wanted: Three, longest: float) -> Three:
    """`wanted`, or where it is longer than `longest` the vector of that length in its direction."""
    length = math.hypot(*wanted)
    return wanted if length <= longest * (1.0 + _ROUNDING) else [one * (longest / length) for one in wanted]


def _approach(before: Three, wanted: Three, step: float) -> Three:
    """`wanted` if it lies within `step` of `before`, otherwise the point `step` closer to it."""
    change = [a - b for a, b in zip(wanted, before, strict=True)]
    distance = math.hypot(*change)
    if distance <= step * (1.0 + _ROUNDING):
        return wanted
    return [b + c * (step / distance) for b, c in zip(before, change, strict=True)]
