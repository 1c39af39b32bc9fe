"""The cells of a sweep, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rlhf.commands.arguments import Sweep
from robot_rlhf.commands.grid import Axis, Cell, axis, cells
from robot_rlhf.commands.usage import UsageError
from robot_rlhf.session.config import RunConfig
from robot_rlhf.session.presets import preset


def asked(
    *said: str, task: str | None = "reach", seeds: tuple[int, ...] = (0,), file: Path | None = None
) -> Sweep:
    return Sweep(out=Path("sweep"), task=task, seeds=seeds, set=(said,), config=file)


def test_every_value_is_tried_with_every_other_and_every_seed() -> None:
    found = cells(asked("simulated.kind=ideal,noisy", "sac.hidden=32,64", seeds=(3, 7)))
    assert [(c.settings.simulated.kind, c.settings.sac.hidden, c.seed) for c in found] == [
        (kind, hidden, seed) for kind in ("ideal", "noisy") for hidden in (32, 64) for seed in (3, 7)
    ]
    assert len({cell.folder for cell in found}) == len(found)


def test_without_settings_there_is_one_a_seed_as_the_task_has_it() -> None:
    (one, other) = cells(asked(seeds=(1, 2)))
    assert one.settings.schedule == preset("reach").schedule
    assert [one.folder, other.folder] == [Path("as-it-is/seed-1"), Path("as-it-is/seed-2")]
    assert one.setting == "as it is"


def test_each_task_of_a_grid_has_its_own_preset() -> None:
    found = cells(asked("task=reach,push", "schedule.episodes=5", task=None))
    assert [cell.settings.task for cell in found] == ["reach", "push"]
    for cell in found:
        assert cell.settings.schedule.demonstrations == preset(cell.settings.task).schedule.demonstrations
        assert cell.settings.schedule.episodes == 5


def test_a_file_lies_below_what_is_swept(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('task = "push"\n[sac]\nhidden = 8\nbatch_size = 9\n')
    (cell,) = cells(asked("sac.hidden=16", task=None, file=file))
    assert (cell.settings.task, cell.settings.sac.hidden, cell.settings.sac.batch_size) == ("push", 16, 9)
    (cell,) = cells(asked(task="reach", file=file))
    assert (cell.settings.task, cell.settings.sac.batch_size) == ("reach", 9)


@pytest.mark.parametrize(
    ("words", "name", "values"),
    [
        ("a=1", "a", ("1",)),
        ("--sac.updates-per-step=1, 2", "sac.updates_per_step", ("1", "2")),
        (
            "feedback=preferences;demonstrations,takeovers",
            "feedback",
            ("preferences", "demonstrations,takeovers"),
        ),
    ],
)
def test_an_axis_is_read_as_it_is_written(
    words: str, name: str, values: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_rlhf.commands.grid.settings_of", lambda config: {name: None})
    assert axis(words) == Axis(name, values)


def test_values_are_of_their_settings_type() -> None:
    said = ("schedule.compare_with_cloning=false", "schedule.evaluate_at=60 120", "simulated.absent=0.5")
    (cell,) = cells(asked(*said))
    schedule = cell.settings.schedule
    assert schedule.compare_with_cloning is False
    assert schedule.evaluate_at == (60.0, 120.0)
    assert cell.settings.simulated.absent == 0.5


def test_a_folder_is_safe_short_and_its_own_whatever_is_tried() -> None:
    styles = cells(asked("task=pick_cube/low,pick_cube/clear", task=None))
    assert len({cell.folder for cell in styles}) == 2
    assert all(len(cell.folder.parts) == 2 for cell in styles)
    long = {f"a.rather.long.name.of.a.setting.{index}": "0.123456789" for index in range(30)}
    folder = Cell(long, RunConfig()).folder
    assert len(folder.parts[0]) < 200
    assert folder != Cell({**long, "one": "more"}, RunConfig()).folder


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("simulated.kin=ideal", "no setting 'simulated.kin', did you mean simulated.kind?"),
        ("simulated.kind=idea", "it must be one of human, ideal, noisy"),
        ("sac.hidden=many", "sac.hidden"),
        ("schedule.episodes=-1", "it must not be negative"),
        ("control_hz=20", "reward_model.control_hz"),
        ("sac.hidden", "NAME=VALUE"),
        ("sac.hidden=8,8", "'8' twice"),
        ("seed=1,2", "--seeds"),
        ("task=push", "said twice"),
        ("operator=console", "simulated operator"),
        ("live=true", "simulated operator"),
        ("arm=crane", "'crane'"),
        ("feedback=shouting", "'shouting'"),
    ],
)
def test_what_makes_no_sense_is_refused(said: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        cells(asked(said))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("seeds", "task", "complaint"),
    [
        ((), "reach", "names no seed"),
        ((1, 1), "reach", "'1' twice"),
        ((-1,), "reach", "not be negative"),
        ((0,), "fly", "'fly'"),
        ((0,), "bare", "nothing to learn"),
    ],
)
def test_seeds_and_tasks_that_make_no_sense_are_refused(
    seeds: tuple[int, ...], task: str, complaint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        cells(asked(task=task, seeds=seeds))
    assert complaint in str(caught.value)


def test_a_setting_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'sac\.hidden' twice"):
        cells(asked("sac.hidden=8", "sac.hidden=9"))
