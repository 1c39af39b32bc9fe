"""`feedback`: what was said in a run, listed, taken back and brought back."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import msgspec

from robot_rlhf.commands.arguments import Said
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.store import Store, StoredEvent, StoreError
from robot_rlhf.feedback.store_history import Entry
from robot_rlhf.feedback.types import (
    Demonstration,
    Evaluation,
    Outcome,
    Preference,
    Removal,
    Segment,
    Takeover,
    Undo,
    derived_id,
)
from robot_rlhf.session.run_folder import DATABASE

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHORT = 8  # characters of an id that a list shows


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An event at its place in the record; `undone_by` is the place of the undo that took it back."""

    seq: int
    id: str
    kind: str
    operator: str
    session: str
    time: str
    about: str
    undone_by: int | None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The newest events that fit, newest first; `more`: there are others."""

    events: tuple[Line, ...]
    more: bool

    def lines(self) -> list[str]:
        told = []
        for one in self.events:
            taken_back = "" if one.undone_by is None else f" (taken back by {one.undone_by})"
            when = one.time[:19].replace("T", " ")
            told.append(
                f"{one.seq:>6}  {one.id[:_SHORT]}  {when}  {one.operator:<12}  {one.about}{taken_back}"
            )
        return [
            *told,
            *(["--limit shows more of them"] if self.more else []),
            *([] if told else ["nothing fits"]),
        ]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What was added to the record, and what was as it should be already."""

    added: tuple[Line, ...]
    already: tuple[str, ...]

    def lines(self) -> list[str]:
        return [*(f"added {one.seq}: {one.about}" for one in self.added), *self.already]


def listed(asked: Said) -> Listed:
    """The events that fit all that is asked. UsageError for a time that is none."""
    since_ns = None if asked.since is None else nanoseconds(asked.since)
    with Store.open_untouched(asked.run / DATABASE) as store:
        entries = (
            entry
            for entry in store.history.entries(
                kind=asked.kind, operator=asked.operator, since_ns=since_ns, text=asked.search
            )
            if (asked.episode is None or asked.episode in codec.episodes_of(entry.event))
            and (not asked.undone or entry.undone_by is not None)
        )
        found = list(islice(entries, asked.limit + 1 if asked.limit else None))
    kept = found[: asked.limit or None]
    return Listed(events=tuple(_line(entry) for entry in kept), more=len(kept) < len(found))


def undo(run: Path, ids: Sequence[str], who: str) -> Changed:
    """Take events back, all or none. StoreError for an id that is none, or an undo's."""
    session = f"feedback-{uuid.uuid4().hex[:_SHORT]}"
    added, already = [], []
    with Store.open(run / DATABASE) as store, store.transaction():
        for start in ids:
            entry = _standing(store, store.history.find(start))
            if entry.undone_by is not None:
                already.append(f"{entry.seq} was taken back already, by {entry.undone_by}")
                continue
            taken = Undo(
                id=str(uuid.uuid4()),
                operator=who,
                session=session,
                time_ns=time.time_ns(),
                target=entry.event.id,
            )
            store.add_feedback(taken)
            added.append(_line(store.history.find(taken.id)))
    return Changed(added=tuple(added), already=tuple(already))


def redo(run: Path, ids: Sequence[str], who: str) -> Changed:
    """Say anew what was taken back, all or none: the same of the same operator, so that it counts as the
    last word on its episode. StoreError for an id that is none, or an undo's."""
    session = f"feedback-{who}-{uuid.uuid4().hex[:_SHORT]}"
    added, already = [], []
    with Store.open(run / DATABASE) as store, store.transaction():
        for start in ids:
            entry = _standing(store, store.history.find(start))
            if entry.undone_by is None:
                already.append(f"{entry.seq} stands: there is nothing to bring back")
                continue
            again = msgspec.structs.replace(
                entry.event, id=_next_id(entry.event), session=session, time_ns=time.time_ns()
            )
            store.add_feedback(again)
            added.append(_line(store.history.find(again.id)))
    return Changed(added=tuple(added), already=tuple(already))


def nanoseconds(when: str) -> int:
    """When that was, since the epoch: so long ago, or a time of the local clock. UsageError otherwise."""
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", when.strip())
    if ago is not None:
        return time.time_ns() - int(float(ago[1]) * _UNITS_S[ago[2]] * 1e9)
    try:
        return int(datetime.fromisoformat(when).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"--since is {when!r}: say 90s, 30m, 2h, 3d, or 2026-05-31T14:00") from None


def _standing(store: Store, entry: Entry) -> Entry:
    """The newest of what was said anew of an event: it itself where it never was."""
    if isinstance(entry.event, Undo):
        raise StoreError(f"{entry.seq} is an undo: name what it took back, {entry.event.target[:_SHORT]}")
    while entry.undone_by is not None:
        try:
            entry = store.history.find(_next_id(entry.event))
        except StoreError:
            break
    return entry


def _next_id(event: StoredEvent) -> str:
    return derived_id(0, "redo", event.id)


def _line(entry: Entry) -> Line:
    event = entry.event
    when = datetime.fromtimestamp(event.time_ns / 1e9, tz=timezone.utc).astimezone()
    return Line(
        seq=entry.seq,
        id=event.id,
        kind=codec.event_columns(event)[1],
        operator=event.operator,
        session=event.session,
        time=when.isoformat(),
        about=_about(event),
        undone_by=entry.undone_by,
    )


def _about(event: StoredEvent) -> str:
    """What was said, in words."""
    match event:
        case Preference(left=left, right=right, choice=choice):
            return f"of {_clip(left)} and {_clip(right)}: {choice.value.replace('_', ' ')}"
        case Evaluation(episode=episode, step=step, good=good):
            return f"episode {episode}, step {step}: {'good' if good else 'bad'}"
        case Takeover(executed=executed):
            return f"took over {_clip(executed)}"
        case Demonstration(episode=episode):
            return f"demonstrated episode {episode}"
        case Outcome(episode=episode, success=success):
            return f"episode {episode}: {'success' if success else 'failure'}"
        case Removal(episode=episode):
            return f"removed episode {episode}"
        case Undo(target=target):
            return f"took back {target[:_SHORT]}"


def _clip(segment: Segment) -> str:
    return f"episode {segment.episode} [{segment.start}:{segment.start + segment.length}]"
