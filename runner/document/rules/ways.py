"""Rules about ways out: what is said twice, and sentences that a comma split."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.document.names import shown
from runner.document.places import Where
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, Group, group_of, list_of

OWN = "the rules of the agent file (README, stages)"
YAML_COMMAS = "YAML 1.2, 7.4.1: inside [ ] a comma separates items"


def _lists(agent: Agent) -> Iterator[tuple[Where, str, list[Group]]]:
    """Every list of ways out: its path, how its place is called, its items."""
    yield ("anywhere",), "anywhere", [group_of(item) for item in list_of(agent.data.get("anywhere"))]
    for name, stage in agent.stages.items():
        yield ("stages", name, "next"), f'the stage "{name}"', [group_of(item) for item in list_of(stage.get("next"))]


def _plain(text: object) -> str:
    return " ".join(re.findall(r"\w+", str(text).lower()))


def _otherwise_twice(agent: Agent) -> Iterator[Hit]:
    for name, stage in agent.stages.items():
        found = [n for n, item in enumerate(list_of(stage.get("next"))) if "otherwise" in group_of(item)]
        for number in found[1:]:
            yield Hit(("stages", name, "next", number, "otherwise"), {"name": name})


def _same_when(agent: Agent) -> Iterator[Hit]:
    for path, where, items in _lists(agent):
        seen: set[str] = set()
        for number, item in enumerate(items):
            when = _plain(item["when"]) if isinstance(item.get("when"), str) else ""
            if when and when in seen:
                yield Hit((*path, number, "when"), {"where": where, "when": shown(item["when"])}, "value")
            seen.add(when)


def _same_example(agent: Agent) -> Iterator[Hit]:
    for path, where, items in _lists(agent):
        seen: dict[str, int] = {}
        for number, item in enumerate(items):
            for at, example in enumerate(list_of(item.get("examples"))):
                plain = _plain(example) if isinstance(example, str) else ""
                if plain and plain in seen:
                    here = (*path, number, "examples", at)
                    same = "of this way already" if seen[plain] == number else "of another way out"
                    yield Hit(here, {"example": shown(example), "same": same, "where": where}, "value")
                elif plain:
                    seen[plain] = number


def _split_sentence(agent: Agent) -> Iterator[Hit]:
    """`examples: [Yes, that is right]`: an item that goes on in small letters was most likely one sentence."""
    for path, _, items in _lists(agent):
        for number, item in enumerate(items):
            here: Where = (*path, number, "examples")
            examples = list_of(item.get("examples"))
            for at in range(1, len(examples)):
                before, after = examples[at - 1], examples[at]
                if not isinstance(before, str) or not isinstance(after, str):
                    continue
                left, right = agent.source.places.get((*here, at - 1)), agent.source.places.get((*here, at))
                if left is None or right is None or (left.style, right.style) != ("plain", "plain"):
                    continue
                if left.value.line != right.value.line or not before[:1].isupper() or not after[:1].islower():
                    continue
                whole = f"{before}, {after}"
                yield Hit((*here, at), {"before": shown(before), "after": shown(after), "whole": shown(whole)}, "value")


RULES = (
    Rule(
        "otherwise-twice",
        "error",
        "next",
        'The stage "{name}" has "otherwise" twice; only the first would ever be taken.',
        "Keep one of the two.",
        OWN,
        _otherwise_twice,
    ),
    Rule(
        "same-when",
        "warning",
        "next and anywhere",
        '"{when}" stands twice in {where}; the model cannot tell the two ways apart.',
        "Say what is different, or keep one of the two.",
        "OpenAI, Function calling: descriptions tell the model when to use each function",
        _same_when,
    ),
    Rule(
        "same-example",
        "warning",
        "examples",
        '"{example}" is an example {same}, in {where}.',
        "Keep it where it belongs.",
        "OpenAI, Function calling: descriptions tell the model when to use each function",
        _same_example,
    ),
    Rule(
        "split-by-comma",
        "warning",
        "examples in brackets",
        'The comma makes two items of this: "{before}" and "{after}". Inside [ ] a comma separates items.',
        'If it is one sentence, put it in double quotes: "{whole}"',
        YAML_COMMAS,
        _split_sentence,
    ),
)
"""The table of the rules about ways out."""
