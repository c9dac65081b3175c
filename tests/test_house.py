"""The house as it was drawn: which room may import what, what rooms may not touch, and what nothing may be called.

Reads the sources by `ast`; nothing is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.running import PROJECT

HOUSE = PROJECT / "runner"
FILES = sorted(
    file
    for file in HOUSE.rglob("*.py")
    if not {"node_modules", "smollm2"}
    & set(file.relative_to(HOUSE).parts)  # a package of its own, with no code of runner
)

DATA = frozenset(
    {"definition", "catalog", "effective", "following", "reach", "prompts", "problem", "events", "wording", "masking"}
)
"""Rooms that hold facts and pure functions."""


@dataclass(frozen=True)
class Room:
    """What a room may import (rooms of this house, packages) and which modules of Python it does without."""

    rooms: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


def room(*rooms: str, packages: str = "", without: str = "") -> Room:
    return Room(frozenset(rooms), frozenset(packages.split()), frozenset(without.split()))


OUTSIDE = "os sys io asyncio threading socket subprocess signal time shutil tempfile urllib http"
"""The world, as Python's library offers it."""

ROOMS = {
    "__init__": room(),
    "problem": room(without=OUTSIDE),
    "definition": room(without=OUTSIDE),
    "events": room(without=OUTSIDE),
    "catalog": room("definition", "providers", without=OUTSIDE),
    "providers": room("catalog", without=OUTSIDE.replace("sys ", "")),
    "following": room("definition", without=OUTSIDE),
    "effective": room("definition", "catalog", "prompts", "following", without=OUTSIDE),
    "wording": room("catalog", "effective", without=OUTSIDE),
    "reach": room("definition", "catalog", "prompts", "following", "effective", "wording", without=OUTSIDE),
    "prompts": room(packages="jinja2", without=OUTSIDE.replace("sys ", "").replace("time ", "")),
    "selection": room("catalog", "definition", "providers", "local", without=OUTSIDE),
    "masking": room("providers", without=OUTSIDE.replace("urllib ", "")),
    "environment": room("catalog", "masking", "providers", packages="dotenv"),
    "terminal": room(*DATA, "selection"),
    "logs": room("environment", "terminal", packages="loguru"),
    "document": room(*DATA, packages="yaml jsonschema referencing", without="asyncio socket subprocess threading"),
    "new": room(*DATA, "document"),
    "diff": room(*DATA, "document"),
    "explaining": room(*DATA, "document", "compiler", "diff", packages="pipecat loguru websockets httpx2 yaml"),
    "options": room(),
    "starting": room(*DATA, *("document", "environment", "logs", "selection", "terminal", "live")),
    "serving": room("options", "starting", "environment", "live"),
    "inspecting": room(*DATA, *("document", "environment", "logs", "terminal", "options", "new", "diff", "explaining")),
    "compiler": room(
        *DATA,
        "local",
        packages="pipecat loguru numpy openai aiohttp websockets",
        without="os sys io pathlib socket subprocess threading shutil tempfile",
    ),
    "local": room(
        *("definition", "problem"),
        packages="pipecat loguru numpy soxr faster_whisper hibari onnxruntime tokenizers xllamacpp httpx",
    ),
    "live": room(
        *DATA,
        *("document", "compiler", "local", "environment", "selection", "terminal", "logs"),
        packages="pipecat loguru watchfiles fastapi uvicorn aiohttp cryptography",
    ),
    "bot": room(*DATA, "document", "environment", "live", "selection", packages="pipecat loguru"),
    "cli": room("*"),
}


@dataclass(frozen=True)
class Import:
    """One import: the module, the line, and whether it happens only when a function runs or never (types)."""

    module: str
    line: int
    late: bool


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> Iterator[Import]:
    """Every import of a file. `from runner import x` counts as `runner.x`."""

    def walk(node: ast.AST, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, late) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{file}:{child.lineno} imports from a dot"
                module = str(child.module)
                names = [f"runner.{alias.name}" for alias in child.names] if module == "runner" else [module]
                yield from (Import(name, child.lineno, late) for name in names)
            else:
                types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                yield from walk(child, late or types or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from walk(tree(file), late=False)


def room_of(file: Path) -> str:
    """The room a file stands in: its folder's name, or its own; `diff_words` belongs to `diff`."""
    first = file.relative_to(HOUSE).parts[0].removesuffix(".py")
    return first if first in ROOMS else first.partition("_")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_room_imports_only_what_it_may(file: Path) -> None:
    here = room_of(file)
    assert here in ROOMS, f"{file.name} is a new room: say in ROOMS what it may import"
    rules = ROOMS[here]
    for found in imports(file):
        top, _, rest = found.module.partition(".")
        where = f"{file.relative_to(PROJECT)}:{found.line} imports {found.module}"
        if found.module == "runner.__version__":
            continue
        if top == "runner":
            there = rest.partition(".")[0]
            there = there if there in ROOMS else there.partition("_")[0]
            assert there in {here} | rules.rooms or "*" in rules.rooms, where
        elif top in sys.stdlib_module_names:
            assert top not in rules.without, where
        else:
            assert top in rules.packages, where


@pytest.mark.parametrize("name", ["cli", "options"])
def test_command_line_imports_nothing_heavy_before_it_knows_the_command(name: str) -> None:
    early = {found.module for found in imports(HOUSE / f"{name}.py") if not found.late}
    assert {module for module in early if module.partition(".")[0] not in sys.stdlib_module_names} <= {
        "runner.__version__",
        "runner.options",
    }


def test_commands_that_only_look_load_pipecat_late() -> None:
    early = {found.module for found in imports(HOUSE / "inspecting.py") if not found.late}
    assert not {module for module in early if module.startswith(("runner.explaining", "runner.compiler", "pipecat"))}


def test_compiler_opens_no_file() -> None:
    for file in FILES:
        if room_of(file) in {"compiler"} | DATA:
            calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
            names = {node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func) for node in calls}
            assert not {name for name in names if name.split(".")[-1] in {"open", "read_text", "read_bytes", "getenv"}}


def test_live_never_parses() -> None:
    for file in FILES:
        if room_of(file) == "live":
            assert not {found.module.partition(".")[0] for found in imports(file)} & {"yaml", "jsonschema", "jinja2"}


def test_settings_of_running_services_change_in_few_places_only() -> None:
    frames = {"STTUpdateSettingsFrame", "LLMUpdateSettingsFrame", "TTSUpdateSettingsFrame", "VADParamsUpdateFrame"}
    frames |= {"UserIdleTimeoutUpdateFrame", "LLMSetToolsFrame", "LLMMessagesUpdateFrame"}
    made_in = {
        str(file.relative_to(HOUSE))
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in frames
    }
    ours = {"compiler/stages.py", "compiler/turns/taking.py", "compiler/pipeline.py"}
    assert not {file for file in made_in - ours if not file.startswith("compiler/services/")}


def test_nothing_is_called_what_says_nothing() -> None:
    said_nothing = {"utils", "util", "helpers", "helper", "core", "base", "manager", "common", "misc"}
    folders = {file.parent for file in FILES}
    assert not said_nothing & {path.stem for path in [*FILES, *folders]}
    assert not said_nothing & {file.stem for file in (PROJECT / "tests").rglob("*.py")}


def test_no_class_is_called_runner() -> None:
    for file in FILES:
        assert "Runner" not in {node.name for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)}, file


def test_no_room_is_too_long_to_read() -> None:
    long = {str(file): lines for file in FILES if (lines := file.read_text(encoding="utf-8").count("\n")) >= 450}
    assert not long


def test_every_module_says_what_it_is() -> None:
    assert not [file for file in FILES if file.stat().st_size and not ast.get_docstring(tree(file))]
