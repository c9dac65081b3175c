"""What becomes of a call when a voice fails that is not Cartesia's: one that is asked by HTTP (OpenAI), one with a socket
(Deepgram), and the one of this machine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from runner.compiler.services import Here, kept_lines, unsaid
from runner.compiler.services.kept_lines import KeptLines
from runner.definition import OnTrouble
from runner.document.load import load
from runner.effective import Effective, effective
from tests.cloud.vendors import KEYS
from tests.emulators import CartesiaEmulator, sound, until
from tests.emulators.deepgram_speech import DeepgramSpeechEmulator
from tests.emulators.openai_speech import OpenAISpeechEmulator
from tests.faults.faulty_call import FaultyCall, faulty_call, side_by_side

pytestmark = pytest.mark.alone  # calls side by side, with the limits of a caller who waits

SORRY, GOODBYE = OnTrouble().say, OnTrouble().goodbye
ONE = "Good morning to everybody in this room."
TWO = f"{ONE} How are you today?"
DEEPGRAM = {"DEEPGRAM_API_KEY": "dummy-deepgram-77ab12"}
Voice = OpenAISpeechEmulator | DeepgramSpeechEmulator


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.03)
    monkeypatch.setattr(kept_lines, "_LATER_SECS", 0.0)


@asynccontextmanager
async def call_with(kind: type[Voice], folder: Path, settings: str = "") -> AsyncGenerator[tuple[FaultyCall, Voice]]:
    """A running call with such a voice, whose lines for trouble are kept."""
    if kind is OpenAISpeechEmulator:
        voice: Voice = OpenAISpeechEmulator(key=KEYS["OPENAI_API_KEY"])
    else:
        voice = DeepgramSpeechEmulator(key=DEEPGRAM["DEEPGRAM_API_KEY"])
    provider = "openai" if kind is OpenAISpeechEmulator else "deepgram"
    text = f"tts:\n  provider: {provider}\n{settings}"
    async with (
        voice,
        faulty_call(folder, text, endpoints={"tts": voice.url}, keys={**KEYS, **DEEPGRAM}) as call,
    ):
        yield call, voice


@dataclass(frozen=True)
class Row:
    """fault: told to the voice's emulator before a turn that is answered with `answer`. heard: what the agent is recorded to have
    said. shown: in the problems that are told, "" for none. ends: in the reason for which the call ends, "" when it goes on."""

    name: str
    fault: Callable[[Voice], None]
    heard: str
    shown: str = ""
    ends: str = ""
    answer: str = ONE


GONE = "the agent cannot speak any more: OpenAI TTS"
OPENAI = [
    Row("500 once", lambda v: v.fail(500), ONE),
    Row("500", lambda v: v.fail(500, times=None), SORRY, "OpenAI TTS has a fault of its own: The server had an error."),
    Row(
        "429", lambda v: v.fail(429, "Slow down.", times=None), SORRY, "OpenAI TTS is asked for too much at once: Slow"
    ),
    Row("400 once", lambda v: v.fail(400, "Try again."), ONE),
    Row("400", lambda v: v.fail(400, "Too odd.", times=None), SORRY, "OpenAI TTS did not say all of it: Too odd."),
    Row("401", lambda v: v.fail(401, "Key was revoked.", times=None), GOODBYE, "Check OPENAI_API_KEY", GONE),
    Row(
        "unknown model",
        lambda v: v.fail(404, "The model `tts-9` does not exist.", "model_not_found", times=None),
        SORRY,
        "OpenAI TTS refuses what it was asked for: The model `tts-9` does not exist. Check ",
    ),
    Row("hangs before the first sound", lambda v: v.hang(times=None), SORRY, "no sound came for 3.2 s."),
    Row("hangs in mid-sentence", lambda v: v.hang(7), SORRY, unsaid.BROKE_OFF),
    Row("hangs in mid-sentence, another follows", lambda v: v.hang(7), SORRY, unsaid.BROKE_OFF, answer=TWO),
    Row("breaks before the first sound, once", lambda v: v.cut(), ONE),
    Row("breaks in mid-sentence", lambda v: v.cut(7), SORRY, unsaid.BROKE_OFF),
    Row("slow", lambda v: setattr(v, "first_delay", 0.6), ONE),
]


async def test_voice_that_is_asked_by_http_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is a call of its own."""
    monkeypatch.setattr(unsaid, "LIMIT_SECS", 3.2)
    await side_by_side(OPENAI, lambda row: fails(row, OpenAISpeechEmulator, tmp_path), batch=7)


SILENT = "Deepgram sent no sound for what the agent wanted to say."
DEEPGRAM_ROWS = [  # it tells no words, so a sentence counts as said as soon as some of it was heard
    Row("hangs before the first sound", lambda v: v.hang(), SORRY, SILENT),
    Row("hangs in mid-sentence", lambda v: v.hang(2), f"{ONE} {SORRY}", unsaid.BROKE_OFF),
    *(
        Row(f"closed {code} before the first sound", lambda v, c=code: v.close(c), SORRY, SILENT)
        for code in (1000, 1006)
    ),
    *(
        Row(f"closed {code} in mid-sentence", lambda v, c=code: v.close(c, 2), f"{ONE} {SORRY}", unsaid.BROKE_OFF)
        for code in (1000, 1006, 1011)
    ),
]


async def test_voice_with_a_socket_fails(tmp_path: Path) -> None:
    """Each row is a call of its own."""
    await side_by_side(DEEPGRAM_ROWS, lambda row: fails(row, DeepgramSpeechEmulator, tmp_path), batch=7)


async def fails(row: Row, kind: type[Voice], folder: Path) -> None:
    async with call_with(kind, folder) as (call, voice):
        call.mind.answer = lambda body: row.answer
        row.fault(voice)
        await call.ask()
        await call.until_said(row.heard)
        if row.shown:
            await until(lambda: row.shown in " ".join(call.troubles), 30)
        if row.ends:
            await call.until_over()
        await until(lambda: call.sound > 0, 30)
        await until(lambda: " ".join(call.said) == row.heard, 10)
        assert row.shown or not call.troubles
        assert (row.ends in (call.reason or "")) if row.ends else call.reason is None
        if row.ends:
            return
        voice.mend()
        said = len(call.said)
        call.mind.answer = lambda body: "And here I am again."
        await call.ask("Are you there?")
        await until(lambda: len(call.said) > said, 30)
        assert call.said[-1] == "And here I am again.", "the next turn is spoken as ever"
        history = [m["content"] for m in call.mind.request.messages if m["role"] == "assistant"]
        assert " ".join(history) == row.heard, "the model knows what the caller heard"


@pytest.mark.parametrize("kind", [OpenAISpeechEmulator, DeepgramSpeechEmulator], ids=["http", "socket"])
async def test_caller_hears_a_word_within_ten_seconds(kind: type[Voice], tmp_path: Path) -> None:
    """With the limits as they are."""
    async with call_with(kind, tmp_path) as (call, voice):
        call.mind.answer = lambda body: ONE
        voice.hang(7)
        await call.ask()
        await call.until_said(SORRY)
        sounds = [at for at, _ in call.line.loudspeaker.voiced]
        assert max(later - earlier for earlier, later in pairwise(sounds)) < 10


async def test_lines_are_spoken_once_a_process_for_each_voice(tmp_path: Path) -> None:
    async with call_with(OpenAISpeechEmulator, tmp_path, "  voice: nova\n") as (call, voice):
        assert sorted(voice.spoken) == sorted([SORRY, GOODBYE])
        assert {body["voice"] for body in voice.bodies} == {"nova"}
        await call.ask()
        await until(lambda: call.said, 30)
        assert len(voice.spoken) == 3, "the answer and nothing else"


def set_to(folder: Path, text: str, endpoint: str | None = None) -> Effective:
    """What a call of such an agent file is set to."""
    file = folder / "agent.yaml"
    file.write_text(f"prompt: Be brief.\n{text}")
    agent = load(file).definition
    assert agent
    return effective(replace(agent, tts=replace(agent.tts, endpoint=endpoint)), None)


@pytest.mark.parametrize("fault", ["hang", "fail", "cut"])
async def test_line_that_cannot_be_had_is_no_error(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_lines, "_LIMIT_SECS", 1.0)
    async with OpenAISpeechEmulator() as voice:
        getattr(voice, fault)(times=None)
        now = set_to(tmp_path, "tts: {provider: openai}\n", voice.url)
        lines = KeptLines(lambda: now, KEYS, Here(), 24000)
        await lines.keep(SORRY)
        assert lines.sound_of(SORRY) is None
        voice.mend()
        asked = len(voice.spoken)
        await lines.keep(SORRY)
        assert len(voice.spoken) == asked, "it is not asked for again at once"


async def test_line_is_kept_in_the_voice_of_a_fallback_when_the_first_cannot_be_had(tmp_path: Path) -> None:
    async with CartesiaEmulator() as voice:
        text = f"tts: {{provider: openai, fallback: [{{provider: cartesia, endpoint: '{voice.url}'}}]}}\n"
        now = set_to(tmp_path, text, "http://127.0.0.1:9/v1")
        lines = KeptLines(lambda: now, KEYS, Here(), 16000)
        await lines.keep(SORRY)
        assert voice.lines == [SORRY]
        kept = lines.sound_of(SORRY)
        assert kept
        assert kept.rate == 16000
        assert len(kept.pcm) / 2 / kept.rate == pytest.approx(len(SORRY) * 0.03, rel=0.1)


async def test_line_is_kept_in_the_voice_of_this_machine(tmp_path: Path) -> None:
    now = set_to(tmp_path, "")
    lines = KeptLines(lambda: now, {}, Here(tts=True), 24000)
    await lines.keep(SORRY)
    kept = lines.sound_of(SORRY)
    assert kept
    assert 2 < len(kept.pcm) / 2 / kept.rate < 8
