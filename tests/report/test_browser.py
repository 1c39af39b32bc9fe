"""The report as a browser shows it, with every host name made unresolvable."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from matplotlib.image import imread

from robot_rlhf.report.page import write_report

CHROMIUM = shutil.which("chromium")


class MadeRun(Protocol):
    folder: Path
    clips: dict[str, list[np.ndarray]]
    predicted_returns: dict[int, float]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@pytest.mark.parametrize(("width", "height"), [(1200, 2400), (500, 3000)])
def test_chromium_draws_the_page(complete_run: MadeRun, tmp_path: Path, width: int, height: int) -> None:
    assert CHROMIUM is not None
    page = write_report(complete_run.folder, complete_run.clips, complete_run.predicted_returns)
    picture = tmp_path / "page.png"
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},{height}",
        f"--screenshot={picture}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    pixels = imread(picture)[..., :3]
    assert pixels.shape[:2] == (height, width)
    for band in np.array_split(pixels, 4):
        assert len(np.unique(np.round(band.reshape(-1, 3) * 15), axis=0)) > 8, (
            "a quarter of the page is blank"
        )
    red_cubes = (pixels[..., 0] > 0.7) & (pixels[..., 1] < 0.3) & (pixels[..., 2] < 0.3)
    assert red_cubes.sum() > 500, "the clips are not to be seen"
