"""`verify`: what is not sound in a run's folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from robot_rlhf.verify import Finding, verify


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `sound`: nothing but what is harmless."""

    run: str
    sound: bool
    findings: tuple[Finding, ...]

    def lines(self) -> list[str]:
        """The same for a person."""
        told = [str(finding) for finding in self.findings]
        return [*told, f"{self.run} is sound"] if self.sound else told


def verified(run: Path) -> Verified:
    """Everything that the folder holds, looked at; nothing is changed. RunError where there is no run."""
    findings = tuple(verify(run))
    return Verified(run=str(run), sound=all(one.harmless for one in findings), findings=findings)
