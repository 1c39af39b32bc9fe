"""What a command that looks at a run has to tell."""

from __future__ import annotations

from typing import Protocol


class Answer(Protocol):
    """A struct whose fields are what --json prints."""

    def lines(self) -> list[str]:
        """The same for a person."""
