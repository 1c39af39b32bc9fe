"""Rows that were damaged: an error that says which, never a wrong episode or event."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.feedback import store_codec
from robot_rlhf.feedback.episode import Episode
from robot_rlhf.feedback.store import Store, StoreError

Maker = Callable[..., Episode]


@pytest.mark.parametrize(
    "column",
    [
        "arrays = x'00'",
        "arrays = zeroblob(0)",
        "arrays = 12",
        "arrays = 'text'",
        "role = 'spectator'",
        "steps = 7",
        "seed = 'text'",
        "task = x'00'",
    ],
)
def test_a_damaged_episode_is_named(path: Path, make_episode: Maker, column: str) -> None:
    with Store.open(path) as store:
        store.add_episode(make_episode(5))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE episodes SET {column}")
    with Store.open_readonly(path) as store, pytest.raises(StoreError, match="episode 5 is damaged"):
        store.episodes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_bytes_make_a_sound_episode_or_an_error(make_episode: Maker, data: st.DataObject) -> None:
    *start, blob = store_codec.episode_row(make_episode(1, steps=5))
    changed = bytearray(blob)
    position = data.draw(st.integers(0, len(blob) - 1))
    changed[position] ^= data.draw(st.integers(1, 255))
    for candidate in (bytes(changed), blob[:position], blob + bytes(changed)):
        with contextlib.suppress(StoreError):
            assert store_codec.episode_from_row((*start, candidate)).length == 5


@given(st.binary(max_size=200))
def test_any_bytes_make_no_episode(blob: bytes) -> None:
    with pytest.raises(StoreError, match="episode 1 is damaged"):
        store_codec.episode_from_row((1, "online", "reach", 0, 0, 5, 0, 1, blob))


@given(st.text() | st.sampled_from(['{"type":"undo"}', "[]", '{"type":"outcomes","id":1}']))
def test_any_text_is_no_event_and_no_query(text: str) -> None:
    with pytest.raises(StoreError, match="feedback event is damaged"):
        store_codec.decode_event(text)
    with pytest.raises(StoreError, match="query is damaged"):
        store_codec.decode_query(text)


@pytest.mark.parametrize("value", [12, 0.5, None])
def test_no_text_is_no_event_no_query_and_no_reward(value: Any) -> None:
    with pytest.raises(StoreError, match="event is damaged"):
        store_codec.decode_event(value)
    with pytest.raises(StoreError, match="query is damaged"):
        store_codec.decode_query(value)
    with pytest.raises(StoreError, match="reward of episode 3 is damaged"):
        store_codec.reward_from_bytes(value, 3)


def test_a_blob_that_swells_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, make_episode: Maker) -> None:
    row = store_codec.episode_row(make_episode(1, steps=2000))
    monkeypatch.setattr(store_codec, "MAX_EPISODE_BYTES", 1000)
    with pytest.raises(StoreError, match="too long"):
        store_codec.episode_from_row(row)
    with pytest.raises(StoreError, match="more than 1000"):
        store_codec.episode_row(make_episode(1, steps=2000))


JPEG = b"\xff\xd8..\xff\xd9"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        None,
        b"\xdd\xff\xff\xff\xff",  # an array of 2^32 - 1 that are not there
        msgspec.msgpack.encode([JPEG]),
        msgspec.msgpack.encode([JPEG] * 3),
        msgspec.msgpack.encode([JPEG, 7]),
        msgspec.msgpack.encode([JPEG, JPEG[:-1]]),
        msgspec.msgpack.encode([JPEG, JPEG])[:-3],
    ],
)
def test_damaged_pictures_are_named(path: Path, make_episode: Maker, data: bytes | None) -> None:
    with Store.open(path) as store:
        store.add_episode(make_episode(5, steps=1), pictures={"front": [JPEG, JPEG]})
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE pictures SET frames = ?", (7 if data is None else data,))
    complaint = "episode 5, camera 'front', are damaged"
    with Store.open_readonly(path) as store, pytest.raises(StoreError, match=complaint) as caught:
        store.pictures(5, "front")
    assert "\n" not in str(caught.value)


def test_pictures_that_are_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = store_codec.pictures_bytes([JPEG] * 50, 1, "front", 50)
    monkeypatch.setattr(store_codec, "MAX_PICTURES_BYTES", len(data) - 1)
    with pytest.raises(StoreError, match="more than"):
        store_codec.pictures_bytes([JPEG] * 50, 1, "front", 50)
    with pytest.raises(StoreError, match="more than"):
        store_codec.pictures_from_bytes(data, 1, "front", 50)
