"""Rules about the providers that come with Pipecat and have no rules of their own."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog import PARTS, PROVIDERS
from runner.document.check import schema
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, list_of


def _only_at_the_start(agent: Agent) -> Iterator[Hit]:
    """Settings that a running service is not told: Pipecat stores them and warns."""
    for part in PARTS:
        known = schema()["$defs"][part]["properties"]["provider"]
        name = group_of(agent.data.get(part)).get("provider", known["default"])
        if name == known["default"] or name not in known["enum"]:
            continue
        provider = PROVIDERS[part, name]
        for stage, settings in agent.stages.items():
            for key in group_of(settings.get(part)):
                if key in provider.fields and provider.fields[key].when == "next call":
                    yield Hit(("stages", stage, part, key), {"name": key, "who": provider.title, "part": part})


def _same_again(agent: Agent) -> Iterator[Hit]:
    """Items of `fallback` that say nothing which differs from the service above them, or from an item before."""
    for part in PARTS:
        whole = group_of(agent.data.get(part))
        default = schema()["$defs"][part]["properties"]["provider"]["default"]
        first = {"provider": default, **whole}
        first.pop("fallback", None)
        before = [first]
        for number, item in enumerate(list_of(whole.get("fallback"))):
            own = group_of(item)
            same = own.get("provider", first["provider"]) == first["provider"]
            one = {**first, **own} if same else own
            if own and one in before:
                yield Hit((part, "fallback", number), {"number": number + 1, "part": part})
            before.append(one)


RULES = (
    Rule(
        "same-again",
        "warning",
        "fallback",
        "Fallback {number} of {part} is the same service with the same settings as one before it.",
        "Give it another model, voice, endpoint or provider, or remove it.",
        "the rules of the agent file (README, fallback)",
        _same_again,
    ),
    Rule(
        "not-in-a-stage",
        "error",
        "stt, llm and tts of a stage",
        '"{name}" cannot change from stage to stage: {who} is told it only when a call begins.',
        "Set it under {part} at the top of the file, for the whole call.",
        "Pipecat 1.14, _update_settings of the service: what it stores and warns about",
        _only_at_the_start,
    ),
)
"""The table of these rules."""
