"""Rules about several speakers on one line and about the languages of callers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.catalog import (
    LANGUAGE_NAMES,
    NEW_CONNECTION,
    OF_3_5,
    OF_STREAMING_MULTILINGUAL,
    PROVIDERS,
)
from runner.document.names import closest
from runner.document.rules.ears import DEFAULT_MODEL, GUIDE
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import OWN_VENDORS, Agent, group_of, list_of, number_of

TUTORIAL = "How to Build a Real-Time Voice Agent with Pipecat"
OWN = "the rules of the agent file (README, speakers and languages)"
LABELS = f"{GUIDE}: Speaker diarization; AssemblyAI, streaming API: labels belong to one session"


def _ear(agent: Agent) -> dict[str, object]:
    return group_of(agent.data.get("stt"))


def _other_ear(agent: Agent) -> Iterator[Hit]:
    who = _ear(agent).get("provider", OWN_VENDORS["stt"])
    for name in ("speakers", "languages"):
        if name in agent.data and who != OWN_VENDORS["stt"]:
            yield Hit((name,), {"name": name, "who": who})


def _ours(agent: Agent) -> bool:
    return _ear(agent).get("provider", OWN_VENDORS["stt"]) == OWN_VENDORS["stt"]


def _unlabelled(agent: Agent) -> Iterator[Hit]:
    if "speakers" in agent.data and _ours(agent) and _ear(agent).get("speaker_labels") is not True:
        yield Hit(("speakers",))


def _nameless(agent: Agent) -> Iterator[Hit]:
    """People have names, and the model never reads one."""
    speakers, template = group_of(agent.data.get("speakers")), _ear(agent).get("speaker_format")
    named = any("name" in group_of(one) for one in group_of(speakers.get("people")).values())
    shown = isinstance(template, str) and "{speaker}" in template
    if named and not shown and speakers.get("mode", "together") == "together":
        yield Hit(("speakers", "people"))


def _never_there(agent: Agent) -> Iterator[Hit]:
    most = number_of(_ear(agent).get("max_speakers"))
    for letter in group_of(group_of(agent.data.get("speakers")).get("people")):
        number = "ABCDEFGHIJ".find(letter) + 1
        if most is not None and number > most:
            yield Hit(("speakers", "people", letter), {"letter": letter, "most": f"{most:g}"})


def _same_name(agent: Agent) -> Iterator[Hit]:
    seen: dict[str, str] = {}
    for letter, one in group_of(group_of(agent.data.get("speakers")).get("people")).items():
        name = group_of(one).get("name")
        if isinstance(name, str):
            if name.lower() in seen:
                words = {"name": name, "other": seen[name.lower()]}
                yield Hit(("speakers", "people", letter, "name"), words, "value")
            seen.setdefault(name.lower(), letter)


def _named_anew(agent: Agent) -> Iterator[Hit]:
    """A stage that opens another session: A may be somebody else there."""
    if _ear(agent).get("speaker_labels") is not True:
        return
    table = PROVIDERS["stt", "assemblyai"].fields
    for path, own, _ in agent.ears():
        for name in own:
            if len(path) > 1 and name in table and table[name].note == NEW_CONNECTION:
                yield Hit((*path, name), {"name": name})
                return


def _undetected(agent: Agent) -> Iterator[Hit]:
    if "languages" not in agent.data or not _ours(agent):
        return
    if not any(whole.get("language_detection") is True for _, _, whole in agent.ears()):
        yield Hit(("languages",))


def _model(agent: Agent) -> str:
    return str(_ear(agent).get("model", DEFAULT_MODEL))


def _not_heard(agent: Agent) -> Iterator[Hit]:
    """Languages that the model does not tell."""
    if not _ours(agent):
        return
    model = _model(agent)
    known = set(LANGUAGE_NAMES)
    if model in ("universal-3-5-pro", "u3-rt-pro"):
        known = set(OF_3_5)
    elif model == "universal-streaming-multilingual":
        known = set(OF_STREAMING_MULTILINGUAL)
    elif model == "universal-streaming-english":
        known = {"en"}
    for code in group_of(agent.data.get("languages")):
        if code not in known and re.fullmatch("[a-z]{2,3}", code):
            more = [name for name in ("universal-3-5-pro", "universal-3-6-pro") if code in _of(name)]
            advice = f"{more[0]} does." if more else "Languages are written as short codes, such as es for Spanish."
            yield Hit(("languages", code), {"code": code, "model": model, "advice": advice})


def _of(model: str) -> frozenset[str]:
    return OF_3_5 if model == "universal-3-5-pro" else frozenset(LANGUAGE_NAMES)


def _not_declared(agent: Agent) -> Iterator[Hit]:
    codes = [str(code) for code in list_of(_ear(agent).get("language_codes"))]
    if codes and "multi" not in codes:
        for code in group_of(agent.data.get("languages")):
            if code not in codes:
                yield Hit(("languages", code), {"code": code, "codes": ", ".join(codes)})


def _no_such_stage(agent: Agent) -> Iterator[Hit]:
    for code, one in group_of(agent.data.get("languages")).items():
        for name in group_of(group_of(one).get("say")):
            stage = agent.stages.get(name)
            if stage is None:
                close = closest(name, agent.stages)
                guess = f' Did you mean "{close}"?' if close else ""
                yield Hit(("languages", code, "say", name), {"why": f'There is no stage "{name}".{guess}'})
            elif "say" not in stage:
                yield Hit(("languages", code, "say", name), {"why": f'The stage "{name}" has no line of its own.'})


def _untranslated(agent: Agent) -> Iterator[Hit]:
    """Stages whose line the voice of another language would read out."""
    own = str(group_of(agent.data.get("tts")).get("language", "en")).split("-")[0].lower()
    spoken = [name for name, stage in agent.stages.items() if "say" in stage]
    for code, one in group_of(agent.data.get("languages")).items():
        lacking = [name for name in spoken if name not in group_of(group_of(one).get("say"))]
        if lacking and code != own:
            yield Hit(("languages", code), {"code": code, "stages": ", ".join(lacking)})


def _nothing_follows(agent: Agent) -> Iterator[Hit]:
    """A language without anything that the model or the voice would notice."""
    told = any("language" in text and "{{" in text for path, text, _ in agent.templates if path[-1] == "prompt")
    for code, one in group_of(agent.data.get("languages")).items():
        if not group_of(one).keys() & {"prompt"} and not told:
            yield Hit(("languages", code), {"name": LANGUAGE_NAMES.get(code, code)})


RULES = (
    Rule(
        "not-told-by-ear",
        "error",
        "speakers and languages",
        '"{name}" needs an ear that tells who speaks and in which language: AssemblyAI does, {who} does not here.',
        "Remove it, or use provider: assemblyai under stt.",
        "Pipecat 1.14: only AssemblyAI's transcriptions carry both",
        _other_ear,
    ),
    Rule(
        "speakers-unlabelled",
        "error",
        "speakers",
        '"speakers" needs "speaker_labels": without it all voices on the line are one.',
        "Add speaker_labels: true below stt.",
        f"{GUIDE}: Speaker diarization; {TUTORIAL}: Multi-Speaker Sessions",
        _unlabelled,
    ),
    Rule(
        "speakers-nameless",
        "warning",
        "speakers.people",
        "The model does not learn these names: nothing shows it who speaks.",
        'Add speaker_format below stt, for example "{{speaker}}: {{text}}".',
        f"{GUIDE}: Speaker diarization, with custom formatting",
        _nameless,
    ),
    Rule(
        "speaker-never-there",
        "warning",
        "speakers.people",
        "There is never a speaker {letter}: max_speakers is {most}.",
        "Remove it, or write a larger number.",
        f"{TUTORIAL}: Multi-Speaker Sessions",
        _never_there,
    ),
    Rule(
        "speakers-same-name",
        "error",
        "speakers.people",
        '"{name}" is the name of speaker {other} already; nobody could tell the two apart.',
        "Write another name.",
        OWN,
        _same_name,
    ),
    Rule(
        "speakers-named-anew",
        "warning",
        "stt of a stage",
        '"{name}" opens another session in this stage, and there the speakers are named anew: A may be somebody else.',
        "Set it for the whole agent.",
        LABELS,
        _named_anew,
    ),
    Rule(
        "languages-undetected",
        "error",
        "languages",
        '"languages" needs "language_detection": without it nobody knows what the caller speaks.',
        "Add language_detection: true below stt.",
        f"{GUIDE}: Universal 3.5 Pro Realtime parameters; {TUTORIAL}: Auto-Detect Language",
        _undetected,
    ),
    Rule(
        "language-not-heard",
        "error",
        "languages",
        '{model} does not know the language "{code}".',
        "{advice}",
        "AssemblyAI: supported languages; Pipecat 1.14 (3.5 has 19, 3.6 has 32); Speech model comparison",
        _not_heard,
    ),
    Rule(
        "language-not-declared",
        "warning",
        "languages and stt.language_codes",
        '"{code}" is not among language_codes ({codes}), so AssemblyAI does not expect it.',
        "Add it there, or remove language_codes.",
        "AssemblyAI, streaming API: language_codes steer what is heard",
        _not_declared,
    ),
    Rule(
        "language-say-without-stage",
        "error",
        "say of a language",
        "{why}",
        "Below say stand the names of stages that have say.",
        OWN,
        _no_such_stage,
    ),
    Rule(
        "language-untranslated",
        "warning",
        "languages",
        "A caller who speaks {code} hears what these stages say as it stands there: {stages}.",
        "Add say: to this language, with a line for each of them.",
        OWN,
        _untranslated,
    ),
    Rule(
        "language-without-prompt",
        "warning",
        "languages",
        "Nothing tells the model to answer in {name}.",
        "Add prompt: Answer in {name}. Or write {{{{ language }}}} into the prompt of the agent.",
        f"{TUTORIAL}: Auto-Detect Language",
        _nothing_follows,
    ),
)
"""The table of the rules about speakers and languages."""
