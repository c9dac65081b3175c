"""A place where YAML could not be read in; the real cause in that line, as a mend, out.

The sentences of a YAML parser name where it gave up and speak its own language. What people got wrong is seen in the raw
lines: an unclosed quote, a colon inside a sentence, a missing space, an indentation that fits nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.document.indents import indentation
from runner.document.lines import BLOCK, block_lines, end_of_quote, line_above, parts, without_comment
from runner.document.mend import Change, Mend, blanked, quoted
from runner.document.slips import FAR, first_without_dash, in_brackets, quote_in_brackets, slip

_BARE_KEY = re.compile(r"(?P<key>[A-Za-z_][\w-]*):(?P<rest>[^\s/:].*)$")


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the parser gave up: line and column from 0, what it was reading began at context, and its own words."""

    line: int
    column: int
    context_line: int | None
    context_column: int | None
    words: str


def cause(lines: list[str], fault: Fault, known: frozenset[str], *, last_resort: bool = False) -> Mend | None:
    """What is really wrong where the parser gave up, None when nothing is left to mend."""
    number = fault.line
    while number > 0 and not lines[number].strip():
        number -= 1
    if not lines[number].strip():
        return None
    if last_resort:
        return _unknown(number, lines[number])
    inside = block_lines(lines)
    mend = (
        _unclosed_quote(lines, fault, number, inside)
        or _after_quote(number, lines[number])
        or (None if number in inside else slip(lines, number, known))
        or first_without_dash(lines, number, inside)
        or _reserved(number, lines[number], fault)
        or _quote_where_it_began(lines, fault)
        or (in_brackets(number, lines[number], fault.column) if number == fault.line else None)
    )
    if mend:
        return mend
    if "flow" in fault.words and fault.context_line is not None:
        return _brackets(lines, fault)
    if "mapping values" in fault.words:
        return _second_colon(lines, fault, number, inside, known)
    if "could not find expected ':'" in fault.words and fault.context_line is not None:
        return slip(lines, fault.context_line, known) or _no_colon(lines, fault.context_line, known)
    return indentation(lines, number, inside, known) or _unknown(number, lines[number])


def glued_lines(lines: list[str]) -> list[Mend]:
    """A file in which no colon has a space after it is one text to YAML: its lines that were meant as settings."""
    return [
        _glued(n, line, found) for n, line in enumerate(lines) if (found := _BARE_KEY.match(line, parts(line).start))
    ]


def _glued(number: int, line: str, found: re.Match[str]) -> Mend:
    key, rest = found.group("key"), found.group("rest").strip()
    at = found.end("key")
    return Mend(
        number,
        found.start(),
        len(line.rstrip()) - found.start(),
        "space-after-colon",
        f'There is no space after the colon of "{key}".',
        f"Write: {key}: {rest}",
        [Change(number, line[: at + 1] + " " + line[at + 1 :], at + 1, 1)],
        safe=True,
    )


def _unclosed_quote(lines: list[str], fault: Fault, number: int, inside: set[int]) -> Mend | None:
    stop = len(lines) - 1 if "quoted" in fault.words else number
    for start in range(stop + 1):
        line = lines[start]
        if start in inside or line.lstrip().startswith("#"):
            continue
        part = parts(line)
        quote = part.value[:1]
        if quote not in ('"', "'") or not quote or end_of_quote(line, part.value_at) is not None:
            continue
        if "quoted" not in fault.words:
            closing = next((n for n in range(start + 1, len(lines)) if quote in lines[n]), None)
            if closing is None or closing > number:
                continue
        following = next((n for n in range(start + 1, len(lines)) if lines[n].strip()), None)
        if following is not None and following not in inside:
            after = parts(lines[following])
            new_line = after.key is not None or after.start > after.indent
            if not new_line and "quoted" not in fault.words:
                continue
        name = "double quote" if quote == '"' else "single quote"
        text = line.rstrip()
        return Mend(
            start,
            part.value_at,
            len(text) - part.value_at,
            "unclosed-quote",
            f"This text begins with a {name} {quote} that is never closed.",
            f"Put another {quote} at the end of the text.",
            [Change(start, text + quote)],
        )
    return None


def _after_quote(number: int, line: str) -> Mend | None:
    part = parts(line)
    if part.value[:1] not in ('"', "'") or not part.value:
        return None
    end = end_of_quote(line, part.value_at)
    if end is None:
        return None
    rest = line[end + 1 :]
    if not rest.strip() or rest.lstrip().startswith("#"):
        return None
    text = line.rstrip()
    quote = line[part.value_at]
    inner = text[part.value_at + 1 :].rstrip(quote).replace("'", "’")
    change = Change(number, f"{line[: part.value_at]}'{quote if quote == chr(34) else '’'}{inner}'", part.value_at, 1)
    if quote == "'" and line[end + 1].isalpha():
        return Mend(
            number,
            end,
            1,
            "apostrophe",
            "The apostrophe ends the text here, because the text began with a single quote.",
            'Put the whole text in double quotes "..." instead.',
            [change],
        )
    return Mend(
        number,
        end + 1,
        len(text) - end - 1,
        "after-quote",
        f"The quoted text ends before {rest.strip()!r:.40}, so YAML cannot tell what the rest is.".replace("'", '"'),
        "Put quotes around the whole text: single quotes ' if it holds double ones.",
        [change],
    )


def _reserved(number: int, line: str, fault: Fault) -> Mend | None:
    part = parts(line)
    char = part.value[:1]
    if not char or char not in "@`%*&!|>" or fault.line != number:
        return None
    if fault.column < part.value_at:
        return None
    return Mend(
        number,
        part.value_at,
        len(part.value),
        "reserved-character",
        f"A text cannot begin with {char} in YAML.",
        "Put the whole text in double quotes.",
        [quoted(number, line, part.value_at, part.value)],
        safe=char in "@`%",
    )


def _brackets(lines: list[str], fault: Fault) -> Mend:
    start = min(fault.context_line if fault.context_line is not None else fault.line, len(lines) - 1)
    at = fault.context_column or 0
    if lines[start][at : at + 1] not in ("[", "{"):
        start, at = _last_open(lines, start) or (start, at)
    line = lines[start]
    part = parts(line)
    opening = line[at : at + 1] or "["
    closing = {"[": "]", "{": "}"}.get(opening, "]")
    text = without_comment(line).rstrip()
    inner = quote_in_brackets(start, text, part.value_at)
    if inner is not None:
        return inner
    if text[-1:] and text[-1] in "]}" and text[-1] != closing and text.count(opening) > text.count(closing):
        return Mend(
            start,
            len(text) - 1,
            1,
            "unclosed-bracket",
            f"What begins with {opening} cannot end with {text[-1]}.",
            f"Write {closing} here.",
            [Change(start, text[:-1] + closing)],
            safe=True,
        )
    if text.count(opening) > text.count(closing):
        return Mend(
            start,
            at,
            1,
            "unclosed-bracket",
            f"This {opening} is never closed.",
            f"Put a {closing} at the end.",
            [Change(start, text + closing)],
        )
    return Mend(
        start,
        part.value_at,
        len(part.value),
        "brackets",
        f"What stands between {opening} and {closing} cannot be read.",
        "Put each text in double quotes, or write each one on a line of its own.",
        [quoted(start, line, part.value_at, part.value) if part.value else blanked(start, line)],
    )


def _last_open(lines: list[str], number: int) -> tuple[int, int] | None:
    """Line and column of the bracket above that is open at the end of its line."""
    for n in range(number, max(-1, number - FAR), -1):
        text = without_comment(lines[n])
        for opening, closing in ("{}", "[]"):
            if text.count(opening) > text.count(closing):
                return n, text.find(opening)
    return None


def _quote_where_it_began(lines: list[str], fault: Fault) -> Mend | None:
    number = fault.context_line
    if number is None or number >= len(lines) or "quoted" not in fault.words:
        return None
    text = without_comment(lines[number]).rstrip()
    return quote_in_brackets(number, text, parts(lines[number]).value_at)


def _second_colon(lines: list[str], fault: Fault, number: int, inside: set[int], known: frozenset[str]) -> Mend | None:
    line = lines[number]
    part = parts(line)
    key_colon = line.find(":", part.start + len(part.key or ""))
    if part.key is not None and fault.column > key_colon and part.value:
        colon = part.value_at + part.value.find(": ") if ": " in part.value else fault.column
        return Mend(
            number,
            min(colon, fault.column),
            1,
            "colon-in-text",
            f'The text of "{part.key}" has a colon in it, and YAML takes that for the name of another setting.',
            "Put the whole text in double quotes.",
            [quoted(number, line, part.value_at, part.value)],
            safe=True,
        )
    above = line_above(lines, number)
    if above is None:
        return _unknown(number, line)
    before = parts(lines[above])
    alone = re.fullmatch(r"[A-Za-z_][\w-]*", lines[above].strip()) and part.start > before.start
    if above not in inside and before.key is None and (before.start == part.start or alone):
        return slip(lines, above, known) or _no_colon(lines, above, known)
    if " " in (part.key or "").strip() and part.start > before.start:
        colon = key_colon if key_colon >= 0 else fault.column
        return Mend(
            number,
            colon,
            1,
            "colon-in-text",
            "This line goes on with the text above, and the colon in it is taken for the end of a setting's name.",
            "Write a | after the colon of the setting, and the text below it, indented.",
            [Change(number, line[:colon] + "\u2236" + line[colon + 1 :])],
        )
    return indentation(lines, number, inside, known) or _unknown(number, line)


def _no_colon(lines: list[str], number: int, known: frozenset[str]) -> Mend:
    line = lines[number]
    part = parts(line)
    glued = _BARE_KEY.match(line, part.start)
    if glued:
        return _glued(number, line, glued)
    above = line_above(lines, number)
    if above is not None and BLOCK.match(lines[above][parts(lines[above]).value_at :]):
        changes: list[Change] = []
        for n in range(number, len(lines)):
            if n > number and parts(lines[n]).key is not None and parts(lines[n]).indent <= part.indent:
                break
            if lines[n].strip():
                changes.append(Change(n, "  " + lines[n], 0, 2))
        return Mend(
            number,
            part.start,
            len(line.rstrip()) - part.start,
            "text-not-indented",
            f"The text below a | must be indented further than line {above + 1}.",
            "Put two more spaces before each line of the text.",
            changes,
        )
    words = line[part.start :].split()
    word = words[0] if words else ""
    if re.fullmatch(r"[A-Za-z_][\w-]*", word) and (len(words) == 1 or word.islower()) and part.start == part.indent:
        at = part.start + len(word)
        return Mend(
            number,
            part.start,
            len(word),
            "no-colon",
            f'There is no colon after "{word}".',
            f"Write: {word}: {' '.join(words[1:]) or '...'}"
            if len(words) == 1 or word in known
            else "A setting is a name, a colon, a space and a value. "
            "If this line goes on with the text above, indent it.",
            [Change(number, line[:at] + ":" + line[at:], at, 1)]
            if len(words) == 1 or word in known
            else [blanked(number, line)],
        )
    return Mend(
        number,
        part.start,
        len(line.rstrip()) - part.start,
        "no-colon",
        "This line has no colon, so it is not a setting.",
        "If it goes on with the text above, write a | after the colon there and indent the text below it.",
        [blanked(number, line)],
    )


def _unknown(number: int, line: str) -> Mend:
    part = parts(line)
    return Mend(
        number,
        part.start,
        max(1, len(line.rstrip()) - part.start),
        "unreadable-line",
        "This line, or the one above it, is not written as YAML wants it.",
        "A setting is a name, a colon, a space and a value. A text with special characters needs double quotes around it.",
        [blanked(number, line)],
    )
