"""--format github: one annotation line for a problem, in the form of GitHub's workflow commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import main
from runner.document.github import as_annotations
from runner.problem import Problem


def test_problem_becomes_an_annotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Problem(tmp_path / "a, b.yaml", 3, 5, "", "unknown-key", "50% wrong:\nthis", "Do that.", "warning", 4)
    assert as_annotations([found]) == (
        "::warning file=a%2C b.yaml,line=3,col=5,endColumn=9,title=unknown-key::50%25 wrong:%0Athis%0ADo that."
    )
    assert as_annotations([]) == ""


def test_command_prints_annotations_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("promt: Be kind.\n")
    assert main(["check", "a.yaml", "--format", "github"]) == 1
    assert capsys.readouterr().out == (
        "::error file=a.yaml,line=1,col=1,endColumn=6,title=unknown-key::"
        '"promt" is not a setting of an agent. Did you mean "prompt"?\n'
    )
    Path("a.yaml").write_text("prompt: Be kind.\n")
    assert main(["check", "a.yaml", "--format", "github"]) == 0
    assert capsys.readouterr().out == ""
