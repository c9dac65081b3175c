"""Thirty typical mistakes of people who do not program, and what they are told.

A full answer has five marks: the mistake is noticed, at the line where it is, with what was typed, with the cure, in plain
words; and it is one problem, because it is one mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.document.load import load
from runner.problem import Problem, print_problems

ROOT = Path(__file__).parents[2]
SUPPORT = (ROOT / "agents" / "support.yaml").read_text(encoding="utf-8")
JARGON = re.compile(
    r"\b(mapping|scalar|tokens?|objects?|arrays?|strings?|propert(y|ies)|schema|nodes?|type=|None|null|boolean|integer|"
    r"parser?|syntax|unexpected|invalid|expected <)\b",
    re.I,
)


@dataclass(frozen=True)
class Mistake:
    """What was typed instead of what, and what the answer has to name: the text that was typed, and the cure."""

    what: str
    right: str
    wrong: str
    typed: str
    cure: str


THIRTY = (
    Mistake("no space after the colon", "  temperature: 0.4", "  temperature:0.4", "temperature", "temperature: 0.4"),
    Mistake("an equals sign", "  temperature: 0.4", "  temperature = 0.4", "=", "temperature: 0.4"),
    Mistake(
        "a colon in a sentence",
        "say: Please tell me the email address, slowly.",
        "say: One thing: what is the email address?",
        ":",
        "double quotes",
    ),
    Mistake("a tab", "  temperature: 0.4", "\ttemperature: 0.4", "tab", "spaces"),
    Mistake(
        "curly quotes",
        "say: I am connecting you to a colleague now. Please hold the line.",
        "say: “One moment.”",
        "“",
        '"',
    ),
    Mistake(
        "a variable first",
        "say: Thank you for calling {{ company }}. Goodbye.",
        "say: {{ company }} says goodbye.",
        "{{",
        "quotes",
    ),
    Mistake(
        "a number sign",
        "say: I am connecting you to a colleague now. Please hold the line.",
        "say: You are caller #1 in the line.",
        "#1 in the line.",
        "double quotes",
    ),
    Mistake(
        "an apostrophe in single quotes",
        "say: I am connecting you to a colleague now. Please hold the line.",
        "say: 'I'm connecting you now.'",
        "apostrophe",
        "double quotes",
    ),
    Mistake(
        "a quote left open",
        "say: I am connecting you to a colleague now. Please hold the line.",
        'say: "I am connecting you now.',
        '"',
        'Put another "',
    ),
    Mistake("a bracket left open", "keyterms: [Northwind, RMA]", "keyterms: [Northwind, RMA", "[", "]"),
    Mistake(
        "a list without brackets",
        "keyterms: [Northwind, RMA]",
        "keyterms: Northwind, RMA",
        "Northwind, RMA",
        "[Northwind, RMA]",
    ),
    Mistake(
        "a dash forgotten",
        "          - I want my money back",
        "          I want my money back",
        "dash",
        "- I want my money back",
    ),
    Mistake(
        "no space after a dash",
        "          - I want my money back",
        "          -I want my money back",
        "dash",
        "- I want my money back",
    ),
    Mistake("a comment with slashes", "  temperature: 0.4", "  // colder\n  temperature: 0.4", "//", "#"),
    Mistake("a misspelled name", "    prompt: Find out why", "    promtp: Find out why", "promtp", "prompt"),
    Mistake("a name in capitals", "limits:", "Limits:", "Limits", "limits"),
    Mistake("an old name", "  model: universal-3-5-pro", "  speech_model: universal-3-5-pro", "speech_model", "model"),
    Mistake("a setting in the wrong place", "limits:\n  max_call: 15m", "max_call: 15m", "max_call", "limits"),
    Mistake("one space too few", "    listen_for: number", "   listen_for: number", "3", "4"),
    Mistake("a stage at the left edge", "  refund:\n    say", "refund:\n    say", "", "2"),
    Mistake("a name written twice", "  barge_in: true", "  barge_in: true\n  barge_in: false", "barge_in", "Keep one"),
    Mistake("yes for true", "  barge_in: true", "  barge_in: yes", "yes", "true"),
    Mistake("a decimal comma", "temperature: 0.4", "temperature: 0,4", "0,4", "0.4"),
    Mistake("a percentage", "temperature: 0.4", "temperature: 40%", "40%", "0.4"),
    Mistake("minutes in words", "max_call: 15m", "max_call: 15 minutes", "15 minutes", "15m"),
    Mistake("a stage that does not exist", "        to: refunded", "        to: refundet", "refundet", "refunded"),
    Mistake(
        "a variable that does not exist", "{{ agent_name }} from", "{{ agentname }} from", "agentname", "agent_name"
    ),
    Mistake(
        "a key in the file", "  provider: openai", "  provider: openai\n  api_key: abc123def456", "api_key", ".env"
    ),
    Mistake("a product for its vendor", "  provider: openai", "  provider: chatgpt", "chatgpt", "openai"),
    Mistake(
        "a sentence split by its comma",
        "        examples:\n          - Yes that is right\n          - Correct\n          - That is correct thank you\n",
        "        examples: [Yes, that is right]\n",
        "that is right",
        '"Yes, that is right"',
    ),
)


def answered(text: str) -> list[Problem]:
    return list(load(ROOT / "agents" / "mine.yaml", text=text, env={}).problems)


def mistaken(mistake: Mistake) -> tuple[str, int]:
    """The file with the mistake, and its line."""
    assert SUPPORT.count(mistake.right) >= 1
    before, _, after = SUPPORT.partition(mistake.right)
    kept = 0
    old, new = mistake.right.split("\n"), mistake.wrong.split("\n")
    while kept < len(new) - 1 and kept < len(old) and old[kept] == new[kept]:
        kept += 1
    return f"{before}{mistake.wrong}{after}", before.count("\n") + 1 + kept


def marks(mistake: Mistake) -> list[str]:
    """The marks that an answer misses."""
    text, line = mistaken(mistake)
    found = answered(text)
    if not found:
        return ["noticed"]
    first, said = found[0], f"{found[0].message}\n{found[0].hint}"
    pointed = first.snippet[first.column - 1 : first.column - 1 + first.length]
    have = {
        "line": first.line == line,
        "typed": mistake.typed in said or mistake.typed in pointed,
        "cure": mistake.cure in said,
        "plain words": not JARGON.search(re.sub(r"\w+_\w+", "", said)),
        "one problem": len(found) == 1,
    }
    return [name for name, there in have.items() if not there]


@pytest.mark.parametrize("mistake", THIRTY, ids=lambda mistake: mistake.what)
def test_mistake_is_answered_in_full(mistake: Mistake) -> None:
    assert marks(mistake) == [], print_problems(answered(mistaken(mistake)[0]), color=False)


def test_they_are_thirty_and_different() -> None:
    assert len({mistake.what for mistake in THIRTY}) == len({mistake.wrong for mistake in THIRTY}) == 30


@pytest.mark.parametrize("first", [0, 7, 12, 20])
def test_three_mistakes_at_once_are_three_problems(first: int) -> None:
    """Also when they break the YAML."""
    text, chosen = SUPPORT, list[Mistake]()
    for mistake in (*THIRTY[first:], *THIRTY[:first]):
        lines = {mistaken(one)[1] for one in [*chosen, mistake]}
        if len(lines) == len(chosen) + 1 and all(abs(a - b) > 3 for a in lines for b in lines if a != b):
            chosen.append(mistake)
        if len(chosen) == 3:
            break
    for mistake in chosen:
        text = text.replace(mistake.right, mistake.wrong, 1)
    found = answered(text)
    expected = [answered(mistaken(mistake)[0])[0].code for mistake in chosen]
    assert sorted(problem.code for problem in found if problem.is_error) == sorted(expected)
    assert len(found) == 3


def test_three_mistakes_one_of_which_breaks_the_yaml() -> None:
    text = SUPPORT.replace("  temperature: 0.4", "  temprature: 0.4").replace("  barge_in: true", "  barge_in: yes")
    text = text.replace("    say: I am connecting you", '    say: "I am connecting you')
    assert [problem.code for problem in answered(text)] == ["unknown-key", "wrong-type", "unclosed-quote"]
