"""What a person said: every event, and the questions that were asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.store_codec import StoredEvent
from robot_rlhf.feedback.store_file import StoreError
from robot_rlhf.feedback.types import Evaluation, Preference, Query, Segment, Takeover
from robot_rlhf.session.run_folder import DATABASE
from robot_rlhf.verify.finding import Finding


def queries(connection: sqlite3.Connection, steps: dict[int, int]) -> Iterator[Finding]:
    """That each can be read and compares clips that are stored."""
    for id, payload in connection.execute("SELECT id, payload FROM queries"):
        try:
            query = codec.decode_query(payload)
        except StoreError as error:
            yield Finding(DATABASE, f"query {id}: {error}")
            continue
        if query.id != id:
            yield Finding(DATABASE, f"query {id} says of itself that it is {query.id!r}")
        for segment in (query.left, query.right):
            if segment.episode not in steps:
                yield Finding(DATABASE, f"query {id} is about episode {segment.episode}, which is not stored")
            else:
                yield from _fits(f"query {id}", segment, steps)


def events(connection: sqlite3.Connection, steps: dict[int, int]) -> Iterator[Finding]:
    """That each can be read, its columns say what it says, none is missing between two, and it speaks of
    what there is."""
    last = 0
    sql = f"SELECT seq, {', '.join(codec.EVENT_COLUMNS)}, payload FROM feedback ORDER BY seq"
    for seq, *columns, payload in connection.execute(sql):
        if seq != last + 1:
            yield Finding(DATABASE, f"feedback jumps from place {last} to {seq}: events are missing between")
        last = seq
        try:
            event = codec.decode_event(payload)
        except StoreError as error:
            yield Finding(DATABASE, f"feedback {seq}: {error}")
            continue
        where = f"feedback {seq} ({columns[1]})"
        pairs = zip(codec.EVENT_COLUMNS, columns, codec.event_columns(event), strict=True)
        for name, got, expected in pairs:
            if got != expected:
                yield Finding(DATABASE, f"{where}: its column {name} is {got!r}, it says {expected!r}")
        yield from _speaks_of(where, event, steps)


def undone(connection: sqlite3.Connection) -> Iterator[Finding]:
    """That what is taken back is there, and is no undo itself."""
    rows = connection.execute(
        "SELECT undo.seq, undo.target, event.kind FROM feedback AS undo "
        "LEFT JOIN feedback AS event ON event.id = undo.target WHERE undo.kind = 'undo'"
    )
    for seq, target, kind in rows:
        if kind is None or kind == "undo":
            what = "which is no event" if kind is None else "which is an undo itself"
            yield Finding(DATABASE, f"feedback {seq} (undo) takes back {target!r}, {what}")


def answers(connection: sqlite3.Connection) -> Iterator[Finding]:
    """That every answer is one to a question that was asked, about the same two clips."""
    rows = connection.execute("SELECT seq, payload FROM feedback WHERE kind = 'preferences'")
    for seq, payload in rows:
        try:
            answer = codec.decode_event(payload)
            if not isinstance(answer, Preference):
                continue
            asked = connection.execute("SELECT payload FROM queries WHERE id = ?", (answer.query,)).fetchall()
            same = not asked or _clips(answer) == _clips(codec.decode_query(asked[0][0]))
        except StoreError:
            continue  # said already
        if not asked:
            yield Finding(DATABASE, f"feedback {seq} (preferences) answers a question that is not stored")
        elif not same:
            yield Finding(DATABASE, f"feedback {seq} (preferences) is about other clips than its question")


def _clips(pair: Preference | Query) -> set[tuple[int, int, int]]:
    return {(one.episode, one.start, one.length) for one in (pair.left, pair.right)}


def _speaks_of(where: str, event: StoredEvent, steps: dict[int, int]) -> Iterator[Finding]:
    for id in sorted(id for id in codec.episodes_of(event) if id not in steps):
        # It was said while the episode ran, which a kill then took.
        yield Finding(DATABASE, f"{where} speaks of episode {id}, which was not stored", harmless=True)
    match event:
        case Preference(left=left, right=right):
            segments = [left, right]
        case Takeover(executed=executed, counterfactual=other):
            segments = [executed] if other is None else [executed, other]
        case Evaluation(episode=id, step=step):
            segments = []
            if id in steps and not 0 <= step <= steps[id]:
                yield Finding(DATABASE, f"{where} is of step {step} of episode {id}, which has {steps[id]}")
        case _:
            segments = []
    for segment in segments:
        yield from _fits(where, segment, steps)


def _fits(where: str, segment: Segment, steps: dict[int, int]) -> Iterator[Finding]:
    length = steps.get(segment.episode)
    if length is not None and segment.start + segment.length > length:
        yield Finding(
            DATABASE,
            f"{where} is about steps {segment.start} to {segment.start + segment.length} of episode "
            f"{segment.episode}, which has {length}",
        )
