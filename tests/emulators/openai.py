"""OpenAI's Chat Completions (`/v1/chat/completions`, `/v1/models`, `/v1/models/MODEL`) as Pipecat 1.14 and openai 3.52 meet it.

Comes in: a request. Goes out: the next reply of the test's script, as server-sent events (or one JSON answer when the
request does not stream), or OpenAI's error form.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDict

from .openai_rules import RefusedError, check_request
from .serving import Emulator, Planned


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answers: text, calls of tools, or both (the text comes first)."""

    text: str = ""
    calls: Sequence[ToolCall] = ()


Answer = Callable[[dict[str, Any]], Reply | str]


@dataclass(frozen=True, slots=True)
class Fault:
    """status: an HTTP error.  stall: nothing more after `after` pieces of the reply.
    cut: the connection breaks there.  raw: there `sent` follows as it is, and the stream ends.
    """

    kind: Literal["status", "stall", "cut", "raw"]
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    code: str | None = None
    message: str = ""
    sent: bytes = b""


@dataclass
class Request:
    """One request and what became of it. at, finished_at: `time.monotonic()` seconds.

    pieces:     text pieces and tool fragments that were sent.
    abandoned:  the client left before the reply was complete (barge-in, time-out).
    """

    at: float
    headers: CIMultiDict[str]
    body: dict[str, Any]
    status: int = 200
    pieces: int = 0
    finished_at: float | None = None
    abandoned: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body.get("messages", [])

    @property
    def system(self) -> str:
        """The system instruction of the moment: the first message, when its role is system."""
        first = self.messages[0] if self.messages else {}
        return first.get("content", "") if first.get("role") == "system" else ""

    @property
    def tools(self) -> list[str]:
        """Names of the offered tools."""
        return [tool["function"]["name"] for tool in self.body.get("tools") or []]


class OpenAIEmulator(Emulator):
    """`async with OpenAIEmulator() as emu: emu.reply("Hello.")`, then `base_url=emu.url`.

    Replies are taken from the script in order; when it is empty, `answer(body)` gives them (by default: made
    from the request).
    first_delay:  seconds from the request to the first piece.
    piece_delay:  seconds between pieces (words, or fragments of a tool's arguments).
    key:          the only accepted key; None: any.
    models:       what `GET /v1/models` lists; `models_asked`: the paths below it that were asked for.
    only_listed_models: refuse others with 404, as OpenAI does.
    """

    path = "/v1"
    scheme = "http"

    def __init__(self, *, key: str | None = None, answer: Answer | None = None) -> None:
        super().__init__()
        self.key = key
        self.answer: Answer = answer or answer_from_request
        self.first_delay = 0.0
        self.piece_delay = 0.0
        self.models: list[str] = ["gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini"]
        self.only_listed_models = False
        self.requests: list[Request] = []
        self.models_asked: list[str] = []
        self._replies: deque[Reply | Answer] = deque()
        self._faults: Planned[Fault] = Planned()

    @property
    def request(self) -> Request:
        """The newest request."""
        return self.requests[-1]

    def reply(self, *replies: str | Reply | Answer) -> None:
        """Adds replies to the script: text, a Reply, or a function of the request's body that gives one."""
        self._replies.extend(Reply(reply) if isinstance(reply, str) else reply for reply in replies)

    def call_tool(self, name: str, arguments: Mapping[str, Any] | None = None, *, text: str = "") -> None:
        """Adds a reply that calls one tool. A request that does not offer it is answered with 400."""
        self.reply(Reply(text, (ToolCall(name, arguments or {}),)))

    def fail(
        self,
        status: int = 500,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
        *,
        code: str | None = None,
        message: str = "",
    ) -> None:
        """Answers the next requests with an HTTP error. 401 and 429 carry OpenAI's own texts, if no other are given."""
        self._faults.plan(Fault("status", status, headers or {}, code=code, message=message), times)

    def garble(self, sent: bytes, after: int = 0, times: int | None = 1) -> None:
        """After `after` pieces of the reply sends these bytes as they are, and ends the stream as if it were complete."""
        self._faults.plan(Fault("raw", after=after, sent=sent), times)

    def stall(self, after: int = 0, times: int | None = 1) -> None:
        """Says nothing more after `after` pieces of the reply; 0: not even the response's head."""
        self._faults.plan(Fault("stall", after=after), times)

    def cut(self, after: int = 1, times: int | None = 1) -> None:
        """Breaks the connection after `after` pieces of the reply."""
        self._faults.plan(Fault("cut", after=after), times)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._complete),
            web.get("/v1/models", self._list_models),
            web.get("/v1/models/{name:.+}", self._one_model),
        ]

    async def _one_model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.models_asked.append(name)
        try:
            self._authorize(request)
            if name not in self.models:
                raise RefusedError(404, f"The model '{name}' does not exist", code="model_not_found")
        except RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        return web.json_response({"id": name, "object": "model", "created": 1715367049, "owned_by": "system"})

    async def _list_models(self, request: web.Request) -> web.Response:
        try:
            self._authorize(request)
        except RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        data = [{"id": name, "object": "model", "created": 1715367049, "owned_by": "system"} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            body = json.loads(await request.text())
        except json.JSONDecodeError:
            body = None
        record = Request(time.monotonic(), CIMultiDict(request.headers), body if isinstance(body, dict) else {})
        self.requests.append(record)
        fault = self._faults.take()
        try:
            self._authorize(request)
            if fault and fault.kind == "status":
                raise _ordered_refusal(fault)
            check_request(body)
            self._check_model(record)
            reply = self._next_reply(record)
            return await self._send(request, record, reply, fault)
        except RefusedError as refusal:
            record.status = refusal.status
            return web.json_response(refusal.body, status=refusal.status, headers=fault.headers if fault else None)
        except asyncio.CancelledError:
            record.abandoned = True
            raise
        finally:
            record.finished_at = time.monotonic()

    def _authorize(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            text = "You didn't provide an API key. You need to provide your API key in an Authorization header."
            raise RefusedError(401, text, code="invalid_api_key")
        if self.key is not None and key != self.key:
            raise RefusedError(401, f"Incorrect API key provided: {key[:4]}***.", code="invalid_api_key")

    def _check_model(self, record: Request) -> None:
        model = record.body["model"]
        if self.only_listed_models and model not in self.models:
            text = f"The model `{model}` does not exist or you do not have access to it."
            raise RefusedError(404, text, code="model_not_found")

    def _next_reply(self, record: Request) -> Reply:
        planned = self._replies.popleft() if self._replies else self.answer
        reply = planned if isinstance(planned, Reply) else planned(record.body)
        reply = Reply(reply) if isinstance(reply, str) else reply
        for call in reply.calls:
            if call.name not in record.tools:
                raise RefusedError(400, f"The test's script calls '{call.name}'; the request offers {record.tools}.")
        return reply

    async def _send(
        self, request: web.Request, record: Request, reply: Reply, fault: Fault | None
    ) -> web.StreamResponse:
        if fault and fault.kind == "stall" and not fault.after:
            await asyncio.Event().wait()
        await asyncio.sleep(self.first_delay)
        head = {"id": f"chatcmpl-{len(self.requests)}", "created": int(time.time()), "model": record.body["model"]}
        usage = _usage(record.body, reply)
        if not record.body.get("stream"):
            return web.json_response(_whole(head, reply, usage))

        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        try:
            if not (fault and fault.kind == "raw" and not fault.after):
                await self._stream(response, record, reply, fault, head, usage)
            elif fault:
                await response.write(fault.sent)
        except _GarbledError:
            pass
        except ConnectionError:
            record.abandoned = True
        except _CutError:
            if request.transport:
                request.transport.close()
        return response

    async def _stream(
        self,
        response: web.StreamResponse,
        record: Request,
        reply: Reply,
        fault: Fault | None,
        head: dict[str, Any],
        usage: dict[str, Any],
    ) -> None:
        options = record.body.get("stream_options") or {}
        with_usage: dict[str, Any] = {"usage": None} if options.get("include_usage") else {}
        head = head | {"object": "chat.completion.chunk"}

        async def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            await _event(response, head | {"choices": [choice]} | with_usage)

        await send({"role": "assistant", "content": "" if reply.text or not reply.calls else None, "refusal": None})
        for delta in _deltas(reply, len(self.requests)):
            if fault and record.pieces >= fault.after:
                if fault.kind == "cut":
                    raise _CutError
                if fault.kind == "raw":
                    await response.write(fault.sent)
                    raise _GarbledError
                await asyncio.Event().wait()
            await send(delta)
            record.pieces += 1
            await asyncio.sleep(self.piece_delay)
        await send({}, "tool_calls" if reply.calls else "stop")
        if with_usage:
            await _event(response, head | {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")


class _CutError(Exception):
    """The test ordered the connection to break here."""


class _GarbledError(Exception):
    """The test ordered the stream to end here."""


def answer_from_request(body: dict[str, Any]) -> str:
    """The reply without a script: repeats the newest thing said to the model."""
    for message in reversed(body["messages"]):
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(part.get("text", "") for part in content)
        if message["role"] == "user":
            return f"You said: {content}"
        if message["role"] == "tool":
            return f"The tool answered: {content}"
    return "Nobody has said anything yet."


def _ordered_refusal(fault: Fault) -> RefusedError:
    status = fault.status
    if fault.message or fault.code:
        return RefusedError(status, fault.message or "Refused.", code=fault.code)
    if status == 401:
        return RefusedError(401, "Incorrect API key provided.", code="invalid_api_key")
    if status == 429:
        return RefusedError(429, "Rate limit reached for requests.", code="rate_limit_exceeded", kind="requests")
    return RefusedError(status, "The server had an error while processing your request. Sorry about that!")


async def _event(response: web.StreamResponse, body: Mapping[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n")


def _deltas(reply: Reply, number: int) -> Iterable[dict[str, Any]]:
    for piece in re.findall(r"\s*\S+|\s+$", reply.text):
        yield {"content": piece}
    for index, call in enumerate(reply.calls):
        function: dict[str, Any] = {"name": call.name, "arguments": ""}
        call_id = f"call_{number}_{index}"
        yield {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
        for fragment in re.findall(r".{1,12}", json.dumps(dict(call.arguments), ensure_ascii=False)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = len(json.dumps(body["messages"])) // 4 + 1
    completion = sum(1 for _ in _deltas(reply, 0))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _whole(head: Mapping[str, Any], reply: Reply, usage: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{head['id']}_{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for index, call in enumerate(reply.calls)
        ]
    finish = "tool_calls" if reply.calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return dict(head) | {"object": "chat.completion", "choices": [choice], "usage": dict(usage)}
