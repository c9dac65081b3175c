"""A line whose indentation fits nothing in; which line slid, and where it belongs, as a mend, out."""

from __future__ import annotations

from runner.document.lines import line_above, parts, said
from runner.document.mend import Change, Mend, blanked


def _opener_moved(lines: list[str], number: int) -> Mend | None:
    """The line that opens the group above slid to the left: what follows fits only if it stood further right."""
    indent = parts(lines[number]).indent
    opener = next((n for n in range(number - 1, -1, -1) if said(lines[n]) and parts(lines[n]).indent < indent), None)
    top = next((n for n in range(number) if said(lines[n])), None)
    if opener is None and top is not None and parts(lines[top]).indent > 0 and parts(lines[top]).key is not None:
        line, by = lines[top], parts(lines[top]).indent
        return Mend(
            top,
            0,
            by,
            "indentation",
            f"This line is indented by {by}, but the lines below it stand further left.",
            f"Indent it by {indent}." if indent else "Remove the spaces before it.",
            [Change(top, " " * indent + line.lstrip(" "), 0, indent - by)],
        )
    if opener is None or parts(lines[opener]).key is None or parts(lines[opener]).value:
        return None
    first = next((n for n in range(opener + 1, number) if said(lines[n])), None)
    before = next((n for n in range(opener - 1, -1, -1) if said(lines[n]) and parts(lines[n]).indent <= indent), None)
    if first is None or parts(lines[first]).indent <= indent or before is None:
        return None
    again = any(said(line) and parts(line).indent == indent for line in lines[number + 1 :])
    around = parts(lines[before])
    if around.indent != indent and not (again and around.key is not None and not around.value):
        return None
    line, part = lines[opener], parts(lines[opener])
    return Mend(
        opener,
        0,
        max(1, len(line.rstrip())),
        "indentation",
        f"This line is indented by {part.indent}, but the lines around it show that it belongs further in."
        if part.indent
        else "This line is not indented, but the lines around it show that it belongs further in.",
        f"Indent it by {indent}.",
        [Change(opener, " " * (indent - part.indent) + line, 0, indent - part.indent)],
    )


def indentation(lines: list[str], number: int, inside: set[int], known: frozenset[str]) -> Mend | None:
    """A line whose indentation fits none above it: it, and what belongs to it, move to the nearest that does."""
    part = parts(lines[number])
    levels: list[int] = []
    openers: dict[int, bool] = {}
    settings: set[int] = set()
    for n in range(number - 1, -1, -1):
        if n in inside or not lines[n].strip() or lines[n].lstrip().startswith("#"):
            continue
        other = parts(lines[n])
        if other.key in known:
            settings.add(other.start)
        openers.setdefault(other.start, other.key is not None and not other.value)
        for level in {other.indent, other.start}:
            if not levels or level < min(levels) or n == line_above(lines, number):
                levels.append(level)
    above = line_above(lines, number)
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
                [blanked(number, lines[number])],
            )
        return None
    opens = part.key is not None and not part.value
    alike = {level for level, opening in openers.items() if opening == opens}
    moved_opener = _opener_moved(lines, number)
    if moved_opener is not None:
        return moved_opener
    own = part.key in known
    target = min(fits, key=lambda n: (abs(n - part.indent), (n in settings) != own, n not in alike, -n))
    if target == part.indent:
        return None
    moved = target - part.indent
    changes: list[Change] = []
    for n in range(number, len(lines)):
        indent = len(lines[n]) - len(lines[n].lstrip(" "))
        if n > number and lines[n].strip() and (indent <= max(part.indent, target) or not opens):
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
