"""A JPEG is pixels, and what is none is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sim.jpeg import decode, encode


def test_pixels_come_back_as_they_were_within_what_the_codec_loses() -> None:
    rows, columns = np.mgrid[0:40, 0:60]
    picture = np.stack([4 * rows, 3 * columns, rows + columns], axis=-1).astype(np.uint8)
    again = decode(encode(picture))
    assert again.shape == (40, 60, 3) and again.dtype == np.uint8
    assert np.abs(again.astype(int) - picture).mean() < 3


def test_grey_ones_have_three_colours_too() -> None:
    written = io.BytesIO()
    Image.new("L", (8, 4), 90).save(written, "JPEG")
    assert decode(written.getvalue()).tolist() == [[[90] * 3] * 8] * 4


@pytest.mark.parametrize("cut", [0, 1, 200])
def test_what_is_none_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        decode(encode(np.zeros((64, 64, 3), np.uint8))[:cut])


def test_one_that_no_camera_makes_is_refused_before_it_is_unpacked() -> None:
    small = encode(np.zeros((16, 16, 3), np.uint8))
    place = small.index(b"\xff\xc0") + 5  # height and width of the frame: ITU-T T.81, B.2.2
    huge = small[:place] + (5_000).to_bytes(2, "big") * 2 + small[place + 4 :]
    with pytest.raises(ValueError, match="5000 x 5000 pixels is too large"):
        decode(huge)
