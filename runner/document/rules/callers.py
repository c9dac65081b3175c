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
from runner.document.places import Where
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
    own = _own_language(agent)
    spoken = [name for name, stage in agent.stages.items() if "say" in stage]
    for code, one in group_of(agent.data.get("languages")).items():
        lacking = [name for name in spoken if name not in group_of(group_of(one).get("say"))]
        if lacking and code != own:
            yield Hit(("languages", code), {"code": code, "stages": ", ".join(lacking)})


_PLACES: tuple[tuple[str, ...], ...] = (
    *(("on_trouble", "say"), ("on_trouble", "goodbye")),
    *(("limits", "warning"), ("limits", "goodbye")),
    *(("turns", "idle", "say"), ("turns", "idle", "goodbye")),
)
"""What is said as written beside greetings and the lines of stages, and may be said in each language."""

_RUNNERS_OWN = _PLACES[:2]
"""What is said in English where the file does not say it."""


def _written(group: object, place: tuple[str, ...]) -> str | None:
    """The line at a place of the agent file or of one of its languages; `on_trouble: Sorry.` is its say."""
    whole = group_of(group)
    for name in place[:-1]:
        if place[-1] == "say" and isinstance(whole.get(name), str):
            return str(whole[name])
        whole = group_of(whole.get(name))
    line = whole.get(place[-1])
    return line if isinstance(line, str) else None


def _says(agent: Agent, place: tuple[str, ...]) -> bool:
    """Whether the agent itself says something there, in whichever words."""
    if place in _RUNNERS_OWN:
        return agent.data.get("on_trouble") is not False
    return any(_written(group, place) is not None for group in (agent.data, *agent.stages.values()))


def _follows_language(agent: Agent, place: tuple[str, ...]) -> bool:
    """Whether the agent's own line differs by language itself: `{% if language == "Spanish" %}`."""
    return "language" in (_written(agent.data, place) or "").partition("{")[2]


def _own_language(agent: Agent) -> str:
    """As `effective.own_language`: the short code of what the voice speaks."""
    return str(group_of(agent.data.get("tts")).get("language", "en")).split("-")[0].lower()


def _untranslated_lines(agent: Agent) -> Iterator[Hit]:
    """Lines beside those of stages that the voice of another language would read out."""
    spoken = [place for place in _PLACES if _says(agent, place) and not _follows_language(agent, place)]
    for code, one in group_of(agent.data.get("languages")).items():
        lacking = [".".join(place) for place in spoken if _written(one, place) is None]
        if lacking and code != _own_language(agent):
            yield Hit(("languages", code), {"name": LANGUAGE_NAMES.get(code, code), "lines": ", ".join(lacking)})


def _line_of_nothing(agent: Agent) -> Iterator[Hit]:
    for code, one in group_of(agent.data.get("languages")).items():
        for place in _PLACES:
            if _written(one, place) is not None and not _says(agent, place):
                at: Where = ("languages", code, *place)
                at = at if at in agent.source.places else at[:-1]
                off = (
                    "on_trouble is false" if place in _RUNNERS_OWN else f"the agent has no {'.'.join(place)} of its own"
                )
                yield Hit(at, {"why": off})


def _in_english(agent: Agent) -> Iterator[Hit]:
    """An agent that speaks another language alone, and says what runner has in English."""
    codes = [str(code) for code in list_of(_ear(agent).get("language_codes"))]
    voice = group_of(agent.data.get("tts")).get("language")
    own = (
        _own_language(agent)
        if isinstance(voice, str)
        else codes[0]
        if len(codes) == 1 and codes[0] != "multi"
        else "en"
    )
    where: Where = ("tts", "language") if isinstance(voice, str) else ("stt", "language_codes")
    spoken = group_of(group_of(agent.data.get("languages")).get(own))
    lacking = [
        ".".join(place)
        for place in _RUNNERS_OWN
        if _says(agent, place) and _written(agent.data, place) is None and _written(spoken, place) is None
    ]
    if own != "en" and lacking:
        yield Hit(where, {"name": LANGUAGE_NAMES.get(own, own), "lines": " and ".join(lacking)})


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
        "language-lines-untranslated",
        "warning",
        "languages",
        "A caller who speaks {name} hears these lines as they stand there, or in English where they do not: {lines}.",
        "Write them below this language too, for example on_trouble: and a sentence.",
        OWN,
        _untranslated_lines,
    ),
    Rule(
        "language-line-of-nothing",
        "warning",
        "lines of a language",
        "This is never said: {why}.",
        "Set that first, or remove this line.",
        OWN,
        _line_of_nothing,
    ),
    Rule(
        "lines-in-english",
        "warning",
        "tts.language, stt.language_codes and on_trouble",
        "This agent speaks {name}, and would say in English, as runner has it: {lines}.",
        "Write them in {name}: on_trouble: with say: and goodbye:. Or on_trouble: false to say nothing.",
        OWN,
        _in_english,
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
