"""Who may import whom. The arrows: hardware <- sim <- robot_rlhf, in it feedback <- learning <- session.

Every import statement counts, also one inside a function. A new folder needs its line in LAYERS.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hardware", "sim", "robot_rlhf")
OURS = {*PACKAGES, "tests", "benchmarks"}

_GROUND = {"hardware", "sim"}
_BELOW_SESSION = _GROUND | {"robot_rlhf.feedback", "robot_rlhf.learning", "robot_rlhf.report"}
_BELOW_COMMANDS = _BELOW_SESSION | {
    "robot_rlhf.session",
    "robot_rlhf.session.remote",
    "robot_rlhf.console",
    "robot_rlhf.data",
    "robot_rlhf.verify",
    "robot_rlhf.runners",
}
_IN_CONSOLE = {f"robot_rlhf.console.{part}" for part in ("input", "scene", "drawing")}
# Part of the tree -> the parts it may import, itself understood.
LAYERS: dict[str, set[str]] = {
    "hardware": set(),
    "sim": {"hardware"},
    "robot_rlhf": set(),  # the __init__ alone: registers environments by name
    "robot_rlhf.feedback": _GROUND,
    "robot_rlhf.learning": _GROUND | {"robot_rlhf.feedback"},
    "robot_rlhf.report": _GROUND | {"robot_rlhf.feedback", "robot_rlhf.learning"},
    "robot_rlhf.data": _GROUND | {"robot_rlhf.feedback", "robot_rlhf.learning"},
    "robot_rlhf.runners": set(),
    "robot_rlhf.console.input": set(),
    "robot_rlhf.console.scene": {"hardware"},
    "robot_rlhf.console.drawing": set(),
    "robot_rlhf.console.screens": {"hardware", "robot_rlhf.feedback"} | _IN_CONSOLE,
    "robot_rlhf.console": {"hardware", "robot_rlhf.feedback", "robot_rlhf.console.screens"} | _IN_CONSOLE,
    "robot_rlhf.session": _BELOW_SESSION,
    "robot_rlhf.verify": _BELOW_SESSION | {"robot_rlhf.session"},
    "robot_rlhf.session.remote": _BELOW_SESSION | {"robot_rlhf", "robot_rlhf.session"},
    # The wiring: what each command of the command line puts together.
    "robot_rlhf.commands": _BELOW_COMMANDS,
    "robot_rlhf.cli": _BELOW_COMMANDS | {"robot_rlhf.commands"},
    # The same for other people's programs.
    "robot_rlhf.bridge": _BELOW_COMMANDS | {"robot_rlhf.commands"},
}

# Other people's packages that only some parts may import.
ONLY_IN: dict[str, set[str]] = {
    "torch": {"robot_rlhf.learning", "robot_rlhf.session", "robot_rlhf.commands", "robot_rlhf.bridge"},
    "pygame": {"robot_rlhf.console", "robot_rlhf.console.screens"} | _IN_CONSOLE,
    "zmq": {"hardware"},
    "ray": {"robot_rlhf.runners"},
    "pybullet": {"sim"},
    "pybullet_data": {"sim"},
    "pybullet_utils": {"sim"},
    "gymnasium": {"sim", "robot_rlhf", "robot_rlhf.data", "robot_rlhf.bridge"},
    "stable_baselines3": {"robot_rlhf.bridge"},
    "pyarrow": {"robot_rlhf.data"},
    "h5py": {"robot_rlhf.data"},
    "minari": {"robot_rlhf.data"},
    "wandb": {"robot_rlhf.report"},
    "av": {"robot_rlhf.data", "robot_rlhf.report"},
}
GROUND_FLOOR = {
    "numpy",
    "zmq",
    "msgspec",
}  # all that hardware needs; each driver may add its vendor's library


@dataclass(frozen=True)
class Import:
    """One name that a module imports, and whether importing the module is enough to do it."""

    target: str
    line: int
    at_module_level: bool


@dataclass(frozen=True)
class Module:
    name: str
    is_package: bool
    imports: tuple[Import, ...]

    @property
    def part(self) -> str:
        return part_of(self.name)


def part_of(name: str) -> str:
    """The line of LAYERS that a module stands under, or its own name where there is none."""
    words = name.split(".")
    longest = (".".join(words[:count]) for count in range(len(words), 1, -1))
    folder = ".".join(words[:2]) if words[0] == "robot_rlhf" else words[0]
    return next((line for line in longest if line in LAYERS), folder)


def parse(source: str, name: str, is_package: bool) -> Module:
    """The imports of a source text; relative ones made absolute."""

    def walk(node: ast.AST, at_module_level: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import():
                    for alias in child.names:
                        yield Import(alias.name, child.lineno, at_module_level)
                case ast.ImportFrom():
                    home = name.split(".")
                    anchor = home[: len(home) - child.level + is_package] if child.level else []
                    base = ".".join([*anchor, *([child.module] if child.module else [])])
                    for alias in child.names:
                        yield Import(f"{base}.{alias.name}", child.lineno, at_module_level)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    yield from walk(child, False)
                case _:
                    yield from walk(child, at_module_level)

    return Module(name, is_package, tuple(walk(ast.parse(source), True)))


def tree() -> list[Module]:
    modules = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules.append(parse(path.read_text(encoding="utf-8"), name, is_package))
    return modules


MODULES = tree()
NAMES = {module.name for module in MODULES}


def module_named(target: str, names: set[str]) -> str:
    """The module that `from a.b import c` loads: a.b.c where that is one, otherwise a.b."""
    return target if target in names else target.rpartition(".")[0]


def violations(module: Module, names: set[str]) -> list[str]:
    """The arrows and lines that a module's imports break, one readable line each."""
    found = []
    for imported in module.imports:
        top = imported.target.partition(".")[0]
        where = f"{module.name}:{imported.line} imports {imported.target}"
        if top in OURS:
            part, allowed = part_of(module_named(imported.target, names)), LAYERS.get(module.part, set())
            is_above = module.part.startswith(f"{part}.")  # its own package's __init__, loaded anyway
            if part != module.part and not is_above and part not in allowed:
                found.append(f"{where}, but {module.part} may import {sorted(allowed)}")
        if top in ONLY_IN and module.part not in ONLY_IN[top]:
            found.append(f"{where}, which only {sorted(ONLY_IN[top])} may")
        foreign = top not in OURS | GROUND_FLOOR | sys.stdlib_module_names
        if module.part == "hardware" and foreign and not module.name.startswith("hardware.drivers."):
            found.append(f"{where}, but the ground floor has only {sorted(GROUND_FLOOR)}")
    return found


def cycle(modules: list[Module]) -> list[str]:
    """The modules of an import cycle at module level, or nothing."""
    names = {module.name for module in modules}
    graph: TopologicalSorter[str] = TopologicalSorter()
    for module in modules:
        targets = {module_named(found.target, names) for found in module.imports if found.at_module_level}
        graph.add(module.name, *(targets & names - {module.name}))
    try:
        graph.prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_folder_has_its_line() -> None:
    parts = {module.part for module in MODULES}
    assert parts <= set(LAYERS), f"say in LAYERS what these may import: {sorted(parts - set(LAYERS))}"


def test_the_layers_are_an_order() -> None:
    TopologicalSorter(LAYERS).prepare()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_only_what_lies_below_it(module: Module) -> None:
    assert violations(module, NAMES) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycle(MODULES) == []


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("hardware.limits", "import sim.world", "hardware may import []"),
        ("hardware.limits", "def f():\n    from robot_rlhf.feedback import types", "hardware may import"),
        ("hardware.host", "import tyro", "ground floor"),
        ("sim.arm", "from robot_rlhf import cli", "sim may import"),
        ("sim.arm", "import tests.conftest", "sim may import"),
        ("robot_rlhf.feedback.store", "import torch.nn", "imports torch.nn, which only"),
        ("robot_rlhf.feedback.store", "from ..learning import sac", "robot_rlhf.learning.sac"),
        (
            "robot_rlhf.session.loop",
            "from robot_rlhf.console import screens",
            "robot_rlhf.session may import",
        ),
        ("robot_rlhf.console.screens", "import sim", "robot_rlhf.console.screens may import"),
        ("robot_rlhf.console.input.sdl", "import robot_rlhf.console.screens.help", "input may import"),
        ("robot_rlhf.learning.sac", "if True:\n    import zmq", "which only ['hardware'] may"),
        ("robot_rlhf.session.loop", "from robot_rlhf.cli import main", "robot_rlhf.session may import"),
        ("robot_rlhf.session.loop", "import robot_rlhf.runners.serial", "robot_rlhf.session may import"),
        ("robot_rlhf.session.loop", "import ray", "which only ['robot_rlhf.runners'] may"),
        ("robot_rlhf.commands.train", "from robot_rlhf.cli import main", "robot_rlhf.commands may import"),
    ],
)
def test_a_forbidden_import_is_seen(name: str, source: str, complaint: str) -> None:
    found = violations(parse(source, name, is_package=False), NAMES | {"robot_rlhf.learning.sac"})
    assert len(found) == 1
    assert complaint in found[0]


def test_a_drivers_library_and_the_floors_below_are_allowed() -> None:
    source = "import franky\nimport numpy as np\nfrom hardware.robot import Robot\nfrom . import fake"
    assert violations(parse(source, "hardware.drivers.franka", is_package=False), NAMES) == []
    source = "import torch\nfrom robot_rlhf import __version__\nfrom sim.task import Task"
    assert violations(parse(source, "robot_rlhf.session.loop", is_package=False), NAMES) == []
    source = "import torch, pybullet, pygame"
    assert len(violations(parse(source, "robot_rlhf.cli", is_package=False), NAMES)) == 3


def test_a_circle_is_seen_but_not_where_a_function_puts_the_import_off() -> None:
    one = parse("from a.two import f", "a.one", is_package=False)
    two = parse("from a import one", "a.two", is_package=False)
    later = parse("def f():\n    from a import one", "a.two", is_package=False)
    assert set(cycle([one, two])) == {"a.one", "a.two"}
    assert cycle([one, later]) == []
