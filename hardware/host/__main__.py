"""`robot-host`: serve an arm. Runs on the robot's PC and needs neither torch nor a simulator."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hardware.drivers import make_driver, names, options_of
from hardware.host.host import Host
from hardware.robot import RobotError
from hardware.security import SecurityError, ServerSecurity
from hardware.transport import TransportError

WARNING = "This program is no safety device: keep the arm's emergency stop within reach."


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then stop the arm. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="robot-host", description=__doc__, epilog=WARNING)
    parser.add_argument("--driver", required=True, help=f"the arm: {', '.join(names())}, or MODULE:FACTORY")
    parser.add_argument(
        "--option", action="append", nargs="+", default=[], metavar="NAME=VALUE", help="said to the driver"
    )
    parser.add_argument(
        "--bind", default="tcp://127.0.0.1:5555", metavar="tcp://HOST:PORT",
        help="where it is asked; the other ports are told to whoever asks (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="DIR",
        help="folder of `robot-rlhf keys make`: for other machines' clients",
    )
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _serve(asked)
    except (RobotError, TransportError, SecurityError) as error:
        print(f"robot-host: error: {error}", file=sys.stderr)
        return 1


def _serve(asked: argparse.Namespace) -> int:
    security = None if asked.keys is None else ServerSecurity(asked.keys)
    robot = make_driver(asked.driver, options_of([word for words in asked.option for word in words]))
    try:
        host = Host(robot, asked.bind, security=security)
    except BaseException:
        robot.close()
        raise
    where, spec = host.addresses, robot.spec
    kind = "simulated" if spec.simulated else "a real arm"
    print(f"{spec.name} at {where.rpc} ({kind}, {spec.control_hz:g} Hz)")
    print(f"commands {where.commands}, stop {where.stop}, states {where.states}")
    print(WARNING, flush=True)
    try:
        host.run()
    except KeyboardInterrupt:
        print("robot-host: stopped", file=sys.stderr)
    finally:
        host.close()
    return 0


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
