"""Files that come down to a run's folder, piece by piece: each appears there whole, or grows at its end."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from robot_rlhf.session.remote.messages import AskPiece, FileState, Piece

DRAFTS = ".incoming"
"""The folder, in the run's, where files lie that are not whole yet."""


class Incoming:
    """What of the learner's files a run's folder has, and what it lacks."""

    def __init__(self, folder: Path, grows: Iterable[str] = ()) -> None:
        """`grows`: files that are there and are only ever added to, so that what is there need not come
        again."""
        self._folder = folder
        self._listed: dict[str, FileState] = {}
        self._have: dict[str, tuple[str, int]] = {}  # path -> version, bytes
        self._draft: FileState | None = None
        self._length = 0  # of the draft
        self._grows = frozenset(grows)

    def listed(self, files: Iterable[FileState]) -> None:
        """These are the files that there are."""
        self._listed = {state.path: state for state in files}
        draft = self._draft
        if draft is not None:
            now = self._listed.get(draft.path)
            if now is None or now.version != draft.version or now.size < draft.size:
                self._draft = None

    def knows(self, path: str) -> bool:
        """Whether that file is one of them."""
        return path in self._listed

    def has(self, path: str) -> bool:
        """Whether that file is here as it was listed last."""
        state = self._listed.get(path)
        return state is not None and self._is_here(state)

    @property
    def complete(self) -> bool:
        """Whether every file is here as it was listed last."""
        return all(map(self._is_here, self._listed.values()))

    def _is_here(self, state: FileState) -> bool:
        version, length = self._have.get(state.path, ("", -1))
        return version == state.version and length >= state.size

    def wanted(self) -> AskPiece | None:
        """What to ask for next."""
        for state in () if self._draft else tuple(self._listed.values()):
            if self._draft is None and not self._is_here(state):
                self._begin(state)
        draft = self._draft
        if draft is None:
            return None
        return AskPiece(path=draft.path, version=draft.version, offset=self._length)

    def _begin(self, state: FileState) -> None:
        """Go on with a file, or begin it."""
        version, length = self._have.get(state.path, ("", 0))
        if version != state.version:
            length = 0
            target = self._folder / state.path
            if state.version in self._grows and target.exists() and target.stat().st_size <= state.size:
                length = target.stat().st_size
                self._have[state.path] = state.version, length
        if not self._is_here(state):
            self._draft, self._length = state, length

    def take(self, piece: Piece) -> bool:
        """Write a piece down; False where it is none of what was asked for. Raises OSError."""
        draft, data = self._draft, piece.piece.data
        if draft is None or (piece.path, piece.version, piece.offset) != (
            draft.path,
            draft.version,
            self._length,
        ):
            return False
        if not data and draft.size > self._length:  # it is another one by now: the next listing says which
            self._draft = None
            self._listed.pop(draft.path, None)
            return False
        target, has_begun = self._folder / draft.path, self._have.get(draft.path, ("", 0))[0] == draft.version
        place = target if has_begun else self._folder / DRAFTS / target.name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("r+b" if self._length else "wb") as file:
            file.truncate(self._length)
            file.seek(self._length)
            file.write(data)
            self._length += len(data)
            if self._length >= draft.size:
                file.flush()
                os.fsync(file.fileno())
        if self._length >= draft.size:
            if place != target:
                target.parent.mkdir(parents=True, exist_ok=True)
                place.replace(target)
            self._have[draft.path] = draft.version, self._length
            self._draft = None
        return True
