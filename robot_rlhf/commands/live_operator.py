"""The simulated operator of `train --operator simulated --live`: a process at the far end of the wire."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from robot_rlhf.feedback.link import OperatorLink
from robot_rlhf.feedback.live_operator import LiveOperator
from robot_rlhf.session.run_folder import read_config
from robot_rlhf.session.seeds import Purpose, generator

NICENESS = 5
PAIR_S = "ROBOT_RLHF_PAIR_S"
"""Environment variable: seconds for a pair, where it is not to be a person's (tests)."""


def main() -> int:
    """`python -m robot_rlhf.commands.live_operator RUN ADDRESS`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the session's to handle
    os.nice(NICENESS)
    config = read_config(Path(sys.argv[1]))
    link = OperatorLink(sys.argv[2], "simulated")
    pace = {"pair_s": float(os.environ[PAIR_S])} if PAIR_S in os.environ else {}
    person = LiveOperator(
        link,
        config.simulated,
        config.kinds,
        config.schedule.takeover_seconds,
        generator(config.seed, Purpose.OPERATOR),
        **pace,
    )
    try:
        person.run()
    finally:
        link.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main())
