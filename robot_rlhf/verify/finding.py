"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

MOST = 20  # findings of one check that are told one by one


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be in a file of the run. A `harmless` one is what a kill leaves and
    the next `--resume` puts right or passes over; nothing that was acknowledged is missing for it."""

    where: str
    what: str
    harmless: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}{' (harmless)' if self.harmless else ''}"


def capped(findings: Iterable[Finding], most: int = MOST) -> Iterator[Finding]:
    """The same, but of more than `most` of one file and sort only these, and how many more there are."""
    counts: dict[tuple[str, bool], int] = {}
    for finding in findings:
        sort = finding.where, finding.harmless
        counts[sort] = counts.get(sort, 0) + 1
        if counts[sort] <= most:
            yield finding
    for (where, harmless), count in counts.items():
        if count > most:
            yield Finding(where, f"and {count - most:,} more like these", harmless)
