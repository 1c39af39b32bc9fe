"""The tables of `run.db`: what version 1 was, and the steps that lead from each version to the next.

A new file is made by the same steps that bring an old one forward, so that both are one and the same.
"""

from __future__ import annotations

from collections.abc import Mapping

APPLICATION_ID = 0x524C4846  # "RLHF", in the file's header

VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
CREATE TABLE episodes (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    task TEXT NOT NULL,
    seed INTEGER NOT NULL,
    policy_version INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    terminated INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    arrays BLOB NOT NULL
);
CREATE TABLE truth (
    episode INTEGER PRIMARY KEY REFERENCES episodes (id),
    task_reward BLOB NOT NULL,
    success INTEGER NOT NULL
);
CREATE TABLE feedback (
    id TEXT PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    operator TEXT NOT NULL,
    session TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    last_episode INTEGER,
    target TEXT REFERENCES feedback (id),
    payload TEXT NOT NULL
);
CREATE VIEW standing AS -- feedback that was not taken back
    SELECT * FROM feedback WHERE kind != 'undo'
    AND id NOT IN (SELECT target FROM feedback WHERE target IS NOT NULL);
CREATE TABLE queries (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL);
CREATE TABLE operator_time (
    seq INTEGER PRIMARY KEY,
    activity TEXT NOT NULL,
    active_s REAL NOT NULL,
    attended_s REAL NOT NULL,
    episode INTEGER
);
CREATE TABLE checkpoints (
    seq INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    path TEXT NOT NULL,
    created_ns INTEGER NOT NULL
);
-- What a person said is only ever added to. The third trigger stops INSERT OR REPLACE, which would
-- otherwise delete without firing the second.
CREATE TRIGGER feedback_no_update BEFORE UPDATE ON feedback
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_delete BEFORE DELETE ON feedback
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_replace BEFORE INSERT ON feedback
    WHEN EXISTS (SELECT 1 FROM feedback WHERE id = NEW.id OR seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
"""

STEPS: Mapping[int, tuple[str, ...]] = {
    1: (  # what the policy saw through cameras
        """CREATE TABLE pictures (
            episode INTEGER NOT NULL REFERENCES episodes (id),
            camera TEXT NOT NULL,
            frames BLOB NOT NULL,
            PRIMARY KEY (episode, camera)
        )""",
    ),
    2: (  # the newest episode spoken of is looked up before every episode, in however much feedback
        "CREATE INDEX feedback_by_episode ON feedback (last_episode)",
        "CREATE INDEX operator_time_by_episode ON operator_time (episode)",
    ),
}
"""Version -> the statements that make the next one of it. Never changed once released, only added to."""

OLDEST_VERSION = 1
SCHEMA_VERSION = OLDEST_VERSION + len(STEPS)
SCHEMA = VERSION_1 + "".join(f"{sql};\n" for version in sorted(STEPS) for sql in STEPS[version])
"""The newest version, for an empty database."""
