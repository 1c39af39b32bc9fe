"""Pictures survive their way into the page, and bad ones are refused."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from robot_rlhf.report.pictures import data_uri, film_indices, png


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_png_decodes_to_the_same_pixels(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    decoded = np.round(imread(io.BytesIO(png(picture)), format="png") * 255).astype(np.uint8)
    assert np.array_equal(decoded, picture)


def test_a_data_uri_holds_the_picture() -> None:
    picture = np.zeros((2, 3, 3), dtype=np.uint8)
    head, body = data_uri(picture).split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == png(picture)


@pytest.mark.parametrize(
    "picture", [np.zeros((2, 2, 3)), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 4), np.uint8)]
)
def test_what_is_no_rgb_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\)"):
        png(picture)


@given(st.integers(1, 500), st.integers(2, 10))
def test_a_film_runs_from_the_first_frame_to_the_last(frames: int, most: int) -> None:
    indices = film_indices(frames, most)
    assert len(indices) == min(frames, most)
    assert indices[0] == 0
    assert indices[-1] == frames - 1
    assert sorted(set(indices)) == list(indices)


def test_a_film_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        film_indices(0)
