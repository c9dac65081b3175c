"""What a vendor refuses is told with the key and the line of the agent file that holds it, in the version that the call runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.catalog import Part
from runner.document.load import load
from runner.live.written import Settings
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.faults.faulty_call import FaultyCall, faulty_call

BASE = """prompt: Be brief.
stt:
  domain: medical-v1
  language_detection: true
"""
AGENT = """extends: _base.yaml
voices: {maya: 79a125e8-cd45-4c13-8a67-188112f4dd22}
llm:
  model: gpt-4o
  fallback:
    - model: gpt-4.1
    - provider: anthropic
      model: claude-haiku-4-5
tts:
  voice: maya
languages:
  es: {voice: 11111111-1111-1111-1111-111111111111}
stages:
  start:
    prompt: Ask.
    next: [{otherwise: bye}]
  bye:
    prompt: Say goodbye.
    tts:
      voice: 22222222-2222-2222-2222-222222222222
    llm: {temperature: 0.1}
"""


@pytest.mark.parametrize(
    ("part", "name", "stage", "language", "number", "place"),
    [
        ("tts", "voice", "start", None, None, "agent.yaml:10: tts.voice"),
        ("tts", "voice", "bye", None, None, "agent.yaml:20: stages.bye.tts.voice"),
        ("tts", "voice", "bye", "es", None, "agent.yaml:12: languages.es.voice"),
        ("stt", "domain", "start", None, None, "_base.yaml:3: stt.domain"),
        ("llm", "model", "start", None, None, "agent.yaml:4: llm.model"),
        ("llm", "model", "start", None, 0, "agent.yaml:6: llm.fallback[0].model"),
        ("llm", "temperature", "bye", None, 0, "agent.yaml:21: stages.bye.llm.temperature"),
        ("llm", "model", "start", None, 1, "agent.yaml:8: llm.fallback[1].model"),
        ("llm", "timeout", "start", None, None, "--set llm.timeout=3s"),
        ("tts", "speed", "start", None, None, None),
    ],
)
def test_place_of_a_setting(
    part: Part, name: str, stage: str, language: str | None, number: int | None, place: str | None, tmp_path: Path
) -> None:
    (tmp_path / "_base.yaml").write_text(BASE)
    (tmp_path / "agent.yaml").write_text(AGENT)
    loaded = load(tmp_path / "agent.yaml", settings={"llm.timeout": "3s"})
    assert loaded.definition, loaded.problems
    found = Settings(loaded.definition, stage, language, part, number).place(name)
    assert found == (place if place is None or place.startswith("--") else f"{tmp_path}/{place}")


VOICE = "tts:\n  voice: 79a125e8-cd45-4c13-8a67-188112f4dd22\n"


async def told(call: FaultyCall, words: str) -> str:
    await until(lambda: any(words in text for text in call.problems), 30)
    return next(text for text in call.problems if words in text)


async def test_unknown_voice_is_told_with_its_line_also_after_a_save(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    async with faulty_call(tmp_path, VOICE) as call:
        call.voice.voices = {"another"}
        await call.ask()
        said = await told(call, "voice.id is not known")
        assert said == (
            "Cartesia refuses what it was asked for: Voice not found: voice.id is not known. "
            f"Check {file}:3: tts.voice."
        )
        await until(lambda: call.said, 30)
        file.write_text("prompt: Be brief.\n# a note\n\n" + VOICE.replace("79a1", "80a1"))
        saved = load(file).definition
        assert saved
        running = call.call.conversation.agent
        saved = replace(saved, stt=running.stt, llm=running.llm, tts=replace(saved.tts, endpoint=running.tts.endpoint))
        await call.call.take_version(saved, 2)
        await call.ask("And now?")
        await told(call, f"Check {file}:5: tts.voice.")
        await until(lambda: len(call.said) == 2, 30)
        call.voice.voices = None
        call.mind.answer = lambda body: "Here I am."
        await call.ask("Hello?")
        await call.until_said("Here I am.")
        assert call.reason is None, "the call was not mute and goes on"


async def test_unknown_model_is_told_with_its_line(tmp_path: Path) -> None:
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"])
    mind.only_listed_models = True
    async with faulty_call(tmp_path, "llm:\n  temperature: 0.2\n  model: gpt-4oo\n", mind=mind) as call:
        await call.ask()
        said = await told(call, "gpt-4oo")
        assert said == (
            "OpenAI refuses what it was asked for: The model `gpt-4oo` does not exist or you do not have access to it. "
            f"Check {tmp_path / 'agent.yaml'}:4: llm.model."
        )


async def test_refused_parameter_of_the_ear_is_told_with_its_line(tmp_path: Path) -> None:
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    ears.refuse_sessions(3006, "User Input Validation Error: Invalid 'domain': not for this account", None)
    async with faulty_call(tmp_path, "stt:\n  domain: medical-v1\n", ears=ears, lines=False) as call:
        said = await told(call, "Invalid 'domain'")
        assert f"not for this account. Check {tmp_path / 'agent.yaml'}:3: stt.domain." in said


async def test_fallback_that_is_refused_is_told_with_its_own_line(tmp_path: Path) -> None:
    async with CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"], voices=["another"]) as second:
        text = f"{VOICE}  fallback:\n    - endpoint: {second.url}\n      voice: 80a125e8-cd45-4c13-8a67-188112f4dd22\n"
        async with faulty_call(tmp_path, text) as call:
            call.voice.voices = {"another"}
            await call.ask()
            await told(call, f"Check {tmp_path / 'agent.yaml'}:3: tts.voice.")
            await told(call, f"Check {tmp_path / 'agent.yaml'}:6: tts.fallback[0].voice.")
