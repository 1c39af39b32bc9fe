"""What a command that looks at a run has to tell."""

from __future__ import annotations

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Its fields are what --json prints. `good`: exit code 0."""

    @property
    def good(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """The same for a person."""
        raise NotImplementedError
