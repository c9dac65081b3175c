"""Rules about what gets lost or should not be there: text behind ` #`, swallowed lines, keys, ${NAMES}."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.document.check import known_names, types
from runner.document.names import shown
from runner.document.places import PASTED_KEY, Spot
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent

YAML = "YAML 1.2, 6.6: a comment begins at a # after a space"


def _cut_by_hash(agent: Agent) -> Iterator[Hit]:
    """What follows ` #` in a line of prose."""
    for path, _, node in agent.texts:
        place = agent.source.places.get(path)
        if place is None or place.style != "plain" or agent.source.origin(path) or not node.get("x-prose"):
            continue
        if place.last_line != place.value.line:
            continue
        line = agent.source.home(path).lines[place.value.line - 1]
        end = place.value.column - 1 + place.value.length
        cut = re.match(r" #(.*)", line[end:])
        if cut and cut.group(1).strip():
            spot = Spot(place.value.line, end + 2, len(line.rstrip()) - end - 1)
            severity = "warning" if cut.group(1).startswith(" ") else "error"
            whole = line[place.value.column - 1 :].rstrip()
            if severity == "error" and '"' not in whole and "\\" not in whole:
                agent.source.cure(
                    path, "cut-by-hash", Spot(place.value.line, place.value.column, len(whole)), f'"{whole}"'
                )
            yield Hit(path, {"lost": shown(cut.group(0).strip())}, spot=spot, severity=severity)


def _swallowed(agent: Agent) -> Iterator[Hit]:
    """Settings glued to the text above them."""
    for path, _, _ in agent.texts:
        place = agent.source.places.get(path)
        if place is None or place.style != "plain" or agent.source.origin(path):
            continue
        for number in range(place.value.line + 1, place.last_line + 1):
            stuck = re.match(r"\s*([A-Za-z_]\w*):(\S.*)", agent.source.home(path).lines[number - 1])
            if stuck and stuck.group(1) in known_names():
                agent.source.home(path).broken.update(range(place.value.line, number))
                spot = Spot(number, stuck.start(1) + 1, len(stuck.group(1)) + 1)
                agent.source.cure(path, "space-after-colon", spot, f"{stuck.group(1)}: ")
                yield Hit(path, {"name": stuck.group(1), "rest": stuck.group(2)}, spot=spot)


def _swallowed_comment(agent: Agent) -> Iterator[Hit]:
    """`// a note` below a text becomes a part of it."""
    for path, _, _ in agent.texts:
        place = agent.source.places.get(path)
        if place is None or place.style != "plain" or agent.source.origin(path):
            continue
        for number in range(place.value.line, place.last_line + 1):
            start = place.value.column - 1 + 1 if number == place.value.line else 0
            line = agent.source.home(path).lines[number - 1]
            found = re.compile(r"(?:(?<=\s)|^\s*)(?<!:)//(?=\s|\w)").search(line, start)
            if found:
                at = found.end() - 2
                yield Hit(path, spot=Spot(number, at + 1, max(2, len(line.rstrip()) - at)))
                break


def _trailing_mark(agent: Agent) -> Iterator[Hit]:
    """`model: gpt-4o;` in a setting that is no sentence."""
    for path, text, node in agent.texts:
        place = agent.source.places.get(path)
        name = path[len(path) - 1]
        if types(node) != ("string",) or node.keys() & {"x-prose", "enum", "pattern"}:
            continue
        if place is None or not isinstance(name, str):
            continue
        if text.rstrip().endswith((",", ";")) and place.style == "plain" and place.last_line == place.value.line:
            bare = text.rstrip(" ,;")
            agent.source.cure(path, "trailing-mark", place.value, bare)
            words = {"mark": text.rstrip()[-1], "name": name, "bare": shown(bare)}
            yield Hit(path, words, spot=Spot(place.value.line, place.value.column + len(text.rstrip()) - 1, 1))


def _pasted_key(agent: Agent) -> Iterator[Hit]:
    for path, text, _ in agent.texts:
        if PASTED_KEY.search(text):
            yield Hit(path, on="value")
    for path, (file, text) in agent.prompts.items():
        for number, line in enumerate(text.split("\n"), 1):
            if PASTED_KEY.search(line):
                yield Hit(path, spot=Spot(number, 1, 1), text=(file, PASTED_KEY.sub("...", text)))


def _not_from_environment(agent: Agent) -> Iterator[Hit]:
    for path, text, node in agent.texts:
        found = re.search(r"\$\{([A-Z_][A-Z0-9_]*)\}", text)
        if found and not node.get("x-env"):
            spot = agent.spot_in(path, text, found.start(), len(found.group()))
            yield Hit(path, {"typed": found.group(), "name": found.group(1).lower()}, "value", spot)


RULES = (
    Rule(
        "cut-by-hash",
        "error",
        "text behind a space and a #",
        'The text ends before " #": "{lost}" is taken for a comment and gets lost.',
        "Put the whole text in double quotes. If it is a comment, put two spaces before the #.",
        YAML,
        _cut_by_hash,
    ),
    Rule(
        "space-after-colon",
        "error",
        "lines below a text",
        'There is no space after the colon of "{name}", so this line became a part of the text above.',
        "Write: {name}: {rest}",
        "YAML 1.2, 7.3.3: a plain text goes on in further lines",
        _swallowed,
    ),
    Rule(
        "slashes-in-text",
        "warning",
        "// in and below a text",
        "// does not begin a comment in YAML: what follows is a part of the text.",
        "A comment begins with #, after two spaces.",
        YAML,
        _swallowed_comment,
    ),
    Rule(
        "trailing-mark",
        "error",
        "settings that are no sentences",
        'The {mark} at the end becomes a part of "{name}".',
        "Write: {name}: {bare}",
        "YAML 1.2, 7.3.3: a plain text goes on to the end of the line",
        _trailing_mark,
    ),
    Rule(
        "key-in-file",
        "error",
        "every text",
        "This looks like a secret key. Keys are never written into an agent file.",
        "Write it into the file .env, and make a new key if others have seen this one.",
        "OpenAI, Best practices for API key safety",
        _pasted_key,
    ),
    Rule(
        "not-from-environment",
        "warning",
        "${NAME} in texts",
        '"{typed}" is not filled in from the environment here; it stays as it is.',
        "Only endpoint takes it. For texts use variables: and {{{{ {name} }}}}",
        "the rules of the agent file (README, keys and addresses)",
        _not_from_environment,
    ),
)
"""The table of the rules about lost text and keys."""
