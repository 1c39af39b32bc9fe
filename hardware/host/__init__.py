"""The robot PC's program: one arm, served over the transport, that moves on a valid word alone."""
