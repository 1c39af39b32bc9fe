"""A process that learns keeps the memory that it frees."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNTED = """
import resource
import torch
from robot_rlhf.learning.processor import compute_with

compute_with(1)
assert torch.get_num_threads() == 1
x = torch.ones(16, 256, 256)
for _ in range(100):
    [x + 1.0 for _ in range(8)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    [x + 1.0 for _ in range(8)]
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 200)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another C library does as it will")
def test_operations_on_batches_get_no_memory_from_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 80.0  # page faults of eight of them, which fill 8,192 pages
