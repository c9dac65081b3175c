"""What goes over the vendors' wires in one stage of an agent: the real services are built and what they would send is kept.

Nothing is connected and nothing is described twice: the services are those of a call (`compiler.services`), a recorder stands
where the network would be, and the place of each key is taken by the name of its variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2  # what the OpenAI client speaks HTTP with
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.tts_service import TTSService
from websockets.protocol import State

from runner.catalog import KEY_NAMES, PROVIDERS, Part
from runner.compiler import services
from runner.compiler.conversation import Conversation
from runner.compiler.services import Here
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.definition import BACK, AgentDefinition
from runner.effective import Effective, change, effective

CONTEXT_ID = "..."
"""Stands for what Cartesia's messages of one answer share; a call makes a new one each time."""

_IN_THE_CLOUD = Here()
_ANSWER = (
    b'data: {"id":"","object":"chat.completion.chunk","model":"","choices":[{"index":0,"delta":{"content":"."}}]}'
    b"\n\ndata: [DONE]\n\n"
)
"""The shortest answer of a model that is one: an empty one would be asked for again."""

_MASKED = {name: f"[{name}]" for name in KEY_NAMES}


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection as it would be opened. Keys in `headers` are masked."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entering:
    """What is sent to the ear when the stage is entered from one of `come_from`; no message where nothing differs.

    reopened: the other session that the stage opens, None where the open one goes on.
    """

    come_from: tuple[str, ...]
    messages: tuple[dict[str, Any], ...]
    reopened: Opened | None = None


@dataclass(frozen=True, slots=True)
class Ear:
    """AssemblyAI's wire.

    opened:   the session as a call opens it, in the first stage.
    again:    the session as it would be opened in this stage, after a lost connection.
    entering: what the stage changes on the open session.
    """

    opened: Opened
    again: Opened
    entering: tuple[Entering, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """OpenAI's or Cartesia's wire: the connection, and the body of a request (without anything that was said) or message."""

    opened: Opened
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Handed:
    """A provider whose wire is Pipecat's own affair: its class there, and the settings that it is given."""

    service: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """What one stage of an agent puts on its three wires."""

    stt: Ear | Handed
    llm: Sent | Handed
    tts: Sent | Handed


@dataclass(slots=True)
class _Tape:
    """Stands where a service's websocket would be, and keeps what is sent."""

    sent: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    opened: list[Opened] = field(default_factory=list[Opened])
    state: State = State.OPEN

    async def connect(self, uri: str, *, additional_headers: Mapping[str, str], **_: object) -> _Tape:
        self.opened.append(Opened(uri, dict(additional_headers)))
        return self

    async def send(self, data: str) -> None:
        self.sent.append(json.loads(data))


async def wire(agent: AgentDefinition, stage: str | None, *, language: str | None = None) -> Wire:
    """Everything that stage `stage` puts on the wires (None for an agent without stages).

    language: the short code of what the caller speaks, None for the agent's own.
    """
    now = effective(agent, stage, language)
    return Wire(
        stt=_handed("stt", now) or await _whole_ear(agent, stage),
        llm=_handed("llm", now) or await _model(agent, now),
        tts=_handed("tts", now) or await _voice(agent, now),
    )


def _handed(part: Part, now: Effective) -> Handed | None:
    """What Pipecat is given for a provider that has no wire of its own here; None for the three that have."""
    service = now.service(part)
    made = PROVIDERS[part, service.provider].service
    return Handed(f"{made.module}.{made.name}", dict(service.settings)) if made else None


async def _whole_ear(agent: AgentDefinition, stage: str | None) -> Ear:
    opened, _ = await _ear(agent, effective(agent, agent.first_stage))
    again, _ = await _ear(agent, effective(agent, stage))
    return Ear(opened, again, tuple(await _entering(agent, stage)))


async def _ear(agent: AgentDefinition, now: Effective) -> tuple[Opened, AssemblyAIEars]:
    service = cast("AssemblyAIEars", services.build_stt(now, _MASKED, _IN_THE_CLOUD))
    service.assume_rate(agent.audio.in_sample_rate)
    return Opened(service.url_of(service.wanted()), service.headers), service


async def _entering(agent: AgentDefinition, stage: str | None) -> list[Entering]:
    """What the ear is told, by the stages the caller may come from. Stages that send the same are told together."""
    now = effective(agent, stage)
    if stage is None or now.end:  # in a stage that ends the call nobody is listened to any more
        return []
    found: dict[str, Entering] = {}
    for other in _leading_to(agent, stage):
        before = effective(agent, other)
        _, service = await _ear(agent, before)
        had = service.wanted()
        messages: tuple[dict[str, Any], ...] = ()
        reopened = None
        if frame := services.update_stt(change(before, now), now, _IN_THE_CLOUD):
            await cast("Any", service)._update_settings(frame.delta)
            fields, reopens = service.difference(had)
            messages = ({"type": "UpdateConfiguration", **fields},) if fields else ()
            reopened = Opened(service.url_of(service.wanted()), service.headers) if reopens else None
        same = json.dumps([messages, reopened.url if reopened else None])
        come_from = (*found[same].come_from, other) if same in found else (other,)
        found[same] = Entering(come_from, messages, reopened)
    return list(found.values())


async def _model(agent: AgentDefinition, now: Effective) -> Sent:
    service = cast("OpenAILLMService", services.build_llm(now, _MASKED, _IN_THE_CLOUD))
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_ANSWER)

    client = service._client
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as recorder:
        service._client = client.with_options(http_client=recorder)
        await service.get_chat_completions(LLMContext(messages=[], tools=_tools(agent, now)))
    await client.close()
    (request,) = requests
    headers = {"Authorization": request.headers["Authorization"]}
    return Sent(Opened(str(request.url), headers), json.loads(request.content))


def _tools(agent: AgentDefinition, now: Effective) -> ToolsSchema | Any:
    """The ways out of a stage as the functions that a call offers to the model."""
    conversation = Conversation(agent, version=1, listener=lambda _event: None, choose=None)
    own = conversation._node(now.stage).get("functions", []) if now.stage else []
    offered = [*conversation._anywhere(), *own]
    if not offered:
        return LLMContext().tools
    return ToolsSchema(standard_tools=[cast("Any", function).to_function_schema() for function in offered])


async def _voice(agent: AgentDefinition, now: Effective) -> Sent:
    service: TTSService = services.build_tts(now, _MASKED, _IN_THE_CLOUD)
    cartesia = cast("Any", service)
    cartesia._sample_rate = cartesia._init_sample_rate or agent.audio.out_sample_rate
    cartesia._output_sample_rate = cartesia.sample_rate
    opened = await _opened(service)
    greeting = now.greeting.text if now.greeting else None
    text = now.say or greeting or "What the model answers, sentence by sentence."
    return Sent(opened, json.loads(cartesia._build_msg(text=text, context_id=CONTEXT_ID)))


async def _opened(service: Any) -> Opened:
    """Let a service open its connection onto a tape."""
    tape = _Tape()
    service._websocket_connect = tape.connect
    await service._connect_websocket()
    (opened,) = tape.opened
    return opened


def _leading_to(agent: AgentDefinition, stage: str) -> Iterable[str]:
    """The stages from which a call can come into `stage`, in file order."""
    ways = {name: {way.to for way in (*s.next, *(() if s.end else agent.anywhere))} for name, s in agent.stages.items()}
    direct = [name for name, targets in ways.items() if stage in targets and name != stage]
    returning = [
        name
        for name, targets in ways.items()
        if BACK in targets and name != stage and name in ways[stage] and name not in direct
    ]
    return [name for name in agent.stages if name in direct or name in returning]
