"""What the numbers of each task's observation are, in their order, for the metadata of what goes out.

The tasks compute them (sim/tasks); a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Consecutive numbers of an observation: their names and what they are."""

    name: str
    axes: tuple[str, ...]
    meaning: str

    @property
    def names(self) -> list[str]:
        """One name a number."""
        return [f"{self.name}_{axis}" if axis else self.name for axis in self.axes]


_XYZ, _XY, _ONE = ("x", "y", "z"), ("x", "y"), ("",)


def _way(name: str, words: str, scale: int, near: int, axes: tuple[str, ...] = _XYZ) -> tuple[Block, Block]:
    """A vector, far and near."""
    return (
        Block(name, axes, f"{words}, in m, times {scale}"),
        Block(f"{name}_near", axes, f"the same, as tanh of m times {near}"),
    )


def _tool(z: str) -> tuple[Block, Block]:
    return (
        Block("tool", _XYZ, f"the tool's place less (0.5, 0, {z}) m in the arm's base frame, times 5"),
        Block("tool_velocity", _XYZ, "the tool's velocity in m/s, times 5"),
    )


_HAND = (
    Block("gripper", _ONE, "the gripper's opening, -1 closed to 1 open"),
    Block("gripper_target", _ONE, "the opening that is commanded, likewise"),
)


def _height(thing: str) -> Block:
    return Block(f"{thing}_height", _ONE, f"how far the {thing} is lifted, in m, times 10")


def _turn(thing: str) -> Block:
    return Block(f"{thing}_turn", _ONE, f"the {thing}'s yaw from the nearest quarter turn, in rad, times 3")


_YAW = Block("tool_yaw", _ONE, "what the tool is turned about the vertical, in rad")
_TO_CUBE = _way("to_cube", "from the tool to the cube", 5, 30)

_PICK_PLACE = (
    *_TO_CUBE,
    *_way("cube_to_target", "from the cube to its place", 5, 30),
    *_tool("0.15"),
    *_way("distance", "how far the cube is from its place", 5, 30, _ONE),
    *_HAND,
    _height("cube"),
    _turn("cube"),
)

OBSERVATIONS: Mapping[str, tuple[Block, ...]] = {
    "reach": (
        *_way("to_target", "from the tool to the target", 5, 40),
        *_way("distance", "how far the target is from the tool", 5, 40, _ONE),
        *_tool("0.2"),
    ),
    "push": (
        *_way("to_cube", "from the tool to the cube", 5, 20),
        *_way("cube_to_target", "from the cube to the target along the table", 8, 30, _XY),
        Block("heading", _XY, "the same, of length 1"),
        *_way("to_spot", "from the tool to where it can push from", 5, 30),
        Block("lengths", ("gap", "spot"), "the lengths of the last two ways, in m, times 8"),
        Block("lengths_near", ("gap", "spot"), "the same, as tanh of m times 30"),
        *_tool("0.1"),
    ),
    "pick_cube": (*_TO_CUBE, *_tool("0.15"), *_HAND, _height("cube"), _turn("cube")),
    "pick_place": _PICK_PLACE,
    "pick_place_vase": (
        *_PICK_PLACE,
        *_way("cube_to_vase", "from the cube to the vase", 5, 30),
        Block("vase_upright", _ONE, "the cosine of the vase's lean"),
    ),
    "stack": (
        *_TO_CUBE,
        *_way("cube_to_base", "from the cube to its place on the other", 5, 30),
        *_tool("0.15"),
        *_way("sideways", "the same, along the table alone", 5, 30, _ONE),
        *_HAND,
        _height("cube"),
        _turn("cube"),
        _turn("base"),
    ),
    "peg_insert": (
        *_way("to_peg", "from the tool to where it takes the peg", 5, 30),
        *_way("peg_to_hole", "from the peg to where it is in the hole", 5, 30),
        Block("peg_to_hole_close", _XY, "the same along the table, as tanh of m times 150"),
        *_tool("0.15"),
        *_way("sideways", "how far that is along the table", 5, 30, _ONE),
        *_HAND,
        _height("peg"),
        _turn("peg"),
        Block("peg_lean", _XY, "where the peg's axis leans, times 3"),
    ),
    "place_bar": (
        *_way("to_bar", "from the tool to the bar", 5, 30),
        *_way("bar_to_mark", "from the bar to its place on the mark", 5, 30),
        *_tool("0.15"),
        *_HAND,
        _height("bar"),
        Block(
            "turn_to_bar", ("far", "near"), "what the hand has to turn, in rad, and as tanh of rad times 8"
        ),
        Block("turn_to_mark", ("far", "near"), "what the bar has to turn, likewise"),
        _YAW,
    ),
    "drawer_open": (
        *_way("to_knob", "from the tool to the knob", 5, 30),
        *_tool("0.15"),
        *_HAND,
        Block("out", _ONE, "how far the drawer is out, in m, times 10"),
        Block("out_near", _ONE, "how far it still has to come, as tanh of m times 30"),
    ),
}
"""Task, whatever its style -> its observation."""


_KNOWN_OF_ITSELF = (*_tool("0.15"), *_HAND, _YAW)
"""What the arm knows of itself: without a gripper the first two, and the last where the task has it turn."""


def blocks(task: str, size: int, sees: bool = False) -> tuple[Block, ...]:
    """The observation of a task, or where it `sees` with cameras what stands beside the pictures; numbers by
    their place where it is not known."""
    known = OBSERVATIONS.get(task.partition("/")[0], ())
    if sees:
        known = _KNOWN_OF_ITSELF[: {6: 2, 8: 4}.get(size, 5)]
    if sum(len(block.axes) for block in known) == size:
        return known
    return (Block("state", tuple(str(index) for index in range(size)), "see the task's `observe`"),)
