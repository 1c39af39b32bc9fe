"""Checkpoints are whole, finite and of this format, or an error says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from robot_rlhf.learning.checkpoint import CheckpointError, load, save
from robot_rlhf.learning.checkpoint_format import FORMAT, FORMAT_KEY
from robot_rlhf.learning.state import check_fits, under_prefix, with_prefix

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "count": torch.tensor(3),
    "random": torch.Generator().get_state(),
}


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    save(path, TENSORS, {"step": "12"})
    tensors, metadata = load(path)
    assert metadata == {"step": "12"}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert list(tmp_path.iterdir()) == [path]


def test_views_of_one_memory_and_strided_tensors_are_saved(tmp_path: Path) -> None:
    base = torch.arange(6.0).view(2, 3)
    save(tmp_path / "c", {"whole": base, "part": base[0], "turned": base.T}, {})
    assert torch.equal(load(tmp_path / "c").tensors["turned"], base.T)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_not_saved(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "policy"
    save(path, TENSORS, {})
    with pytest.raises(CheckpointError, match=r"broken has 1 non-finite numbers of 2"):
        save(path, {"broken": torch.tensor([0.0, bad])}, {})
    assert load(path).tensors.keys() == TENSORS.keys()


def test_a_tensor_that_is_not_finite_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    blob = safetensors.torch.save({"broken": torch.tensor([float("nan")])}, {FORMAT_KEY: FORMAT})
    path.write_bytes(blob)
    with pytest.raises(CheckpointError, match="broken has 1"):
        load(path)


@pytest.mark.parametrize("metadata", [None, {FORMAT_KEY: "robot-rlhf-checkpoint-0"}])
def test_another_format_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "policy"
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, metadata))
    with pytest.raises(CheckpointError, match=f"expected '{FORMAT}'"):
        load(path)


def test_a_damaged_or_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "policy"
    save(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:-5])
    for file in (path, tmp_path / "absent"):
        with pytest.raises(CheckpointError, match=f"cannot read checkpoint {file}"):
            load(file)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "policy"
    save(path, TENSORS, {"step": "1"})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save(path, TENSORS, {"step": "2"})
    assert load(path).metadata == {"step": "1"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write checkpoint .*nowhere"):
        save(tmp_path / "nowhere" / "policy", TENSORS, {})


def test_prefixes_come_off_as_they_went_on() -> None:
    both = with_prefix("policy", TENSORS) | with_prefix("reward", {"a": torch.zeros(1)})
    assert under_prefix("policy", both) == TENSORS


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "tensor a is missing"),
        ({"a": torch.zeros(2), "b": torch.zeros(1)}, "tensor b is unknown"),
        ({"a": torch.zeros(3)}, r"tensor a is \(3,\) torch.float32, expected \(2,\)"),
        ({"a": torch.zeros(2, dtype=torch.int64)}, "tensor a is .*int64"),
    ],
)
def test_a_state_that_does_not_fit_is_named(found: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_fits({"a": torch.zeros(2)}, found, "policy")
