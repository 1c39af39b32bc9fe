"""Many independent tasks on one process, on several, or on a Ray cluster, behind one small interface.

For rollouts, evaluations, seeds and sweeps. The operator's and the robot's loops have no place here: they
stay on their own wire, with its watchdogs.
"""
