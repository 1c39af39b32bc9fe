"""The store: what is acknowledged stays, what is damaged is refused in one line, nothing is rewritten."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Checkpoint, OperatorSeconds, Store, StoredEvent, StoreError
from robot_rlhf.feedback.types import (
    Choice,
    Demonstration,
    Evaluation,
    Kind,
    Outcome,
    Preference,
    Query,
    Segment,
    Takeover,
    Undo,
)

Maker = Callable[..., Episode]
WHO: dict[str, Any] = {"operator": "ann", "session": "s1", "time_ns": 5}
QUERY = Query("q1", Segment(0, 0, 20), Segment(1, 0, 20), "disagreement")


def outcome(id: str, episode: int = 0, success: bool = True) -> Outcome:
    return Outcome(id=id, episode=episode, success=success, **WHO)


def answer(id: str, query: Query = QUERY) -> Preference:
    fields: dict[str, Any] = {
        "left": query.left,
        "right": query.right,
        "choice": Choice.LEFT,
        "response_s": 1.5,
        **WHO,
    }
    return Preference(id=id, query=query.id, **fields)


def one_of_each() -> list[StoredEvent]:
    return [
        answer("preference"),
        Evaluation(id="press", episode=2, step=4, good=True, **WHO),
        Takeover(id="takeover", executed=Segment(2, 3, 5), counterfactual=Segment(7, 0, 5), **WHO),
        Demonstration(id="demonstration", episode=1, alternatives=(3, 4), **WHO),
        outcome("outcome", episode=2),
    ]


def jpeg(number: int, more: bytes = b"") -> bytes:
    """Bytes that begin and end as a JPEG does."""
    return b"\xff\xd8" + more + bytes([number]) * number + b"\xff\xd9"


def assert_same(got: Episode, expected: Episode) -> None:
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(got, name), value)
            assert getattr(got, name).dtype == value.dtype
        else:
            assert getattr(got, name) == value


class TestEpisodes:
    def test_an_episode_comes_back_as_it_was(self, path: Path, make_episode: Maker) -> None:
        episode = make_episode(3)
        with Store.open(path) as store:
            store.add_episode(episode)
        with Store.open_readonly(path) as store:
            assert_same(store.episode(3), episode)

    def test_episodes_are_found_by_id_and_role_in_order(self, store: Store, make_episode: Maker) -> None:
        for id, role in ((4, Role.ONLINE), (1, Role.DEMONSTRATION), (2, Role.COUNTERFACTUAL)):
            store.add_episode(make_episode(id, steps=10 * id, role=role))
        assert [e.id for e in store.episodes()] == [1, 2, 4]
        assert [e.id for e in store.episodes(ids=[4, 1, 4])] == [1, 4]
        assert [e.id for e in store.episodes(role=Role.ONLINE)] == [4]
        assert [e.id for e in store.episodes(ids=[1, 4], role=Role.ONLINE)] == [4]
        assert store.episode_steps() == {1: 10, 2: 20, 4: 40}
        assert store.episode_steps(Role.COUNTERFACTUAL) == {2: 20}

    def test_a_missing_episode_is_named(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no episode 9"):
            store.episodes(ids=[9])

    def test_an_id_is_used_once(self, store: Store, make_episode: Maker) -> None:
        store.add_episode(make_episode(0, steps=10))
        with pytest.raises(StoreError, match="episode 0 is stored already, use 1"):
            store.add_episode(make_episode(0, steps=20))
        assert store.episode_steps() == {0: 10}

    def test_an_episode_lost_in_a_crash_does_not_lend_its_id(self, store: Store, make_episode: Maker) -> None:
        assert store.next_episode_id() == 0
        store.add_episode(make_episode(0))
        assert store.next_episode_id() == 1
        store.add_feedback(Takeover(id="t", executed=Segment(4, 0, 5), counterfactual=None, **WHO))
        assert store.next_episode_id() == 5
        store.book("watch", 0.0, 3.0, episode=6)
        assert store.next_episode_id() == 7

    def test_loaded_arrays_can_be_worked_on_like_recorded_ones(
        self, store: Store, make_episode: Maker
    ) -> None:
        store.add_episode(make_episode(0))
        store.episode(0).obs[0] = 0.0

    def test_an_array_of_another_type_is_refused_by_name(self, store: Store, make_episode: Maker) -> None:
        episode = make_episode(0)
        object.__setattr__(episode, "obs", episode.obs.astype(np.float64))
        with pytest.raises(StoreError, match="obs is float64 with 2 dimensions, expected float32"):
            store.add_episode(episode)

    def test_a_seed_that_does_not_fit_is_refused(self, store: Store, make_episode: Maker) -> None:
        episode = make_episode(0)
        object.__setattr__(episode, "seed", 2**64)
        with pytest.raises(StoreError, match="64 bits"):
            store.add_episode(episode)
        assert store.episode_steps() == {}

    def test_truth_is_kept_apart_from_the_episode(self, store: Store, make_episode: Maker) -> None:
        reward = np.linspace(0, 1, 30, dtype=np.float32)
        store.add_episode(make_episode(0), truth=(reward, True))
        store.add_episode(make_episode(1))
        assert list(store.truth()) == [0]
        np.testing.assert_array_equal(store.truth()[0].task_reward, reward)
        assert store.truth()[0].success is True

    def test_truth_of_another_length_stores_nothing(self, store: Store, make_episode: Maker) -> None:
        with pytest.raises(StoreError, match=r"shape \(3,\), expected \(30,\)"):
            store.add_episode(make_episode(0), truth=(np.zeros(3, np.float32), False))
        assert store.episode_steps() == {}


class TestPictures:
    def test_they_come_back_by_camera(self, path: Path, make_episode: Maker) -> None:
        seen = {"wrist": [jpeg(i) for i in range(31)], "front": [jpeg(i, b"f") for i in range(31)]}
        with Store.open(path) as store:
            store.add_episode(make_episode(0), pictures=seen)
            store.add_episode(make_episode(1))
        with Store.open_readonly(path) as store:
            assert store.cameras(0) == ("front", "wrist")
            assert store.pictures(0, "wrist") == tuple(seen["wrist"])
            assert store.pictures(0, "front") == tuple(seen["front"])
            assert store.cameras(1) == ()
            with pytest.raises(StoreError, match=r"'top' has no pictures of episode 0.*: front, wrist"):
                store.pictures(0, "top")

    @pytest.mark.parametrize(
        ("camera", "frames", "complaint"),
        [
            ("front", [b"\xff\xd8\xff\xd9"] * 30, "30 pictures, expected 31"),
            ("front", [b"\xff\xd8\xff\xd9"] * 30 + [b"\xff\xd8"], "picture 30 is no JPEG picture"),
            ("../front", [b"\xff\xd8\xff\xd9"] * 31, "a camera's name is"),
            ("", [b"\xff\xd8\xff\xd9"] * 31, "a camera's name is"),
        ],
    )
    def test_what_is_not_as_said_stores_nothing(
        self, store: Store, make_episode: Maker, camera: str, frames: list[bytes], complaint: str
    ) -> None:
        with pytest.raises(StoreError, match=complaint):
            store.add_episode(make_episode(0), pictures={camera: frames})
        assert store.episode_steps() == {}


class TestFeedback:
    def test_every_kind_comes_back_in_order(self, path: Path) -> None:
        with Store.open(path) as store:
            assert [store.add_feedback(event) for event in one_of_each()] == [True] * 5
        with Store.open_readonly(path) as store:
            assert store.feedback() == one_of_each()
            assert store.all_events() == one_of_each()
            assert store.counts() == dict.fromkeys(Kind, 1)

    def test_kinds_select(self, store: Store) -> None:
        store.add_many(one_of_each())
        chosen = store.feedback({Kind.OUTCOMES, Kind.PREFERENCES})
        assert [event.id for event in chosen] == ["preference", "outcome"]
        assert store.feedback(()) == []

    def test_counts_name_every_kind(self, store: Store) -> None:
        assert store.counts() == dict.fromkeys(Kind, 0)

    def test_the_same_event_twice_is_stored_once(self, store: Store) -> None:
        assert store.add_feedback(outcome("a"))
        assert not store.add_feedback(outcome("a"))
        assert store.add_many([outcome("a"), outcome("b"), outcome("b")]) == 1
        assert store.all_events() == [outcome("a"), outcome("b")]

    def test_an_id_is_never_given_another_content(self, store: Store) -> None:
        store.add_feedback(outcome("a", success=True))
        with pytest.raises(StoreError, match="'a' is taken by a different event"):
            store.add_feedback(outcome("a", success=False))
        assert store.all_events() == [outcome("a", success=True)]

    def test_an_undone_event_stays_in_the_record_alone(self, store: Store) -> None:
        undo = Undo(id="u", target="a", **WHO)
        store.add_many([outcome("a"), outcome("b"), undo])
        assert store.feedback() == [outcome("b")]
        assert store.counts()[Kind.OUTCOMES] == 1
        assert store.all_events() == [outcome("a"), outcome("b"), undo]

    def test_an_undo_names_an_event_that_is_there(self, store: Store) -> None:
        with pytest.raises(StoreError, match="'a', which is no stored event"):
            store.add_feedback(Undo(id="u", target="a", **WHO))
        store.add_many([outcome("a"), Undo(id="u", target="a", **WHO)])
        with pytest.raises(StoreError, match="another undo"):
            store.add_feedback(Undo(id="v", target="u", **WHO))

    def test_a_batch_is_stored_whole_or_not_at_all(self, store: Store) -> None:
        store.add_feedback(outcome("b", success=False))
        with pytest.raises(StoreError, match="different event"):
            store.add_many([outcome("a"), outcome("b"), outcome("c")])
        assert store.all_events() == [outcome("b", success=False)]

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), "2"])
    def test_what_would_not_come_back_is_not_acknowledged(self, store: Store, value: Any) -> None:
        fields: dict[str, Any] = {"left": QUERY.left, "right": QUERY.right, "choice": Choice.LEFT, **WHO}
        with pytest.raises(StoreError, match="'p' cannot be stored"):
            store.add_feedback(Preference(id="p", query="q1", response_s=value, **fields))
        assert store.all_events() == []

    def test_learnable_feedback_is_about_stored_episodes(self, store: Store, make_episode: Maker) -> None:
        store.add_many(one_of_each())
        for id in (1, 2, 3):
            store.add_episode(make_episode(id))
        assert [event.id for event in store.feedback(learnable=True)] == ["press", "outcome"]
        for id in (0, 4, 7):
            store.add_episode(make_episode(id))
        assert store.feedback(learnable=True) == store.feedback()

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE feedback SET operator = 'bob'",
            "DELETE FROM feedback",
            "INSERT OR REPLACE INTO feedback SELECT * FROM feedback",
            "INSERT OR REPLACE INTO feedback SELECT 'other', seq, kind, operator, session, time_ns, "
            "last_episode, target, payload FROM feedback",
        ],
    )
    def test_the_record_cannot_be_rewritten_by_any_program(self, path: Path, sql: str) -> None:
        with Store.open(path) as store:
            store.add_feedback(outcome("a"))
        connection = sqlite3.connect(path)
        with contextlib.closing(connection), pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(sql)
        with Store.open_readonly(path) as store:
            assert store.all_events() == [outcome("a")]

    def test_the_id_is_the_primary_key(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            columns = connection.execute("PRAGMA table_info(feedback)").fetchall()
        assert [(name, type_) for _, name, type_, _, _, key in columns if key] == [("id", "TEXT")]


class TestTheRest:
    def test_queries_know_whether_they_were_answered(self, store: Store) -> None:
        other = Query("q2", Segment(0, 5, 20), Segment(1, 5, 20), "random")
        for query in (QUERY, other, QUERY):
            store.add_query(query)
        assert store.queries() == store.queries(answered=False) == [QUERY, other]
        assert (store.queries(skip=1), store.queries(skip=2)) == ([other], [])
        store.add_feedback(answer("p"))
        assert (store.queries(answered=True), store.queries(answered=False)) == ([QUERY], [other])
        store.add_feedback(Undo(id="u", target="p", **WHO))
        assert store.queries(answered=True) == []

    def test_a_query_id_is_never_given_another_content(self, store: Store) -> None:
        store.add_query(QUERY)
        with pytest.raises(StoreError, match="'q1' is taken"):
            store.add_query(Query("q1", QUERY.right, QUERY.left, "repeat"))

    def test_operator_time_adds_up(self, store: Store) -> None:
        assert store.operator_seconds() == (0.0, 0.0)
        store.book("preferences", 4.0, 4.0)
        store.book("takeovers", 1.5, 10.0, episode=3)
        store.book("preferences", 4.0, 5.0)
        assert store.operator_seconds() == OperatorSeconds(9.5, 19.0)
        assert store.operator_seconds_by_activity() == {"preferences": (8.0, 9.0), "takeovers": (1.5, 10.0)}

    @pytest.mark.parametrize(
        "seconds", [(-1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (1.0, float("inf")), (1.0, float("nan"))]
    )
    def test_impossible_operator_time_is_not_booked(self, store: Store, seconds: tuple[float, float]) -> None:
        with pytest.raises(StoreError, match="'watch' books"):
            store.book("watch", *seconds)
        assert store.operator_seconds_by_activity() == {}

    def test_checkpoints_come_newest_first(self, store: Store) -> None:
        assert store.latest_checkpoints() == []
        for step in (100, 200, 150):
            store.record_checkpoint(step, f"checkpoints/{step}.safetensors", created_ns=step)
        assert store.latest_checkpoints() == [Checkpoint(150, "checkpoints/150.safetensors", 150)]
        assert [checkpoint.step for checkpoint in store.latest_checkpoints(9)] == [150, 200, 100]

    @pytest.mark.parametrize("name", ["", "/elsewhere/a.safetensors", "../a.safetensors"])
    def test_a_checkpoint_lies_inside_the_run(self, store: Store, name: str) -> None:
        with pytest.raises(StoreError, match="relative to the run's folder"):
            store.record_checkpoint(1, name, created_ns=0)

    @pytest.mark.parametrize("name", ["/elsewhere/a.safetensors", "checkpoints/../../a.safetensors"])
    def test_a_checkpoint_that_leads_out_of_a_foreign_run_is_refused(self, store: Store, name: str) -> None:
        store._run("INSERT INTO checkpoints (step, path, created_ns) VALUES (1, ?, 0)", (name,))
        with pytest.raises(StoreError, match="which is not in the run"):
            store.latest_checkpoints()

    def test_notes_can_be_rewritten(self, store: Store) -> None:
        assert store.meta("phase") is None
        store.set_meta("phase", "online")
        store.set_meta("phase", "finished")
        assert store.meta("phase") == "finished"


class TestTransactions:
    def test_an_episode_and_all_about_it_is_stored_together_or_not(
        self, store: Store, make_episode: Maker
    ) -> None:
        with pytest.raises(RuntimeError), store.transaction():
            store.add_episode(make_episode(0), truth=(np.zeros(30, np.float32), False))
            store.add_feedback(outcome("a"))
            store.book("takeovers", 1.0, 2.0, episode=0)
            raise RuntimeError
        assert (store.next_episode_id(), store.all_events(), store.truth()) == (0, [], {})
        assert store.operator_seconds() == (0.0, 0.0)

    def test_readers_see_a_transaction_when_it_ends(self, store: Store, make_episode: Maker) -> None:
        with Store.open_readonly(store.path) as reader:
            with store.transaction():
                store.add_episode(make_episode(0))
                store.add_feedback(outcome("a"))
                assert (reader.all_events(), reader.episodes()) == ([], [])
            assert reader.all_events() == [outcome("a")]
            assert list(reader.episode_steps()) == [0]

    def test_a_reader_can_hold_on_to_one_moment(self, store: Store) -> None:
        with Store.open_readonly(store.path) as reader:
            with reader.transaction():
                assert reader.all_events() == []
                store.add_feedback(outcome("a"))
                assert reader.all_events() == []
            assert reader.all_events() == [outcome("a")]

    def test_an_inner_failure_takes_back_its_own_part(self, store: Store) -> None:
        with store.transaction():
            store.add_feedback(outcome("a"))
            with pytest.raises(StoreError), store.transaction():
                store.add_feedback(outcome("b"))
                store.add_feedback(outcome("a", success=False))
            store.add_feedback(outcome("c"))
        assert store.all_events() == [outcome("a"), outcome("c")]


class TestDurability:
    def test_every_commit_is_forced_to_the_disk(self, store: Store) -> None:
        assert store._run("PRAGMA journal_mode") == [("wal",)]
        assert store._run("PRAGMA synchronous") == [(2,)]
        assert store._run("PRAGMA foreign_keys") == [(1,)]

    def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(self, path: Path) -> None:
        """Every third event comes with an episode and booked time in one transaction."""
        writer = """
import sys
import numpy as np
from robot_rlhf.feedback.episode import Episode, Role
from robot_rlhf.feedback.store import Store
from robot_rlhf.feedback.types import Outcome

store = Store.open(sys.argv[1])
rng = np.random.default_rng(0)
for number in range(10**9):
    event = Outcome(id=f"e{number}", operator="ann", session="s", time_ns=0, episode=number, success=True)
    if number % 3:
        store.add_feedback(event)
    else:
        f = lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)
        with store.transaction():
            store.book("takeovers", 1.0, 1.0, episode=number)
            store.add_feedback(event)
            store.add_episode(Episode(number, Role.ONLINE, "reach", 0, 0, f(401, 20), f(400, 4), f(400, 4),
                                      np.zeros(400, np.uint8), f(401, 40), False, True))
    print(event.id, flush=True)
"""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
        }
        acknowledged: list[str] = []
        for wanted in (20, 41, 1):  # the last one kills a writer that has just gone on after two crashes
            command = [
                sys.executable,
                "-c",
                writer.replace("range(", f"range({len(acknowledged)}, "),
                str(path),
            ]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            assert child.stdout is not None
            heard = [child.stdout.readline().strip() for _ in range(wanted)]
            child.send_signal(signal.SIGKILL)
            heard += child.stdout.read().split()
            assert child.wait() == -signal.SIGKILL
            child.stdout.close()
            acknowledged += heard
            with Store.open(path) as store:
                stored = [event.id for event in store.all_events()]
                assert stored[: len(acknowledged)] == acknowledged
                assert len(stored) <= len(acknowledged) + 1, "at most the event that was being written"
                together = [number for number in range(len(stored)) if number % 3 == 0]
                assert list(store.episode_steps()) == together
                assert [episode.id for episode in store.episodes()] == together
                assert store.operator_seconds() == (len(together), len(together))
            acknowledged = stored

    def test_a_full_disk_is_said_and_loses_nothing(self, store: Store, make_episode: Maker) -> None:
        store.add_feedback(outcome("a"))
        pages = store._run("PRAGMA page_count")[0][0]
        store._run(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreError, match="disk is full"):
            store.add_episode(make_episode(0, steps=2000))
        with pytest.raises(StoreError, match="has ended this transaction"), store.transaction():
            with pytest.raises(StoreError, match="disk is full"):
                store.add_episode(make_episode(0, steps=2000))
            store.add_feedback(outcome("b"))
        store._run("PRAGMA max_page_count = 1000000")
        store.add_feedback(outcome("c"))
        assert store.all_events() == [outcome("a"), outcome("c")]
        assert store.episodes() == []
