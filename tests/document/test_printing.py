"""Problems are printed with the place, the line, what is underlined, a sentence and a count."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.problem import Problem, counted, print_problems


def problem(snippet: str, column: int, length: int = 1, **more: object) -> Problem:
    return Problem(Path("/nowhere/a.yaml"), 14, column, "", "x", "Wrong.", length=length, snippet=snippet, **more)


def test_problem_is_printed_as_people_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Problem(
        tmp_path / "agents" / "support.yaml",
        14,
        5,
        "stages.hello.promt",
        "unknown-key",
        '"promt" is not a setting of a stage. Did you mean "prompt"?',
        length=5,
        snippet="    promt: Greet the caller",
    )
    assert print_problems([found], color=False) == (
        "agents/support.yaml:14:5\n"
        "   14 |     promt: Greet the caller\n"
        "            ^^^^^\n"
        '"promt" is not a setting of a stage. Did you mean "prompt"?\n'
        "\n"
        "1 problem."
    )


def test_file_elsewhere_is_named_by_its_whole_path() -> None:
    assert print_problems([problem("", 1)], color=False).startswith("/nowhere/a.yaml:14:1\nWrong.")


def test_caret_stands_below_wide_and_combining_characters() -> None:
    lines = print_problems([problem("日本: x", 5)], color=False).split("\n")
    assert lines[2] == " " * (8 + 6) + "^"
    lines = print_problems([problem("e\u0301: x", 5)], color=False).split("\n")
    assert lines[2] == " " * (8 + 3) + "^"


def test_long_line_is_cut_around_the_problem() -> None:
    lines = print_problems([problem("a" * 300 + "HERE" + "b" * 300, 301, 4)], color=False).split("\n")
    assert len(lines[1]) < 130
    start = lines[2].index("^")
    assert lines[1][start : start + 4] == "HERE"
    assert lines[2].count("^") == 4


def test_colours_only_when_asked_for() -> None:
    assert "\x1b" not in print_problems([problem("x", 1)], color=False)
    assert "\x1b[31m^\x1b[0m" in print_problems([problem("x", 1)], color=True)
    assert "\x1b[33m^\x1b[0m" in print_problems([problem("x", 1, severity="warning")], color=True)


def test_control_characters_of_a_file_never_reach_the_terminal() -> None:
    assert "\x1b" not in print_problems([problem("a\x1b[2Jb", 1)], color=False)


def test_problems_and_warnings_are_counted() -> None:
    error, warning = problem("", 1), problem("", 1, severity="warning")
    assert counted([]) == "No problems."
    assert counted([error, error]) == "2 problems."
    assert counted([error, warning, warning]) == "1 problem and 2 warnings."
    assert counted([warning]) == "1 warning."
