"""One file a task; `sim.task.TASKS` lists them."""
