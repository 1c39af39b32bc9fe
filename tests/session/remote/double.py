"""A learner's process that learns nothing, so that it is there in a moment: for tests of all that lies
between it and its session. It is started as `commands/live_learner.py` is, as `python -m
tests.session.remote.double RUN`; the policy that it publishes lies in RUN/../policy.safetensors.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from hardware.transport import Client, wait
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Query, Segment
from robot_rlhf.session import learner_messages as lm
from robot_rlhf.session.learner_link import ADDRESS, MAX_BYTES, SESSION, TOKEN
from robot_rlhf.session.remote.arms import arm_of
from robot_rlhf.session.run_folder import DATABASE

_EVERY_S = 0.1


def main() -> None:
    run, session = Path(sys.argv[1]), int(os.environ[SESSION])
    policy = (run.parent / "policy.safetensors").read_bytes()
    line: Client[lm.ToLearner] = Client(
        os.environ[ADDRESS],
        lm.ToLearner,
        security=None,
        max_bytes=MAX_BYTES,
        max_send_bytes=MAX_BYTES,
        hwm=1000,
    )
    store = Store.open_readonly(run / DATABASE)
    line.send(lm.Ready(token=os.environ[TOKEN], cloned=False))
    began = over = False
    published_s = 0.0
    while not (over and not line.pending) and os.getppid() == session:
        wait([line], time.monotonic_ns() + 20_000_000)
        while (got := line.receive()) is not None:
            match getattr(got, "message", None):
                case lm.Stored(anew=anew):
                    with (run / "metrics.jsonl").open("a") as log:
                        log.write(
                            f'{{"episodes": {len(store.episode_steps())}, "anew": {str(anew).lower()}}}\n'
                        )
                case lm.Begin():
                    began = True
                case lm.RollOut(job=job) | lm.Worsen(job=job):
                    line.request(lm.RolledOut(job=job, episodes=(), truths=()))
                case lm.MorePairs(arm=arm):
                    seen = next((id for id in store.episode_steps() if arm in (None, arm_of(id))), None)
                    if seen is not None:
                        clips = Segment(seen, 0, 2), Segment(seen, 2, 2)
                        line.send(lm.Asked(queries=(Query(f"q{seen}", *clips, "random"),)))
                case lm.Finish():
                    (run / "summary.json").write_text("{}")
                    (run / "report.html").write_text("<html>")
                    line.request(lm.Ended(report=str(run / "report.html")))
                case lm.Quit():
                    file = run / "checkpoints" / "step-00000007.safetensors"
                    file.write_bytes(policy)
                    line.request(lm.Written(step=7, name=f"checkpoints/{file.name}"))
                    over = True
                case _:
                    pass
        if began and time.monotonic() - published_s > _EVERY_S:
            published_s = time.monotonic()
            line.send(lm.Policy(number=time.monotonic_ns(), data=policy))
            line.send(lm.Doing(what="doubling", updates=len(store.episode_steps()), reward_version=1))


if __name__ == "__main__":
    main()
