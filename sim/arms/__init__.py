"""The arms that can be simulated, a file each: what differs from one to the next."""
