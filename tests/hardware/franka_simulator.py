"""franky-sim's arm, with what it leaves out: a wall, reflexes, and a hand that says that it was stopped.

A program: `python franka_simulator.py`. Its first line on stdout is the loopback address that it serves; it
ends when its stdin does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import franky_sim.franka_robot_server as robot_server
import mujoco
import numpy as np
from franky_sim import SimulationServer, simulation_server
from franky_sim.franka_gripper_protocol import GripperCommandStatus
from franky_sim.franka_gripper_server import FrankaGripperServer
from franky_sim.franka_robot_protocol import (
    AutomaticErrorRecoveryCommand,
    MoveStatus,
    RobotCommand,
    RobotMode,
)
from franky_sim.franka_server import BaseCommand
from franky_sim.mujoco_simulator import MujocoSimulator

REFLEX_N = 30.0
CARTESIAN_REFLEX = tuple(number == 7 for number in range(41))  # of libfranka's errors
WALL_Y_M = 0.25  # its face, as far as the hand may go to its side


class Hand(FrankaGripperServer):
    """Answers a motion that a stop ends, as the arm's own hand does."""

    def stop(self, command_id: int, tcp_socket: Any) -> None:
        if self._pending_command_id is not None:
            BaseCommand.send_response(
                self._pending_tcp_socket,
                self._pending_command_type,
                self._pending_command_id,
                GripperCommandStatus.kAborted,
                command_type_struct="H",
                status_type_struct="H",
            )
        super().stop(command_id, tcp_socket)


class Arm(robot_server.FrankaRobotServer):
    """Ends its motion with a reflex and refuses others until it is told to recover."""

    in_reflex = False

    def reflex(self) -> None:
        if self.in_reflex or not self.current_motion_id:
            return
        self.in_reflex = True
        BaseCommand.send_response(
            self._tcp_socket, RobotCommand.kMove, self.current_motion_id, MoveStatus.kReflexAborted
        )
        self.stop_motion(send_preemption_signal=False)
        self.reset_current_motion_id()

    def start_motion(self, *how: Any) -> None:
        if self.in_reflex:
            raise RuntimeError("in reflex")
        super().start_motion(*how)

    @property
    def robot_state(self) -> Any:
        state = super().robot_state
        if not self.in_reflex:
            return state
        return state.replace(
            robot_mode=RobotMode.kReflex, errors=CARTESIAN_REFLEX, reflex_reason=CARTESIAN_REFLEX
        )


class Recovery(AutomaticErrorRecoveryCommand):
    def handle(self, server: Any) -> None:
        server.in_reflex = False
        super().handle(server)


def addresses() -> Iterator[str]:
    """Of loopback, beginning where no other process begins."""
    first = os.getpid() % 65_000
    for number in range(first, first + 500):
        yield f"127.1.{number // 254 % 254 + 1}.{number % 254 + 1}"


def force_n(sim: MujocoSimulator) -> float:
    """Between the wall and whatever touches it."""
    wall, total = sim.model.geom("wall").id, 0.0
    for number in range(sim.data.ncon):
        if wall in sim.data.contact[number].geom:
            force = np.zeros(6)
            mujoco.mj_contactForce(sim.model, sim.data, number, force)
            total += force[0]
    return total


def main() -> None:
    robot_server.FrankaGripperServer = Hand
    robot_server.AutomaticErrorRecoveryCommand = Recovery
    simulation_server.FrankaRobotServer = Arm
    with MujocoSimulator() as sim:
        robot = sim.add_robot()
        place = f"0.5 {WALL_Y_M + 0.01} 0.5"
        ElementTree.SubElement(sim.worldbody, "geom", name="wall", type="box", size="0.3 0.01 0.5", pos=place)
        with SimulationServer(sim, hostname_candidates=addresses()) as server:
            arm: Any = server.robot_servers[0]
            sim.register_post_step_callback(lambda _: arm.reflex() if force_n(sim) > REFLEX_N else None)
            print(robot.hostname, flush=True)
            stdin = threading.Thread(target=sys.stdin.read, daemon=True)
            stdin.start()
            while stdin.is_alive():
                server.run_once()


if __name__ == "__main__":
    main()
