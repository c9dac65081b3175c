"""The language of each turn is told, and the agent follows the caller: voice and prompt change with the turn, on the open
connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.compiler.callers.said import Turn, Words
from runner.compiler.callers.spoken_language import LanguageSpoken, words_in
from runner.definition import SpokenLanguage
from runner.diff import differences
from runner.effective import change, effective, file_changes, own_language
from tests.caller import Caller
from tests.cloud.saves import AgentFile
from tests.cloud.test_every_setting import agent
from tests.cloud.vendors import Vendors
from tests.running import Running

Call = Callable[[str], Caller]

OWN_VOICE, SPANISH_VOICE = "79a125e8-cd45-4c13-8a67-188112f4dd22", "5345cf08-6f37-424d-a5d9-8ae1101b9377"
SPANISH = "stt: {language_detection: true}\nlanguages: {es: {prompt: Use usted.}}\n"


def turn(text: str, language: str | None, confidence: float = 0.95) -> Turn:
    return Turn(1, (Words(text, language=language, confidence=confidence if language else None),))


# Which language is spoken


@pytest.mark.parametrize(
    ("turns", "now"),
    [
        ([("Quiero reservar una mesa.", "es", 0.95)], "es"),
        ([("Gracias.", "es", 0.99)], None),
        ([("Sí.", "es", 0.99), ("Gracias.", "es", 0.99)], "es"),
        ([("Sí.", "es", 0.99), ("Yes.", "en", 0.99), ("Gracias.", "es", 0.99)], None),
        ([("Quiero reservar una mesa.", "es", 0.69)], None),
        ([("Quiero reservar una mesa.", "es", 0.95), ("Okay.", "en", 0.99)], "es"),
        ([("Quiero reservar una mesa.", "es", 0.95), ("Let us speak English.", "en", 0.99)], None),
        ([("Quiero reservar una mesa.", "es", 0.95), ("Je voudrais une table.", "fr", 0.9)], "fr"),
        ([("Quiero reservar una mesa.", "es", 0.95), ("Well, what then?", None, 0)], "es"),
    ],
)
def test_one_foreign_word_changes_nothing(turns: list[tuple[str, str | None, float]], now: str | None) -> None:
    spoken = LanguageSpoken()
    for text, language, confidence in turns:
        spoken.after([turn(text, language, confidence)], {"es": SpokenLanguage()}, "en")
    assert spoken.now == now


def test_each_language_asks_for_its_own_sureness_and_number_of_words() -> None:
    wary = {"es": SpokenLanguage(confidence=0.9, words=5)}
    spoken = LanguageSpoken()
    assert spoken.after([turn("Quiero reservar una mesa.", "es", 0.95)], wary, "en") is None
    assert LanguageSpoken().after([turn("Quiero reservar una mesa grande.", "es", 0.85)], wary, "en") is None
    assert LanguageSpoken().after([turn("Quiero reservar una mesa grande.", "es", 0.95)], wary, "en") == "es"


def test_scripts_without_spaces_have_words_too() -> None:
    assert words_in("予約をお願いします") >= 3
    assert words_in("はい") == 1
    assert words_in("Quiero una mesa.") == 3


def test_language_of_a_turn_is_that_of_most_of_it() -> None:
    words = Words("Okay.", language="en", confidence=0.9), Words("Quiero una mesa.", language="es", confidence=0.8)
    assert Turn(1, words).language == ("es", 0.8)


# What changes with it


def test_language_is_a_layer_over_agent_and_stage() -> None:
    made = agent(
        "stt: {language_detection: true}\ntts: {voice: own-voice-0123456789, speed: 1.1}\n"
        "languages: {es: {voice: spanish-voice-0123456789, prompt: Use usted., say: {bye: Adiós.}}}\n"
        "stages:\n  one: {prompt: Ask., tts: {voice: stage-voice-0123456789}, next: [{otherwise: bye}]}\n"
        "  bye: {say: Goodbye., end: true}\n"
    )
    spanish = effective(made, "one", "es")
    assert spanish.prompt.split("\n\n")[1:] == ["Ask.", "Use usted."]
    assert spanish.tts.settings["voice"] == "spanish-voice-0123456789"
    assert (spanish.tts.settings["language"], spanish.tts.settings["speed"]) == ("es", 1.1)
    assert effective(made, "bye", "es").say == "Adiós."
    assert effective(made, "bye", "fr").say == "Goodbye."
    assert effective(made, "one", "fr") == effective(made, "one"), "not named in the file"
    back = change(spanish, effective(made, "one"))
    assert {field.path for field in back.fields} == {"prompt", "tts.voice", "tts.language"}
    assert {field.when for field in back.fields} == {"next turn"}


@pytest.mark.parametrize(
    ("written", "own"), [("", "en"), ("tts: {language: de}\n", "de"), ("tts: {language: pt-BR}\n", "pt")]
)
def test_agents_own_language_is_that_of_its_voice(written: str, own: str) -> None:
    assert own_language(agent(SPANISH + written)) == own


def test_everything_that_is_said_as_written_has_its_line_in_each_language() -> None:
    made = agent(
        "stt: {language_detection: true}\nlimits: {max_call: 15m, warning: One minute.}\n"
        "turns: {idle: {after: 8s, say: Still there?, goodbye: Bye.}}\non_trouble: Sorry about that.\n"
        "languages: {es: {on_trouble: Lo siento mucho., limits: {warning: Un minuto., goodbye: Adiós.}, "
        "turns: {idle: {say: ¿Sigue ahí?}}}}\n"
    )
    spanish, own = effective(made, None, "es"), effective(made, None)
    assert spanish.on_trouble
    assert own.on_trouble
    assert (spanish.on_trouble.say, own.on_trouble.say) == ("Lo siento mucho.", "Sorry about that.")
    assert spanish.on_trouble.goodbye == own.on_trouble.goodbye, "not said in Spanish"
    assert (spanish.limits.warning, spanish.limits.goodbye) == ("Un minuto.", None), "the agent itself says no goodbye"
    assert spanish.turns.idle
    assert (spanish.turns.idle.say, spanish.turns.idle.goodbye) == ("¿Sigue ahí?", "Bye.")
    assert {field.path for field in change(own, spanish).fields} == {
        *("tts.language", "on_trouble.say", "limits.warning", "turns.idle"),
    }


def test_line_of_a_language_that_is_saved_is_told_by_its_place() -> None:
    written = "stt: {language_detection: true}\nlanguages: {es: {prompt: x, on_trouble: {say: Perdón.}}}\n"
    before, after = agent(written), agent(written.replace("Perdón.", "Lo siento., goodbye: Adiós."))
    found = {field.path: (field.before, field.after, field.when) for field in file_changes(before, after).fields}
    assert found == {
        "languages.es.on_trouble.say": ("Perdón.", "Lo siento.", "next turn"),
        "languages.es.on_trouble.goodbye": (None, "Adiós.", "next turn"),
    }
    assert [str(one) for one in differences(before, after)] == [
        'on_trouble.say in Spanish says "Lo siento." instead of "Perdón.": running calls, from their next turn',
        'on_trouble.goodbye in Spanish is new: "Adiós.": running calls, from their next turn',
    ]


def test_the_name_of_the_language_stands_in_texts() -> None:
    text = (
        "stt: {language_detection: true}\nlanguages: {es: {words: 2}}\nstages: {one: {prompt: 'In {{ language }}.'}}\n"
    )
    assert effective(agent(text), "one", "es").prompt.endswith("In Spanish.")
    assert effective(agent(text), "one").prompt.endswith("In English.")
    assert effective(agent(text), "one", "fr").prompt.endswith("In French."), "also one that the file does not name"
    named = text + "variables: {language: Latin}\n"
    assert effective(agent(named), "one", "es").prompt.endswith("In Latin."), "a variable of the file wins"


# Calls


async def speak(vendors: Vendors, caller: Caller, text: str, language: tuple[str, float], answer: str) -> None:
    vendors.ears.languages.append(language)
    vendors.mind.reply(answer)
    await vendors.hear(caller, text)
    await caller.wait_for_agent_words(answer)
    await caller.wait_for_silence()


def spoken_with(vendors: Vendors, text: str) -> tuple[str, str]:
    """The voice and the language in which the agent said `text`."""
    messages = [m.body for session in vendors.voice.sessions for m in session.received]
    (message,) = (body for body in messages if str(body.get("transcript", "")).strip() == text)
    return message["voice"]["id"], message["language"]


async def test_agent_goes_over_to_the_callers_language_with_the_turn_and_back(
    call: Call, vendors: Vendors, running: Running
) -> None:
    seen = len(running.lines)
    async with call("languages") as caller:
        await caller.wait_for_agent_words("Good day.")
        await speak(vendors, caller, "When is breakfast served?", ("en", 0.99), "From seven.")
        await speak(vendors, caller, "Gracias.", ("es", 0.97), "You are welcome.")
        await speak(vendors, caller, "Quiero reservar una mesa.", ("es", 0.93), "Con mucho gusto.")
        await speak(vendors, caller, "Okay.", ("en", 0.98), "Muy bien.")
        await speak(vendors, caller, "And a taxi for tomorrow please.", ("en", 0.98), "Of course.")
        assert spoken_with(vendors, "You are welcome.") == (OWN_VOICE, "en")
        assert spoken_with(vendors, "Con mucho gusto.") == (SPANISH_VOICE, "es")
        assert spoken_with(vendors, "Muy bien.") == (SPANISH_VOICE, "es")
        assert spoken_with(vendors, "Of course.") == (OWN_VOICE, "en")
        systems = [str(request.body["messages"][0]["content"]) for request in vendors.mind.requests]
        assert ["Speak Spanish." in text and text.endswith("Use usted.") for text in systems] == [
            *(False, False, True, True, False)
        ]
        assert (len(vendors.voice.sessions), len(vendors.ears.sessions)) == (1, 1), "nothing was opened anew"
        told = [(one["language"], one["confidence"]) for one in caller.told("caller")]
        assert told == [("en", 0.99), ("es", 0.97), ("es", 0.93), ("en", 0.98), ("en", 0.98)]
        assert [(one["from"], one["to"]) for one in caller.told("language")] == [(None, "es"), ("es", None)]
    running.wait_for("[caller es 0.93] Quiero reservar una mesa.", after=seen)
    running.wait_for("[language] own -> es", after=seen)


async def test_say_line_is_in_the_callers_language(call: Call, vendors: Vendors) -> None:
    async with call("languages") as caller:
        await caller.wait_for_agent_words("Good day.")
        await speak(vendors, caller, "Quiero reservar una mesa.", ("es", 0.93), "Con mucho gusto.")
        vendors.ears.languages.append(("es", 0.95))
        vendors.mind.call_tool("go_to_goodbye")
        await vendors.hear(caller, "Muchas gracias, no necesito más.")
        await caller.wait_for_agent_words("Gracias por llamar.")
        assert spoken_with(vendors, "Gracias por llamar.") == (SPANISH_VOICE, "es")
        await caller.wait_for_end()


async def test_what_is_said_in_trouble_is_in_the_callers_language(call: Call, vendors: Vendors) -> None:
    async with call("languages") as caller:
        await caller.wait_for_agent_words("Good day.")
        await speak(vendors, caller, "Quiero reservar una mesa.", ("es", 0.93), "Con mucho gusto.")
        vendors.ears.languages.append(("es", 0.95))
        vendors.mind.fail(400)
        await vendors.hear(caller, "Para dos personas por favor.")
        await caller.wait_for_agent_words("Perdón, ¿puede repetirlo?")
        assert spoken_with(vendors, "Perdón, ¿puede repetirlo?") == (SPANISH_VOICE, "es")


async def test_words_of_several_languages_arrive_as_they_were_heard(call: Call, vendors: Vendors) -> None:
    mixed = "I would like una mesa para dos bitte."
    async with call("languages") as caller:
        await caller.wait_for_agent_words("Good day.")
        await speak(vendors, caller, mixed, ("en", 0.55), "For two.")
        assert vendors.mind.request.body["messages"][-1]["content"] == mixed
        assert caller.told("language") == []
        assert vendors.ears.session.query["language_detection"] == "true"


async def test_saved_voice_of_a_language_is_heard_in_a_call_that_speaks_it(
    call: Call, vendors: Vendors, file_of: Callable[[str], AgentFile]
) -> None:
    other = "bf0a246a-8642-498a-9950-80c35e9276b5"
    file = file_of("languages")
    async with call("languages") as caller:
        await caller.wait_for_agent_words("Good day.")
        await speak(vendors, caller, "Quiero reservar una mesa.", ("es", 0.93), "Con mucho gusto.")
        await file.save(caller, (SPANISH_VOICE, other))
        assert "voice from the next sentence" in caller.told("version")[-1]["changes"]
        await speak(vendors, caller, "Y una habitación doble por favor.", ("es", 0.95), "Por supuesto.")
        assert spoken_with(vendors, "Por supuesto.") == (other, "es")
