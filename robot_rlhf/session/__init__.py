"""A session: who drives now, the control loop, the learner beside it, and the run folder."""
