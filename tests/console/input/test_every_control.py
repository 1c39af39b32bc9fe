"""Every control of the table, on pad and on keyboard, on each of its screens, through SDL's real events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from robot_rlhf.console.input.actions import ACTIONS, BINDABLE, Action, Context, Kind
from robot_rlhf.console.input.bindings import DEFAULT_BINDINGS
from robot_rlhf.console.input.controls import DIRECTION, Commands
from robot_rlhf.console.input.snapshot import Device

if TYPE_CHECKING:
    from tests.console.conftest import Rig


def places(*kinds: Kind) -> list[tuple[Device, Action, str, Context]]:
    """Every input of the default table whose action is of these kinds, on each of its screens."""
    return [
        (device, action, name, context)
        for device in Device
        for action in BINDABLE
        if ACTIONS[action].kind in kinds
        for name in DEFAULT_BINDINGS.table(device)[action]
        for context in sorted(ACTIONS[action].contexts, key=lambda context: context.value)
    ]


def value_of(commands: Commands, action: Action) -> float:
    x, y, z = commands.stick
    values = {Action.X: x, Action.Y: y, Action.Z: z, Action.YAW: commands.yaw, Action.GRIP: commands.grip}
    orbit = {Action.ORBIT_X: commands.orbit[0], Action.ORBIT_Y: commands.orbit[1]}
    return (values | orbit | {Action.SCRUB: commands.scrub})[action]


AXES = [action for action, info in ACTIONS.items() if info.kind is Kind.AXIS]


@pytest.mark.parametrize(("device", "action", "name", "context"), places(Kind.PRESS))
def test_a_button_fires_its_action_once_when_its_time_has_come(
    rig: Rig, device: Device, action: Action, name: str, context: Context
) -> None:
    rig.context = context
    rig.step()
    rig.put(device, name, True)
    first = rig.step()
    hold_s = ACTIONS[action].hold_s
    if hold_s == 0.0:
        assert first.fired == (action,)
    else:
        assert (first.fired, first.holding) == ((), {action: 0.0})
        halfway, fired = rig.run(hold_s - 0.01)
        assert fired == []
        assert 0.9 < halfway.holding[action] < 1.0
        at_end, fired = rig.run(0.02)
        assert (fired, at_end.holding) == ([action], {})
    follower = [Action.CLEAR_FAULT] if action is Action.CONFIRM else []
    assert rig.run(1.5)[1] == follower
    rig.put(device, name, False)
    assert rig.run(0.1)[1] == []


@pytest.mark.parametrize(("device", "action", "name", "context"), places(Kind.PRESS))
def test_letting_go_too_early_fires_nothing(
    rig: Rig, device: Device, action: Action, name: str, context: Context
) -> None:
    if (hold_s := ACTIONS[action].hold_s) == 0.0:
        return
    rig.context = context
    rig.put(device, name, True)
    _, fired = rig.run(hold_s - 0.01)
    rig.put(device, name, False)
    commands, later = rig.run(1.0)
    assert (fired, later, commands.holding) == ([], [], {})


@pytest.mark.parametrize(("device", "action", "name", "context"), places(Kind.AXIS))
def test_an_axis_moves_its_own_value_and_no_other(
    rig: Rig, device: Device, action: Action, name: str, context: Context
) -> None:
    rig.context = context
    names = DEFAULT_BINDINGS.table(device)[action]
    for value in (1.0, -1.0) if len(names) == 1 else (1.0,):
        rig.put(device, name, True, value)
        sign = DIRECTION[action] * value if len(names) == 1 else (1.0, -1.0)[names.index(name)]
        commands, fired = rig.run(0.2)
        assert value_of(commands, action) == pytest.approx(sign)
        assert [value_of(commands, other) for other in AXES if other is not action] == [0.0] * (len(AXES) - 1)
        assert fired == []
        rig.put(device, name, False)
        assert value_of(rig.step(), action) == 0.0


@pytest.mark.parametrize(("device", "action", "name", "context"), places(Kind.HOLD))
def test_a_hold_counts_while_it_is_held(
    rig: Rig, device: Device, action: Action, name: str, context: Context
) -> None:
    def counts(commands: Commands) -> bool:
        return commands.takeover if action is Action.TAKEOVER else commands.precision

    rig.put(device, name, True)
    assert counts(rig.step())
    assert counts(rig.run(5.0)[0])
    rig.put(device, name, False)
    assert not counts(rig.step())


@pytest.mark.parametrize("context", Context)
@pytest.mark.parametrize("device", Device)
def test_what_does_not_belong_to_a_screen_means_nothing_there(
    rig: Rig, device: Device, context: Context
) -> None:
    rig.context = context
    live = [
        name
        for action in BINDABLE
        if context in ACTIONS[action].contexts
        for name in DEFAULT_BINDINGS.table(device)[action]
    ]
    others = {name for names in DEFAULT_BINDINGS.table(device).values() for name in names} - set(live)
    for name in sorted(others):
        rig.put(device, name, True)
    commands, fired = rig.run(1.2)
    assert fired == []
    assert commands == Commands(device=commands.device)
