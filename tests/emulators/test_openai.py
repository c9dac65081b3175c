"""OpenAI's emulator refuses what the vendor refuses and streams what the vendor streams."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import openai
import pytest

from tests.emulators import OpenAIEmulator, Reply, ToolCall, until

TOOL: Any = {
    "type": "function",
    "function": {"name": "find_order", "description": "d", "parameters": {"type": "object", "properties": {}}},
}
HELLO: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find_order", "arguments": "{}"}}],
}


def client(emulator: OpenAIEmulator, key: str = "a-key", retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=emulator.url, max_retries=retries)


async def post(emulator: OpenAIEmulator, body: Any, key: str | None = "a-key") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{emulator.url}/chat/completions", json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def streamed(emulator: OpenAIEmulator, **body: Any) -> list[Any]:
    async with client(emulator) as asked:
        asking: Any = HELLO | body | {"stream": True, "stream_options": {"include_usage": True}}
        stream = await asked.chat.completions.create(**asking)
        return [chunk async for chunk in stream]


async def test_text_is_streamed_in_pieces_with_usage_at_the_end() -> None:
    async with OpenAIEmulator() as emulator:
        emulator.reply("Hello there, how can I help?")
        *chunks, finish, usage = await streamed(emulator)
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "Hello there, how can I help?"
    assert len(chunks) == 7
    assert finish.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage.total_tokens == usage.usage.prompt_tokens + 6


async def test_raw_stream_ends_with_done() -> None:
    async with (
        OpenAIEmulator() as emulator,
        aiohttp.ClientSession(headers={"Authorization": "Bearer a-key"}) as http,
        http.post(f"{emulator.url}/chat/completions", json=HELLO | {"stream": True}) as answer,
    ):
        lines = (await answer.text()).strip().split("\n\n")
    assert answer.content_type == "text/event-stream"
    assert lines[-1] == "data: [DONE]"
    assert all("usage" not in json.loads(line.removeprefix("data: ")) for line in lines[:-1])


async def test_tool_calls_come_in_fragments_with_rising_indexes() -> None:
    async with OpenAIEmulator() as emulator:
        emulator.reply(Reply("One moment.", (ToolCall("find_order", {"number": "R 123 456"}), ToolCall("find_order"))))
        chunks = await streamed(emulator, tools=[TOOL], tool_choice="auto")
    calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices and c.choices[0].delta.tool_calls]
    assert [call.index for call in calls] == sorted(call.index for call in calls)
    assert [call.function.name for call in calls if call.id] == ["find_order", "find_order"]
    first = "".join(call.function.arguments for call in calls if call.index == 0)
    assert json.loads(first) == {"number": "R 123 456"}
    assert chunks[-2].choices[0].finish_reason == "tool_calls"


async def test_answer_that_is_not_streamed_is_whole() -> None:
    async with OpenAIEmulator() as emulator, client(emulator) as asked:
        emulator.call_tool("find_order", {"number": 7}, text="Wait.")
        answer = await asked.chat.completions.create(**HELLO, tools=[TOOL])
    assert answer.choices[0].message.content == "Wait."
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"number": 7}


async def test_empty_script_answers_from_the_request() -> None:
    async with OpenAIEmulator() as emulator, client(emulator) as asked:
        answer = await asked.chat.completions.create(**HELLO)
        assert answer.choices[0].message.content == "You said: Hello"
        emulator.reply(lambda body: f"{body['model']} heard you")
        answer = await asked.chat.completions.create(**HELLO)
        assert answer.choices[0].message.content == "gpt-4o heard you"
        assert [model.id async for model in asked.models.list()] == emulator.models


async def test_requests_are_recorded() -> None:
    body = HELLO | {"messages": [{"role": "system", "content": "Be brief."}, *HELLO["messages"]], "tools": [TOOL]}
    async with OpenAIEmulator() as emulator:
        before = time.monotonic()
        await post(emulator, body)
    assert emulator.request.body == body
    assert emulator.request.headers["authorization"] == "Bearer a-key"
    assert (emulator.request.system, emulator.request.tools) == ("Be brief.", ["find_order"])
    assert before <= emulator.request.at <= (emulator.request.finished_at or 0)


@pytest.mark.parametrize(
    "change",
    [
        {"temprature": 0.4},
        {"top_k": 5},
        {"model": ""},
        {"model": None},
        {"temperature": 2.1},
        {"temperature": "0.4"},
        {"top_p": 1.1},
        {"presence_penalty": -3},
        {"max_tokens": 0},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"stream": "yes"},
        {"stream_options": {"include_usage": True}},
        {"tools": []},
        {"tools": [TOOL, TOOL]},
        {"tools": [{"type": "function", "function": {"name": "find order"}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "params": {}}}]},
        {"tool_choice": "auto"},
        {"tools": [TOOL], "tool_choice": "any"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"messages": []},
        {"messages": None},
        {"messages": [{"role": "bot", "content": "x"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": "x", "text": "y"}]},
        {"messages": [{"role": "assistant"}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "c1"}]},
        {"messages": [CALLED]},
        {"messages": [CALLED, {"role": "user", "content": "x"}]},
        {"messages": [CALLED, {"role": "tool", "content": "x", "tool_call_id": "c2"}]},
    ],
)
async def test_bad_request_is_refused_with_400(change: dict[str, Any]) -> None:
    async with OpenAIEmulator() as emulator:
        status, answer = await post(emulator, HELLO | change)
    assert status == emulator.request.status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert set(answer["error"]) == {"message", "type", "param", "code"}


async def test_tool_result_after_its_call_is_accepted() -> None:
    messages = [*HELLO["messages"], CALLED, {"role": "tool", "content": "{}", "tool_call_id": "c1"}]
    async with OpenAIEmulator() as emulator:
        status, answer = await post(emulator, HELLO | {"messages": messages})
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "The tool answered: {}"


async def test_keys_and_models_are_checked() -> None:
    async with OpenAIEmulator(key="a-key") as emulator:
        for key in (None, "wrong"):
            status, answer = await post(emulator, HELLO, key)
            assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        emulator.only_listed_models = True
        status, answer = await post(emulator, HELLO | {"model": "gpt-9"})
        assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_script_that_calls_a_tool_the_request_lacks_is_told_so() -> None:
    async with OpenAIEmulator() as emulator:
        emulator.call_tool("find_order")
        status, answer = await post(emulator, HELLO)
    assert status == 400
    assert "find_order" in answer["error"]["message"]


async def test_errors_are_retried_by_the_real_client() -> None:
    async with OpenAIEmulator() as emulator, client(emulator, retries=2) as asked:
        emulator.fail(500, times=2)
        await asked.chat.completions.create(**HELLO)
        assert [request.status for request in emulator.requests] == [500, 500, 200]
        emulator.fail(429, times=1, headers={"retry-after-ms": "1"})
        await asked.chat.completions.create(**HELLO)
        emulator.fail(401)
        with pytest.raises(openai.AuthenticationError):
            await asked.chat.completions.create(**HELLO)
    assert len(emulator.requests) == 6


@pytest.mark.parametrize("after", [0, 2])
async def test_stall_says_nothing_more_and_sees_the_client_leave(after: int) -> None:
    async with OpenAIEmulator() as emulator:
        emulator.reply("One two three four.")
        emulator.stall(after=after)
        asking = asyncio.ensure_future(streamed(emulator))
        await until(lambda: emulator.requests and emulator.request.pieces == after)
        await asyncio.sleep(0.05)
        assert not asking.done()
        asking.cancel()
        await until(lambda: emulator.request.abandoned)
        assert emulator.request.pieces == after


async def test_cut_breaks_the_stream() -> None:
    async with OpenAIEmulator() as emulator:
        emulator.reply("One two three four.")
        emulator.cut(after=2)
        with pytest.raises(openai.APIConnectionError):
            await streamed(emulator)
        assert emulator.request.pieces == 2
        assert not emulator.request.abandoned


async def test_delays_are_kept() -> None:
    async with OpenAIEmulator() as emulator:
        emulator.first_delay, emulator.piece_delay = 0.1, 0.03
        emulator.reply("One two three four.")
        asked = time.monotonic()
        await streamed(emulator)
        assert time.monotonic() - asked >= 0.2
