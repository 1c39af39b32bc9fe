"""A run's metrics in Weights & Biases: the lines of metrics.jsonl, under the names that TensorBoard has."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from robot_rlhf.report.metrics import NAME, Event, Moment, Scalars
from robot_rlhf.report.summary import Summary

FOLDER = "wandb"
"""In a run's folder, where W&B keeps its own files, too."""
_ID, _PASSED, _DIGEST = "id", "passed", 8
_PATIENCE_S = 20.0  # until a server that does not answer is given up
_STEP = "time/total_timesteps"


class BoardError(Exception):
    """W&B does not take a run; the message says why in one line."""


class NewLines:
    """The lines of a run's log as they come, each once: also after a resume, which takes some out of it and
    learns them again, and by another process, for which `passed` remembers those that `mark` was told of."""

    def __init__(self, run: Path, passed: Path) -> None:
        self._path, self._passed = run / NAME, passed
        known = passed.read_bytes() if passed.exists() else b""
        self._known = {known[at : at + _DIGEST] for at in range(0, len(known), _DIGEST)}
        self._file, self._read = (0, 0), 0

    def __call__(self) -> Iterator[tuple[bytes, bool]]:
        """Every whole line that was added, and whether it is new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._read:
                self._file, self._read = (found.st_dev, found.st_ino), 0
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        for line in whole.splitlines():
            yield line, _digest(line) not in self._known

    def mark(self, line: bytes) -> None:
        """This one is passed on."""
        self._known.add(_digest(line))
        with self._passed.open("ab") as file:
            file.write(_digest(line))


class Board:
    """A run's place at W&B, the same one whenever it is opened. Nothing goes out but settings, metrics and in
    the end the summary: no code, no output, nothing about the machine.

    WANDB_MODE, WANDB_API_KEY and the other variables of W&B's own count. Raises BoardError.
    """

    def __init__(self, run: Path, project: str, settings: Mapping[str, Any], group: str = "") -> None:
        os.environ |= {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
        import wandb

        folder = run / FOLDER
        folder.mkdir(exist_ok=True)
        id = folder / _ID
        if not id.exists():
            id.write_text(secrets.token_hex(4), encoding="ascii")
        entity, _, name = project.rpartition("/")
        is_offline = os.environ.get("WANDB_MODE") == "offline"
        try:
            self._run = wandb.init(
                dir=str(run),
                id=id.read_text(encoding="ascii"),
                resume=None if is_offline else "allow",
                entity=entity or None,
                project=name,
                name=run.resolve().name,
                group=group or None,
                config=dict(settings),
                settings=_quiet(),
            )
        except wandb.errors.Error as error:
            wandb.teardown()
            raise BoardError(f"W&B: {error}") from error
        self._run.define_metric("*", step_metric=_STEP)
        self._lines, self._scalars = NewLines(run, folder / _PASSED), Scalars()
        self.count = 0
        """Lines that were passed on."""

    @property
    def place(self) -> str:
        """Where it is to be seen; offline, the folder that `wandb sync` sends."""
        return str(self._run.settings.sync_dir if self.is_offline else self._run.url)

    @property
    def is_offline(self) -> bool:
        return bool(self._run.offline)

    def add(self) -> None:
        """Pass on what the log has that it had not; what is no line of ours is left out."""
        for line, is_new in self._lines():
            try:
                moment = msgspec.json.decode(line, type=Moment)
                event: Event = msgspec.json.decode(line, type=Event)
            except msgspec.MsgspecError:
                continue
            values = dict(self._scalars(moment, event))
            if is_new:
                self._run.log(values)
                self._lines.mark(line)
                self.count += 1

    def close(self, summary: Summary | None) -> None:
        """Say how the run ended, where it has, and wait until all is sent, or offline is written."""
        import wandb

        if summary is not None:
            self._run.summary.update(msgspec.to_builtins(summary))
        self._run.finish()
        wandb.teardown()


def _quiet() -> Any:
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        init_timeout=_PATIENCE_S,
        save_code=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=_DIGEST).digest()
