"""What people say about a robot: its types, its store, what to ask next, and simulated people."""
