"""Pipecat 1.14's own services hold a call through the emulators: nobody is tested against an emulator Pipecat cannot talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import numpy as np
import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame, STTUpdateSettingsFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.llm_service import FunctionCallParams

from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.emulators.pipecat_call import IN_RATE, pipecat_call
from tests.speech import speak


@dataclass
class Vendors:
    assemblyai: AssemblyAIEmulator = field(default_factory=AssemblyAIEmulator)
    openai: OpenAIEmulator = field(default_factory=OpenAIEmulator)
    cartesia: CartesiaEmulator = field(default_factory=CartesiaEmulator)

    @property
    def all(self) -> tuple[AssemblyAIEmulator, OpenAIEmulator, CartesiaEmulator]:
        return self.assemblyai, self.openai, self.cartesia


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    vendors = Vendors()
    async with AsyncExitStack() as stack:
        for emulator in vendors.all:
            await stack.enter_async_context(emulator)
        yield vendors


def loud(seconds: float) -> np.ndarray:
    time = np.arange(int(IN_RATE * seconds)) / IN_RATE
    return (8000 * np.sin(2 * np.pi * 200 * time)).astype(np.int16)


async def test_spoken_turn_is_heard_answered_and_spoken_and_barge_in_cancels_it(vendors: Vendors) -> None:
    vendors.assemblyai.script(["I want a refund for my order.", "Stop, please."])
    vendors.openai.reply("Certainly. What is the order number that is printed on your receipt, please?")
    vendors.cartesia.real_time_factor = 0.8
    question, stop = speak("I want a refund for my order."), speak("Stop, please.")
    user = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    async with pipecat_call(*vendors.all, user=user) as call:
        await until(lambda: vendors.assemblyai.sessions and vendors.cartesia.sessions)
        await call.microphone.speak(question)
        await until(lambda: call.loudspeaker.first_sound_at)
        assert vendors.assemblyai.session.of_type("ForceEndpoint")
        assert vendors.assemblyai.session.finals == ["I want a refund for my order."]
        request = vendors.openai.request
        assert request.system == "Be brief."
        assert request.messages[-1] == {"role": "user", "content": "I want a refund for my order."}
        assert request.body["temperature"] == 0.4

        await asyncio.sleep(0.6)
        assert call.loudspeaker.loudness > 100
        await call.microphone.speak(stop)
        await until(lambda: any(context.cancelled_at for context in vendors.cartesia.contexts))
        await until(lambda: len(vendors.openai.requests) == 2)
        cut = next(message for message in vendors.openai.request.messages if message["role"] == "assistant")
        assert cut["content"].startswith("Certainly.")
        assert "receipt" not in cut["content"], "only what was played is in the history"
        assert not call.errors
    assert len(vendors.assemblyai.sessions) == 1
    assert not vendors.assemblyai.session.configuration.ignored.keys() - {"formatted_finals", "format_turns"}


async def test_vendors_own_turn_detection_needs_no_vad(vendors: Vendors) -> None:
    vendors.assemblyai.script(["Hello."])
    hearing = AssemblyAISTTService.Settings(
        mode="min_latency", min_turn_silence=100, keyterms_prompt=["Northwind", "RMA"]
    )
    async with pipecat_call(*vendors.all, vad_force_turn_endpoint=False, settings=hearing) as call:
        await until(lambda: vendors.assemblyai.sessions)
        await call.microphone.speak(loud(0.5))
        await until(lambda: vendors.cartesia.spoken == ["You said: Hello."])
        await until(lambda: call.loudspeaker.loudness > 100)
        session = vendors.assemblyai.session
        assert session.configuration.values["keyterms_prompt"] == ["Northwind", "RMA"]
        assert not session.of_type("ForceEndpoint")
        assert not call.errors


async def test_tool_call_and_its_result_go_through(vendors: Vendors) -> None:
    vendors.openai.call_tool("find_order", {"number": "R-1"})

    async def find_order(params: FunctionCallParams, number: str) -> None:
        """Finds an order.

        Args:
            number: The order's number.
        """
        await params.result_callback({"number": number, "state": "sent"})

    async with pipecat_call(*vendors.all) as call:
        call.context.set_tools([find_order])
        call.context.add_message({"role": "user", "content": "Where is R-1?"})
        await call.queue(LLMRunFrame())
        await until(lambda: len(vendors.openai.requests) == 2)
        assert vendors.openai.requests[0].tools == ["find_order"]
        assistant, result = vendors.openai.request.messages[-2:]
        assert assistant["tool_calls"][0]["function"]["name"] == "find_order"
        assert '"sent"' in result["content"]
        await until(lambda: any(text.startswith("The tool answered") for text in vendors.cartesia.spoken))
        assert not call.errors


async def test_model_that_fails_is_tried_three_times_and_then_reported(vendors: Vendors) -> None:
    vendors.openai.fail(500, times=3)
    async with pipecat_call(*vendors.all) as call:
        call.context.add_message({"role": "user", "content": "Hello"})
        await call.queue(LLMRunFrame())
        await until(lambda: call.errors)
        assert [request.status for request in vendors.openai.requests] == [500, 500, 500]
        await call.queue(LLMRunFrame())
        await until(lambda: vendors.cartesia.spoken == ["You said: Hello"])


async def test_pipecats_reconnect_loses_what_the_caller_says_meanwhile(vendors: Vendors) -> None:
    vendors.assemblyai.termination_delay = 0.3
    async with pipecat_call(*vendors.all) as call:
        await until(lambda: vendors.assemblyai.sessions and len(vendors.assemblyai.session.frames) > 3)
        delta = AssemblyAISTTService.Settings(keyterms_prompt=["RMA"])
        await call.queue(STTUpdateSettingsFrame(delta=delta))
        await until(lambda: len(vendors.assemblyai.sessions) == 2)
        first, second = vendors.assemblyai.sessions
        assert len(first.audio_after_terminate) / 2 / IN_RATE >= 0.2
        assert second.configuration.values["keyterms_prompt"] == ["RMA"]


async def test_lost_recogniser_is_found_again(vendors: Vendors) -> None:
    async with pipecat_call(*vendors.all) as call:
        await until(lambda: vendors.assemblyai.sessions)
        vendors.assemblyai.session.fail(3005)
        await until(lambda: len(vendors.assemblyai.sessions) == 2)
        assert any("Unknown message type: Error" in error for error in call.errors)


async def test_voice_survives_a_socket_that_closed_while_idle_and_reports_errors(vendors: Vendors) -> None:
    async with pipecat_call(*vendors.all) as call:
        await until(lambda: vendors.cartesia.sessions)
        vendors.cartesia.session.close(1000, "idle")
        await until(lambda: len(vendors.cartesia.sessions) == 2)
        await call.queue(TTSSpeakFrame("Are you still there?"))
        await until(lambda: call.loudspeaker.loudness > 100)
        vendors.cartesia.fail("out of breath")
        await call.queue(TTSSpeakFrame("Hello?"))
        await until(lambda: any("out of breath" in error for error in call.errors))
