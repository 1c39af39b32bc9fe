"""Files that are cut off, of another time, or made to harm get one line, and leave everything as it was.

`import` reads every file in a process of its own. Here that process is forked instead of started anew, since
hundreds are read; a few tests at the end have the real one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import h5py
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_rlhf.commands.export import writer
from robot_rlhf.data import foreign, reader
from robot_rlhf.data.errors import DataError
from robot_rlhf.data.lerobot import read
from robot_rlhf.data.shown import MAX_EPISODE_BYTES, End, Message, Refused, Shown
from robot_rlhf.data.stream import Export, Record

FORMATS = ("lerobot", "robomimic", "minari")
FILES = {
    "lerobot": "data/chunk-000/file-000.parquet",
    "robomimic": "dataset.hdf5",
    "minari": "robot-rlhf/reach-v0/data/main_data.hdf5",
}


@pytest.fixture(scope="module")
def exported(
    planned: Callable[..., Export], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("exported")
    for format in FORMATS:
        writer(format)(planned(), root / format, lambda record: None)
    return lambda format: root / format


@pytest.fixture
def spoiled(exported: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """spoiled(format): a copy of our own dataset, to spoil."""
    return lambda format: shutil.copytree(exported(format), tmp_path / format)


def forked(work: Callable[[IO[bytes]], None]) -> tuple[int, bytes]:
    """The exit status of a process that does `work`, and what it wrote."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(ours)
            with open(theirs, "wb", buffering=0) as pipe:
                work(pipe)
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        data = pipe.read()
    return os.waitpid(pid, 0)[1], data


def messages(data: bytes) -> Iterator[Message]:
    while data:
        (size,) = struct.unpack("<I", data[:4])
        yield msgspec.msgpack.decode(data[4 : 4 + size], type=Message)
        data = data[4 + size :]


def refusal(format: str, path: Path) -> str:
    """The one line that reading it comes to."""
    status, told = forked(lambda pipe: reader.main(format, path, pipe))
    assert status == 0
    *_, last = messages(told)
    assert isinstance(last, Refused)
    assert "\n" not in last.why
    return last.why


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off(format: str, share: float, spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled(format)
    file = dataset / FILES[format]
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert "damaged" in refusal(format, dataset)


@pytest.mark.parametrize("format", FORMATS)
def test_a_dataset_of_another_format(format: str, spoiled: Callable[[str], Path]) -> None:
    other = FORMATS[FORMATS.index(format) - 1]
    assert refusal(format, spoiled(other))


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_folder(format: str, tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(format, tmp_path)


def change_info(dataset: Path, **changes: object) -> None:
    file = dataset / "meta/info.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps(info | changes))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"codebase_version": "v4.0"}, "version 'v4.0', this program reads v3.0"),
        ({"codebase_version": "v2.1"}, "LeRobot converts older ones"),
        ({"codebase_version": 3}, "version 3, this program reads"),
        ({"total_frames": 43}, "says 5 episodes of 43 frames, data/ holds 5 of 44"),
        ({"total_episodes": 6}, "says 6 episodes of 44 frames, data/ holds 5 of 44"),
        ({"total_episodes": -1}, "total_episodes is -1"),
        ({"features": []}, "no feature observation.state of numbers"),
        (
            {"features": {"observation.state": {"dtype": "video", "shape": [3]}}},
            "no feature observation.state",
        ),
        (
            {"features": {"observation.state": {"dtype": "float32", "shape": [1 << 40]}}},
            "expected one number",
        ),
    ],
)
def test_lerobots_info_may_say_anything(
    changes: dict[str, object], complaint: str, spoiled: Callable[[str], Path]
) -> None:
    dataset = spoiled("lerobot")
    change_info(dataset, **changes)
    assert complaint in refusal("lerobot", dataset)


def test_a_path_that_leads_out_is_never_followed(spoiled: Callable[[str], Path]) -> None:
    """LeRobot's pattern of its files is not even looked at."""
    dataset = spoiled("lerobot")
    change_info(dataset, data_path="../../../../etc/{chunk_index.__class__}/{file_index}")
    with foreign.opened("lerobot", dataset) as (_, shown):
        assert len(list(shown)) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_a_link_that_leads_out_is_never_followed(
    format: str, spoiled: Callable[[str], Path], tmp_path: Path
) -> None:
    dataset = spoiled(format)
    file = dataset / FILES[format]
    file.symlink_to(file.rename(tmp_path / "elsewhere"))
    assert "leads out of" in refusal(format, dataset)


def test_a_name_has_a_terminal_do_nothing(spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled("robomimic")
    spoil_robomimic(dataset, lambda file: file["data"].create_group("demo_9\x1b[2J\nboo"))
    assert "/data/demo_9?[2J boo has no actions" in refusal("robomimic", dataset)


@pytest.mark.parametrize("name", ["\x1b[2Jboo", "two\nlines", "x" * 41])
def test_an_operator_is_somebody_that_can_be_named(name: str, spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled("robomimic")
    spoil_robomimic(dataset, lambda file: file["data/demo_0"].attrs.modify("operator", name))
    assert "40 printable characters" in refusal("robomimic", dataset)


@pytest.mark.parametrize("seed", [-1, 1 << 63, (1 << 64) - 1])
def test_a_seed_that_cannot_be_stored_is_not_known(seed: int) -> None:
    shown = Shown.of("demo_0", np.zeros((2, 1), np.float32), np.zeros((1, 1), np.float32), seed=seed)
    assert shown.seed is None


def test_a_json_file_that_is_none_or_far_too_large(spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled("lerobot")
    file = dataset / "meta/info.json"
    for text in ("", "{", "[" * 100_000, "3", '{"a": NaN}'):
        file.write_text(text)
        assert "info.json" in refusal("lerobot", dataset)
    os.truncate(file, 40 << 20)
    assert "40 MB" in refusal("lerobot", dataset)


def rewrite(dataset: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    file = dataset / FILES["lerobot"]
    pq.write_table(change(pq.read_table(file)), file)


def replaced(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, values)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda table: table.drop_columns(["action"]), "no column action"),
        (lambda table: table.slice(1), "frames of episode 0 are not in their order"),
        (lambda table: table.slice(7), "episode 1 follows episode -1"),
        (replaced("action", pa.array(["words"] * 44)), "holds string, expected 3 numbers"),
        (replaced("action", pa.array([[1.0, 2.0]] * 44)), "rows of other than 3 numbers"),
        (replaced("action", pa.array([[1.0] * 2, [1.0] * 4] * 22)), "rows of other than 3 numbers"),
        (replaced("action", pa.array([[1.0] * 3] * 43 + [None])), "expected 3 numbers"),
        (replaced("action", pa.array([[0.0, 0.0, 7.5]] * 44, pa.list_(pa.float32()))), "actions go to 7.5"),
        (replaced("action", pa.array([[0.0, 0.0, float("nan")]] * 44)), "actions hold numbers that are not"),
        (replaced("episode_index", pa.array([0.5] * 44)), "expected whole numbers"),
        (replaced("episode_index", pa.array([-5] * 44)), "episode -5 follows episode -1"),
    ],
)
def test_parquet_that_is_not_what_it_should_be(
    change: Callable[[pa.Table], pa.Table], complaint: str, spoiled: Callable[[str], Path]
) -> None:
    dataset = spoiled("lerobot")
    rewrite(dataset, change)
    assert complaint in refusal("lerobot", dataset)


def test_a_bomb_of_a_parquet_file(spoiled: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand frames of one episode, all the same, beyond an eighth of what an episode may be."""
    monkeypatch.setattr(read, "MAX_EPISODE_BYTES", MAX_EPISODE_BYTES // 8)
    dataset = spoiled("lerobot")
    one = pq.read_table(dataset / FILES["lerobot"]).slice(0, 1)
    rows = pa.array(np.zeros(100_000, np.int32))
    names = ("observation.state", "action", "complementary_info.scene", "episode_index")
    columns = {name: one.column(name).combine_chunks().take(rows) for name in names}
    columns["frame_index"] = pa.array(np.arange(100_000))
    file = dataset / FILES["lerobot"]
    table = pa.table(columns)
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        writer.write_table(table)
    assert file.stat().st_size < 2 << 20
    assert "has more than" in refusal("lerobot", dataset)


def spoil_robomimic(dataset: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(dataset / FILES["robomimic"], "r+") as file:
        change(file)


def array_of(name: str, **options: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def linked(name: str, link: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return change


def virtual(file: h5py.File) -> None:
    del file["data/demo_0/actions"]
    layout = h5py.VirtualLayout(shape=(7, 3), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(7, 3))
    file.create_virtual_dataset("data/demo_0/actions", layout)


ACTIONS = "data/demo_0/actions"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (linked(ACTIONS, h5py.ExternalLink("/etc/passwd", "/x")), "only what lies in the file is read"),
        (linked("data/demo_0", h5py.ExternalLink("other.hdf5", "/")), "only what lies in the file is read"),
        (linked("data", h5py.SoftLink("/mask")), "only what lies in the file is read"),
        (array_of(ACTIONS, shape=(21,), dtype="u1", external=[("/etc/passwd", 0, 21)]), "no table"),
        (array_of(ACTIONS, shape=(7, 3), dtype="u1", external=[("/etc/passwd", 0, 21)]), "in another file"),
        (virtual, "in another file"),
        (array_of(ACTIONS, shape=(1 << 40, 3), dtype="f4", chunks=(1024, 3)), "MB, more than 128"),
        (
            array_of(ACTIONS, shape=(7, 3), dtype="f4", maxshape=(None, 3), chunks=(1 << 26, 3)),
            "MB, more than",
        ),
        (array_of(ACTIONS, data=np.zeros((7, 3), "S9")), "expected numbers"),
        (array_of(ACTIONS, shape=(7, 3), dtype=h5py.ref_dtype), "expected numbers"),
        (array_of(ACTIONS, shape=(7, 3), dtype=h5py.vlen_dtype(np.float32)), "expected numbers"),
        (array_of(ACTIONS, data=np.zeros((7, 3, 1))), "no table of numbers"),
        (array_of("data/demo_1/actions", data=np.zeros((12, 3, 1))), "expected 2 dimensions"),
        (array_of(ACTIONS, data=np.zeros((6, 3))), "6 actions"),
        (array_of(ACTIONS, data=np.full((7, 3), np.inf)), "not finite"),
        (array_of("data/demo_1/obs/state", data=np.zeros((12, 15))), "expected 14 numbers a step"),
        (array_of("data/demo_1/next_obs/state", data=np.zeros((11, 14))), "12 observations and 11 next ones"),
        (lambda file: file["data/demo_0"].attrs.create("success", "yes"), "expected a whole number"),
        (lambda file: file["data"].attrs.modify("env_args", "{"), "is no JSON"),
    ],
)
def test_hdf5_that_is_not_what_it_should_be(
    change: Callable[[h5py.File], None], complaint: str, spoiled: Callable[[str], Path]
) -> None:
    dataset = spoiled("robomimic")
    spoil_robomimic(dataset, change)
    assert complaint in refusal("robomimic", dataset)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"total_episodes": 10**12}, "expected a number of episodes"),
        ({"total_episodes": 4}, "says 4 episodes, and there are 5"),
        ({"data_format": "arrow"}, "stored as 'arrow': only hdf5 is read here"),
        ({"data_format": "../../hdf5"}, "only hdf5 is read here"),
    ],
)
def test_minaris_metadata_may_say_anything(
    changes: dict[str, object], complaint: str, spoiled: Callable[[str], Path]
) -> None:
    dataset = spoiled("minari")
    file = dataset / "robot-rlhf/reach-v0/data/metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert complaint in refusal("minari", dataset)


def test_of_several_minari_datasets_one_has_to_be_named(spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled("minari")
    shutil.copytree(dataset / "robot-rlhf/reach-v0", dataset / "robot-rlhf/reach-v1")
    assert "holds 2 datasets" in refusal("minari", dataset)
    with foreign.opened("minari", dataset / "robot-rlhf/reach-v1") as (header, _):
        assert header.episodes == 3


def test_the_real_reader_refuses_in_one_line(spoiled: Callable[[str], Path]) -> None:
    dataset = spoiled("robomimic")
    spoil_robomimic(dataset, linked(ACTIONS, h5py.ExternalLink("/etc/passwd", "/x")))
    with pytest.raises(DataError, match="only what lies in the file"), foreign.opened("robomimic", dataset):
        pass


@pytest.mark.parametrize(
    ("does", "complaint"), [("kill -SEGV $$", "(SIGSEGV), so it is damaged"), ("exit 3", "ended with 3")]
)
def test_a_reader_that_dies_is_said_in_one_line(
    does: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dies"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(DataError) as caught, foreign.opened("minari", tmp_path):
        pass
    assert complaint in str(caught.value)


def test_a_reader_may_write_no_file_and_take_little_memory(tmp_path: Path) -> None:
    def work() -> None:
        reader.confine()
        assert _fails(lambda: (tmp_path / "file").write_text("x"))
        assert _fails(lambda: np.ones(reader.MEMORY_BYTES, np.uint8))

    assert forked(lambda pipe: work())[0] == 0


def _fails(act: Callable[[], object]) -> bool:
    try:
        act()
    except (OSError, MemoryError):
        return True
    return False


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_is_killed_leaves_nothing_that_looks_whole(
    format: str, planned: Callable[..., Export], tmp_path: Path
) -> None:
    def work(pipe: IO[bytes]) -> None:
        def killed(record: Record) -> None:
            if record.index == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        writer(format)(planned(), tmp_path / "out", killed)

    status, _ = forked(work)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []


# -- any bytes at all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_that_flipped_are_refused_or_read_as_whole_demonstrations(
    format: str, exported: Callable[[str], Path], tmp_path: Path
) -> None:
    dataset = shutil.copytree(exported(format), tmp_path / format)
    file = dataset / FILES[format]
    sound = file.read_bytes()

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, len(sound) - 1), st.integers(1, 255)), min_size=1, max_size=12))
    def check(flips: list[tuple[int, int]]) -> None:
        data = bytearray(sound)
        for place, bits in flips:
            data[place] ^= bits
        file.write_bytes(data)
        status, told = forked(lambda pipe: reader.main(format, dataset, pipe))
        if os.WIFSIGNALED(status):
            return  # a crash is the reader's alone: see `test_a_reader_that_dies_is_said_in_one_line`
        assert status == 0
        *found, last = messages(told)
        assert isinstance(last, End | Refused)
        for one in found:
            if isinstance(one, Shown):
                obs, action, _ = one.arrays()
                assert len(obs) == len(action) + 1
                assert np.isfinite(obs).all()
                assert np.abs(action).max() <= 1.0

    check()
