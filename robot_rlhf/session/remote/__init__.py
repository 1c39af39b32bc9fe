"""A learner on another machine: the session's end, the learner's end, and what travels between them."""
