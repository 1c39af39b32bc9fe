"""What is said where words on the command line make no sense."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

PROGRAM = "robot-rlhf"


class UsageError(Exception):
    """What was asked for makes no sense; one line says why and what would."""


def hint(word: str, valid: Sequence[str] | Mapping[str, Any]) -> str:
    """What to add to a complaint about `word`: the nearest that there is, or all if they are few."""
    near = difflib.get_close_matches(word, valid, n=1)
    if near:
        return f", did you mean {near[0]}?"
    plain = [name for name in valid if "." not in name]
    return f" (there are {', '.join(plain)})" if len(plain) < 13 else ": --help-all tells what there is"
