"""Ears of different providers stand in for one another: Deepgram and Whisper for AssemblyAI, AssemblyAI for Deepgram; and a stage
that is entered while another ear hears."""

from __future__ import annotations

import asyncio
import re
from itertools import product
from pathlib import Path

import pytest

from runner.compiler.fallback import ears as fallback_ears
from runner.compiler.fallback import member as fallback_member
from runner.compiler.fallback import relay as fallback_relay
from runner.compiler.turns import taking as turn_taking
from runner.compiler.turns.steady_vad import SteadyVAD
from runner.local.weights import WHISPER
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, OpenAIEmulator, sound, until
from tests.emulators.deepgram_ears import DeepgramEars
from tests.emulators.hearing import Timeline
from tests.emulators.loudness import Loudness
from tests.faults.faulty_call import faulty_call
from tests.faults.test_fallback import at_once
from tests.faults.two_ears import ALL_KEYS, MODES, Breaks, TwoEars, always_deaf, two_ears
from tests.faults.two_sentences import FIRST, SECOND, counted, load_voice, say_first, say_second, written

pytestmark = [
    pytest.mark.alone,
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),  # deepgram-sdk uses what is older
]


@pytest.fixture(autouse=True)
def _many_calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.01)
    monkeypatch.setattr(turn_taking, "SteadyVAD", Loudness)
    load_voice()


def refused(ears: AssemblyAIEmulator) -> None:
    ears.refuse_handshakes(401, None)


async def test_deepgram_hears_what_assemblyai_does_not_and_the_other_way_round(tmp_path: Path) -> None:
    rows = product(MODES, {"refused": refused, "deaf": always_deaf}.items())
    works = [_heard_by_deepgram(mode, breaks, tmp_path / f"{mode} {name}") for mode, (name, breaks) in rows]
    await at_once([*works, _heard_by_assemblyai(tmp_path / "deepgram")])


async def _heard_by_deepgram(mode: str, breaks: Breaks, folder: Path) -> None:
    timeline = Timeline([], [])
    async with DeepgramEars(timeline) as deepgram:
        # The tests' voice breathes between words; that shall not be taken for an end.
        fallback = f"provider: deepgram, endpoint: {deepgram.url}, model: nova-3, endpointing: 400"
        async with two_ears(folder, breaks, file=MODES[mode], fallback=fallback, timeline=timeline) as two:
            await say_first(two.call, timeline)
            await two.both_sentences()
            assert two.told("Deepgram goes on."), two.call.problems
            assert deepgram.session.finals[-1] == SECOND


async def _heard_by_assemblyai(folder: Path) -> None:
    folder.mkdir()  # noqa: ASYNC240
    timeline = Timeline([], [])
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"], answer=counted)
    async with (
        DeepgramEars(timeline) as deepgram,
        AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]) as other,
    ):
        deepgram.hangs, other.timeline = True, timeline
        file = (
            "turns: {smart_turn: false, speech_timeout: 0.4}\nstt:\n  provider: deepgram\n  fallback:\n"
            f"    - {{provider: assemblyai, endpoint: {other.url}, min_turn_silence: 400}}\n"
        )
        at = {"stt": deepgram.url}
        async with faulty_call(folder, file, mind=mind, lines=False, endpoints=at, keys=ALL_KEYS) as call:
            two = TwoEars(call, other, timeline)
            await until(lambda: deepgram.sessions, 20)
            await say_first(call, timeline)
            await two.both_sentences()
            assert two.told("it sent no words for 4 s although the caller spoke. AssemblyAI goes on."), call.problems


async def test_whisper_on_this_machine_hears_what_assemblyai_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_taking, "SteadyVAD", SteadyVAD)  # it really has to understand the words
    for name, weights in WHISPER.items():
        weights.write(tmp_path / name)
    fallback = f"provider: whisper, model: {tmp_path}"
    async with two_ears(tmp_path / "call", always_deaf, fallback=fallback) as two:
        call = two.call
        await say_first(call, two.timeline)
        await until(lambda: written(call) or call.reason, 40)
        await say_second(call, two.timeline)
        await until(lambda: "Portland" in written(call)[-1] or call.reason, 40)
        assert call.reason is None
        heard = words_in(" ".join(written(call)))
        assert heard == words_in(f"{FIRST} {SECOND}"), written(call)
        assert two.told("Whisper (Local) goes on."), call.problems


def words_in(text: str) -> list[str]:
    """In small letters, without punctuation."""
    return re.findall(r"[a-z]+", text.lower())


STAGES = """turns: {smart_turn: false, speech_timeout: 0.4}
stt:
  keyterms: [Northwind]
  min_turn_silence: 400
  fallback:
    - {endpoint: %s, model: universal-3-6-pro}
anywhere:
  - when: The caller wants a refund
    to: refund
stages:
  start:
    prompt: Ask what it is about.
  refund:
    prompt: Help with the refund.
    stt: {keyterms: [order number]}
"""


async def test_stage_reaches_the_ear_at_work_and_the_one_that_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback_member, "REST_SECS", 0.5)
    monkeypatch.setattr(fallback_relay, "_SETTLES_SECS", 0.3)
    monkeypatch.setattr(fallback_ears, "_QUIET_SECS", 0.3)
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    ears.refuse_handshakes(503, None)
    async with AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]) as other:
        timeline = ears.timeline = other.timeline = Timeline([], [])
        async with faulty_call(tmp_path, STAGES % other.url, ears=ears, lines=False) as call:
            await until(lambda: other.sessions and other.session.sent, 15)
            assert other.session.configuration.values["keyterms_prompt"] == ["Northwind"]
            call.mind.call_tool("anywhere_go_to_refund")
            call.mind.reply("Let us see about that.")
            await call.ask("I want my money back.")
            await call.until_said("about that.")
            terms = ["Northwind", "order number"]
            await until(lambda: other.session.configuration.values["keyterms_prompt"] == terms, 5)
            assert len(other.sessions) == 1
            call.mind.reply("Thank you.")
            await say_first(call, timeline)
            await call.until_said("Thank you.")
            assert other.session.finals == [FIRST]
            ears._refused_handshakes.clear()
            await until(lambda: any("is at work again" in line for line in call.problems), 20)
            assert ears.session.configuration.values["keyterms_prompt"] == terms
            call.mind.reply("I see.")
            await asyncio.gather(say_second(call, timeline), call.until_said("I see."))
            assert ears.session.finals == [SECOND]
