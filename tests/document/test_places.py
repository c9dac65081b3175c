"""Problems point at the place in the file where the person has to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.document.load import load
from runner.problem import Problem


def problems(text: str) -> list[Problem]:
    return list(load(Path("/nowhere/agent.yaml"), text=text, env={}).problems)


def pointed(text: str) -> list[str]:
    """What the caret lines underline."""
    return [p.snippet[p.column - 1 : p.column - 1 + p.length] for p in problems(text)]


def test_wrong_value_is_underlined_as_it_was_typed() -> None:
    assert pointed("prompt: x\nllm: {temperature: 5, model: gpt-4o}\n") == ["5"]
    assert pointed("prompt: x\nllm:\n  temperature:    'warm'   # why\n") == ["'warm'"]


def test_wrong_key_is_underlined_itself_and_not_its_group() -> None:
    assert pointed("prompt: x\nstt: {mode: balanced, modus: fast}\n") == ["modus"]
    assert pointed('prompt: x\n"stt ": 1\n') == ['"stt "']


def test_column_counts_characters_not_bytes() -> None:
    found = problems("prompt: x\nstt: {about: Grüße – 日本語 🎉, modus: fast}\n")[0]
    assert (found.line, found.column) == (2, 29)
    assert found.snippet[found.column - 1 :].startswith("modus")


def test_item_of_a_list_is_found_in_lines_and_in_brackets() -> None:
    long = "y" * 51
    assert [p.line for p in problems(f"prompt: x\nstt:\n  keyterms:\n    - a\n    - {long}\n")] == [5]
    assert pointed(f"prompt: x\nstt: {{keyterms: [a, {long}]}}\n") == [long]


def test_path_names_the_place_in_the_data() -> None:
    found = problems(f"prompt: x\nstages:\n  a:\n    say: x\n    end: true\n    stt: {{keyterms: [a, {'y' * 51}]}}\n")
    assert [p.path for p in found] == ["stages.a.stt.keyterms[1]"]


def test_unknown_variable_is_found_in_a_long_text() -> None:
    text = "prompt: |\n  One.\n\n  # Two {{ known }}\n  Three {{ unknown }}.\nvariables:\n  known: x\n"
    found = problems(text)
    assert [(p.line, p.column, p.length) for p in found] == [(5, 12, 7)]
    assert pointed('prompt: "One {{ unknown }}."\n') == ["unknown"]
    assert pointed("prompt: >\n  One\n  two {{ unknown }}.\n") == ["unknown"]


def test_problem_in_a_prompt_file_is_reported_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("One.\nTwo {{ nme }}.\n")
    (tmp_path / "a.yaml").write_text("variables:\n  name: x\nprompt:\n  file: long.md\n")
    found = load(tmp_path / "a.yaml", env={}).problems
    assert [(p.file, p.line, p.column, p.message) for p in found] == [
        (tmp_path / "long.md", 2, 8, '"nme" is not a variable. Did you mean "name"?')
    ]


def test_place_is_that_of_the_file_though_the_line_was_mended() -> None:
    text = "prompt: x\ngreeting: {{ a }} b\nllm: {temperature: 9}\nturns:\n\tbarge_in: maybe\n"
    found = [(p.line, p.column, p.code) for p in problems(text)]
    assert found == [(2, 11, "unquoted-braces"), (3, 20, "out-of-range"), (5, 1, "tab")]


def test_three_mistakes_at_once_are_three_problems_though_one_breaks_the_yaml() -> None:
    text = 'prompt: "x\nllm:\n  temprature: 1\ntts:\n  speed: fast\n'
    assert [(p.line, p.code) for p in problems(text)] == [(1, "unclosed-quote"), (3, "unknown-key"), (5, "wrong-type")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("prompt: a: b\nllm: c: d\ntts: e: f\n", "colon-in-text"),
        ("prompt: @a\ngreeting: `b`\ndescription: %c\n", "reserved-character"),
        ("name:a\nprompt:b\ngreeting:c\n", "space-after-colon"),
    ],
)
def test_the_same_mistake_in_three_lines_is_three_problems(text: str, code: str) -> None:
    assert [p.line for p in problems(text) if p.code == code] == [1, 2, 3]


def test_problems_come_in_the_order_of_lines() -> None:
    text = "stages:\n  a:\n    next:\n      - otherwise: b\nprompt: {{ x }}\nlmm: 1\nprompt: y\n"
    lines = [p.line for p in problems(text)]
    assert lines == sorted(lines)
    assert len(lines) == 5
