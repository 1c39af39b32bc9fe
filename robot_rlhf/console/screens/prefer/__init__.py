"""The Prefer screen."""
