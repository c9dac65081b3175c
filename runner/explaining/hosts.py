"""Which hosts an agent talks to, for those who have to open a firewall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from runner.catalog import PARTS, PROVIDERS, Part
from runner.definition import AgentDefinition, Service
from runner.explaining.wire import Ear, Handed, Sent, Wire

_PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is connected to, TCP. always: for every call, or only in the case that `why` names."""

    name: str
    port: int
    why: str
    always: bool = True


def hosts(
    agent: AgentDefinition, wires: Iterable[Wire], instead: Iterable[tuple[Part, Service, Ear | Sent | Handed]] = ()
) -> list[Host]:
    """The hosts of all services of an agent, then those of Daily. The page itself and what runs here need none.

    instead: the services that take over, each with its part and its wire.
    """
    found: dict[tuple[str, int], list[str]] = {}

    def add(part: Part, service: Service, one: Ear | Sent | Handed) -> None:
        provider = PROVIDERS[part, service.provider]
        address = urlsplit((service.endpoint if isinstance(one, Handed) else one.opened.url) or "")
        host = address.hostname or f"(see {provider.title}'s documentation)"
        why = f"{provider.title} ({part}), where its key is set"
        names = found.setdefault((host, address.port or _PORTS.get(address.scheme, 443)), [])
        if why not in names:
            names.append(why)

    for wire in wires:
        for part in PARTS:
            add(part, getattr(agent, part), getattr(wire, part))
    for one in instead:
        add(*one)
    return [
        *(Host(name, port, " and ".join(why)) for (name, port), why in found.items()),
        Host("api.daily.co", 443, "only with --daily, --call or POST /start: makes the room", always=False),
        Host("*.daily.co", 443, "only in a Daily room: the call itself, sound over UDP", always=False),
    ]
