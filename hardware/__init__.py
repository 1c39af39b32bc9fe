"""Ground floor: what an arm is, what may move it, and how long it may.

Imports numpy only here; a robot PC installs nothing else from this project.
"""
