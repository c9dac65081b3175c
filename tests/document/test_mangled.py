"""Files mangled at random are answered: never an exception, never silence, always inside the file, never in jargon."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from runner.document.load import load
from runner.problem import print_problems

ROOT = Path(__file__).parents[2]
TEXTS = [file.read_text(encoding="utf-8") for file in sorted(ROOT.glob("agents/*.yaml"))]
PIECES = [
    *"\t\"'{}[]:#*&!|>%@`-, \n\u00a0“”?",
    "\n\n",
    "{{",
    "}}",
    "{%",
    ": ",
    " #",
    "- ",
    ": [",
    "\x07",
    "<<: *a\n",
    "\r",
]
JARGON = re.compile(r"\b(mapping|scalar|token|object|array|string|property|schema|node|type=)\b", re.I)


def mangled(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 4)):
        lines = text.split("\n")
        here, there = chance.randrange(len(lines)), chance.randrange(len(lines))
        at = chance.randrange(len(text) + 1)
        match chance.randrange(7):
            case 0:
                text = text[:at] + text[at + chance.randint(1, 15) :]
            case 1:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 2:
                lines[here] = " " * chance.randint(0, 8) + lines[here].lstrip()
                text = "\n".join(lines)
            case 3:
                lines[here], lines[there] = lines[there], lines[here]
                text = "\n".join(lines)
            case 4:
                text = "\n".join([*lines[:here], *lines[here + 1 :]])
            case 5:
                text = text[:at] + text[at:].replace(": ", ":", 1)
            case _:
                text = text[:at]
    return text


@pytest.mark.parametrize("seed", range(20))
def test_mangled_file_is_answered(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(20):
        text = mangled(chance.choice(TEXTS), chance)
        loaded = load(ROOT / "agents" / "mangled.yaml", text=text, env={})
        assert (loaded.definition is None) == any(p.is_error for p in loaded.problems), text
        assert print_problems(loaded.problems, color=False)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for problem in loaded.problems:
            assert 1 <= problem.line <= len(lines), (problem, text)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, (problem, text)
            assert not JARGON.search(problem.message + problem.hint), problem
