"""The learner's machine with the learner's double, as another process and perhaps another version:
`python -m tests.session.remote.serve ADDRESS FOLDER [VERSION]`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from robot_rlhf.session.remote import host, hosted


def main() -> None:
    address, folder, *version = sys.argv[1:]
    if version:
        vars(host)["__version__"] = version[0]
    vars(hosted)["_LISTED_NS"] = 100_000_000  # files are looked at more often here
    parent = os.getppid()
    learner = [sys.executable, "-m", "tests.session.remote.double"]
    served = host.LearnerHost(address, None, Path(folder), lambda run: [*learner, str(run)])
    print(served.address, flush=True)
    while os.getppid() == parent:
        served.step()


if __name__ == "__main__":
    main()
