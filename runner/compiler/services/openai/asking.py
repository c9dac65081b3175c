"""OpenAI's service with limits that apply, and a second try as long as nothing of an answer was said.

Comes in: a request. Goes out: its answer, piece by piece; or an error that names what happened, never silence. An answer counts
as begun with its first piece of text. Until then everything may be asked again: refused for the moment (429, 5xx), no connection,
nothing said in time, an answer that is empty, garbled or calls a function with arguments that cannot be read. What was passed on
is spoken, so after that a fault ends the answer.

Why not Pipecat's or the OpenAI package's own: Pipecat 1.14 does nothing with `timeout` and `max_retries`; the package's limit is
one of the transport, which a server's keep-alive resets, and its tries wait as long as the vendor asks for, up to a minute.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import cast

from loguru import logger
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncStream
from openai.types.chat import ChatCompletionChunk
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.errors import ErrorCategory

LIMIT_SECS = 5.0
"""How long the model may say nothing when the file sets no `llm.timeout`."""

TRIES_AGAIN = 2
"""How often a request is tried again when the file sets no `llm.max_retries`; the OpenAI package's own number."""

_PATIENCE_SECS = 7.5
"""All tries together: a caller should not hear nothing for ten seconds, and the sentence for trouble takes a moment too."""

_WORTH_A_TRY_SECS = 0.3
"""A try with less time left would end before the vendor can answer."""

_WHOLE_SECS = 60.0
"""An answer that takes longer is none for a conversation."""

_WAITS = (0.2, 0.5, 1.0)
"""Seconds before the second, third and every further try."""

_USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""OpenAI's codes of a 429 that does not go away by waiting."""


class NoAnswer(Exception):
    """The model's server answered, or did not, in a way that gives no answer. Its text goes on after the vendor's name:
    "said nothing for 5 s (llm.timeout)"."""


@dataclass(slots=True)
class _Seen:
    """What an answer held so far. calls: the arguments of each function it calls, by its place."""

    text: bool = False
    finish: str = ""
    counted: bool = False
    refusal: str = ""
    names: dict[int, str] = field(default_factory=dict[int, str])
    calls: dict[int, str] = field(default_factory=dict[int, str])

    def take(self, chunk: ChatCompletionChunk) -> None:
        """Raises NoAnswer for what is no piece of an answer at all."""
        try:
            self.counted = self.counted or bool(chunk.usage)
            for choice in chunk.choices or ():
                self.finish = choice.finish_reason or self.finish
                if not choice.delta:
                    continue
                self.text = self.text or bool(choice.delta.content)
                self.refusal += choice.delta.refusal or ""
                for call in choice.delta.tool_calls or ():
                    made = call.function
                    self.names[call.index] = self.names.get(call.index, "") + ((made and made.name) or "")
                    self.calls[call.index] = self.calls.get(call.index, "") + ((made and made.arguments) or "")
        except (AttributeError, TypeError) as error:
            raise NoAnswer("sent something that is no answer") from error

    def check_end(self) -> None:
        """An answer has come to its end. Raises NoAnswer when it is not one."""
        for place, arguments in self.calls.items():
            try:
                json.loads(arguments or "{}")
            except ValueError as error:
                raise NoAnswer(f"called {self.names[place]} in a way that cannot be read") from error
        if self.refusal and not self.text:
            raise NoAnswer(f"refused to answer: {self.refusal}")
        if not self.text and not self.calls:
            raise NoAnswer(f"sent an empty answer{f' ({self.finish})' if self.finish not in ('', 'stop') else ''}")
        if not self.finish and not self.counted:
            raise NoAnswer("broke off in the middle of its answer")


class Asking(OpenAILLMService):
    """The service of one call. `limit` and `tries_again` are read at each request.

    alone: nobody takes over when it fails, so it is worth a second try where the file says nothing.
    """

    alone = True

    @property
    def limit(self) -> float:
        """Seconds the model may say nothing."""
        given = self._settings.extra.get("timeout")
        return float(given) if isinstance(given, int | float) else LIMIT_SECS

    @property
    def tries_again(self) -> int:
        given = getattr(self._settings, "max_retries", None)
        return given if isinstance(given, int) else TRIES_AGAIN if self.alone else 0

    async def get_chat_completions(self, context: LLMContext) -> AsyncStream[ChatCompletionChunk]:
        now = asyncio.get_running_loop().time
        limit = self.limit
        deadline = now() + max(_PATIENCE_SECS, limit)
        tried = 0
        while True:
            try:
                answer = await self._begun(context, min(limit, deadline - now()), limit)
                return cast("AsyncStream[ChatCompletionChunk]", answer)
            except Exception as error:
                tried += 1
                wait = _wait(error, tried)
                if wait is None or tried > self.tries_again or now() + wait + _WORTH_A_TRY_SECS > deadline:
                    raise
                logger.warning(f"{self}: {error}. Asked again in {wait:.1f} s, try {tried + 1}.")
                await asyncio.sleep(wait)

    async def _begun(self, context: LLMContext, first: float, limit: float) -> AsyncGenerator[ChatCompletionChunk]:
        """An answer whose first words are here, or which is here whole. first, limit: seconds of silence, before them and
        between further pieces."""
        seen, held, ended = _Seen(), list[ChatCompletionChunk](), False
        stream: AsyncStream[ChatCompletionChunk] | None = None
        chunks: AsyncIterator[ChatCompletionChunk] | None = None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(first) as waiting:
                stream = await super().get_chat_completions(context)
                chunks = aiter(stream)
                while not seen.text and not ended:
                    chunk = await anext(chunks, None)
                    ended = chunk is None
                    if chunk is not None:
                        seen.take(chunk)
                        held.append(chunk)
                        if seen.calls:
                            waiting.reschedule(loop.time() + limit)
            if ended:
                seen.check_end()
        except BaseException as error:
            if stream:
                await close(stream, chunks)
            if isinstance(error, Exception):
                raise _named(error, first, begun=False) from error
            raise
        return self._passed_on(stream, chunks, held, seen, limit)

    async def _passed_on(
        self,
        stream: AsyncStream[ChatCompletionChunk],
        chunks: AsyncIterator[ChatCompletionChunk],
        held: list[ChatCompletionChunk],
        seen: _Seen,
        limit: float,
    ) -> AsyncGenerator[ChatCompletionChunk]:
        over = asyncio.get_running_loop().time() + max(_WHOLE_SECS, limit)
        try:
            for chunk in held:
                yield chunk
            while True:
                try:
                    async with asyncio.timeout(limit):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        seen.check_end()
                        return
                    seen.take(chunk)
                    if asyncio.get_running_loop().time() > over:
                        raise NoAnswer(f"was still not at the end of its answer after {_WHOLE_SECS:.0f} s")
                except Exception as error:
                    raise _named(error, limit, begun=True) from error
                yield chunk
        finally:
            await close(stream, chunks)

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        """Pipecat 1.14 goes by the HTTP status alone."""
        if isinstance(exception, NoAnswer):
            return ErrorCategory.SERVER
        if isinstance(exception, APIConnectionError):
            return ErrorCategory.CONNECTIVITY
        if isinstance(exception, APIError) and exception.code in _USED_UP:
            return ErrorCategory.QUOTA
        return super()._classify_error(exception)


async def close(stream: AsyncStream[ChatCompletionChunk], chunks: object) -> None:
    """Let go of a stream that nobody wants more of, its iterator first (as Pipecat 1.14 does)."""
    if isinstance(chunks, AsyncGenerator):
        await chunks.aclose()
    if chunks is not stream:
        await stream.close()


def _named(error: Exception, limit: float, *, begun: bool) -> Exception:
    """The same fault in words. What the vendor says itself stays as it is."""
    if isinstance(error, TimeoutError | APITimeoutError):
        when = " in the middle of its answer" if begun else ""
        return NoAnswer(f"said nothing{' more' if begun else ''} for {limit:g} s{when} (llm.timeout)")
    if isinstance(error, NoAnswer) or (
        isinstance(error, APIError) and not (begun and isinstance(error, APIConnectionError))
    ):
        return error
    if begun:
        return NoAnswer("broke off in the middle of its answer")
    if isinstance(error, ValueError | AttributeError | TypeError):
        return NoAnswer("sent something that is no answer")
    return NoAnswer(f"broke off before its answer began: {error}")


def _wait(error: Exception, tried: int) -> float | None:
    """Seconds until the request may be made again, None when that is of no use."""
    usual = _WAITS[min(tried, len(_WAITS)) - 1] * random.uniform(0.9, 1.1)
    if isinstance(error, APIError) and error.code in _USED_UP:
        return None
    if not isinstance(error, APIStatusError):
        refused = isinstance(error, APIError) and error.type == "invalid_request_error"
        return None if refused else usual
    if error.status_code not in (408, 409, 429) and error.status_code < 500:
        return None
    headers = error.response.headers
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(usual, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    return usual
