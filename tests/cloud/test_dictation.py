"""A caller dictates with pauses: it stays one utterance, and the stage after it answers as fast as the one before."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy

from runner.compiler import services
from runner.compiler.services import Here
from runner.compiler.turns.taking import TurnTaking
from runner.definition import Service
from runner.document.load import load
from runner.effective import effective
from tests.caller import Caller, Said
from tests.cloud.test_stages_stt import go
from tests.cloud.vendors import Vendors
from tests.emulators import until
from tests.speech import silence, speak

Call = Callable[[str], Caller]

DICTATED = {
    "email": ("jane", "at northwind", "dot com."),
    "phone": ("four one five", "two six seven", "one two three four."),
    "number": ("seven four one", "nine two", "eight six"),
}
MODES = {"pipecat": "dictating", "assemblyai": "vendor_dictating"}


async def dictate(caller: Caller, vendors: Vendors, pieces: Sequence[str], pause: float) -> Said:
    """Speak the pieces with silence between them."""
    vendors.ears.script([tuple(pieces)])
    parts = [speak(piece.capitalize() if piece.endswith(".") else f"{piece.capitalize()}.") for piece in pieces]
    joined = [parts[0]] + [sound for part in parts[1:] for sound in (silence(pause), part)]
    return await caller.say_samples(np.concatenate(joined))


async def answer_time(caller: Caller, vendors: Vendors, words: str = "I want my money back.") -> float:
    """Seconds from the caller's last sound to the request that the model gets for it."""
    count = len(vendors.mind.requests)
    said = await vendors.hear(caller, words)
    await until(lambda: len(vendors.mind.requests) > count)
    await caller.wait_for_agent_sound(after=said.ended)
    await caller.wait_for_silence()
    return vendors.mind.requests[count].at - said.ended


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pause", [0.6, 1.5])
@pytest.mark.parametrize(
    # An address may sound complete in a pause of 0.6 s, and 0.7 s would be the end: no machine that is late may run it.
    "kind",
    [pytest.param(kind, marks=pytest.mark.alone) if kind == "email" else kind for kind in DICTATED],
)
async def test_a_dictation_with_pauses_is_one_utterance(
    kind: str, pause: float, mode: str, call: Call, vendors: Vendors
) -> None:
    pieces = DICTATED[kind]
    async with call(MODES[mode]) as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, kind)
        await caller.wait_for_silence()
        vendors.mind.reply("I have written it down.")
        count = len(vendors.mind.requests)
        said = await dictate(caller, vendors, pieces, pause)
        await caller.wait_for_agent_words("I have written it down.")
    session = vendors.ears.session
    assert session.finals == [" ".join(pieces)], "one final of the recogniser"
    spoken = [request.messages[-1]["content"] for request in vendors.mind.requests[count:]]
    assert spoken == [" ".join(pieces)], "one turn of the caller"
    assert not [m for m in session.of_type("ForceEndpoint") if said.began <= m.at <= said.ended]
    assert len(vendors.ears.sessions) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_what_sounds_complete_is_answered_sooner_than_what_does_not(
    mode: str, call: Call, vendors: Vendors
) -> None:
    waited: dict[str, float] = {}
    async with call(MODES[mode]) as caller:
        await caller.wait_for_stage("talk")
        for kind, pieces in DICTATED.items():
            await go(caller, vendors, kind)
            await caller.wait_for_silence()
            vendors.mind.reply(f"That is the {kind}.")
            count = len(vendors.mind.requests)
            said = await dictate(caller, vendors, pieces, 0.6)
            await caller.wait_for_agent_words(f"That is the {kind}.")
            waited[kind] = vendors.mind.requests[count].at - said.ended
            await caller.wait_for_silence()
            await go(caller, vendors, "talk")
            await caller.wait_for_silence()
    print(f"seconds from the last sound to the request, {mode}: {waited}")
    assert waited["email"] < 1.6
    assert waited["phone"] < 1.6
    assert 1.7 < waited["number"] < 3, "nobody knows how long an order number is"


@pytest.mark.parametrize("mode", MODES)
async def test_an_unfinished_address_is_waited_for(mode: str, call: Call, vendors: Vendors) -> None:
    async with call(MODES[mode]) as caller:
        await caller.wait_for_stage("talk")
        await go(caller, vendors, "email")
        await caller.wait_for_silence()
        vendors.mind.reply("Go on?")
        count = len(vendors.mind.requests)
        said = await dictate(caller, vendors, ("jane", "at northwind dot"), 0.6)
        await caller.wait_for_agent_words("Go on?")
    assert vendors.mind.requests[count].at - said.ended > 1.7


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.alone
async def test_the_stage_after_a_dictation_answers_as_fast_as_the_one_before(
    mode: str, call: Call, vendors: Vendors
) -> None:
    vendors.mind.answer = lambda body: "I see."
    async with call(MODES[mode]) as caller:
        await caller.wait_for_stage("talk")
        await answer_time(caller, vendors)
        before = [await answer_time(caller, vendors) for _ in range(3)]
        await go(caller, vendors, "number")
        await caller.wait_for_silence()
        count = len(vendors.mind.requests)
        await dictate(caller, vendors, DICTATED["number"], 0.6)
        await until(lambda: len(vendors.mind.requests) > count)
        await caller.wait_until(lambda: "I see." in caller.agent_text.rpartition("This is number.")[2], "the answer")
        await caller.wait_for_silence()
        await go(caller, vendors, "talk")
        await caller.wait_for_silence()
        after = [await answer_time(caller, vendors) for _ in range(3)]
    ratio = statistics.median(after) / statistics.median(before)
    print(f"answer after dictation, {mode}: {after}, before {before}, ratio {ratio:.2f}")
    assert statistics.median(after) < statistics.median(before) + 0.4


def test_an_ear_that_cannot_be_asked_for_the_end_waits_by_the_voice_detection(tmp_path: Path) -> None:
    text = "prompt: Hi.\nstages:\n  mail:\n    prompt: Ask.\n    listen_for: email\n"
    file = tmp_path / "a.yaml"
    file.write_text(text, "utf-8")
    agent = load(file).definition
    assert agent
    now = effective(replace(agent, stt=Service("deepgram")), "mail")
    ear = services.build_stt(now, {"DEEPGRAM_API_KEY": "k"}, Here())
    params = TurnTaking(now, ear).params()
    assert params.vad_analyzer.params.stop_secs == 2.0
    assert params.user_turn_strategies.stop
    (stop,) = params.user_turn_strategies.stop
    assert isinstance(stop, SpeechTimeoutUserTurnStopStrategy), "no Smart Turn that adds three seconds"
    assert stop._user_speech_timeout == 0
