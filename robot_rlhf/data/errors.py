"""What is said when a dataset cannot be written or read."""

from __future__ import annotations


class DataError(Exception):
    """A dataset cannot be written or read. One line that names the file or the value, and what is valid."""
