"""Several runs on one page: who belongs together, bands over seeds, differences."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf import cli
from robot_rlhf.report.comparison import Group, band, difference, grouped, interval
from robot_rlhf.report.comparison_page import render, write_comparison
from robot_rlhf.report.data import Records, RunData
from robot_rlhf.report.metrics import Evaluated, Moment

Captured = pytest.CaptureFixture[str]


def run(seed: int, rates: list[float], policy: str = "rl", name: str = "") -> RunData:
    """A run that was evaluated after each hundred steps, and each minute of its operator."""
    events = tuple(
        (
            Moment(environment_steps=100 * i, operator_seconds=60.0 * i, attended_seconds=0, wall_seconds=0),
            Evaluated(policy="policy", episodes=100, successes=round(100 * rate), mean_length=9, final=False),
        )
        for i, rate in enumerate(rates, start=1)
    )
    toml = f'task = "reach"\nseed = {seed}\npolicy = "{policy}"\n[sac]\nhidden = 64\n'
    return RunData(name or f"{policy}-{seed}", "reach", seed, config_toml=toml, records=Records(events))


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_runs_that_differ_in_their_seed_alone_belong_together() -> None:
    runs = [run(0, [0.5]), run(0, [0.1], "clone"), run(1, [0.7])]
    first, second = grouped(runs)
    assert (first.label, first.runs, first.seeds) == ("policy rl", (runs[0], runs[2]), (0, 1))
    assert (second.label, second.seeds) == ("policy clone", (0,))
    (only,) = grouped([runs[0], runs[2]])
    assert only.label == "all runs"


def test_as_few_settings_as_it_takes_tell_groups_apart() -> None:
    texts = ["a = 1\nb = 1\n[s]\nc = 1", "a = 1\nb = 2\n[s]\nc = 2", "a = 2\nb = 2\n[s]\nc = 3"]
    groups = grouped([RunData(str(i), config_toml=text) for i, text in enumerate(texts)])
    assert [group.label for group in groups] == ["a 1, b 1", "a 1, b 2", "a 2, b 2"]


def test_a_band_is_the_mean_and_what_another_draw_of_seeds_might_have_given() -> None:
    found = band(Group("g", (run(0, [0.0, 0.4]), run(1, [0.2, 0.8]))), "environment_steps")
    assert found is not None
    assert (found.x[0], found.x[-1]) == (100, 200)
    np.testing.assert_allclose(found.mean[[0, -1]], [0.1, 0.6])
    np.testing.assert_allclose(found.low[[0, -1]], [0.0, 0.4])
    np.testing.assert_allclose(found.high[[0, -1]], [0.2, 0.8])
    alone = band(Group("g", (run(0, [0.0, 0.4]),)), "operator_minutes")
    assert alone is not None
    assert (alone.x[-1], (alone.low == alone.mean).all(), (alone.high == alone.mean).all()) == (
        2.0,
        True,
        True,
    )
    assert band(Group("g", (run(0, []),)), "environment_steps") is None


def test_a_run_that_ended_early_keeps_its_last_success() -> None:
    found = band(Group("g", (run(0, [0.5]), run(1, [0.5, 0.5, 1.0]))), "environment_steps")
    assert found is not None
    assert found.mean[-1] == pytest.approx(0.75)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = interval(rng.normal(0.5, 0.1, 10))
        held += bool(low <= 0.5 <= high)
    assert 170 <= held <= 199, "a bootstrap of ten is a little narrow"


def test_a_difference_is_told_from_none() -> None:
    good = Group("good", tuple(run(i, [0.9 + 0.01 * i]) for i in range(4)))
    bad = Group("bad", tuple(run(i, [0.5 + 0.01 * i]) for i in range(4)))
    found = difference(good, bad)
    assert found is not None
    assert found[0] == pytest.approx(0.4)
    assert 0.35 < found[1] < found[0] < found[2] < 0.45
    same = difference(good, good)
    assert same is not None
    assert same[1] < 0 < same[2]
    assert difference(good, Group("none", (run(0, []),))) is None


def test_the_page_says_it_all_and_loads_nothing() -> None:
    runs = [run(0, [0.2, 0.9]), run(1, [0.4, 0.8]), run(0, [0.1, 0.5], "clone", "<b>odd</b>"), run(2, [])]
    page = render(grouped(runs))
    told = text(page)
    assert "4 runs compared" in told
    assert "A: policy rl 85.0%" in told
    assert "B: policy clone -35.0 points" in told
    assert "&lt;b&gt;odd&lt;/b&gt;" in page
    assert page.count("<svg") == 2
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_the_command_writes_one_page_over_many_runs(
    run_copy: Path, here: Path, capsys: Captured, refused: Callable[..., str]
) -> None:
    assert cli.main(["report", str(run_copy), str(run_copy), "--out", "deep/page.html"]) == 0
    assert capsys.readouterr().out == "deep/page.html\n"
    assert "2 runs compared" in (here / "deep" / "page.html").read_text()
    assert write_comparison([run_copy], here / "one.html") == here / "one.html"
    (run_copy / "summary.json").write_text("{")
    assert "summary.json" in refused("report", str(run_copy), str(run_copy))
    assert "say which: report RUN" in refused("report")
