"""Rules about keyterms and languages."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog import OF_3_5
from runner.document.names import shown
from runner.document.rules.ears import DEFAULT_MODEL
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, list_of

KEYTERMS = "AssemblyAI, Keyterms prompting: at most 100 terms of at most 50 characters"
LANGUAGES = "AssemblyAI, Universal 3.5 Pro Realtime: supported languages; Pipecat 1.14 (3.5 has 19, 3.6 has 32)"


def _own_terms(agent: Agent) -> list[str]:
    return [str(term) for term in list_of(group_of(agent.data.get("stt")).get("keyterms"))]


def _too_many_together(agent: Agent) -> Iterator[Hit]:
    own = _own_terms(agent)
    for name, stage in agent.stages.items():
        added = [str(term) for term in list_of(group_of(stage.get("stt")).get("keyterms"))]
        total = len({*own, *added})
        if added and len(own) <= 100 and len(added) <= 100 and total > 100:
            yield Hit(("stages", name, "stt", "keyterms"), {"own": len(own), "total": total})


def _lists(agent: Agent) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    for path, own, _ in agent.ears():
        terms = own.get("keyterms")
        yield (*path, "keyterms"), [str(term) for term in list_of(terms)]
        yield (*path, "keyterms", "only"), [str(term) for term in list_of(group_of(terms).get("only"))]


def _twice(agent: Agent) -> Iterator[Hit]:
    for path, terms in _lists(agent):
        seen: set[str] = set()
        for number, term in enumerate(terms):
            if term.lower() in seen:
                yield Hit((*path, number), {"term": shown(term)}, "value")
            seen.add(term.lower())


def _repeated(agent: Agent) -> Iterator[Hit]:
    own = {term.lower() for term in _own_terms(agent)}
    for path, terms in _lists(agent):
        for number, term in enumerate(terms):
            if path[0] == "stages" and path[-1] == "keyterms" and term.lower() in own:
                yield Hit((*path, number), {"term": shown(term)}, "value")


def _sentence(agent: Agent) -> Iterator[Hit]:
    for path, terms in _lists(agent):
        for number, term in enumerate(terms):
            if len(term.split()) > 6 and len(term) <= 50:
                yield Hit((*path, number), {"term": shown(term), "count": len(term.split())}, "value")


def _several_in_one(agent: Agent) -> Iterator[Hit]:
    for path, terms in _lists(agent):
        for number, term in enumerate(terms):
            parts = [part.strip() for part in term.replace(";", ",").split(",") if part.strip()]
            if len(parts) > 1 and len(term) <= 50:
                yield Hit(
                    (*path, number), {"term": shown(term), "count": len(parts), "parts": ", ".join(parts)}, "value"
                )


def _multi_with_others(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.ears():
        codes = list_of(own.get("language_codes"))
        if "multi" in codes and len(codes) > 1:
            yield Hit((*path, "language_codes", codes.index("multi")), on="value")


def _not_of_model(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        if whole.get("model", DEFAULT_MODEL) not in ("universal-3-5-pro", "u3-rt-pro"):
            continue
        for number, code in enumerate(list_of(own.get("language_codes"))):
            if isinstance(code, str) and len(code) <= 3 and code not in {*OF_3_5, "multi"}:
                model = whole.get("model", DEFAULT_MODEL)
                yield Hit((*path, "language_codes", number), {"code": code, "model": model}, "value")


def _declared_and_detected(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        codes = list_of(whole.get("language_codes"))
        followed = "languages" in agent.data  # then the language of each turn is needed, declared or not
        if whole.get("language_detection") is True and codes and "language_detection" in own and not followed:
            yield Hit((*path, "language_detection"))


def _english_only(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        if whole.get("model") == "universal-streaming-english" and own.get("language_detection") is True:
            yield Hit((*path, "language_detection"))


def _voice_speaks_another(agent: Agent) -> Iterator[Hit]:
    codes = [str(code) for code in list_of(group_of(agent.data.get("stt")).get("language_codes"))]
    if not codes or "multi" in codes or "languages" in agent.data:
        return
    for path, own, whole in agent.services("tts"):
        language = whole.get("language", "en")
        if not isinstance(language, str) or (len(path) > 1 and "language" not in own):
            continue
        if language.split("-")[0].lower() not in codes:
            at = (*path, "language") if "language" in own else ("stt", "language_codes")
            yield Hit(at, {"voice": language, "codes": ", ".join(codes)}, "value")


RULES = (
    Rule(
        "too-many-keyterms",
        "error",
        "keyterms of a stage",
        "Together with the agent's {own}, these are {total} keyterms. The most is 100.",
        "Remove some, or write only: before the list to use just these.",
        f"{KEYTERMS}; one more closes the session (3006)",
        _too_many_together,
    ),
    Rule(
        "keyterm-twice",
        "warning",
        "keyterms",
        '"{term}" is in the list twice.',
        "Keep one of the two.",
        KEYTERMS,
        _twice,
    ),
    Rule(
        "keyterm-repeated",
        "warning",
        "keyterms of a stage",
        '"{term}" is among the agent\'s keyterms already, and those hold in every stage.',
        "Remove it here.",
        KEYTERMS,
        _repeated,
    ),
    Rule(
        "keyterm-is-a-sentence",
        "warning",
        "keyterms",
        '"{term}" has {count} words. Keyterms are words and short phrases, at most six words.',
        "Write the words that are misheard, each as an item of its own.",
        "AssemblyAI, Keyterms prompting for recordings: at most 6 words a phrase",
        _sentence,
    ),
    Rule(
        "keyterms-in-one",
        "warning",
        "keyterms",
        '"{term}" is one item, but it looks like {count}.',
        "Write them without quotes around all of them: [{parts}]",
        KEYTERMS,
        _several_in_one,
    ),
    Rule(
        "multi-not-alone",
        "error",
        "language_codes",
        '"multi" must stand alone.',
        "Remove the others.",
        "AssemblyAI's Python package 1.8: multi cannot be combined",
        _multi_with_others,
    ),
    Rule(
        "language-not-of-model",
        "warning",
        "language_codes",
        '{model} does not know the language "{code}".',
        "universal-3-6-pro does. Or remove it.",
        LANGUAGES,
        _not_of_model,
    ),
    Rule(
        "declared-and-detected",
        "warning",
        "language_detection",
        '"language_detection" stands beside "language_codes": the languages are declared already.',
        "Keep one of the two.",
        "Pipecat 1.14 warns about a declared language beside language_detection",
        _declared_and_detected,
    ),
    Rule(
        "english-only",
        "warning",
        "language_detection",
        '"language_detection" has no effect: universal-streaming-english hears English only.',
        "Use universal-3-5-pro or universal-streaming-multilingual.",
        "AssemblyAI, Universal 3.5 Pro Realtime with Pipecat: Speech model comparison",
        _english_only,
    ),
    Rule(
        "voice-speaks-another",
        "warning",
        "tts.language and stt.language_codes",
        "The agent hears {codes}, but it speaks {voice}.",
        "Set tts.language to the language of the callers.",
        "Cartesia, Prompting tips: match the voice to the language",
        _voice_speaks_another,
    ),
)
"""The table of the rules about keyterms and languages."""
