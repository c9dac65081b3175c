"""A place where YAML could not be read in; the real cause in that line, in plain words, and the line mended out.

The sentences of a YAML parser name where it gave up and speak its own language. What people got wrong is seen in the raw lines:
a tab, an unclosed quote, a colon inside a sentence. A mend changes lines in memory only, never the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

INVISIBLE = "\u00a0\u2007\u202f\u200b\u200c\u200d\u2060\ufeff\u3000"
"""Characters that look like a space, or like nothing, and are neither to YAML."""

_NAMES = {"\u00a0": "no-break space", "\u202f": "no-break space", "\u2007": "no-break space", "\u3000": "wide space"}
_OPENING = "“„«‘‚"
_CLOSING = {"“": "”“", "„": "“”", "«": "»", "‘": "’", "‚": "‘’"}
_KEY = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s"'#\[\]{},|>&*!%@`:-](?:[^:#]|:(?=\S)|(?<=\S)#)*?)\s*:(?=\s|$)""")
_BARE_KEY = re.compile(r"(?P<key>[A-Za-z_][\w-]*):(?P<rest>[^\s/:].*)$")
_BLOCK = re.compile(r"(?:[&!]\S+\s+)*[|>][0-9+-]*\s*(?:#.*)?$")


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the parser gave up: line and column from 0, what it was reading began at context, and its own words."""

    line: int
    column: int
    context_line: int | None
    context_column: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """The new text of a line; everything after column `at` moved by `moved` characters."""

    line: int
    text: str
    at: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Mend:
    """A cause, with line and column from 0, and the lines as they have to be to read on."""

    line: int
    column: int
    length: int
    code: str
    message: str
    hint: str
    changes: list[Change] = field(default_factory=list[Change])


@dataclass(frozen=True, slots=True)
class Parts:
    """One line taken apart. start: column of the key or text, after the indent and the dashes; value_at: column of the value."""

    indent: int
    start: int
    key: str | None
    value_at: int
    value: str


def parts(line: str) -> Parts:
    """`  - to: goodbye  # x` -> indent 2, start 4, key `to`, value `goodbye`."""
    space = " \t" + INVISIBLE
    indent = len(line) - len(line.lstrip(space))
    start = indent
    while line[start : start + 1] == "-" and line[start + 1 : start + 2].strip(space) == "":
        rest = line[start + 1 :]
        if not rest.strip(space):
            return Parts(indent, start, None, len(line), "")
        start += 1 + len(rest) - len(rest.lstrip(space))
    found = _KEY.match(line, start)
    key = found.group("key").strip("\"'") if found else None
    at = found.end() if found else start
    at += len(line[at:]) - len(line[at:].lstrip(" \t"))
    return Parts(indent, start, key, at, _without_comment(line[at:]).rstrip())


def _without_comment(value: str) -> str:
    if value.startswith("#"):
        return ""
    cut = re.search(r"\s#", value)
    return value[: cut.start()] if cut and value[:1] not in "\"'" else value


def block_lines(lines: list[str]) -> set[int]:
    """The lines that are text below `|` or `>`: whatever stands in them is right."""
    inside: set[int] = set()
    owner: int | None = None
    for number, line in enumerate(lines):
        if owner is not None:
            if not line.strip() or len(line) - len(line.lstrip(" ")) > owner:
                inside.add(number)
                continue
            owner = None
        part = parts(line)
        if _BLOCK.match(line[part.value_at :]):
            owner = part.start if part.key is not None else part.indent
    return inside


def before_parsing(lines: list[str]) -> Iterator[Mend]:
    """Causes that are certain without a parser, many of which it would swallow in silence."""
    inside = block_lines(lines)
    tabs = [n for n, line in enumerate(lines) if n not in inside and re.match(r" *\t\s*[^\s#]", line)]
    if tabs:
        yield _tabs(lines, tabs)
    for number, line in enumerate(lines):
        if number in inside or line.lstrip().startswith("#"):
            continue
        mend = _invisible(number, line) or _curly(number, line) or _template(number, line)
        if mend:
            yield mend


def _tabs(lines: list[str], tabs: list[int]) -> Mend:
    widths = [len(m.group()) for line in lines if (m := re.match(r" +(?=\S)", line))]
    unit = " " * (min(widths) if widths and min(widths) in (2, 4) else 2)
    changes: list[Change] = []
    for number in tabs:
        line = lines[number]
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        spaces = indent.replace("\t", unit)
        changes.append(Change(number, spaces + line[len(indent) :], len(indent), len(spaces) - len(indent)))
    first = tabs[0]
    others = len(tabs) - 1
    also = "" if not others else f" So does {others} more." if others == 1 else f" So do {others} more."
    return Mend(
        first,
        lines[first].index("\t"),
        1,
        "tab",
        f"This line begins with a tab.{also} YAML wants spaces.",
        "Replace each tab with two spaces; most editors can do it for the whole file.",
        changes,
    )


def _invisible(number: int, line: str) -> Mend | None:
    part = parts(line)
    head = re.match(rf"[\s{INVISIBLE}]*(?:-[\s{INVISIBLE}]+)*[\w-]*:?[\s{INVISIBLE}]*", line)
    reach = head.end() if head else 0
    at = next((i for i, c in enumerate(line[:reach]) if c in INVISIBLE), None)
    if at is None:
        return None
    del part
    char = line[at]
    what = _NAMES.get(char, "invisible character")
    fixed = "".join(" " if c in INVISIBLE else c for c in line[:reach]) + line[reach:]
    return Mend(
        number,
        at,
        1,
        "invisible-character",
        f"There is a {what} here (U+{ord(char):04X}). It looks like an ordinary space, but YAML does not take it for one."
        if what != "invisible character"
        else f"There is an invisible character here (U+{ord(char):04X}).",
        "Delete it and type an ordinary space." if what != "invisible character" else "Delete it.",
        [Change(number, fixed)],
    )


def _curly(number: int, line: str) -> Mend | None:
    part = parts(line)
    for at, text in ((part.start, line[part.start : part.start + 1]), (part.value_at, part.value)):
        if not text or text[0] not in _OPENING:
            continue
        end = next((i for i in range(at + 1, len(line)) if line[i] in _CLOSING[line[at]]), None)
        after = line[end + 1 :].lstrip() if end is not None else ""
        if end is None or (after and not after.startswith((":", "#"))):
            continue
        typed = line[at : end + 1]
        quote = "'" if '"' in typed or "\\" in typed else '"'
        inner = typed[1:-1].replace("'", "’") if quote == "'" else typed[1:-1]
        return Mend(
            number,
            at,
            1,
            "curly-quotes",
            f"{typed[0]} and {typed[-1]} are curly quotes. YAML takes them for a part of the text.",
            'Type straight quotes: "',
            [Change(number, line[:at] + quote + inner + quote + line[end + 1 :])],
        )
    return None


def _template(number: int, line: str) -> Mend | None:
    part = parts(line)
    if not part.value.startswith(("{{", "{%")):
        return None
    if re.fullmatch(r"\{\{[^{}]*\}\}|\{%[^{}]*%\}", part.value):
        example = f': "{part.value}"' if part.key is not None else f': - "{part.value}"'
    else:
        example = "."
    return Mend(
        number,
        part.value_at,
        len(part.value),
        "unquoted-braces",
        f"A text that begins with {part.value[:2]} needs quotes around it.",
        f"Put the whole text in double quotes{example}",
        [_quoted(number, line, part.value_at, part.value)],
    )


def _quoted(number: int, line: str, at: int, value: str) -> Change:
    inner = value.replace("'", "''")
    return Change(number, f"{line[:at]}'{inner}'{line[at + len(value) :]}", at, 1)


def _blanked(number: int, line: str) -> Change:
    indent = len(line) - len(line.lstrip())
    return Change(number, line[:indent] + "#" + line[indent + 1 :] if line.strip() else "#")


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
        or _reserved(number, lines[number], fault)
    )
    if mend:
        return mend
    if "flow" in fault.words and fault.context_line is not None:
        return _brackets(lines, fault)
    if "mapping values" in fault.words:
        return _second_colon(lines, fault, number, inside, known)
    if "could not find expected ':'" in fault.words and fault.context_line is not None:
        return _no_colon(lines, fault.context_line, known)
    return _indentation(lines, number, inside) or _unknown(number, lines[number])


def _unclosed_quote(lines: list[str], fault: Fault, number: int, inside: set[int]) -> Mend | None:
    stop = len(lines) - 1 if "quoted" in fault.words else number
    for start in range(stop + 1):
        line = lines[start]
        if start in inside or line.lstrip().startswith("#"):
            continue
        part = parts(line)
        quote = part.value[:1]
        if quote not in ('"', "'") or not quote or _end_of_quote(line, part.value_at) is not None:
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


def _end_of_quote(line: str, at: int) -> int | None:
    quote = line[at]
    position = at + 1
    while position < len(line):
        if quote == '"' and line[position] == "\\":
            position += 2
            continue
        if line[position] == quote:
            if quote == "'" and line[position + 1 : position + 2] == "'":
                position += 2
                continue
            return position
        position += 1
    return None


def _after_quote(number: int, line: str) -> Mend | None:
    part = parts(line)
    if part.value[:1] not in ('"', "'") or not part.value:
        return None
    end = _end_of_quote(line, part.value_at)
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
        [_quoted(number, line, part.value_at, part.value)],
    )


def _brackets(lines: list[str], fault: Fault) -> Mend:
    start = fault.context_line if fault.context_line is not None else fault.line
    line = lines[start]
    part = parts(line)
    opening = line[fault.context_column or 0 : (fault.context_column or 0) + 1] or "["
    closing = {"[": "]", "{": "}"}.get(opening, "]")
    text = _without_comment(line).rstrip()
    if text.count(opening) > text.count(closing):
        return Mend(
            start,
            fault.context_column or 0,
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
        [_quoted(start, line, part.value_at, part.value) if part.value else _blanked(start, line)],
    )


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
            [_quoted(number, line, part.value_at, part.value)],
        )
    above = _above(lines, number)
    if above is None:
        return _unknown(number, line)
    before = parts(lines[above])
    if above not in inside and before.key is None and before.start == part.start:
        return _no_colon(lines, above, known)
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
    return _indentation(lines, number, inside) or _unknown(number, line)


def _no_colon(lines: list[str], number: int, known: frozenset[str]) -> Mend:
    line = lines[number]
    part = parts(line)
    glued = _BARE_KEY.match(line, part.start)
    if glued:
        at = part.start + len(glued.group("key"))
        return Mend(
            number,
            part.start,
            len(line.rstrip()) - part.start,
            "space-after-colon",
            f'There is no space after the colon of "{glued.group("key")}".',
            f"Write: {glued.group('key')}: {glued.group('rest').strip()}",
            [Change(number, line[: at + 1] + " " + line[at + 1 :], at + 1, 1)],
        )
    above = _above(lines, number)
    if above is not None and _BLOCK.match(lines[above][parts(lines[above]).value_at :]):
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
            else [_blanked(number, line)],
        )
    return Mend(
        number,
        part.start,
        len(line.rstrip()) - part.start,
        "no-colon",
        "This line has no colon, so it is not a setting.",
        "If it goes on with the text above, write a | after the colon there and indent the text below it.",
        [_blanked(number, line)],
    )


def _above(lines: list[str], number: int) -> int | None:
    for n in range(number - 1, -1, -1):
        if lines[n].strip() and not lines[n].lstrip().startswith("#"):
            return n
    return None


def _indentation(lines: list[str], number: int, inside: set[int]) -> Mend | None:
    """A line whose indentation fits none above it: it, and what belongs to it, move to the nearest that does."""
    part = parts(lines[number])
    levels: list[int] = []
    openers: dict[int, bool] = {}
    for n in range(number - 1, -1, -1):
        if n in inside or not lines[n].strip() or lines[n].lstrip().startswith("#"):
            continue
        other = parts(lines[n])
        openers.setdefault(other.start, other.key is not None and not other.value)
        for level in {other.indent, other.start}:
            if not levels or level < min(levels) or n == _above(lines, number):
                levels.append(level)
    above = _above(lines, number)
    if above is None or not levels:
        return None
    opener = parts(lines[above])
    fits = sorted(set(levels) | ({opener.start + 2} if opener.key is not None and not opener.value else set()))
    if part.indent in fits and part.indent <= opener.start:
        dash, dash_above = part.start > part.indent, opener.start > opener.indent
        if dash != dash_above:
            return Mend(
                number,
                part.indent,
                len(lines[number].rstrip()) - part.indent,
                "list-and-group",
                "This line is an item of a list (it begins with -), but the lines around it are settings."
                if dash
                else "This line is a setting, but the lines around it are items of a list (they begin with -).",
                "Indent it so that it belongs to the right line, or begin it like its neighbours.",
                [_blanked(number, lines[number])],
            )
        return None
    opens = part.key is not None and not part.value
    alike = {level for level, opening in openers.items() if opening == opens}
    target = min(fits, key=lambda level: (abs(level - part.indent), level not in alike, -level))
    if target == part.indent:
        return None
    moved = target - part.indent
    changes: list[Change] = []
    for n in range(number, len(lines)):
        indent = len(lines[n]) - len(lines[n].lstrip(" "))
        if n > number and lines[n].strip() and indent < part.indent:
            break
        if lines[n].strip():
            text = " " * moved + lines[n] if moved > 0 else lines[n][-moved:]
            changes.append(Change(n, text, 0, moved))
    wrong = f"This line is indented by {part.indent}, which fits no line above it."
    return Mend(
        number,
        0,
        max(1, part.indent),
        "indentation",
        wrong if part.indent else "This line is not indented, but what is above it goes on.",
        f"Indent it by {target}, like the lines it belongs to.",
        changes,
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
        [_blanked(number, line)],
    )
