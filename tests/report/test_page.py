"""The report is one file that loads nothing, shows everything a run has and names what it lacks."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from robot_rlhf.feedback.store import StoreError
from robot_rlhf.report.page import write_report

SECTIONS = [
    "What the feedback added",
    "Success over the run",
    "Best and worst clip",
    "Feedback",
    "Reward model",
    "Policy learning",
    "Configuration",
]
FIGURES = [
    "Against environment steps",
    "Against operator time",
    "Given over time",
    "Who drove",
    "Likelihood",
    "Accuracy",
    "Calibration",
    "Predicted against true return",
    "Critic loss",
    "Actor loss",
    "Cloning loss in the actor",
    "Temperature",
    "Entropy of the policy",
    "Value, mean and spread",
]
LOADING = {"src", "href", "xlink:href", "srcset", "poster", "data", "action", "background", "cite"}
VOID = {"meta", "link", "img", "br"}


class MadeRun(Protocol):
    folder: Path
    clips: dict[str, list[np.ndarray]]
    predicted_returns: dict[int, float]


class Page(HTMLParser):
    """What is on a page: its addresses, titles, identifiers and text; that its tags match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in LOADING:
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.words.append(data.strip())
            self.texts.setdefault(self._open[-1], []).append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def html(finished_run: MadeRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reported") / finished_run.folder.name
    shutil.copytree(finished_run.folder, folder)
    path = write_report(folder, finished_run.clips, finished_run.predicted_returns)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def test_it_loads_nothing(html: str) -> None:
    page = Page(html)
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert not {"script", "iframe", "object", "embed", "base"} & set(page.tags)
    unpacked = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|file:|@import|//[a-z]", unpacked)
    assert all(inside.startswith("#") for inside in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html


def test_every_section_and_every_figure_is_there(html: str) -> None:
    page = Page(html)
    assert page.texts["h2"] == SECTIONS
    assert [caption for caption in page.texts["figcaption"] if caption in FIGURES] == FIGURES
    assert page.tags.count("svg") == len(FIGURES)
    assert page.tags.count("img") == 16


def test_figures_share_the_page_without_sharing_identifiers(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    inside = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', html)
    assert {"".join(pair) for pair in inside} <= set(page.ids)


def test_the_headline_and_the_table_give_the_numbers(html: str) -> None:
    text = Page(html).text
    assert "94% of fresh starts succeed" in text
    assert "94 of 100 autonomous episodes; 95% Wilson interval 88% to 97%." in text
    assert "Task pick_cube, seed 3" in text
    for name in ("Trained on all feedback 94%", "Cloned, action chunks 61%"):
        assert name in text
    assert "by +33 points over the clone" in text
    assert re.search(r"120 episodes, correlation 0\.\d\d", text)
    assert "take over 3.00 8.00" in text


def test_the_operators_reliability_is_told(html: str) -> None:
    text = Page(html).text
    assert "hands 1 of 2 2.00 0.80 +0.30" in text


def test_what_comes_from_the_run_is_text(html: str) -> None:
    assert "<script" not in html
    assert "<b>run" not in html
    text = Page(html).text
    assert "note = \"<script>alert('a note is text')</script> & more\"" in text
    assert "a <b>run" in text


def test_the_same_run_gives_the_same_page(complete_run: MadeRun, html: str) -> None:
    again = write_report(complete_run.folder, complete_run.clips, complete_run.predicted_returns)
    assert again.read_text(encoding="utf-8") == html


def test_a_run_just_begun_says_what_it_lacks(begun_run: Path) -> None:
    page = Page(write_report(begun_run).read_text(encoding="utf-8"))
    assert page.texts["h2"] == SECTIONS
    assert "svg" not in page.tags
    for said in (
        "Task reach, seed 0",
        "Not evaluated yet",
        "This run has not finished: it has no summary yet.",
        "No evaluation and no marked training episode has been recorded yet.",
        "No feedback has been stored yet.",
        "No operator time has been booked.",
        "No fit of the reward model has been recorded yet.",
        "No episode has both a predicted return and one that the simulation knows.",
        "No update is recorded yet.",
        "No clip was rendered for this report.",
        "The versions are written down when the run finishes.",
    ):
        assert said in page.text


def test_an_unfinished_run_shows_how_far_it_came(complete_run: MadeRun) -> None:
    (complete_run.folder / "summary.json").unlink()
    text = Page(write_report(complete_run.folder).read_text(encoding="utf-8")).text
    assert "94% of fresh starts succeed so far" in text
    assert "it has no summary yet" in text
    assert "7,200 steps" in text


def test_an_empty_folder_is_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    text = Page(write_report(tmp_path).read_text(encoding="utf-8")).text
    assert "Task unknown, seed unknown" in text
    assert "The run folder holds no config.toml." in text


def test_reporting_leaves_the_rest_of_the_run_as_it_was(complete_run: MadeRun) -> None:
    def files() -> dict[str, bytes]:
        found = (path for path in complete_run.folder.iterdir() if path.is_file())
        return {path.name: path.read_bytes() for path in found if path.suffix not in (".db-wal", ".db-shm")}

    before = files()
    write_report(complete_run.folder)
    after = files()
    assert after.keys() - before.keys() == {"report.html"}
    assert all(after[name] == data for name, data in before.items())


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "error"), [("config.toml", ValueError), ("summary.json", ValueError), ("run.db", StoreError)]
)
def test_a_broken_file_is_named_and_the_old_report_stays(
    begun_run: Path, name: str, error: type[Exception]
) -> None:
    old = write_report(begun_run).read_bytes()
    (begun_run / name).write_bytes(b"= not what it should be\xff\n" * 9)
    with pytest.raises(error, match=re.escape(name)):
        write_report(begun_run)
    assert (begun_run / "report.html").read_bytes() == old
