"""One language server for all tests of the editors, and a loud word when there is none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.language_server import PACKAGE, LanguageServer, install
from tests.running import PROJECT

_FOLDER = Path(tempfile.gettempdir()) / f"runner-tests-{PACKAGE.replace('@', '-')}"
_missing: list[str] = []


@pytest.fixture(scope="session")
def editor() -> Iterator[LanguageServer]:
    """The server that VS Code, Neovim and JetBrains use for YAML, looking at this project."""
    program = install(_FOLDER)
    if program is None:
        _missing.append(PACKAGE)
        pytest.skip(f"npm cannot install {PACKAGE} here")
    with LanguageServer(program, PROJECT) as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.section("THE EDITOR TESTS DID NOT RUN: npm is missing or finds nothing", sep="!", red=True)
