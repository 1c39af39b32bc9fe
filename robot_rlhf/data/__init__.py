"""Datasets: what a run holds as LeRobotDataset, robomimic HDF5 and Minari, and demonstrations from them.

The neutral side is `stream` (a run's episodes on their way out) and `shown` (demonstrations on their way
in); one module or folder a format stands beside it. Nothing here knows torch: a learned reward is a callable.
"""
