"""`sweep`: a grid of settings and seeds, each cell a run in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.table import Table

from robot_rlhf.commands.grid import Cell
from robot_rlhf.commands.mirror import mirrored
from robot_rlhf.commands.settings import contradictions
from robot_rlhf.commands.train import bring_to_end
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.feedback.store import StoreError
from robot_rlhf.learning.checkpoint import CheckpointError
from robot_rlhf.learning.reward_fit import FitError
from robot_rlhf.report.comparison_page import write_comparison
from robot_rlhf.report.files import REPORT, write_atomically
from robot_rlhf.report.summary import Summary
from robot_rlhf.report.sweep import CellResult, SettingResult, by_setting, write_results
from robot_rlhf.runners.runner import Runner
from robot_rlhf.session.run_folder import RunError, RunFolder, read_config

MARK = "sweep.json"
"""Lies in a sweep's folder, so that no other is taken for one."""


class SweepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep came to: its settings over their seeds, and every run."""

    settings: tuple[SettingResult, ...]
    cells: tuple[CellResult, ...]

    @property
    def failed(self) -> list[CellResult]:
        return [cell for cell in self.cells if cell.error]

    def table(self) -> Table:
        """The settings for a person."""
        varied = list(self.cells[0].settings) or ["setting"]
        table = Table(*varied, "success", "each seed", "95% interval", "seeds", "operator", "wall")
        for one in self.settings:
            values = list(one.settings.values()) or [one.setting]
            if one.success_rate is None:
                table.add_row(*values, "none ended")
                continue
            table.add_row(
                *values,
                f"{one.success_rate:.1%}",
                f"{one.lowest:.0%} to {one.highest:.0%}",
                f"{one.wilson_low:.0%} to {one.wilson_high:.0%}",
                str(one.seeds),
                f"{(one.operator_seconds or 0.0) / 60:.1f} min",
                f"{(one.wall_seconds or 0.0) / 60:.1f} min",
            )
        return table


def sweep(
    cells: Sequence[Cell],
    out: Path,
    runner: Runner,
    tell: Callable[[str], None],
    quiet: bool,
    wandb: str = "",
) -> SweepResult:
    """Bring every cell to its end; those that have one are left as they are, begun ones go on.

    Before any runs, all folders are looked at: RunError where `out` is no sweep's, UsageError where a run
    was begun with other settings. A run that fails does not stop the others. `tell` hears of every run that
    ends; `quiet` keeps the progress of single runs off the terminal; `wandb` names the project, where they
    are shown in one.
    """
    mark = _begin(out)
    for cell in cells:
        _refuse_another(cell, out)
    ended: list[CellResult] = []
    with contextlib.closing(runner.map(RunCell(out.absolute(), mark, quiet, wandb), cells)) as results:
        for cell, result in zip(cells, results, strict=True):
            ended.append(result)
            said = result.error if result.summary is None else f"{result.summary.success_rate:.0%}"
            tell(f"{len(ended)} of {len(cells)}: {cell.name}: {said}")
            write_results(out, ended)
    if finished := [out / one.run for one in ended if one.summary is not None]:
        write_comparison(finished, out / REPORT)
    return SweepResult(settings=tuple(by_setting(ended)), cells=tuple(ended))


class RunCell:
    """What a worker does: bring a cell's run to its end, from wherever it stands."""

    def __init__(self, out: Path, mark: str, quiet: bool, wandb: str = "") -> None:
        self._out, self._mark, self._quiet, self._wandb = out, mark, quiet, wandb

    def __call__(self, cell: Cell) -> CellResult:
        if _mark_of(self._out) != self._mark:
            raise RunError(
                f"{socket.gethostname()} does not see {self._out}: a sweep on several machines needs a "
                "folder that all of them share"
            )
        summary, error = None, ""
        try:
            summary = self._summary(cell)
        except (RunError, StoreError, CheckpointError, FitError, FloatingPointError, OSError) as failure:
            error = " ".join(str(failure).split()) or type(failure).__name__
        return CellResult(
            setting=cell.setting,
            settings=dict(cell.said),
            seed=cell.seed,
            run=str(cell.folder),
            summary=summary,
            error=error,
        )

    def _summary(self, cell: Cell) -> Summary:
        path = self._out / cell.folder
        with mirrored(path, self._wandb, self._out.name), open(os.devnull, "w") as nowhere:
            return bring_to_end(path, cell.settings, nowhere if self._quiet else None)


def _begin(out: Path) -> str:
    """The mark of the sweep in `out`, made there where nothing is."""
    mark = _mark_of(out)
    if mark is not None:
        return mark
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists and holds no sweep: choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / MARK, msgspec.json.encode({"sweep": uuid.uuid4().hex}) + b"\n")
    except OSError as error:
        raise RunError(f"cannot write to {out}: {error.strerror or error}") from error
    return str(_mark_of(out))


def _mark_of(out: Path) -> str | None:
    try:
        return msgspec.json.decode((out / MARK).read_bytes(), type=dict[str, str])["sweep"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, KeyError) as error:
        raise RunError(f"{out / MARK} is not what a sweep leaves: {error}") from error


def _refuse_another(cell: Cell, out: Path) -> None:
    path = out / cell.folder
    if RunFolder.is_begun(path) and (said := contradictions(read_config(path), cell.settings)):
        raise UsageError(f"{path} contradicts {', '.join(said)}: choose another --out")
