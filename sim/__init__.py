"""Physics: a world, an arm in it, tasks to do with it, and the Gymnasium environment over them."""
