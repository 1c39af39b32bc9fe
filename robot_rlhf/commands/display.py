"""Whether a window can be opened on this machine."""

from __future__ import annotations

import os
import sys


def has_display() -> bool:
    """Whether there is a screen: X11 or Wayland, or a system that always has one."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
