"""One agent in one stage, explained: the settings as they really go out, the wires, the hosts. No value of a key is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from runner.catalog import PARTS, PROVIDERS, Part
from runner.definition import AgentDefinition, Service
from runner.effective import own_language
from runner.explaining.hiding import without
from runner.explaining.hosts import Host, hosts
from runner.explaining.settings import Explained, explained
from runner.explaining.wire import Ear, Handed, Opened, Sent, Wire, wire


@dataclass(frozen=True, slots=True)
class Report:
    """What `runner explain` says of `agent` in `stage` (None for an agent without stages).

    language: the short code of what the caller speaks, None for the agent's own.
    """

    agent: AgentDefinition
    stage: str | None
    settings: tuple[Explained, ...]
    wire: Wire
    hosts: tuple[Host, ...]
    language: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of `runner explain --json`."""
        return {
            "agent": self.agent.name,
            "file": str(self.agent.file),
            "stage": self.stage,
            "language": self.language or own_language(self.agent),
            "settings": [one.as_json() for one in self.settings],
            "wire": {part: _wire_json(getattr(self.wire, part)) for part in PARTS},
            "hosts": [
                {"host": host.name, "port": host.port, "why": host.why, "always": host.always} for host in self.hosts
            ],
        }


async def report(
    agent: AgentDefinition,
    stage: str | None,
    settings: Mapping[str, str],
    hidden: Mapping[str, str],
    *,
    language: str | None = None,
) -> Report:
    """Explain `agent` in `stage`. settings: the `--set` it was read with. hidden: `secrets`; its settings show none."""
    made = await wire(agent, stage, language=language)
    found = explained(agent, stage, settings, language=language)
    told = tuple(_without_secrets(_as_sent(one, made), hidden) for one in found)
    return Report(agent, stage, told, made, tuple(hosts(agent, [made], await _instead(agent))), language)


async def _instead(agent: AgentDefinition) -> list[tuple[Part, Service, Ear | Sent | Handed]]:
    """The services that take over, each with the wire it would have as the only one."""
    bare, found = replace(agent, stages={}, anywhere=()), list[tuple[Part, Service, Ear | Sent | Handed]]()
    for part in PARTS:
        for one in getattr(agent, part).fallback:
            found.append((part, one, getattr(await wire(replace(bare, **{part: one}), None), part)))
    return found


def _without_secrets(one: Explained, hidden: Mapping[str, str]) -> Explained:
    return replace(one, value=without(hidden, one.value)) if isinstance(one.value, str) else one


def _as_sent(one: Explained, made: Wire) -> Explained:
    """A setting of the ear against the connect parameters: what Pipecat adds, replaces or leaves out."""
    part, _, name = one.path.partition(".")
    if part != "stt" or name in ("provider", "endpoint"):
        return one
    field = PROVIDERS["stt", "assemblyai"].fields.get(name)
    if field is None or not field.wire or isinstance(made.stt, Handed):
        return one
    sent = dict(parse_qsl(urlsplit(made.stt.again.url).query, keep_blank_values=True)).get(
        _ON_THE_WIRE.get(name, field.wire)
    )
    if one.value is None:
        return one if sent is None else replace(one, value=_read(sent), kind="pipecat", note="Pipecat sends it unasked")
    if sent is None:
        note = "not sent: the model does not take it"
    elif sent != _written(one.value):
        note = f"Pipecat sends {sent} in its place"
    else:
        return one
    return replace(one, note="; ".join(filter(None, (one.note, note))))


_ON_THE_WIRE = {"model": "speech_model"}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, tuple) else str(value)


def _read(sent: str) -> object:
    try:
        return json.loads(sent)
    except json.JSONDecodeError:
        return sent


def _wire_json(wire: Ear | Sent | Handed) -> dict[str, Any]:
    match wire:
        case Ear(opened, again, entering):
            told = [
                {"from": list(one.come_from), "messages": list(one.messages)}
                | ({"connect": _opened(one.reopened)} if one.reopened else {})
                for one in entering
            ]
            return {"connect": _opened(opened), "reconnect": _opened(again), "entering": told}
        case Sent(opened, body):
            return {"connect": _opened(opened), "body": body}
        case Handed(service, settings):
            return {"service": service, "settings": dict(settings)}


def _opened(opened: Opened) -> dict[str, Any]:
    return {"url": opened.url, "headers": dict(opened.headers)}
