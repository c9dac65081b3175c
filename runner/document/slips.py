"""A line that is almost YAML in; which habit it comes from, as a mend, out.

People bring other habits: `=` or `->` for the colon, `//` for a comment, `*` or `1.` for an item, two settings in one line, text
right behind a `|`. Each is told from a broken line of text by its looks.
"""

from __future__ import annotations

import re

from runner.document.lines import end_of_quote, line_above, parts, without_comment
from runner.document.mend import Change, Mend, blanked

_SIGN = re.compile(r"(?P<key>[A-Za-z_][\w-]*)\s*(?P<sign>=>|->|:=|=)\s*(?P<value>.*)$")
_COMMENT = re.compile(r"(//|/\*|<!--|;|--(?!-))\s*\S")
_BULLET = re.compile(r"(?P<mark>[*•–—+]|\d{1,2}[.)])\s+(?P<text>\S.*)$")
_SECOND = re.compile(r"(?P<first>[^,;:]+)[,;]\s+(?P<key>[A-Za-z_]\w*):\s")
_TEXT_BEHIND_BAR = re.compile(r"[|>][+-]?\s+(?P<text>[^#\s].*)$")

FAR = 300
"""How many lines around a fault are looked at, so that a big broken file is answered at once."""


def slip(lines: list[str], number: int, known: frozenset[str]) -> Mend | None:
    """The habit a line shows, None when it shows none."""
    return (
        _sign(number, lines[number], known)
        or _comment(number, lines[number])
        or _behind_bar(number, lines[number])
        or _two_settings(number, lines[number], known)
        or _item(lines, number)
    )


def _sign(number: int, line: str, known: frozenset[str]) -> Mend | None:
    start = parts(line).start
    found = _SIGN.match(line, start)
    if not found or found.group("key") not in known:
        return None
    key, sign, value = found.group("key"), found.group("sign"), found.group("value").strip()
    new = f"{line[:start]}{key}: {value}"
    return Mend(
        number,
        found.start("sign"),
        len(sign),
        "no-colon",
        f'There is {sign} after "{key}", where a colon belongs.',
        f"Write: {key}: {value}",
        [Change(number, new, found.start("sign"), len(new) - len(line.rstrip()))],
        safe=bool(value),
    )


def _comment(number: int, line: str) -> Mend | None:
    part = parts(line)
    found = _COMMENT.match(line, part.indent)
    if not found:
        return None
    mark = found.group(1)
    return Mend(
        number,
        part.indent,
        len(mark),
        "comment-mark",
        f"{mark} does not begin a comment in YAML.",
        "A comment begins with #.",
        [Change(number, f"{line[: part.indent]}# {line[part.indent + len(mark) :].strip()}")],
        safe=mark == "//",
    )


def _behind_bar(number: int, line: str) -> Mend | None:
    part = parts(line)
    found = _TEXT_BEHIND_BAR.match(line, part.value_at)
    if part.key is None or not found:
        return None
    text = found.group("text").strip()
    return Mend(
        number,
        found.start("text"),
        len(text),
        "text-behind-bar",
        f"The text below a {line[part.value_at]} begins on the next line, not behind it.",
        "Move this to a line of its own, indented by two more spaces.",
        [Change(number, line[: part.value_at + 1])],
    )


def _two_settings(number: int, line: str, known: frozenset[str]) -> Mend | None:
    part = parts(line)
    if part.key is None or part.value[:1] in ("", '"', "'", "[", "{"):
        return None
    inner = parts(part.value)
    if inner.key in known and part.key in known and " " not in (inner.key or " "):
        return Mend(
            number,
            part.value_at,
            len(part.value),
            "two-in-a-line",
            f'"{part.key}" and "{inner.key}" stand in one line.',
            f"Write {part.value} on the line below, indented by two more spaces.",
            [Change(number, line[: part.value_at].rstrip())],
        )
    found = _SECOND.match(part.value)
    if found and found.group("key") in known:
        at = part.value_at + found.end("first")
        return Mend(
            number,
            part.value_at + found.start("key"),
            len(line.rstrip()) - part.value_at - found.start("key"),
            "two-in-a-line",
            f'"{part.key}" and "{found.group("key")}" stand in one line.',
            "Write each setting on a line of its own, without a comma.",
            [Change(number, line[:at])],
        )
    return None


def _item(lines: list[str], number: int) -> Mend | None:
    """An item of a list that has no dash, or no space after it, or another mark."""
    line = lines[number]
    part = parts(line)
    text = without_comment(line[part.indent :]).rstrip()
    if re.match(r"-[^\s-]", text) and not re.match(r"-\.?\d", text):
        return _as_item(lines, number, text[1:].strip(), "There is no space after the dash.", part.indent, part.indent)
    bullet = _BULLET.match(text)
    if bullet and _among_items(lines, number, part.indent):
        mark, rest = bullet.group("mark"), bullet.group("text")
        return _as_item(
            lines, number, rest, f"{mark} does not begin an item in YAML; a dash does.", part.indent, part.indent
        )
    if part.start == part.indent and part.key is None and _among_items(lines, number, part.indent):
        return _as_item(lines, number, text, "There is no dash before this item of the list.", part.indent, part.indent)
    return None


def _as_item(lines: list[str], number: int, text: str, message: str, column: int, indent: int) -> Mend:
    dashes = [_dash(lines[n]) for n in _around(lines, number)]
    target = next((at for at in dashes if at is not None), indent)
    line = lines[number]
    return Mend(
        number,
        column,
        max(1, len(line.rstrip()) - column),
        "no-dash",
        message,
        f"Write: - {text}",
        [Change(number, f"{' ' * target}- {text}")],
    )


def _dash(line: str) -> int | None:
    found = re.match(r"( *)- ", line)
    return len(found.group(1)) if found else None


def _around(lines: list[str], number: int) -> list[int]:
    above = line_above(lines, number)
    below = next((n for n in range(number + 1, len(lines)) if lines[n].strip()), None)
    return [n for n in (above, below) if n is not None]


def _among_items(lines: list[str], number: int, indent: int) -> bool:
    """Whether a line beside this one is an item at the same depth."""
    return any(_dash(lines[n]) == indent and parts(lines[n]).key is None for n in _around(lines, number))


def first_without_dash(lines: list[str], number: int, inside: set[int]) -> Mend | None:
    """The first item of a list was written without its dash, and the others, further down, have theirs."""
    for opener in range(number, max(-1, number - FAR), -1):
        part = parts(lines[opener])
        if opener in inside or not lines[opener].strip() or part.key is None or part.value:
            continue
        first = next((n for n in range(opener + 1, len(lines)) if lines[n].strip()), None)
        if first is None:
            return None
        head = parts(lines[first])
        if head.key is None or head.start != head.indent or head.indent <= part.indent or first > number:
            continue
        for n in range(first + 1, min(len(lines), number + FAR)):
            if not lines[n].strip() or n in inside:
                continue
            other = parts(lines[n])
            if other.indent < head.indent:
                break
            if other.indent == head.indent and _dash(lines[n]) == head.indent and other.key == head.key:
                return Mend(
                    first,
                    head.start,
                    len(lines[first].rstrip()) - head.start,
                    "no-dash",
                    f'There is no dash before the first item of "{part.key}".',
                    f"Write: - {lines[first].strip()}",
                    [Change(first, f"{' ' * head.indent}- {lines[first].strip()}", head.indent, 2)],
                    safe=True,
                )
    return None


def quote_in_brackets(number: int, text: str, at: int) -> Mend | None:
    """`['Land's End', RMA]` and `["Northwind", "RMA]`: what is wrong with the quotes of one item."""
    position = at
    while position < len(text):
        char, before = text[position], text[position - 1 : position]
        if char not in "\"'" or before not in ("[", "{", ",", " "):
            position += 1
            continue
        end = end_of_quote(text, position)
        if end is None:
            stop = len(text.rstrip("]}"))
            return Mend(
                number,
                position,
                stop - position,
                "unclosed-quote",
                f"This text begins with a {char} that is never closed.",
                f"Put another {char} at the end of the text.",
                [Change(number, text[:stop] + char + text[stop:])],
            )
        if char == "'" and text[end + 1 : end + 2].isalpha():
            stop = text.find("'", end + 1)
            stop = stop if stop > 0 else end
            whole = text[position + 1 : stop]
            return Mend(
                number,
                end,
                1,
                "apostrophe",
                "The apostrophe ends the text here, because the text began with a single quote.",
                f'Put it in double quotes: "{whole}"',
                [Change(number, f'{text[:position]}"{whole}"{text[stop + 1 :]}')],
            )
        position = end + 1
    return None


def in_brackets(number: int, line: str, column: int) -> Mend | None:
    """`[@one, two]`: an item that YAML cannot begin with such a character."""
    char = line[column : column + 1]
    if char not in ("@", "`", "%") or not char:
        return None
    item = re.match(r"[^,\]}]*", line[column:])
    text = (item.group() if item else char).rstrip()
    if '"' in text or "\\" in text:
        return Mend(
            number,
            column,
            1,
            "reserved-character",
            f"A text cannot begin with {char} in YAML.",
            "Put it in quotes.",
            [blanked(number, line)],
        )
    return Mend(
        number,
        column,
        len(text),
        "reserved-character",
        f"A text cannot begin with {char} in YAML.",
        f'Put it in double quotes: "{text}"',
        [Change(number, f'{line[:column]}"{text}"{line[column + len(text) :]}', column, 1)],
        safe=True,
    )
