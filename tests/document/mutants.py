"""Right files in, files with one small mistake out, each with the lines at which a person would look for it.

A mistake is made the way hands make it: a letter too many in a name, a line lost, written twice, moved or indented wrongly, a
value of another kind, quotes lost, a line cut off.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from runner.document.check import known_names
from runner.document.lines import block_lines, parts
from runner.document.load import load
from runner.problem import print_problems

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "tests" / "examples" / "good", ROOT / "agents")
KINDS = ("rename", "delete", "duplicate", "retype", "reindent", "reorder", "unquote", "cut")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One file with one mistake.

    where: the lines (from 1) where it is, and the line of the group around them.
    meant: the name that was misspelled, "" for other kinds.
    """

    file: Path
    kind: str
    text: str
    where: frozenset[int]
    meant: str = ""


@dataclass(slots=True)
class Score:
    """What became of many mutants."""

    count: int = 0
    invalid: int = 0
    found: int = 0
    renamed: int = 0
    guessed: int = 0
    slowest: float = 0.0
    silent: list[Mutant] = field(default_factory=list)
    missed: list[Mutant] = field(default_factory=list)
    unguessed: list[Mutant] = field(default_factory=list)
    by_kind: Counter = field(default_factory=Counter)
    missed_by_kind: Counter = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = ", ".join(
            f"{kind} {self.by_kind[kind] - self.missed_by_kind[kind]}/{self.by_kind[kind]}" for kind in KINDS
        )
        return (
            f"{self.count} mutants, {self.invalid} invalid, {self.found} of them reported at the mistake or its group "
            f"({self.found / max(1, self.invalid):.1%}); {self.guessed} of {self.renamed} misspelled names guessed "
            f"({self.guessed / max(1, self.renamed):.1%}); slowest {self.slowest * 1000:.0f} ms. Found by kind: {kinds}"
        )


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """`count` different mutants of all good files, the same ones for the same seed."""
    chance = random.Random(seed)
    texts = {file: file.read_text(encoding="utf-8") for folder in GOOD for file in sorted(folder.glob("*.yaml"))}
    files = sorted(texts, key=lambda file: file.name)
    weights = [texts[file].count("\n") + 5 for file in files]
    seen: set[tuple[Path, str]] = set()
    while count:
        file = chance.choices(files, weights)[0]
        made = _mutant(file, texts[file], chance.choice(KINDS), chance)
        if made is None or made.text == texts[file] or (file, made.text) in seen:
            continue
        seen.add((file, made.text))
        count -= 1
        yield made


def judged(made: Iterator[Mutant]) -> Score:
    """Read every mutant. Raises what reading raises: there must be nothing."""
    score = Score()
    for mutant in made:
        began = time.perf_counter()
        loaded = load(mutant.file, text=mutant.text, env={})
        score.slowest = max(score.slowest, time.perf_counter() - began)
        score.count += 1
        assert print_problems(loaded.problems, color=False)
        errors = [problem for problem in loaded.problems if problem.is_error]
        if not errors:
            if _broken(mutant.text):
                score.silent.append(mutant)
            continue
        score.invalid += 1
        score.by_kind[mutant.kind] += 1
        if any(problem.line in mutant.where for problem in errors):
            score.found += 1
        else:
            score.missed.append(mutant)
            score.missed_by_kind[mutant.kind] += 1
        if mutant.meant:
            score.renamed += 1
            if any(
                f'"{mutant.meant}"' in problem.message + problem.hint
                for problem in errors
                if problem.line in mutant.where
            ):
                score.guessed += 1
            else:
                score.unguessed.append(mutant)
    return score


def _broken(text: str) -> bool:
    try:
        yaml.safe_load(text)
    except yaml.MarkedYAMLError:
        return True
    except (yaml.YAMLError, ValueError):
        return False
    return False


def _mutant(file: Path, text: str, kind: str, chance: random.Random) -> Mutant | None:
    lines = text.split("\n")
    inside = block_lines(lines)
    candidates = [
        n for n, line in enumerate(lines) if line.strip() and n not in inside and not line.lstrip().startswith("#")
    ]
    n = chance.choice(candidates)
    line, part = lines[n], parts(lines[n])
    around = _parent(lines, n)
    meant = ""
    where = {n, around, _item(lines, n)}
    if kind == "rename":
        if part.key is None or part.key not in known_names() or line[part.start] in "\"'" or _is_chosen(lines, n):
            return None
        meant, new = part.key, _misspelled(part.key, chance)
        if new in known_names():
            return None
        lines[n] = line[: part.start] + new + line[part.start + len(meant) :]
    elif kind == "delete":
        del lines[n]
        where |= {n - 1, *_below(lines, n - 1)}
    elif kind == "duplicate":
        lines.insert(n, line)
        where.add(n + 1)
    elif kind == "retype":
        if part.key is None or not part.value:
            return None
        new = chance.choice(["", "[a, b]", "{a: b}", "maybe", "-7.5", "'12'", "true", "[]"])
        lines[n] = line[: part.value_at] + new
        where |= _below(lines, n)
    elif kind == "reindent":
        by = chance.choice([-4, -2, -1, 1, 2, 3, 4])
        indent = len(line) - len(line.lstrip(" "))
        lines[n] = " " * max(0, indent + by) + line.lstrip(" ")
        where |= {_parent(lines, n), *_below(lines, n)}
    elif kind == "reorder":
        other = next((m for m in candidates if m > n), None)
        if other is None:
            return None
        where |= {other, _parent(lines, other), _item(lines, other)}
        lines[n], lines[other] = lines[other], lines[n]
        where |= {_parent(lines, n), _parent(lines, other), _item(lines, n), _item(lines, other)}
    elif kind == "unquote":
        quotes = [at for at, char in enumerate(line) if char in "\"'"]
        if not quotes:
            return None
        at = chance.choice(quotes)
        lines[n] = line[:at] + line[at + 1 :] if chance.random() < 0.5 else line.replace(line[at], "")
        where |= _below(lines, n)
    else:
        lines[n] = line[: chance.randrange(part.indent, len(line))]
        where |= _below(lines, n)
    return Mutant(file, kind, "\n".join(lines), frozenset(number + 1 for number in where if number >= 0), meant)


def _is_chosen(lines: list[str], n: int) -> bool:
    """A name that people choose (of a stage, of a variable), not a setting."""
    parent = _parent(lines, n)
    return parts(lines[n]).start > 0 and parts(lines[parent]).key in ("stages", "variables")


def _parent(lines: list[str], n: int) -> int:
    """The line that opens the group around line `n`; for the settings of the file itself its first line."""
    start = parts(lines[n]).start if lines[n].strip() else 0
    return next((m for m in range(n - 1, -1, -1) if _said(lines[m]) and parts(lines[m]).start < start), _first(lines))


def _item(lines: list[str], n: int) -> int:
    """The line with the dash of the item that line `n` is a setting of; `n` where there is none."""
    start = parts(lines[n]).start if lines[n].strip() else 0
    for m in range(n, -1, -1):
        part = parts(lines[m])
        if _said(lines[m]) and (part.start < start or part.indent < part.start == start):
            return m if part.start == start else n
    return n


def _said(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _first(lines: list[str]) -> int:
    return next((m for m, line in enumerate(lines) if _said(line)), 0)


def _below(lines: list[str], n: int) -> set[int]:
    """The next line: what hung on line `n` hangs in the air there."""
    following = next((m for m in range(n + 1, len(lines)) if lines[m].strip()), None)
    return set() if following is None else {following}


def _misspelled(name: str, chance: random.Random) -> str:
    at = chance.randrange(len(name))
    letter = chance.choice("abcdefghijklmnopqrstuvwxyz")
    match chance.randrange(5):
        case 0 if len(name) > 2:
            return name[:at] + name[at + 1 :]
        case 1:
            return name[:at] + name[at] + name[at:]
        case 2 if at + 1 < len(name):
            return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        case 3:
            return name[:at] + letter + name[at + 1 :]
        case _:
            return re.sub("_", "-", name) if "_" in name else name[:at] + letter + name[at:]
