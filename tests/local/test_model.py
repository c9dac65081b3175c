"""A language model on this machine: found or started, answering in a stream, gone when the program is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from aiohttp import web
from openai import AsyncOpenAI

from runner.local.model import MODEL_FILE, LocalModel, ModelError
from runner.local.weights import SMOLLM2

NOBODY = "http://127.0.0.1:9"
"""An address where no Ollama answers."""


@pytest.fixture(autouse=True)
def no_named_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODEL_FILE, raising=False)


@pytest.fixture
async def model() -> AsyncIterator[LocalModel]:
    model = LocalModel(ollama=NOBODY)
    await model.start()
    yield model
    await model.close()


async def answer(model: LocalModel, question: str) -> list[str]:
    """The pieces of the answer as they come."""
    pieces: list[str] = []
    async with AsyncOpenAI(base_url=model.base_url, api_key="local") as client:
        stream = await client.chat.completions.create(
            model=model.model,
            messages=[
                {"role": "system", "content": "You are Maya, a friendly voice assistant for Northwind."},
                {"role": "user", "content": question},
            ],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                pieces.append(piece)
    return pieces


async def test_answers_come_in_pieces_and_are_at_most_two_sentences(model: LocalModel) -> None:
    assert "SmolLM2" in model.describe()
    for question in ("Hello, who is this?", "Write me a list of ten things you can do."):
        pieces = await answer(model, question)
        text = "".join(pieces)
        assert len(pieces) > 3
        assert text[-1] in ".!?"
        assert 1 <= sum(text.count(mark) for mark in ".!?") <= 2
        assert not set("*#\n") & set(text)


async def test_the_event_loop_stays_free_while_the_model_thinks(model: LocalModel) -> None:
    longest = 0.0
    thinking = asyncio.create_task(answer(model, "Tell me about yourself."))
    while not thinking.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
    assert await thinking
    assert longest < 0.25  # the import of openai's types is in it


async def test_two_conversations_are_answered_side_by_side(model: LocalModel) -> None:
    both = await asyncio.gather(answer(model, "Hello."), answer(model, "Who are you?"))
    assert all(both)


async def test_after_close_nobody_answers_and_it_can_start_again() -> None:
    model = LocalModel(ollama=NOBODY)
    await model.start()
    address = model.base_url
    await model.close()
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{address}/models")
    with pytest.raises(ModelError):
        _ = model.base_url
    await model.start()
    assert await answer(model, "Hello.")
    await model.close()


PARENT = """
import asyncio
from runner.local.model import LocalModel

async def main():
    model = LocalModel(ollama="http://127.0.0.1:9")
    await model.start()
    print(model.base_url, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of Unix")
async def test_the_child_ends_with_a_parent_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout
    assert await parent.stdout.readline()
    (child,) = psutil.Process(parent.pid).children()
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [child], 5)
    assert gone


async def test_a_named_file_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_FILE, str(SMOLLM2.path()))
    model = LocalModel(ollama=NOBODY)
    await model.start()
    assert model.describe() == "the model file SmolLM2-135M-Instruct.Q4_1.gguf, on this machine"
    assert await answer(model, "Hello.")
    await model.close()


async def test_a_named_file_that_is_not_there_or_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"RUNNER_GGUF names .*gone\.gguf, which is not there"):
        await LocalModel(model_file=tmp_path / "gone.gguf").start()
    text = tmp_path / "text.gguf"
    text.write_text("this is no model")
    with pytest.raises(ModelError, match=r"text\.gguf could not be started"):
        await LocalModel(model_file=text).start()


@pytest.fixture
async def ollama() -> AsyncIterator[tuple[str, list[dict[str, object]]]]:
    """The address of a server that lists models as Ollama does, and that list."""
    models: list[dict[str, object]] = []

    async def tags(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"models": models}), content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/tags", tags)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", models
    await runner.cleanup()


async def test_ollama_is_used_with_the_largest_model_that_is_quick_enough(
    ollama: tuple[str, list[dict[str, object]]],
) -> None:
    address, models = ollama
    models += [
        {"name": "nomic-embed-text:latest", "size": 274e6, "details": {"families": ["nomic-bert"]}},
        {"name": "qwen3:1.7b", "size": 1.4e9, "details": {"families": ["qwen3"]}},
        {"name": "llama3.1:8b", "size": 4.9e9, "details": {"families": ["llama"]}},
        {"name": "llama3.3:70b", "size": 43e9, "details": {"families": ["llama"]}},
        {"name": "gpt-oss:120b-cloud", "size": 384, "remote_host": "https://ollama.com", "details": {"families": None}},
    ]
    model = LocalModel(ollama=address)
    await model.start()
    assert model.address == (f"{address}/v1", "llama3.1:8b")
    assert model.describe() == "llama3.1:8b in Ollama, on this machine"
    await model.close()


async def test_an_ollama_without_a_model_to_talk_to_is_passed_over(
    ollama: tuple[str, list[dict[str, object]]],
) -> None:
    address, models = ollama
    models.append({"name": "nomic-embed-text", "size": 274e6, "details": {"families": ["nomic-bert"]}})
    model = LocalModel(ollama=address)
    await model.start()
    assert model.model == "smollm2-135m-instruct"
    await model.close()
