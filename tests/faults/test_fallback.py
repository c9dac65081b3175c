"""A service fails, and another one that the file names goes on: for each part and fault what the caller heard, what was told, and
when the first one is at work again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from runner.compiler.fallback import member as fallback_member
from runner.compiler.fallback import relay as fallback_relay
from runner.definition import OnTrouble
from runner.document.load import load
from tests.cloud.vendors import KEYS
from tests.emulators import CartesiaEmulator, OpenAIEmulator, sound, until
from tests.faults.faulty_call import FaultyCall, faulty_call

pytestmark = pytest.mark.alone

TWO = "Good morning to you. How are you today?"
OTHER = "5345cf08-6f37-424d-a5d9-8ae1101b9377"


@pytest.fixture(autouse=True)
def _speaks_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.006)


async def at_once(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Calls that go on side by side; the first that fails ends all."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
            await asyncio.sleep(0.15)


@dataclass
class Both:
    """A call whose model and voice have another one behind them."""

    call: FaultyCall
    mind: OpenAIEmulator
    voice: CartesiaEmulator


@asynccontextmanager
async def call_of(folder: Path, text: str = "") -> AsyncGenerator[Both]:
    async with (
        OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]) as mind,
        CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"]) as voice,
    ):
        file = (
            f"llm:\n  fallback:\n    - endpoint: {mind.url}\n      model: gpt-4o-mini\n"
            f"tts:\n  fallback:\n    - endpoint: {voice.url}\n      voice: {OTHER}\n"
        )
        async with faulty_call(folder, file + text, lines=False) as call:
            yield Both(call, mind, voice)


@dataclass(frozen=True)
class Row:
    """fault: told to the first model's emulator before a turn. told: in what people are told."""

    name: str
    fault: Callable[[OpenAIEmulator], None]
    told: str


def dies_hanging(mind: OpenAIEmulator) -> None:
    mind.first_delay = 0.3
    mind.stall(0, None)


def late(fault: Callable[[OpenAIEmulator], None]) -> Callable[[OpenAIEmulator], None]:
    def planned(mind: OpenAIEmulator) -> None:
        mind.first_delay = 0.3
        fault(mind)

    return planned


MODELS = [
    Row("hangs", dies_hanging, "said nothing for 1.1 s"),
    Row("500", late(lambda m: m.fail(500, None)), "gpt-4o-mini) goes on."),
    Row("cut before the first word", late(lambda m: m.cut(0, None)), "gpt-4o-mini) goes on."),
    Row("wrong key", late(lambda m: m.fail(401, None)), "does not accept the key"),
    Row("account used up", late(lambda m: m.fail(429, None, code="insufficient_quota")), "nothing left on the account"),
    Row("cut in the first sentence", late(lambda m: m.cut(3, None)), "gpt-4o-mini) goes on."),
    Row("hangs in the first sentence", late(lambda m: m.stall(3, None)), "said nothing more for 3 s"),
]


async def test_turn_that_the_first_model_leaves_unanswered_is_answered_by_the_next(tmp_path: Path) -> None:
    ready = asyncio.Barrier(len(MODELS))
    await at_once(_answered_by_the_next(row, tmp_path / row.name, ready) for row in MODELS)


async def _answered_by_the_next(row: Row, folder: Path, ready: asyncio.Barrier) -> None:
    folder.mkdir()  # noqa: ASYNC240
    async with call_of(folder) as both:
        call = both.call
        row.fault(call.mind)
        call.mind.reply(*[TWO] * 5)
        both.mind.reply("All is well here. What can I do?")
        await ready.wait()
        asked = time.monotonic()
        await call.ask()
        await call.until_said("What can I do?", 20)
        assert call.said == ["All is well here. What can I do?"], row.name
        assert both.mind.request.body["model"] == "gpt-4o-mini"
        assert both.mind.request.messages == call.mind.requests[0].messages
        assert row.told in " ".join(call.problems), (row.name, call.problems)
        assert len([line for line in call.problems if "goes on." in line]) == 1
        if "in the first" not in row.name:
            waited = both.mind.request.at - asked
            assert waited < 1.5 + 1.5, f"{row.name}: {waited:.2f} s; a loaded machine is given the second half"
        both.mind.reply("I am still here.")
        await call.ask("And now?")
        await call.until_said("still here")
        assert len(both.mind.requests) == 2, "the first one rests"
        assert call.reason is None


async def test_answer_that_breaks_off_after_a_sentence_is_gone_on_with(tmp_path: Path) -> None:
    async with call_of(tmp_path) as both:
        call = both.call
        call.mind.piece_delay = 0.05
        call.mind.cut(6)
        call.mind.reply(TWO)
        both.mind.reply("How is the weather?")
        await call.ask()
        await call.until_said("weather")
        assert " ".join(call.said) == "Good morning to you. How is the weather?"
        *_, said, hint = both.mind.request.messages
        assert said == {"role": "assistant", "content": "Good morning to you."}
        assert "Do not repeat" in str(hint["content"])
        both.mind.reply("Fine.")
        await call.ask("And now?")
        await call.until_said("Fine.")
        assert [m["content"] for m in both.mind.request.messages if m["role"] == "assistant"] == [
            "Good morning to you. How is the weather?"
        ]


async def test_both_models_dead_is_an_unanswered_turn_and_the_next_turn_begins_with_the_first(tmp_path: Path) -> None:
    async with call_of(tmp_path) as both:
        call = both.call
        call.mind.fail(500, None)
        both.mind.fail(500, None)
        await call.ask()
        await call.until_said(OnTrouble().say, 15)
        assert call.said == [OnTrouble().say]
        assert call.reason is None
        call.mind._faults.clear()
        call.mind.reply("Here I am again.")
        await call.ask("Still there?")
        await call.until_said("Here I am again.")


async def test_first_model_is_asked_again_after_its_rest_and_rests_longer_when_it_fails_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback_member, "REST_SECS", 0.8)
    async with call_of(tmp_path) as both:
        call = both.call
        call.mind.fail(500, 2)
        both.mind.reply("I stand in.", "I still stand in.", "Not yet.")
        await call.ask()
        await call.until_said("I stand in.")
        await asyncio.sleep(1.2)
        await call.ask("Who is there?")
        await call.until_said("I still stand in.")
        assert len(call.mind.requests) == 2, "it was tried again"
        await asyncio.sleep(0.9)
        await call.ask("And now?")
        await call.until_said("Not yet.")
        assert len(call.mind.requests) == 2, "it rests twice as long now"
        await asyncio.sleep(1.2)
        call.mind.reply("I am back.")
        await call.ask("And now?")
        await call.until_said("I am back.")
        assert any("is at work again." in line for line in call.problems)
        assert len(both.mind.requests) == 3


STAGES = """
anywhere:
  - when: The caller wants a refund
    to: refund
stages:
  start:
    prompt: Ask what it is about.
  refund:
    prompt: Help with the refund.
    llm: {temperature: 0.1}
    tts: {speed: 1.2}
"""


async def test_stage_and_save_reach_the_model_and_the_voice_at_work(tmp_path: Path) -> None:
    async with call_of(tmp_path, STAGES) as both:
        call = both.call
        call.mind.fail(500, None)
        call.voice.fail(times=None)
        both.mind.call_tool("anywhere_go_to_refund")
        both.mind.reply("Let us see about that.")
        await call.ask("I want my money back.")
        await call.until_said("about that.")
        second = both.mind.requests[-1]
        assert "Help with the refund." in second.system
        assert second.body["temperature"] == 0.1
        assert second.body["model"] == "gpt-4o-mini"
        spoken = both.voice.contexts[-1].first
        assert spoken.voice.id == OTHER
        assert spoken.generation_config.speed == 1.2

        file = tmp_path / "agent.yaml"
        file.write_text(file.read_text().replace("Be brief.", "Be polite.").replace("speed: 1.2", "speed: 0.8"))
        saved = load(file).definition
        assert saved
        agent = call.call.conversation.agent
        parts = {
            part: replace(
                getattr(saved, part),
                endpoint=getattr(agent, part).endpoint,
            )
            for part in ("stt", "llm", "tts")
        }
        await call.call.take_version(replace(saved, **parts), 2)
        both.mind.reply("As you like.")
        await call.ask("Please.")
        await call.until_said("As you like.")
        assert "Be polite." in both.mind.request.system
        assert both.voice.contexts[-1].first.generation_config.speed == 0.8


VOICES: dict[str, Callable[[CartesiaEmulator], None]] = {
    "error": lambda v: v.fail(times=None),
    "hangs": lambda v: v.hang(0, None),
    "broken connection": lambda v: v.close(1006, 0, None),
    "refused account": lambda v: v.fail("Quota exceeded", status=402, times=None),
}


async def test_sentence_that_the_first_voice_leaves_unsaid_is_said_by_the_next(tmp_path: Path) -> None:
    await at_once(_said_by_the_next(fault, tmp_path / name) for name, fault in VOICES.items())


async def _said_by_the_next(fault: Callable[[CartesiaEmulator], None], folder: Path) -> None:
    folder.mkdir()  # noqa: ASYNC240
    async with call_of(folder) as both:
        call = both.call
        fault(call.voice)
        call.mind.reply(TWO, "I am glad.")
        await call.ask()
        await call.until_said("today?")
        assert call.said == [TWO], folder.name
        assert " ".join(" ".join(both.voice.spoken).split()) == TWO
        assert both.voice.contexts[-1].first.voice.id == OTHER
        assert any("goes on." in line for line in call.problems)
        await call.ask("Good.")
        await call.until_said("glad")
        assert "I am glad." in " ".join(both.voice.spoken)
        assert call.reason is None


async def test_voice_that_breaks_off_in_a_sentence_is_gone_on_with_at_the_word(tmp_path: Path) -> None:
    async with call_of(tmp_path) as both:
        call = both.call
        call.voice.hang(3, None)
        call.mind.reply("One two three four five six seven eight nine ten eleven twelve thirteen fourteen.")
        await call.ask()
        await call.until_said("fourteen")
        assert call.said == ["One two three four five six seven eight nine ten eleven twelve thirteen fourteen."]
        rest = " ".join(both.voice.spoken).split()
        assert 1 <= len(rest) <= 14
        assert rest[-1] == "fourteen."


async def test_first_voice_speaks_again_after_its_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback_member, "REST_SECS", 0.5)
    monkeypatch.setattr(fallback_relay, "_SETTLES_SECS", 0.2)
    async with call_of(tmp_path) as both:
        call = both.call
        call.voice.fail(times=1, status=402, message="Quota exceeded")
        call.mind.reply("I stand in.", "I am back.")
        await call.ask()
        await call.until_said("I stand in.")
        assert "I stand in." in " ".join(both.voice.spoken)
        await until(lambda: len(call.voice.sessions) >= 2, 5)
        await asyncio.sleep(0.8)
        await call.ask("And now?")
        await call.until_said("I am back.")
        assert "I am back." in " ".join(call.voice.spoken)
        assert any("is at work again." in line for line in call.problems)
