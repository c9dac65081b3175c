"""What happens when the ear gets another session: refused, broken, in the middle of a sentence, or because the old one is old."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.errors import ErrorCategory

from runner.catalog import PROVIDERS
from runner.compiler.services.assemblyai import sessions as assemblyai_sessions
from runner.effective import Effective
from runner.live.troubles import sentence
from tests.bench.stage_changes import continuous_speech, told
from tests.cloud.ears import ear_of
from tests.emulators import AssemblyAIEmulator, until
from tests.emulators.hearing import Timeline
from tests.emulators.line import Line, line
from tests.speech import Samples, silence, speak

OWN = "stt: {turn_detection: assemblyai}\n"
ACCURATE = "stt: {mode: max_accuracy}\n"


def said_by(caller: Line) -> list[str | None]:
    """What the terminal and the page are told."""
    return [sentence(frame, PROVIDERS["stt", "assemblyai"]) for frame in caller.errors]


async def hears(caller: Line, seconds: float = 0.6) -> None:
    """The vendor gets every sample of the caller from the beginning on, but for what is still under way."""
    await caller.say(continuous_speech(seconds))
    last = caller.now
    await asyncio.sleep(0.3)
    assert caller.compare(last) == (0, 0, True)


# Refused


async def refuse_handshake(emulator: AssemblyAIEmulator) -> None:
    emulator.refuse_handshakes(401)


async def refuse_session(emulator: AssemblyAIEmulator) -> None:
    emulator.refuse_sessions(3006, "User Input Validation Error: Invalid 'mode': not for this account")


async def refuse_more_sessions(emulator: AssemblyAIEmulator) -> None:
    emulator.refuse_sessions(1008, "Unauthorized Connection: Too many concurrent sessions")


async def refuse_connections(emulator: AssemblyAIEmulator) -> None:
    await emulator.refuse_connections()


@pytest.mark.parametrize(
    ("refuse", "words", "handshakes"),
    [
        (refuse_handshake, "HTTP 401", 1),
        (refuse_session, "User Input Validation Error: Invalid 'mode': not for this account.", 1),
        (refuse_more_sessions, "Unauthorized Connection: Too many concurrent sessions.", 1),
        (refuse_connections, "Connect call failed", 0),
    ],
)
async def test_refused_change_leaves_the_call_hearing_and_names_the_reason(
    refuse: Any, words: str, handshakes: int
) -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, first = ear_of("", emulator)
        _, other = ear_of(ACCURATE, emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            await refuse(emulator)
            await told(ear, other, first, stock=False)
            await until(lambda: caller.errors)
            (said,) = said_by(caller)
            assert said
            assert said.startswith("AssemblyAI refuses the change of mode: ")
            assert words in said
            assert said.endswith("The call goes on with what it had before.")
            await hears(caller)
            assert emulator.handshakes == 1 + handshakes
            assert emulator.sessions[0].is_open
            assert ear.is_usable

            # What the file wants is not forgotten: the next change that needs a session tries all of it again.
            if not emulator._site:
                await emulator.accept_connections()
            _, third = ear_of("stt: {mode: max_accuracy, domain: medical-v1}\n", emulator)
            await told(ear, third, other, stock=False)
            await until(lambda: emulator.session.audio and len(emulator.sessions) > 1, 15)
            assert emulator.session.query["mode"] == "max_accuracy"
            assert emulator.session.query["domain"] == "medical-v1"
            await hears(caller)
            assert len(caller.errors) == 1


async def test_refused_live_update_is_taken_back_and_costs_no_sample() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.connect_delay = 0.3
        ear, first = ear_of("stt: {keyterms: [shoes]}\n", emulator)
        _, other = ear_of("stt: {keyterms: [boots], about: Hats}\n", emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            emulator.refuse_updates("User Input Validation Error: Invalid 'keyterms_prompt': bad word")
            await told(ear, other, first, stock=False)
            await caller.say(continuous_speech(1.5))
            await until(lambda: len(emulator.sessions) == 2 and emulator.session.audio)
            last = caller.now
            await asyncio.sleep(0.3)
            lost, _, _ = caller.compare(last)
            assert lost == 0, "what the dead session had not finished is heard again"
            assert said_by(caller) == [
                "AssemblyAI refuses the change of keyterms: User Input Validation Error: Invalid 'keyterms_prompt': bad "
                "word. Check stt.keyterms in the agent file. The call goes on with what it had before."
            ]
            assert emulator.session.query["keyterms_prompt"] == '["shoes"]'
            assert emulator.session.query["prompt"] == "Hats", "only what was refused is taken back"
            # A later change of something else does not say the refused value again.
            _, third = ear_of("stt: {keyterms: [boots], about: Caps}\n", emulator)
            await told(ear, third, other, stock=False)
            await until(lambda: emulator.session.updates)
            assert emulator.session.updates[-1].body == {"type": "UpdateConfiguration", "prompt": "Caps"}
            assert emulator.handshakes == 2


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"keyterms_prompt": ["x"] * 101}, "the list has 101 entries, and at most 100 are taken"),
        ({"prompt": "x" * 1751}, "the text has 1751 characters, and at most 1750 are taken"),
        ({"interruption_delay": 1001}, "1001 is not between 0 and 1000"),
    ],
)
async def test_value_that_would_end_the_session_is_not_sent(setting: dict[str, Any], words: str) -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, _ = ear_of("", emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            await ear._update_settings(type(ear._settings)(**setting, vad_threshold=0.5))
            await until(lambda: emulator.session.updates)
            (said,) = said_by(caller)
            assert said
            assert words in said
            assert emulator.session.updates[0].body == {"type": "UpdateConfiguration", "vad_threshold": 0.5}
            assert emulator.handshakes == 1


# Broken


@pytest.mark.parametrize("how", ["drop", "fail"])
async def test_broken_session_is_opened_again_with_what_is_set_and_nothing_is_missing(how: str) -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.connect_delay = 0.4
        ear, first = ear_of("", emulator)
        _, other = ear_of("stt: {keyterms: [boots]}\n", emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            await told(ear, other, first, stock=False)
            speaking = asyncio.create_task(caller.say(continuous_speech(2)))
            await asyncio.sleep(0.7)
            getattr(emulator.session, how)()
            await speaking
            last = caller.now
            await asyncio.sleep(0.5)
            lost, _, _ = caller.compare(last)
            assert lost == 0
            assert emulator.session.query["keyterms_prompt"] == '["boots"]'
            assert len(caller.errors) == (how == "fail")


# In the middle of a sentence

Script = list[tuple[str, float]]

DIALOGUE: Script = [
    ("I would like to send back a pair of shoes that I bought last week", 1.8),
    ("The order number is four seven one one", 1.8),
    ("They are too small and one of them has a hole in it", 1.8),
    ("I paid with my credit card and I want the money back", 1.8),
    ("You can call me in the afternoon but not on Wednesday", 1.8),
    ("My name is Walter Miller and I live in Portland", 1.8),
    ("Can you tell me how long it is going to take", 1.8),
    ("That is longer than I thought it would be", 1.8),
    ("Then please send me an email when it has arrived", 1.8),
    ("Thank you very much and have a nice day", 1.8),
]
"""About a minute."""


def scored(script: Script) -> tuple[Samples, list[tuple[str, int]]]:
    """The sound of a script, and after how many 10 ms each word is past its middle."""
    parts: list[Samples] = []
    words: list[tuple[str, int]] = []
    at = 0
    for text, pause in script:
        sound = speak(text + ".")
        loud = np.flatnonzero(np.abs(sound.astype(int)) > 500)
        first, last = loud[0], loud[-1]
        letters = 0
        for word in (text + ".").split():
            middle = first + (last - first) * (letters + len(word) / 2) / (len(text) + 1)
            words.append((word, (at + int(middle)) // 160))
            letters += len(word) + 1
        sound = np.concatenate([sound, silence(pause)])
        sound = sound[: len(sound) // 320 * 320]
        parts.append(sound)
        at += len(sound)
    return np.concatenate(parts), words


def caller_params(own: bool) -> LLMUserAggregatorParams:
    """Turns by silence: Smart Turn's opinion of these sentences is another matter. own: as the ear says."""
    by_silence = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)])
    vad = SileroVADAnalyzer(params=VADParams(start_secs=0.13))
    return LLMUserAggregatorParams(vad_analyzer=vad, user_turn_strategies=None if own else by_silence)


async def spoken(text: str, script: Script, changes: list[tuple[float, str]]) -> tuple[list[str], Line]:
    """The caller's turns when `script` is spoken and the file changes at these moments."""
    async with AssemblyAIEmulator() as emulator:
        timeline = Timeline([], [])
        emulator.timeline, emulator.final_delay, emulator.termination_delay = timeline, 0.15, 0.6
        emulator.connect_delay = 0.1
        ear, now = ear_of(text, emulator)
        async with line(ear, emulator, user=caller_params("assemblyai" in text)) as caller:
            await until(lambda: caller.now > 20)
            sound, words = scored(script)
            speaking = asyncio.create_task(caller.say(sound))
            start = caller.now
            timeline.words.extend(word for word, _ in words)
            timeline.ends.extend(start + end for _, end in words)
            began = asyncio.get_running_loop().time()
            for at, file in changes:
                await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
                now = await changed(ear, file, now, emulator)
            await speaking
            await asyncio.sleep(2)
        assert not caller.errors
        return caller.user_turns, caller


async def changed(ear: Any, file: str, before: Effective, emulator: AssemblyAIEmulator) -> Effective:
    _, now = ear_of(file, emulator)
    await told(ear, now, before, stock=False)
    return now


@pytest.mark.parametrize("own", [False, True])
async def test_dialogue_with_thirty_updates_reads_like_the_one_without(
    own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemblyai_sessions, "CHANGE_PATIENCE", 1.0)
    turns = "turn_detection: assemblyai, " if own else ""
    files = [
        f"stt: {{{turns}keyterms: [word{n}], mode: {'balanced' if n // 2 % 2 else 'max_accuracy'}}}\n" for n in range(8)
    ]
    first = files[0]
    changes = [(1.0 + 1.7 * n, files[(n + 1) % len(files)]) for n in range(30)]
    (without, _), (with_changes, caller) = await asyncio.gather(
        spoken(first, DIALOGUE, []), spoken(first, DIALOGUE, changes)
    )
    sentences = [text + "." for text, _ in DIALOGUE]
    assert " ".join(with_changes) == " ".join(without) == " ".join(sentences)
    if own:
        assert with_changes == without == sentences
    # A machine that is busy may take two sentences for one turn; no turn ends in the middle of one.
    assert all(turn.endswith(".") for turn in with_changes)
    assert len(caller.emulator.sessions) > 8
    assert sum(len(session.updates) for session in caller.emulator.sessions) >= 20


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "setting", ["keyterms: [boots]", "mode: max_accuracy", "domain: medical-v1, min_turn_silence: 150, about: Shoes"]
)
async def test_update_in_the_middle_of_a_sentence_neither_cuts_nor_ends_the_turn(
    setting: str, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemblyai_sessions, "CHANGE_PATIENCE", 0.2)
    monkeypatch.setattr(assemblyai_sessions, "BETWEEN_WORDS_SECS", 0.3)
    turns = "turn_detection: assemblyai" if own else "turn_detection: pipecat"
    script = [DIALOGUE[0]]
    heard, caller = await spoken(f"stt: {{{turns}}}\n", script, [(1.0, f"stt: {{{turns}, {setting}}}\n")])
    assert heard == [script[0][0] + "."]
    assert caller.turns == (["start", "stop"] if own else [])
    swapped = "keyterms" not in setting
    assert [bool(session.audio) for session in caller.emulator.sessions] == [True] * (2 if swapped else 1)
    if swapped:
        assert len(caller.words) == 2, "the sentence really went over in its middle"
        assert not caller.words[0].finalized


async def test_caller_who_stops_just_after_the_sound_went_over_is_answered_at_once() -> None:
    """The words are in the session that was left: its text is the final one, and nobody waits for another."""
    text = "stt: {min_turn_silence: 900}\n"
    async with AssemblyAIEmulator() as emulator:
        timeline = Timeline([], [])
        emulator.timeline, emulator.final_delay, emulator.connect_delay = timeline, 0.3, 0.05
        ear, first = ear_of(text, emulator)
        async with line(ear, emulator) as caller:
            await until(lambda: caller.now > 20)
            sound, words = scored([(DIALOGUE[0][0], 0.0)])
            voiced = sound[: np.flatnonzero(np.abs(sound.astype(int)) > 500)[-1]]
            timeline.words.extend(word for word, _ in words)
            timeline.ends.extend(caller.now + end for _, end in words)
            speaking = asyncio.create_task(caller.say(voiced))
            await asyncio.sleep(1)
            await changed(ear, "stt: {min_turn_silence: 900, mode: max_accuracy}\n", first, emulator)
            await speaking
            assert ear._sessions._coming, "it waits for the end of the sentence"
            ear._sessions._go_over(ear._sessions._coming)
            await until(lambda: caller.words, 1.0)
            await asyncio.sleep(1)
        (said,) = caller.words
        assert said.text == DIALOGUE[0][0] + "."
        assert said.finalized
        assert len(emulator.session.of_type("ForceEndpoint")) == 1


# Renewed


async def test_session_is_renewed_before_the_vendor_ends_it() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.expires_in = 6.0
        ear, _ = ear_of("stt: {keyterms: [boots]}\n", emulator)
        async with line(ear, emulator) as caller:
            await caller.say(continuous_speech(9))
            last = caller.now
            await asyncio.sleep(0.4)
            assert caller.compare(last) == (0, 0, True)
            assert not caller.errors
        assert 2 <= len(emulator.sessions) <= 4
        assert not [m for session in emulator.sessions for m in session.sent if m.body["type"] == "Error"]
        assert emulator.session.query["keyterms_prompt"] == '["boots"]'


async def test_renewal_that_is_refused_is_tried_again() -> None:
    async with AssemblyAIEmulator() as emulator:
        emulator.expires_in = 8.0
        emulator.script(f"Sentence {number}." for number in range(40))
        ear, _ = ear_of("", emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            emulator.refuse_sessions(1008, "Unauthorized Connection: Too many concurrent sessions")
            await caller.say(continuous_speech(8))
            last = caller.now
            await asyncio.sleep(0.4)
            assert caller.compare(last) == (0, 0, True)
            assert said_by(caller) == [
                "AssemblyAI refuses to renew the connection: Unauthorized Connection: Too many concurrent sessions. "
                "The call goes on with what it had before."
            ]


# The rest


async def test_endpoint_may_have_parameters_of_its_own() -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, _ = ear_of("stt: {keyterms: [boots]}\n", emulator, f"{emulator.url}?webhook_url=http%3A%2F%2Fme")
        async with line(ear, emulator) as caller:
            await hears(caller)
        assert emulator.session.query["webhook_url"] == "http://me"
        assert emulator.session.query["keyterms_prompt"] == '["boots"]'
        assert not {name for name in emulator.session.query if "?" in name}


async def test_settings_taken_out_again_are_what_the_service_has_by_itself() -> None:
    rest = "stt: {speaker_labels: true, keyterms: [boots], format_turns: false, ttfs_p99_latency: 2s, inactivity_timeout: 5m}\n"
    async with AssemblyAIEmulator() as emulator:
        ear, plain = ear_of("", emulator)
        async with line(ear, emulator):
            await until(lambda: ear._sessions.current)
            had, p99 = ear.wanted(), ear.service_metadata_frame().ttfs_p99_latency
            before = await changed(ear, rest, plain, emulator)
            await until(lambda: ear.wanted().get("inactivity_timeout") == "300")
            assert ear.service_metadata_frame().ttfs_p99_latency == 2
            await changed(ear, "", before, emulator)
            await until(lambda: ear.service_metadata_frame().ttfs_p99_latency == p99)
            assert {name: value for name, value in ear.wanted().items() if value != "[]"} == had


async def test_turn_detection_changes_on_the_open_session() -> None:
    async with AssemblyAIEmulator() as emulator:
        ear, plain = ear_of("", emulator)
        async with line(ear, emulator) as caller:
            await hears(caller)
            assert ear.service_metadata_frame().user_turn_strategies is None
            before = await changed(ear, OWN, plain, emulator)
            await until(lambda: emulator.session.updates)
            assert ear.service_metadata_frame().user_turn_strategies
            assert emulator.session.updates[0].body["max_turn_silence"] == 1000
            await changed(ear, "", before, emulator)
            await until(lambda: len(emulator.session.updates) == 2)
            assert ear.service_metadata_frame().user_turn_strategies is None
            assert emulator.session.updates[1].body == {
                "type": "UpdateConfiguration",
                "min_turn_silence": 100,
                "max_turn_silence": 100,
            }
        assert emulator.handshakes == 1


def test_refusal_of_a_change_never_takes_the_service_for_broken() -> None:
    assert not ErrorCategory.UNKNOWN.is_permanent
