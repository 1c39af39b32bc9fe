"""RTDE, as Universal Robots' guide has it: names, their types, packages, and who speaks it."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

_FORMATS = {
    "DOUBLE": "d", "VECTOR6D": "6d", "INT32": "i", "UINT32": "I", "UINT64": "Q", "UINT8": "B",
}  # fmt: skip
_OUTPUTS = {
    "timestamp": "DOUBLE",
    "actual_q": "VECTOR6D",
    "actual_qd": "VECTOR6D",
    "actual_TCP_pose": "VECTOR6D",
    "actual_TCP_speed": "VECTOR6D",
    "actual_TCP_force": "VECTOR6D",
    "actual_digital_output_bits": "UINT64",
    "robot_mode": "INT32",
    "safety_mode": "INT32",
    "runtime_state": "UINT32",
    "robot_status_bits": "UINT32",
    "safety_status_bits": "UINT32",
}
_INPUTS = {
    "standard_digital_output_mask": "UINT8",
    "standard_digital_output": "UINT8",
    "configurable_digital_output_mask": "UINT8",
    "configurable_digital_output": "UINT8",
    "tool_digital_output_mask": "UINT8",
    "tool_digital_output": "UINT8",
    "speed_slider_mask": "UINT32",
    "speed_slider_fraction": "DOUBLE",
    "standard_analog_output_mask": "UINT8",
    "standard_analog_output_type": "UINT8",
    "standard_analog_output_0": "DOUBLE",
    "standard_analog_output_1": "DOUBLE",
}
_REGISTER = re.compile(r"(in|out)put_(int|double)_register_([0-9]|[1-3][0-9]|4[0-7])$")


def kind_of(name: str, way: str) -> str:
    """The type of what goes in to or comes out of the controller, NOT_FOUND where there is none such."""
    register = _REGISTER.match(name)
    if register is not None and register[1] == way:
        return "INT32" if register[2] == "int" else "DOUBLE"
    return (_INPUTS if way == "in" else _OUTPUTS).get(name, "NOT_FOUND")


def format_of(name: str, way: str) -> str:
    """Of `struct`."""
    return _FORMATS[kind_of(name, way)]


@dataclass(eq=False)
class Peer:
    """One connection; `hear` takes what has come off the front of `waiting`."""

    socket: socket.socket
    hear: Callable[[Peer], None]
    waiting: bytes = b""
    started: bool = False
    outputs: list[str] = field(default_factory=list)
    recipes: list[list[str]] = field(default_factory=list)

    def say(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except OSError:
            self.started = False  # it is gone, or reads too slowly

    def pack(self, kind: str, payload: bytes) -> None:
        """Say a package of RTDE."""
        self.say(struct.pack(">HB", 3 + len(payload), ord(kind)) + payload)
