"""Minari datasets, written and read."""
