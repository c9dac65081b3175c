"""Rows of the two articles about what the ear hears and how, each on the wire: partials and their timing, formatting, the models'
differences, domain, voice focus and what is carried over."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipecat.frames.frames import Frame, InputAudioRawFrame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameDirection

from runner.compiler import services
from runner.compiler.services import Here
from runner.definition import AgentDefinition
from runner.document.load import load
from runner.effective import change, effective
from runner.problem import Problem
from tests.cloud.test_every_setting import agent, ear
from tests.emulators import AssemblyAIEmulator, until
from tests.emulators.test_assemblyai import tone

OLDER = ("universal-streaming-english", "universal-streaming-multilingual")
LONG = " ".join(f"word{number}" for number in range(40)) + "."


def problems(text: str) -> list[Problem]:
    return list(load(Path("/nowhere/agent.yaml"), text=f"prompt: Be kind.\n{text}", env={}).problems)


class Ears:
    """An ear without a pipeline: what it is told to hear at once, and the texts that it pushes on."""

    def __init__(self, service: Any, emulator: AssemblyAIEmulator) -> None:
        self.service, self.emulator = service, emulator
        self.partials: list[str] = []
        self.finals: list[str] = []
        service.push_frame = self._take

    async def _take(self, frame: Frame, *_: object) -> None:
        if isinstance(frame, TranscriptionFrame):
            self.finals.append(frame.text)
        elif isinstance(frame, InterimTranscriptionFrame):
            self.partials.append(frame.text)

    async def hear(self, milliseconds: int, *, loud: bool = True) -> None:
        heard = self.emulator.session.audio_seconds
        sound = tone(milliseconds) if loud else bytes(32 * milliseconds)
        for at in range(0, len(sound), 640):
            await self.service.process_audio_frame(
                InputAudioRawFrame(sound[at : at + 640], 16000, 1), FrameDirection.DOWNSTREAM
            )
        await until(lambda: self.emulator.session.audio_seconds >= heard + milliseconds / 1000 - 0.1, 10)

    async def end(self) -> None:
        before = len(self.finals)
        self.service.end_utterance()
        await until(lambda: len(self.finals) > before)


# partials


@asynccontextmanager
async def slow_emulator(partial_ms: int) -> AsyncGenerator[AssemblyAIEmulator]:
    """With so many milliseconds of sound from one partial to the next."""
    async with AssemblyAIEmulator() as emulator:
        emulator.final_delay, emulator.partial_ms = 0, partial_ms
        yield emulator


@pytest.mark.parametrize(
    ("written", "number"),
    [("", 4), ("stt: {continuous_partials: true}\n", 4), ("stt: {continuous_partials: false}\n", 1)],
)
async def test_partials_come_every_three_seconds_or_once(written: str, number: int) -> None:
    async with slow_emulator(3000) as emulator, ear(agent(written), emulator) as service:
        emulator.script([LONG])
        ears = Ears(service, emulator)
        await ears.hear(10_500)
        await ears.end()
    assert len(ears.partials) == number
    assert all(
        len(one.split()) < len(other.split()) for one, other in zip(ears.partials, ears.partials[1:], strict=False)
    )
    if number > 1:
        grown = len(ears.partials[2].split()) - len(ears.partials[1].split())
        assert grown == 3000 // emulator.word_ms, "three seconds of words"


async def test_first_words_come_sooner_in_a_stage_that_says_so_on_the_open_session() -> None:
    made = agent(
        "stt: {interruption_delay: 1000}\nstages:\n  one: {prompt: Ask., next: [{otherwise: two}]}\n"
        "  two: {prompt: Ask., stt: {interruption_delay: 0}, next: [{otherwise: one}]}\n"
    )
    one, two = effective(made, "one"), effective(made, "two")
    async with slow_emulator(60_000) as emulator, ear(in_stage(made, "one"), emulator) as service:
        emulator.script([LONG] * 3)
        ears = Ears(service, emulator)
        words: list[int] = []
        for before, now in ((None, one), (one, two), (two, one)):
            if before and (frame := services.update_stt(change(before, now), now, Here())):
                await service._update_settings(frame.delta)
                wanted = now.stt.settings["interruption_delay"]
                await until(lambda: emulator.session.configuration.values["interruption_delay"] == wanted)  # noqa: B023
            had = len(ears.partials)
            await ears.hear(2_000)
            await until(lambda: len(ears.partials) > had)  # noqa: B023
            words.append(len(ears.partials[had].split()))
            await ears.end()
            await ears.hear(500, loud=False)
        assert len(emulator.sessions) == 1
        assert [update.body.get("interruption_delay") for update in emulator.session.updates] == [0, 1000]
    assert words[0] == words[2] == words[1] + 1000 // emulator.word_ms, "a second of words earlier"


def in_stage(made: AgentDefinition, stage: str) -> AgentDefinition:
    """The agent as it is in a stage, as one conversation."""
    return replace(made, stt=effective(made, stage).stt, stages={}, anywhere=())


# models


@pytest.mark.parametrize("model", ["universal-3-5-pro", "universal-3-6-pro", "u3-rt-pro"])
def test_confidence_and_formatting_are_dead_on_the_u3_family(model: str) -> None:
    found = problems(f"stt:\n  model: {model}\n  end_of_turn_confidence_threshold: 0.7\n  format_turns: false\n")
    assert [(one.line, one.severity, one.code) for one in found] == [
        (4, "warning", "confidence-ignored"),
        (5, "warning", "format-ignored"),
    ]
    assert "min_turn_silence" in found[0].hint


async def test_finals_of_the_u3_family_are_formatted_whatever_the_file_says() -> None:
    made = load(Path("/nowhere/agent.yaml"), text="prompt: x\nstt: {format_turns: false}\n", env={}).definition
    assert made
    async with AssemblyAIEmulator() as emulator, ear(made, emulator) as service:
        emulator.final_delay = 0
        emulator.script(["Harbor Point, please."])
        ears = Ears(service, emulator)
        await ears.hear(600)
        await ears.end()
    assert ears.finals == ["Harbor Point, please."]


CROSSED = {
    "turn_detection": "assemblyai",
    "continuous_partials": "true",
    "interruption_delay": "300",
    "about": "Refund calls.",
    "agent_context": "What is it?",
    "previous_context_n_turns": "3",
    "voice_focus": "near-field",
    "language_codes": "[en]",
}
"""The cells with a cross in the guide's comparison of models, for both older models."""

CROSSED_ENGLISH = {"language_detection": "true"}
"""And those for the English one alone."""


@pytest.mark.parametrize("model", OLDER)
@pytest.mark.parametrize("name", CROSSED)
def test_every_cross_of_the_models_table_is_one_message_at_its_line(model: str, name: str) -> None:
    (problem,) = problems(f"stt:\n  model: {model}\n  {name}: {CROSSED[name]}\n")
    assert (problem.line, problem.path) == (4, f"stt.{name}")
    assert model in problem.message
    assert name in problem.message


@pytest.mark.parametrize("name", CROSSED_ENGLISH)
def test_crosses_of_the_english_model_are_none_for_the_multilingual_one(name: str) -> None:
    english, multilingual = (
        problems(f"stt:\n  model: {model}\n  {name}: {CROSSED_ENGLISH[name]}\n") for model in OLDER
    )
    assert [(one.line, one.path) for one in english] == [(4, f"stt.{name}")]
    assert multilingual == []


def test_only_the_older_models_end_turns_by_confidence() -> None:
    for model, codes in (("universal-3-5-pro", ["confidence-ignored"]), (OLDER[0], ["overwritten"])):
        text = f"stt:\n  model: {model}\n  end_of_turn_confidence_threshold: 0.7\n"
        assert [one.code for one in problems(text)] == codes, "in pipecat turn detection Pipecat 1.14 sends 1.0"


@pytest.mark.parametrize("model", OLDER)
async def test_older_model_hears_within_its_limits(model: str) -> None:
    text = f"stt: {{model: {model}, keyterms: [Northwind], speaker_labels: true, min_turn_silence: 300}}\n"
    made = load(Path("/nowhere/agent.yaml"), text=f"prompt: x\n{text}", env={}).definition
    assert made
    async with AssemblyAIEmulator() as emulator, ear(made, emulator) as service:
        emulator.final_delay = 0
        emulator.script(["I want a refund.", "It is four five one."])
        ears = Ears(service, emulator)
        for _ in range(2):
            await ears.hear(900)
            await ears.end()
            await ears.hear(300, loud=False)
        session = emulator.session
        assert session.configuration.ignored.keys() == {"formatted_finals"}, "nothing that this family does not take"
        assert session.configuration.values["keyterms_prompt"] == ["Northwind"]
    assert ears.finals == ["I want a refund.", "It is four five one."], "each once, though the vendor sends it twice"


# domain, focus, what is carried over


def test_domain_and_focus_are_named_values() -> None:
    for text, line in (("domain: legal", 3), ("voice_focus: middle", 3), ("voice_focus_threshold: 1.1", 3)):
        (problem,) = problems(f"stt:\n  {text}\n")
        assert problem.is_error
        assert problem.line == line
    (alone,) = problems("stt:\n  voice_focus_threshold: 0.6\n")
    assert (alone.line, alone.severity) == (3, "warning")


async def test_what_the_agent_said_is_carried_over_unless_switched_off() -> None:
    for written, sent in (
        ("", True),
        ("stt: {previous_context_n_turns: 3}\n", True),
        ("stt: {previous_context_n_turns: 0}\n", False),
    ):
        async with AssemblyAIEmulator() as emulator, ear(agent(written), emulator) as service:
            await service._process_assistant_turn("What is your order number?")
            if sent:
                await until(lambda: emulator.session.updates)
                assert emulator.session.updates[0].body["agent_context"] == "What is your order number?"
            else:
                await service._process_assistant_turn("Are you there?")
                assert emulator.session.updates == []
