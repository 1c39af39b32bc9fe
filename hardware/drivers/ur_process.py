"""The process between the driver `ur` and the controller: all of ur-rtde runs here, and can be killed.

ur-rtde 1.6.5 waits for a silent controller, for up to 300 s and in its constructors with Python's lock held.
After a lost connection it connects again by itself, which ended most of the trials in a segmentation fault.
None of that may reach the loop that owns the arm. While the arm moves, only its `speedL` is called, which
waits for nothing.

Its program on the controller says a speed to the arm again and again, whatever the `time` of `speedL`. So
the speed in force is said every 8 ms, zero once the order has run out, and the controller's own watchdog,
armed before anything moves, ends the program when that ceases.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from dashboard_client import DashboardClient
from rtde_control import RTDEControlInterface
from rtde_io import RTDEIOInterface
from rtde_receive import RTDEReceiveInterface

from hardware.drivers.ur_link import ENDED, PROTECTIVE, Lost, Order, Seen, Start, received

_STEP_S = 0.008
_HZ = 1.0 / _STEP_S  # what the older controllers say too
_SOON_S = 2.0  # what the controller does at once is done by then
_REST_M_S2 = 2.0
_STILL = 1e-3  # m/s and rad/s
_NO_TWIST = (0.0,) * 6
_VARIABLES = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_TCP_pose",
    "actual_TCP_speed",
    "actual_TCP_force",
    "actual_digital_output_bits",
    "robot_mode",
    "safety_mode",
    "runtime_state",
]
# As Universal Robots' RTDE guide numbers them.
_RUNNING, _PLAYING = 7, 2
_MODES = {
    -1: "no controller",
    0: "disconnected",
    1: "to be confirmed",
    2: "booting",
    3: "switched off",
    4: "switched on, but not started",
    5: "idle, its brakes closed",
    6: "moved by hand",
    8: "updating",
}
_SAFE = (1, 2)  # normal, reduced
_SAFETIES = {
    3: PROTECTIVE,
    4: "recovery mode",
    5: "safeguard stop",
    6: "emergency stop of the cell",
    7: "emergency stop",
    8: "safety violation",
    9: "safety fault",
}


class _Controller:
    """The connections to a controller that runs our program, watchdog armed. Raises RuntimeError."""

    def __init__(self, start: Start) -> None:
        self._receive = RTDEReceiveInterface(start.host, _HZ, _VARIABLES)
        self._dashboard = DashboardClient(start.host)
        self._dashboard.connect()
        if start.unlock and self._complaint() == PROTECTIVE:
            self._dashboard.closeSafetyPopup()
            self._dashboard.unlockProtectiveStop()
            _await(lambda: self._complaint() != PROTECTIVE, "the protective stop is not released")
        if complaint := self._complaint():
            raise RuntimeError(complaint)
        _await(
            lambda: self._receive.getRuntimeState() != _PLAYING, "a program runs on the controller: stop it"
        )
        flags = RTDEControlInterface.Flags  # without the one to upload, a lost program is not started again
        self._control = RTDEControlInterface(
            start.host, _HZ, int(flags.FLAG_NO_WAIT) | int(flags.FLAG_NO_EXT_FT)
        )
        self._output = start.output
        self._io = RTDEIOInterface(start.host) if start.output else None
        self._closed: bool | None = None
        self._control.reuploadScript()
        runs = "the control program does not start: is the pendant set to remote control?"
        _await(self._control.isProgramRunning, runs)
        if not self._control.setWatchdog(1.0 / start.watchdog_s):
            raise RuntimeError("the controller's watchdog could not be armed")
        _await(lambda: self._receive.getRuntimeState() == _PLAYING, runs)
        self._drives = True
        self._timestamp = -1.0

    def drive(self, twist: tuple[float, ...], acceleration_m_s2: float, closed: bool | None) -> None:
        """Say it to the arm, unless it has stopped for a reason of its own since it was connected."""
        if not (self._control.isConnected() and self._receive.isConnected()):
            raise RuntimeError("the controller closed the connection")
        if self._drives and (self._complaint() or self._receive.getRuntimeState() != _PLAYING):
            self._drives = False
            self._end_program()  # else somebody at the pendant could let it go on
        if not self._drives:
            return
        self._control.speedL(list(twist), acceleration_m_s2, _STEP_S)
        if self._io is not None and closed is not None and closed != self._closed:
            index = int(self._output[-1])
            set_it = self._io.setToolDigitalOut if self._is_tool else self._io.setStandardDigitalOut
            set_it(index, closed)
            self._closed = closed

    def seen(self) -> Seen | None:
        """What is new, if anything is."""
        timestamp = self._receive.getTimestamp()
        if timestamp == self._timestamp:
            return None
        self._timestamp = timestamp
        faults = [] if self._drives else [self._complaint() or ENDED]
        bit = int(self._output[-1]) + (16 if self._is_tool else 0) if self._output else 0
        return Seen(
            time_ns=time.monotonic_ns(),
            joint_pos_rad=self._receive.getActualQ(),
            joint_vel_rad_s=self._receive.getActualQd(),
            pose=self._receive.getActualTCPPose(),
            twist=self._receive.getActualTCPSpeed(),
            wrench=self._receive.getActualTCPForce(),
            closed=bool(self._receive.getActualDigitalOutputBits() >> bit & 1),
            faults=faults,
        )

    def finish(self) -> None:
        """Come to rest, and end the program."""
        until = time.monotonic() + _SOON_S
        while self._drives and time.monotonic() < until:
            self.drive(_NO_TWIST, _REST_M_S2, None)
            time.sleep(_STEP_S)
            if max(map(abs, self._receive.getActualTCPSpeed())) < _STILL:
                break
        self._end_program()

    @property
    def _is_tool(self) -> bool:
        return self._output.startswith("tool")

    def _complaint(self) -> str:
        safety, mode = self._receive.getSafetyMode(), self._receive.getRobotMode()
        if safety not in _SAFE:
            return _SAFETIES.get(safety, f"safety mode {safety}")
        if mode != _RUNNING:
            return f"the arm is {_MODES.get(mode, f'in mode {mode}')}"
        return ""

    def _end_program(self) -> None:
        with suppress(RuntimeError):  # it has ended already
            self._dashboard.stop()


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _SOON_S
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(otherwise)
        time.sleep(0.002)


def _serve(driver: socket.socket, controller: _Controller) -> None:
    """Follow the newest order, and say what is seen, until the driver is gone."""
    orders = msgspec.msgpack.Decoder(Order)
    order, until = Order(_NO_TWIST, _REST_M_S2, 0.0, None), 0.0
    while True:
        select.select([driver], [], [], _STEP_S)
        with suppress(BlockingIOError):
            while data := received(driver):
                order = orders.decode(data)
                until = time.monotonic() + order.lasts_s
            controller.finish()
            return
        twist = order.twist if time.monotonic() < until else _NO_TWIST
        controller.drive(twist, order.acceleration_m_s2, order.closed)
        if (seen := controller.seen()) is not None:
            with suppress(BlockingIOError, ConnectionError):  # it is busy, or gone: that is heard next
                driver.send(msgspec.msgpack.encode(seen))


def main() -> None:
    """Run with the number of an open socket to the driver; what it is to do comes over that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the host sees to it
    driver = socket.socket(fileno=int(sys.argv[1]))
    try:
        if not (first := received(driver)):
            return
        controller = _Controller(msgspec.msgpack.decode(first, type=Start))
        driver.setblocking(False)
        _serve(driver, controller)
    except Exception as error:
        with suppress(OSError):
            driver.send(msgspec.msgpack.encode(Lost(str(error))))
    os._exit(0)  # ur-rtde's threads are not waited for


if __name__ == "__main__":
    main()
