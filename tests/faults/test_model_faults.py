"""What becomes of a call when the model fails: for each moment and fault what the caller heard, whether the call lived, what was
shown, and how often the model was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.definition import OnTrouble
from runner.events import SilenceOver
from runner.live import silence
from tests.emulators import OpenAIEmulator, sound, until
from tests.emulators.openai import Reply, ToolCall
from tests.faults.faulty_call import faulty_call, side_by_side

SORRY, GOODBYE = OnTrouble().say, OnTrouble().goodbye
GOOD = "Good morning. How are you today?"
QUICK = "llm: {timeout: 1.5s, max_retries: 2}\n"
SHOP = """llm: {timeout: 1.5s, max_retries: 1}
stages:
  start:
    prompt: Ask.
    next:
      - when: The caller wants a refund
        to: refund
  refund:
    prompt: Help.
"""


@pytest.fixture(autouse=True)
def _speaks_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.006)


@dataclass(frozen=True)
class Row:
    """fault: told to the model's emulator before a turn. heard: the agent's turns. shown: in the problems that are told, "" for
    none. ends: in the reason for which the call ends, "" when it goes on. asked: requests of the turn, None for any number."""

    name: str
    fault: Callable[[OpenAIEmulator], None]
    heard: list[str]
    shown: str = ""
    ends: str = ""
    asked: int | None = None
    file: str = QUICK


def sse(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


def chunk(content: str) -> bytes:
    return sse(
        '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
        + content
        + "}]}"
    )


BROKEN_CALL = chunk(
    '{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"refund","arguments":"{\\"when"}}]}'
) + sse("[DONE]")
OVERLOADED = sse('{"error":{"message":"The engine is overloaded.","type":"server_error","code":null}}')
EMPTY = chunk("{}") + sse("[DONE]")
SOME = ["Good morning. How are", SORRY]

ROWS = [
    Row("500 once", lambda m: m.fail(500), [GOOD], asked=2),
    Row("503 twice", lambda m: m.fail(503, times=2), [GOOD], asked=3),
    Row("500 for good", lambda m: m.fail(500, None), [SORRY], "OpenAI has a fault of its own", asked=3),
    Row("408 once", lambda m: m.fail(408), [GOOD], asked=2),
    Row("429, again in 0.3 s", lambda m: m.fail(429, headers={"retry-after": "0.3"}), [GOOD], asked=2),
    Row("429, again in 90 ms", lambda m: m.fail(429, headers={"retry-after-ms": "90"}), [GOOD], asked=2),
    Row(
        "429, again in half a minute",
        lambda m: m.fail(429, None, {"retry-after": "30"}),
        [SORRY],
        "OpenAI is asked for too much at once: Rate limit reached for requests.",
        asked=1,
    ),
    Row(
        "429, account used up",
        lambda m: m.fail(429, None, code="insufficient_quota", message="You exceeded your current quota."),
        [GOODBYE],
        "OpenAI has nothing left on the account of OPENAI_API_KEY: You exceeded your current quota.",
        "the agent cannot think any more: OpenAI has nothing left",
        1,
    ),
    Row(
        "401",
        lambda m: m.fail(401, None),
        [GOODBYE],
        "Check OPENAI_API_KEY in .env or in the environment.",
        "the agent cannot think any more: OpenAI does not accept the key",
        1,
    ),
    Row(
        "403",
        lambda m: m.fail(403, None, code="unsupported_country", message="Country not supported"),
        [GOODBYE],
        "OpenAI does not allow this: Country not supported.",
        "the agent cannot think any more: OpenAI does not allow this",
        1,
    ),
    Row(
        "404, unknown model",
        lambda m: m.fail(404, None, code="model_not_found", message="The model `gpt-4oo` does not exist."),
        [SORRY],
        "OpenAI refuses what it was asked for: The model `gpt-4oo` does not exist. "
        "Check llm.model, which the agent file does not set.",
        asked=1,
    ),
    Row(
        "400, too long",
        lambda m: m.fail(
            400, None, code="context_length_exceeded", message="This model's maximum context length is 9."
        ),
        [SORRY],
        "This model's maximum context length is 9.",
        asked=1,
    ),
    Row("hang before the first byte, once", lambda m: m.stall(0), [GOOD], asked=2),
    Row(
        "hang before the first byte",
        lambda m: m.stall(0, None),
        [SORRY],
        "OpenAI said nothing for 1.5 s (llm.timeout).",
    ),
    Row(
        "hang in mid-stream",
        lambda m: m.stall(4),
        SOME,
        "OpenAI said nothing more for 1.5 s in the middle of its answer (llm.timeout).",
        asked=1,
    ),
    Row("connection broken before the first word", lambda m: m.cut(0), [GOOD], asked=2),
    Row(
        "connection broken in mid-stream",
        lambda m: m.cut(4),
        SOME,
        "OpenAI broke off in the middle of its answer.",
        asked=1,
    ),
    Row("garbage once", lambda m: m.garble(sse("{garbage")), [GOOD], asked=2),
    Row(
        "garbage", lambda m: m.garble(sse("{garbage"), times=None), [SORRY], "OpenAI sent something that is no answer."
    ),
    Row(
        "another thing than an answer",
        lambda m: m.garble(sse("[1, 2]"), times=None),
        [SORRY],
        "sent something that is no",
    ),
    Row(
        "garbage in mid-stream",
        lambda m: m.garble(sse("\x00{"), 4),
        SOME,
        "OpenAI broke off in the middle of its answer.",
    ),
    Row(
        "half a message", lambda m: m.garble(b'data: {"id":"c","cho', 4), SOME, "broke off in the middle of its answer."
    ),
    Row("the end without its mark", lambda m: m.garble(b"", 4), SOME, "OpenAI broke off in the middle of its answer."),
    Row(
        "error in the stream", lambda m: m.garble(OVERLOADED, times=None), [SORRY], "OpenAI: The engine is overloaded."
    ),
    Row(
        "a page instead of an answer", lambda m: m.garble(b"<html>Busy</html>", times=None), [SORRY], "an empty answer"
    ),
    Row("an empty answer once", lambda m: m.garble(EMPTY), [GOOD], asked=2),
    Row("an empty answer", lambda m: m.garble(EMPTY, times=None), [SORRY], "OpenAI sent an empty answer."),
    Row("a broken call once", lambda m: m.garble(BROKEN_CALL), [GOOD], asked=2, file=SHOP),
    Row(
        "a broken call",
        lambda m: m.garble(BROKEN_CALL, times=None),
        [SORRY],
        "OpenAI called refund in a way that cannot be read.",
        asked=2,
        file=SHOP,
    ),
    Row("slow pieces", lambda m: setattr(m, "piece_delay", 0.1), [GOOD], asked=1),
    Row(
        "no second try wanted",
        lambda m: m.fail(500),
        [SORRY],
        "a fault of its own",
        asked=1,
        file="llm: {max_retries: 0}\n",
    ),
    Row(
        "nothing is said in trouble",
        lambda m: m.fail(500, None),
        [],
        "OpenAI has a fault of its own",
        asked=1,
        file="llm: {max_retries: 0}\non_trouble: false\n",
    ),
    Row(
        "a sentence of the file",
        lambda m: m.fail(404, None),
        ["Maya lost the thread. Once more, please?"],
        "OpenAI refuses",
        file="variables: {name: Maya}\non_trouble: '{{ name }} lost the thread. Once more, please?'\n",
    ),
    Row(
        "the first turn that cannot be answered is one too many",
        lambda m: m.fail(404, None),
        ["I have to stop. Bye."],
        "OpenAI refuses",
        "a turn could not be answered (on_trouble.tries): OpenAI refuses",
        file="on_trouble:\n  tries: 1\n  goodbye: I have to stop. Bye.\n",
    ),
]


PART = -(-len(ROWS) // 3)


@pytest.mark.parametrize(
    "rows", [ROWS[at : at + PART] for at in range(0, len(ROWS), PART)], ids=["one", "two", "three"]
)
async def test_model_fails(rows: list[Row], tmp_path: Path) -> None:
    """Each row is a call of its own."""
    await side_by_side(rows, lambda row: fails(row, tmp_path))


async def fails(row: Row, folder: Path) -> None:
    async with faulty_call(folder, row.file, lines=False) as call:
        call.mind.answer = lambda body: GOOD
        row.fault(call.mind)
        await call.ask()
        if row.heard:
            await call.until_said(row.heard[-1])
        if row.shown:
            await until(lambda: call.troubles, 30)
        if row.ends:
            await call.until_over()
        assert call.said == row.heard
        assert row.shown in " ".join(call.troubles)
        assert row.shown or not call.troubles
        await until(lambda: (call.sound > 0) == bool(row.heard), 30)
        assert (row.ends in (call.reason or "")) if row.ends else call.reason is None
        if row.asked is not None:
            assert len(call.mind.requests) == row.asked
        if row.ends:
            return
        call.mind._faults.clear()
        call.mind.answer = lambda body: "And here I am again."
        await call.ask("Are you there?")
        await call.until_said("And here I am again.")
        assert call.said == [*row.heard, "And here I am again."]
        history = [m["content"] for m in call.mind.request.messages if m["role"] == "assistant"]
        assert history == row.heard, "the model knows what the caller heard"


@pytest.mark.parametrize(
    ("address", "words"),
    [("http://127.0.0.1:9/v1", "OpenAI cannot be reached"), ("http://nowhere.invalid/v1", "OpenAI cannot be reached")],
    ids=["refused", "no such name"],
)
async def test_model_that_is_not_there(address: str, words: str, tmp_path: Path) -> None:
    async with faulty_call(tmp_path, QUICK, lines=False, endpoints={"llm": address}) as call:
        await call.ask()
        await call.until_said(SORRY)
        assert call.reason is None
        assert words in " ".join(call.troubles)
        assert call.sound > 0


async def test_third_turn_in_a_row_without_an_answer_ends_the_call(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, "llm: {max_retries: 0}\n", lines=False) as call:
        call.mind.fail(500, None)
        for turn in range(2):
            await call.ask()
            await until(lambda turn=turn: len(call.said) == turn + 1, 30)
        await call.ask()
        await call.until_over()
        assert call.said == [SORRY, SORRY, GOODBYE]
        assert "3 turns in a row could not be answered (on_trouble.tries): OpenAI has a fault" in str(call.reason)


async def test_answer_in_between_begins_the_count_anew(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, "llm: {max_retries: 0}\n", lines=False) as call:
        for turn in range(6):
            if turn == 2:
                call.mind.reply(GOOD)
            else:
                call.mind.fail(500)
            await call.ask()
            await until(lambda turn=turn: len(call.said) == turn + 1 or call.reason, 30)
            if call.reason:
                break
        assert call.said[:5] == [SORRY, SORRY, GOOD, SORRY, SORRY]


async def test_silence_has_a_cause_and_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "NOTICED_SECS", 0.3)
    async with faulty_call(tmp_path, "llm: {timeout: 30s}\non_trouble: {after: 1s}\n", lines=False) as call:
        call.mind.stall(0, None)
        asked = time.monotonic()
        await call.ask()
        await until(lambda: call.silences, 30)
        (told,) = call.silences
        assert told.part == "llm"
        assert told.awaited == "the model's first word (OpenAI)"
        assert told.text == f"Nobody has spoken for {told.seconds:.1f} s. The call waits for {told.awaited}."
        assert any("WARNING" in line and told.text in line for line in call.log)
        await call.until_said(SORRY)
        assert any(isinstance(over, SilenceOver) and over.seconds > told.seconds for over in call.events)
        assert time.monotonic() - asked < 15, "and not after the thirty seconds of the model"
        assert call.mind.requests[0].abandoned
        assert call.troubles == ["OpenAI let the caller wait for 1 s (on_trouble.after). The answer is given up."]


async def test_silence_is_told_anew_when_something_else_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "NOTICED_SECS", 0.3)
    async with faulty_call(tmp_path, "tts: {timeout: 9s}\non_trouble: {after: 6s}\n", lines=False) as call:
        call.mind.first_delay = 0.8
        call.voice.hang(times=None)
        await call.ask()
        await until(lambda: len(call.silences) == 2, 30)
        assert [told.awaited for told in call.silences] == [
            "the model's first word (OpenAI)",
            "the voice's first sound (Cartesia)",
        ]


async def test_answer_that_comes_in_time_is_no_silence(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, QUICK, lines=False) as call:
        call.mind.reply(Reply(GOOD))
        await call.ask()
        await call.until_said(GOOD)
        assert not call.silences
        assert not call.troubles


async def test_call_of_a_function_that_is_fine_is_made_once(tmp_path: Path) -> None:
    async with faulty_call(tmp_path, SHOP, lines=False) as call:
        call.mind.reply(lambda body: Reply("", (ToolCall(body["tools"][0]["function"]["name"]),)), "What did you buy?")
        await call.ask("I want my money back.")
        await call.until_said("What did you buy?")
        assert call.said == ["What did you buy?"]


async def test_pipecats_own_limit_of_an_idle_call_is_off(tmp_path: Path) -> None:
    """Pipecat 1.14 cancels a call in which nobody speaks for 300 s, without a word."""
    async with faulty_call(tmp_path, lines=False) as call:
        assert call.call.worker._idle_timeout_secs is None
