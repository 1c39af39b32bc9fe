"""How a process that learns uses its processor: so many threads, and memory that it keeps."""

from __future__ import annotations

import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT_BYTES = 256 * 1024**2  # free memory that a process may hold
_LARGE_BYTES = 32 * 1024**2  # the most that glibc takes: larger blocks go back to the system at once


def compute_with(threads: int) -> None:
    """Let torch compute with so many threads in this process, which keeps the memory that it frees."""
    torch.set_num_threads(threads)
    keep_memory()


def keep_memory() -> None:
    """Let malloc keep what is freed, 256 MiB at most, for what is allocated next.

    glibc gives large blocks back to the system and gets them anew page by page, which at the size of our
    batches takes several times as long as the arithmetic that fills them. Other C libraries do as they will.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
