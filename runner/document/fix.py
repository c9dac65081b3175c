"""An agent file with mistakes in, the same file without those that can be mended safely out.

Mended is what has one meaning only: older names, quotes that were missing, tabs, invisible characters, another case. All other
bytes stay as they are, comments and line ends too, because lines are replaced and nothing is written anew from data.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.document.load import Loaded
from runner.document.places import PASTED_KEY, Cure
from runner.document.text import MAX_BYTES
from runner.problem import short_path

MAX_ROUNDS = 200
"""How many cures are tried, so that a file full of mistakes is answered soon."""

_KEY = re.compile(rf"{PASTED_KEY.pattern}|(?i:(?<=key: )|(?<=secret: )|(?<=password: )|(?<=token: ))\S+")
"""What a diff never shows: keys, by their looks or by the name before them."""

Read = Callable[[str], Loaded]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What became of one file.

    before, after: its text; the same when nothing could be mended.
    count:         how many mistakes were mended.
    """

    file: Path
    before: str
    after: str
    count: int

    def diff(self) -> str:
        """The change as a unified diff, "" when there is none. Ends with a newline."""
        name = short_path(self.file)
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), name, f"{name} (mended)", lineterm="", n=1
        )
        return "".join(f"{_KEY.sub('...', line)}\n" for line in lines)

    def write(self) -> None:
        """Write the file, when something was mended. Raises OSError."""
        if self.after != self.before:
            self.file.write_bytes(self.after.encode("utf-8"))


def fixed(file: Path, read: Read) -> Fixed | None:
    """Mend what is safe, write nothing. read: a text of this file -> what is said about it.

    A cure counts only when there are fewer problems after it and none that was not there before. None for a file that is not
    read or not UTF-8 text.
    """
    try:
        raw = file.read_bytes() if file.is_file() and file.stat().st_size <= MAX_BYTES else None
        text = raw.decode("utf-8") if raw is not None else None
    except (OSError, UnicodeDecodeError):
        return None
    if text is None or "\0" in text:
        return None
    before, count, tried = text, 0, set[tuple[object, ...]]()
    loaded = read(text)
    for _ in range(MAX_ROUNDS):
        cure = next((c for c in loaded.cures if (c, text) not in tried), None)
        if cure is None:
            break
        tried.add((cure, text))
        new = applied(text, cure)
        then = read(new)
        if _better(loaded, then):
            text, loaded, count = new, then, count + 1
    return Fixed(file, before, text, count)


def applied(text: str, cure: Cure) -> str:
    """The text with the lines of one cure in it. Every other line, and every line end, stays."""
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
    end = next((found.group() for line in lines if (found := re.search(r"\r?\n$|\r$", line))), "\n")
    for number, gone, new in sorted(cure.edits, reverse=True):
        kept = lines[number - 1] if 0 < number <= len(lines) else ""
        mark = "\ufeff" if number == 1 and gone and kept.startswith("\ufeff") else ""
        own = re.search(r"\r?\n$|\r$", kept)
        ending = own.group() if own else "" if gone else end
        made = [line + end for line in new]
        if made and gone:
            made[-1] = mark + new[-1] + ending
        if not gone and number > 1 and lines[number - 2] and not lines[number - 2].endswith(("\n", "\r")):
            lines[number - 2] += end
        lines[number - 1 : number - 1 + gone] = made
    return "".join(lines)


def _better(before: Loaded, after: Loaded) -> bool:
    """Fewer problems, and none that was not there. Advice is given only for a file that can be read; it may appear then."""
    old = Counter((p.code, p.message) for p in before.problems if p.is_error)
    new = Counter((p.code, p.message) for p in after.problems if p.is_error)
    if new - old and sum((new - old).values()) > 0:
        return False
    if sum(new.values()) < sum(old.values()):
        return True
    advice = Counter((p.code, p.message) for p in before.problems if not p.is_error)
    now = Counter((p.code, p.message) for p in after.problems if not p.is_error)
    return sum(new.values()) == sum(old.values()) and not now - advice and now != advice
