"""What was acknowledged of a run, kept outside of everything that is killed."""

from __future__ import annotations

import collections
import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from robot_rlhf.feedback import store_codec as codec
from robot_rlhf.feedback.link import Report
from robot_rlhf.feedback.store import Store, StoredEvent, StoreError
from robot_rlhf.feedback.types import Demonstration, Evaluation, Outcome, Preference, Takeover
from robot_rlhf.session.run_folder import DATABASE, RunFolder
from robot_rlhf.verify import verify


@dataclass
class Recorder:
    """What was acknowledged of one run, by id, and outside of everything that is killed."""

    run: Path
    events: dict[str, StoredEvent] = field(default_factory=dict)
    _seq: int = 0
    _reader: sqlite3.Connection | None = None

    def look(self) -> None:
        """Take in what a reader sees committed now."""
        if not RunFolder.is_begun(self.run):
            return
        if self._reader is None:
            self._reader = sqlite3.connect(f"{(self.run / DATABASE).as_uri()}?mode=ro", uri=True)
        with contextlib.suppress(sqlite3.OperationalError):  # the writer has the file to itself just now
            rows = self._reader.execute("SELECT seq, payload FROM feedback WHERE seq > ?", (self._seq,))
            for seq, payload in rows.fetchall():
                event = codec.decode_event(payload)
                self.events[event.id], self._seq = event, max(seq, self._seq)

    def saved(self, report: Report) -> None:
        """Take in what the operator's link was told."""
        what = report["what"]
        if isinstance(what, StoredEvent) and not report["reason"]:
            self.events[what.id] = what

    def close(self) -> None:
        """Let go of the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def complaints(self) -> list[str]:
        """What is not as it should be in the run now."""
        self.close()
        if not RunFolder.is_begun(self.run):
            return [f"{len(self.events)} events of a run that is not there"] if self.events else []
        found = [str(one) for one in verify(self.run) if not one.harmless]
        try:
            with Store.open_untouched(self.run / DATABASE) as store:
                stored = {event.id: event for event in store.all_events()}
                standing = store.feedback()
        except StoreError as error:
            return [*found, str(error)]
        found += [f"lost: {event}" for id, event in self.events.items() if id not in stored]
        found += [f"changed: {e}" for id, e in self.events.items() if id in stored and stored[id] != e]
        said = collections.Counter(map(_what_is_said_once, standing))
        return found + [f"there {count} times: {what}" for what, count in said.items() if count > 1]


def _what_is_said_once(event: StoredEvent) -> tuple[object, ...]:
    """What two different events must not both say."""
    match event:
        case Demonstration(episode=episode) | Outcome(episode=episode):
            return type(event).__name__, episode
        case Preference(query=query):
            return "Preference", query
        case Takeover(executed=executed):
            return "Takeover", executed
        case Evaluation(episode=episode, step=step):
            return "Evaluation", episode, step
        case _:
            return type(event).__name__, event.id
