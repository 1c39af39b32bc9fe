"""What is measured of a learner elsewhere has the figures that it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_measures_and_writes_a_row_for_each_number_of_arms(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = ["--json", str(out), "--arms", "1", "2", "--backlog", "8", "--seconds", "2"]
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "learner_throughput.py"), *words],
        check=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    rows = json.loads(out.read_text())
    assert [row["arms"] for row in rows] == [1, 2]
    for row in rows:
        assert row.keys() == {
            "arms",
            "transitions_per_second",
            "bytes_per_second",
            "staleness_p50_ms",
            "staleness_p99_ms",
            "memory_mb",
        }
        assert 0.0 < row["staleness_p50_ms"] <= row["staleness_p99_ms"]
        assert min(row["transitions_per_second"], row["bytes_per_second"], row["memory_mb"]) > 0.0
