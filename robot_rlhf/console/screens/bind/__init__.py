"""The Bind screen, and the wizard for a pad that SDL does not know."""
