"""What becomes of a call when the voice fails: for each moment and fault what the caller heard, whether the call lived, and what
was shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.compiler.services import kept_lines
from runner.definition import OnTrouble
from runner.live import silence
from tests.cloud.vendors import KEYS
from tests.emulators import CartesiaEmulator, sound, until
from tests.faults.faulty_call import faulty_call, side_by_side

SORRY, GOODBYE = OnTrouble().say, OnTrouble().goodbye
ONE = "Good morning to everybody in this room."
TWO = f"{ONE} How are you today?"
QUICK = "tts: {timeout: 1.5s}\n"
SECONDS_A_CHARACTER = 0.01


@pytest.fixture(autouse=True)
def _speaks_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", SECONDS_A_CHARACTER)


def refuse(voice: CartesiaEmulator, status: int, message: str, code: str = "refused", times: int | None = None) -> None:
    voice.fail(message, title="Refused", code=code, status=status, times=times)


@dataclass(frozen=True)
class Row:
    """fault: told to the voice's emulator before a turn that is answered with `answer`. heard: the agent's turns, as recorded.
    shown: in the problems that are told, "" for none. ends: in the reason for which the call ends, "" when it goes on.
    sound: the seconds of voice that are played at least and at most, in characters of text."""

    name: str
    fault: Callable[[CartesiaEmulator], None]
    heard: list[str]
    shown: str = ""
    ends: str = ""
    answer: str = ONE
    sound: tuple[int, int] | None = None


CLOSED = [
    Row(f"closed {code} before the first sound", lambda v, code=code: v.close(code), [ONE])
    for code in (1000, 1006, 1011)
]
CUT = [
    Row(
        f"closed {code} in mid-sentence, another follows",
        lambda v, code=code: v.close(code, after=2),
        ["How are you today?"],
        answer=TWO,
    )
    for code in (1000, 1006, 1011)
]
GONE = "the agent cannot speak any more: Cartesia"
HELD = json.dumps({"type": "done", "context_id": "somebody-else", "done": True, "status_code": 200})
EARLY = json.dumps(
    {"type": "flush_done", "context_id": "somebody-else", "flush_done": True, "flush_id": 9, "status_code": 206}
)

ROWS = [
    Row(
        "error once", lambda v: v.fail("tired"), [ONE], "Cartesia has a fault of its own: Internal Server Error: tired."
    ),
    Row("error without a context once", lambda v: v.fail("tired", with_context=False), [ONE], "tired."),
    Row("error", lambda v: v.fail("tired", times=None), [SORRY], "Internal Server Error: tired."),
    Row("429 once", lambda v: refuse(v, 429, "3 contexts are active", times=1), [ONE], "is asked for too much at once"),
    Row("429", lambda v: refuse(v, 429, "3 contexts are active"), [SORRY], "3 contexts are active"),
    Row(
        "400 for one text",
        lambda v: refuse(v, 400, "too long", times=1),
        [SORRY],
        "Cartesia did not say all of it: Refused: too",
    ),
    Row(
        "unknown voice",
        lambda v: refuse(v, 404, "voice.id is not known", "voice_not_found"),
        [SORRY],
        "Refused: voice.id is not known. Check tts.voice, which the agent file does not set.",
    ),
    Row(
        "unknown model",
        lambda v: refuse(v, 400, "no such model", "model_not_found"),
        [SORRY],
        "no such model. Check tts.model, which the agent file does not set.",
    ),
    Row("401", lambda v: refuse(v, 401, "key was revoked"), [GOODBYE], "Check CARTESIA_API_KEY", GONE),
    Row("402", lambda v: refuse(v, 402, "no credits left"), [GOODBYE], "nothing left on the account", GONE),
    Row("403", lambda v: refuse(v, 403, "not in your plan"), [GOODBYE], "Cartesia does not allow this", GONE),
    Row("hang before the first sound, once", lambda v: v.hang(), [ONE]),
    Row("hang before the first sound", lambda v: v.hang(times=2), [SORRY], "no sound came for 1.5 s (tts.timeout)."),
    Row("hang in mid-sentence, another follows", lambda v: v.hang(2), ["How are you today?"], answer=TWO),
    Row("hang in the last sentence", lambda v: v.hang(2), [SORRY], "broke off in the middle of a sentence"),
    *CLOSED,
    *CUT,
    Row("closed in the last sentence", lambda v: v.close(1011, 2), [SORRY], "broke off in the middle of a sentence"),
    Row("garbage", lambda v: v.garble("{garbage", "\x00", "7", '{"type": "chunk"}', after=1), [ONE]),
    Row("half a message", lambda v: v.garble('{"type":"chunk","context_id":"c","da', after=1), [ONE]),
    Row("sound that is none", lambda v: v.garble('{"type":"chunk","context_id":"c","data":"%%"}', after=1), [ONE]),
    Row("kinds of messages that are new", lambda v: v.garble('{"type":"mood","mood":"good"}', after=1), [ONE]),
    Row("oversized", lambda v: v.garble(json.dumps({"type": "mood", "x": "x" * 3_000_000}), after=1), [ONE]),
    Row("out of order", lambda v: v.garble(EARLY, HELD, after=1), [ONE]),
    Row("twice", lambda v: v.twice(), [ONE], sound=(len(ONE) // 2, len(ONE) + 10)),
    Row("slow", lambda v: setattr(v, "first_delay", 0.4), [ONE]),
]


PART = -(-len(ROWS) // 3)


@pytest.mark.parametrize(
    "rows", [ROWS[at : at + PART] for at in range(0, len(ROWS), PART)], ids=["one", "two", "three"]
)
async def test_voice_fails(rows: list[Row], tmp_path: Path) -> None:
    """Each row is a call of its own."""
    await side_by_side(rows, lambda row: fails(row, tmp_path))


async def fails(row: Row, folder: Path) -> None:
    async with faulty_call(folder, QUICK) as call:
        call.mind.answer = lambda body: row.answer
        row.fault(call.voice)
        await call.ask()
        await call.until_said(row.heard[-1])
        if row.shown:
            await until(lambda: call.troubles, 30)
        if row.ends:
            await call.until_over()
        heard = " ".join(call.said)
        assert heard.endswith(row.heard[-1])
        if len(heard) > len(row.heard[-1]):
            assert row.heard[-1] != ONE
            assert ONE not in heard, "what was cut off was not heard"
        assert row.shown in " ".join(call.troubles)
        assert row.shown or not call.troubles
        await until(lambda: call.sound > 0, 30)
        if row.sound:
            least, most = (count * SECONDS_A_CHARACTER for count in row.sound)
            await until(lambda: call.sound >= least, 30)
            await asyncio.sleep(0.3)
            assert least <= call.sound <= most
        assert (row.ends in (call.reason or "")) if row.ends else call.reason is None
        if row.ends:
            return
        call.voice._failures.clear()
        said = len(call.said)
        call.mind.answer = lambda body: "And here I am again."
        await call.ask("Are you there?")
        await until(lambda: len(call.said) > said, 30)
        assert call.said[-1] == "And here I am again.", "the next turn is spoken as ever"
        history = [m["content"] for m in call.mind.request.messages if m["role"] == "assistant"]
        assert " ".join(history) == heard, "the model knows what the caller heard"


@pytest.mark.parametrize(
    ("status", "shown", "heard"),
    [
        (401, "Cartesia does not accept the key", [GOODBYE]),
        (402, "Cartesia has nothing left on the account", [GOODBYE]),
        (403, "Cartesia does not allow this", [GOODBYE]),
    ],
)
async def test_handshake_that_is_refused_for_good_in_mid_call(
    status: int, shown: str, heard: list[str], tmp_path: Path
) -> None:
    async with faulty_call(tmp_path, QUICK) as call:
        call.voice.refuse_handshakes(status, None)
        call.voice.session.drop()
        await call.until_over()
        assert call.said == heard
        assert call.sound > 0
        assert shown in " ".join(call.troubles)
        assert GONE in str(call.reason)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_handshake_that_is_refused_for_a_moment(status: int, tmp_path: Path) -> None:
    voice = CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"])
    voice.refuse_handshakes(status, 2)
    async with faulty_call(tmp_path, voice=voice) as call:
        call.mind.answer = lambda body: ONE
        await call.ask()
        await call.until_said(ONE)
        assert call.reason is None


async def test_key_that_is_wrong_from_the_start_ends_the_call(tmp_path: Path) -> None:
    kept_lines._KEPT.clear()
    async with faulty_call(tmp_path, QUICK, voice=CartesiaEmulator(key="another"), lines=False) as call:
        await call.until_over()
        assert GONE in str(call.reason)
        assert "Check CARTESIA_API_KEY" in str(call.reason)
        assert call.sound == 0


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nowhere.invalid"], ids=["refused", "no such name"])
async def test_voice_that_is_not_there_ends_the_call_after_a_turn(host: str, tmp_path: Path) -> None:
    address = f"ws://{host}/tts/websocket"
    kept_lines._KEPT.clear()
    async with faulty_call(tmp_path, QUICK, lines=False, endpoints={"tts": address}) as call:
        call.mind.answer = lambda body: ONE
        await call.ask()
        await call.until_over()
        assert "the agent cannot speak any more" in str(call.reason)
        assert "Cartesia" in " ".join(call.troubles)


async def test_third_turn_that_nobody_heard_ends_the_call(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, "tts: {timeout: 0.3s}\n") as call:
        call.mind.answer = lambda body: ONE
        call.voice.hang(times=None)
        for turn in range(2):
            await call.ask()
            await until(lambda turn=turn: len(call.said) == turn + 1, 30)
        await call.ask()
        await call.until_over()
        assert call.said == [SORRY, SORRY, GOODBYE]
        assert "3 turns in a row could not be answered (on_trouble.tries)" in str(call.reason)
        assert call.sound > 0


async def test_model_and_voice_at_once_are_told_by_the_lines_that_are_kept_and_end_in_a_reason(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, "llm: {max_retries: 0}\ntts: {timeout: 0.3s}\n") as call:
        call.mind.fail(500, None)
        call.voice.hang(times=None)
        for turn in range(2):
            await call.ask()
            await until(lambda turn=turn: len(call.said) == turn + 1, 30)
            assert call.reason is None
        await call.ask()
        await call.until_over()
        assert call.said == [SORRY, SORRY, GOODBYE]
        assert "3 turns in a row could not be answered (on_trouble.tries)" in str(call.reason)


async def test_voice_that_fails_to_say_that_there_is_trouble_ends_no_call(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, "llm: {max_retries: 0}\ntts: {timeout: 0.3s}\n") as call:
        call.mind.fail(500)
        call.voice.hang(times=2)
        await call.ask()
        await call.until_said(SORRY)
        call.mind.answer = lambda body: ONE
        await call.ask()
        await call.until_said(ONE)
        assert call.said == [SORRY, ONE]
        assert call.reason is None


async def test_socket_that_was_closed_while_nobody_spoke_is_no_trouble(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, QUICK) as call:
        call.voice.session.close(1000)
        await until(lambda: len(call.voice.sessions) == 2)
        call.mind.answer = lambda body: ONE
        await call.ask()
        await call.until_said(ONE)
        assert not call.troubles


async def test_silence_of_the_voice_has_a_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "NOTICED_SECS", 0.3)
    async with faulty_call(tmp_path, "tts: {timeout: 5s}\non_trouble: {after: 1s}\n") as call:
        call.mind.answer = lambda body: ONE
        call.voice.hang(times=None)
        await call.ask()
        await until(lambda: any(told.part == "tts" for told in call.silences), 30)
        assert "The call waits for the voice's first sound (Cartesia)." in call.silences[-1].text
        await call.until_said(SORRY)
        assert call.sound > 0
        assert call.reason is None


async def test_lines_for_trouble_are_asked_for_once_a_process(tmp_path: Path) -> None:
    kept_lines._KEPT.clear()
    async with faulty_call(tmp_path) as call:
        assert call.voice.lines == [SORRY, GOODBYE]
        await call.ask()
        await until(lambda: call.said, 30)
        assert call.voice.lines == [SORRY, GOODBYE]
    async with faulty_call(tmp_path, "on_trouble: false\n") as call:
        assert call.voice.lines == []


async def test_carrier_that_takes_no_sound_any_more_ends_the_call_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipecat 1.14 gives its output up then, and the call would go on without a voice."""
    async with faulty_call(tmp_path, QUICK) as call:
        call.mind.answer = lambda body: ONE

        async def taken(_: object) -> bool:
            await asyncio.sleep(60)
            return True

        output = call.line.loudspeaker
        monkeypatch.setattr(output, "write_audio_frame", taken)
        monkeypatch.setattr(output._params, "audio_out_write_timeout_secs", 0.5)
        await call.ask()
        await call.until_over()
        told = "The caller's side takes no sound any more, so the agent is not heard."
        assert call.reason == f"the caller cannot hear the agent any more: {told}"
        assert call.problems == [told]
