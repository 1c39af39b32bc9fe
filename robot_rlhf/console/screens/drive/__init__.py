"""The Drive screen, and the newcomer's guide over it."""
