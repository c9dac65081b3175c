"""OpenAI's service that asks for the likeliest next stage's answer while the model still decides whether to go there.

Comes in: a request (`LLMContextFrame`), and with it the request that would follow if the model called one certain function.
Goes out: the answers, as ever. Both requests are sent at once. The second one's answer is used when, after that function was
called, the very request is to be made that it answers: same history with the call and its result, same prompt, functions and
settings; nothing but the call's id may differ. So whatever changed in between (words of the caller, a save, another stage, what
the model said before it called) leads to an ordinary request, and no answer is ever older than its question. As soon as the
first answer turns out to be anything but that call alone, the second request is cancelled.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from loguru import logger
from openai import AsyncOpenAI, AsyncStream
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, InterruptionFrame, LLMContextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.settings import LLMSettings

from runner.compiler.services.openai.asking import Asking, close

Params = dict[str, Any]
"""What goes into the body of one request."""

_AHEAD = "runner.ahead"

_HEAD_START = 0.01
"""Seconds by which the request that certainly counts goes first. A function call takes longer to arrive."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The request that follows if the model calls `function`.

    context: its history with that call and its result, and the functions offered then.
    delta:   the settings that will be told meanwhile, None for none.
    """

    function: str
    context: LLMContext
    delta: LLMSettings | None = None


def taken(function: str, result: str) -> list[Any]:
    """The two messages that record a call of `function` without arguments, as Pipecat 1.14 writes them."""
    call = f"call_{uuid.uuid4().hex[:24]}"
    made = {"id": call, "function": {"name": function, "arguments": "{}"}, "type": "function"}
    return [
        {"role": "assistant", "tool_calls": [made]},
        {"role": "tool", "content": result, "tool_call_id": call},
    ]


def attach(frame: LLMContextFrame, ahead: Ahead) -> None:
    """Let `ahead` go out beside the request of `frame`, if its service is a `LookingAhead`."""
    frame.metadata[_AHEAD] = ahead


def without_ahead(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a request carries, for another model: what was to be asked beside it was meant for the first one."""
    return {name: value for name, value in metadata.items() if name != _AHEAD}


class _Chunks(asyncio.Queue[ChatCompletionChunk | Exception | None]):
    """The pieces of an answer. None ends it, an exception breaks it off."""


@dataclass(slots=True)
class _Answer:
    """An answer that is on its way. asked_by: the client, which says in whose name."""

    asked_by: AsyncOpenAI
    function: str
    params: Params
    chunks: _Chunks = field(default_factory=_Chunks)
    usage: CompletionUsage | None = None
    task: asyncio.Task[None] | None = None


class LookingAhead(Asking):
    """The service with its limits; without an `Ahead` on the frame it does nothing else than that."""

    _wanted: Ahead | None = None
    _answer: _Answer | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame | EndFrame | CancelFrame):
            await self._drop()
        elif isinstance(frame, LLMContextFrame):
            self._wanted = frame.metadata.get(_AHEAD)
        await super().process_frame(frame, direction)

    async def cleanup(self) -> None:
        await self._drop()
        await super().cleanup()

    async def get_chat_completions(self, context: LLMContext) -> AsyncStream[ChatCompletionChunk]:
        wanted, self._wanted = self._wanted, None
        try:
            if self._answer and (first := await self._first_piece(self._answer, context)):
                answer, self._answer = self._answer, None
                return cast("AsyncStream[ChatCompletionChunk]", self._replayed(answer, first))
            await self._drop()
            if wanted is None:
                return await super().get_chat_completions(context)
            self._answer = await self._ask(wanted)
            stream = await super().get_chat_completions(context)
        except BaseException:
            await self._drop()
            raise
        return cast("AsyncStream[ChatCompletionChunk]", self._watched(stream, wanted.function))

    async def _first_piece(self, answer: _Answer, context: LLMContext) -> ChatCompletionChunk | None:
        """Of an answer to the very request that is to be made; None when it answers another one or failed."""
        if answer.asked_by is not self._client or not _same(answer.params, await self._params(context)):
            return None
        first = await answer.chunks.get()
        if isinstance(first, Exception):
            logger.debug(f"{self}: what was asked ahead failed: {first}")
            return None
        return first

    async def _params(self, context: LLMContext, settings: LLMSettings | None = None) -> Params:
        """The request that Pipecat 1.14 makes of `context` with these settings (the present ones)."""
        now, then = self._settings, cast(OpenAILLMService.Settings, settings or self._settings)
        given = await self.get_llm_adapter().get_llm_invocation_params(
            context,
            system_instruction=cast("str | None", then.system_instruction),
            convert_developer_to_user=not self.supports_developer_role,
        )
        self._settings = then
        try:
            return cast(Params, self.build_chat_completion_params(given))
        finally:
            self._settings = now

    async def _ask(self, wanted: Ahead) -> _Answer:
        settings = replace(self._settings, extra=dict(self._settings.extra))
        if wanted.delta:
            settings.apply_update(cast(OpenAILLMService.Settings, wanted.delta))
        answer = _Answer(self._client, wanted.function, await self._params(wanted.context, settings))
        answer.task = self.create_task(self._fill(answer), "asks_ahead")
        return answer

    async def _fill(self, answer: _Answer) -> None:
        """A failure is kept for whoever wants the answer; the vendor is not asked again, the ordinary request would be."""
        try:
            await asyncio.sleep(_HEAD_START)
            client = self._client.with_options(max_retries=0)
            stream = cast("AsyncStream[ChatCompletionChunk]", await client.chat.completions.create(**answer.params))
            async for chunk in _closing(stream):
                answer.usage = chunk.usage or answer.usage
                answer.chunks.put_nowait(chunk)
        except Exception as error:
            answer.chunks.put_nowait(error)
        else:
            answer.chunks.put_nowait(None)

    async def _watched(
        self, stream: AsyncStream[ChatCompletionChunk], function: str
    ) -> AsyncGenerator[ChatCompletionChunk]:
        """The ordinary answer. Anything but one call of `function` drops what was asked ahead, at once."""
        called = ""
        finished = False
        try:
            async for chunk in _closing(stream):
                called += _called(chunk)
                yield chunk
                if self._answer and (_says_something(chunk) or not function.startswith(called)):
                    await self._drop()
            finished = True
        finally:
            if self._answer and not (finished and called == function):
                await self._drop()

    async def _replayed(self, answer: _Answer, first: ChatCompletionChunk) -> AsyncGenerator[ChatCompletionChunk]:
        """The answer asked ahead, from its beginning and as fast as it comes."""
        chunk: ChatCompletionChunk | Exception | None = first
        try:
            while chunk:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
                chunk = await answer.chunks.get()
        finally:
            if answer.task:
                await self.cancel_task(answer.task)

    async def _drop(self) -> None:
        answer, self._answer = self._answer, None
        if answer:
            await self._forget(answer)

    async def _forget(self, answer: _Answer) -> None:
        """Stop the request, and count what it used if the vendor has said so: it does with the last piece of an answer."""
        if answer.task:
            await self.cancel_task(answer.task)
        if answer.usage:
            await self.start_llm_usage_metrics(self._token_usage(answer.usage))


async def _closing(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[ChatCompletionChunk]:
    """The chunks of a stream that is closed when nobody wants more of them."""
    chunks = aiter(stream)
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await close(stream, chunks)


def _called(chunk: ChatCompletionChunk) -> str:
    """The piece of a function's name in a chunk."""
    delta = chunk.choices[0].delta if chunk.choices else None
    calls = (delta and delta.tool_calls) or ()
    return "".join(call.function.name or "" for call in calls if call.function)


def _says_something(chunk: ChatCompletionChunk) -> bool:
    return bool(chunk.choices and chunk.choices[0].delta and chunk.choices[0].delta.content)


def _same(asked: Params, wanted: Params) -> bool:
    """Whether two requests differ in nothing but the id of the last call."""
    return asked == {**wanted, "messages": _with_id_of(asked["messages"], wanted["messages"])}


def _with_id_of(pattern: list[Any], messages: list[Any]) -> list[Any]:
    """`messages` with the id of its last call, made by the last but one message, as `pattern` has it."""
    try:
        made, answered = messages[-2:]
        (call,) = made["tool_calls"]
        if answered["tool_call_id"] != call["id"]:
            return messages
        call_id = pattern[-1]["tool_call_id"]
        made = {**made, "tool_calls": [{**call, "id": call_id}]}
        return [*messages[:-2], made, {**answered, "tool_call_id": call_id}]
    except (KeyError, ValueError, IndexError):
        return messages
