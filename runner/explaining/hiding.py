"""What an agent takes from the environment and nobody may see, in the addresses of its services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from runner.catalog import PARTS
from runner.definition import AgentDefinition, Service

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|CREDENTIAL", re.IGNORECASE)
_FROM_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def secrets(agent: AgentDefinition, given: Iterable[str], values: Mapping[str, str]) -> dict[str, str]:
    """What must not be shown of the values that an agent takes from the environment, by the names of the variables.

    given: the values of `--set`. values: the environment. An address is no secret; what is in its query or before its @ is.
    """
    services = [one for part in PARTS for one in (getattr(agent, part), *getattr(agent, part).fallback)]
    addresses = [urlsplit(one.endpoint or "") for one in services]
    hidden = " ".join(f"{address.query} {address.username} {address.password}" for address in addresses)
    texts = [file.read_text(encoding="utf-8-sig", errors="replace") for file in agent.sources if file.is_file()]
    named = {name for text in (*texts, *given) for name in _FROM_ENVIRONMENT.findall(text)}
    return {
        name: values[name] for name in named if values.get(name) and (_SECRET.search(name) or values[name] in hidden)
    }


def without(hidden: Mapping[str, str], text: str) -> str:
    """`text` with each secret replaced by the name of its variable."""
    for name, value in hidden.items():
        text = text.replace(value, f"[{name}]")
    return text


def without_secrets(agent: AgentDefinition, given: Iterable[str], values: Mapping[str, str]) -> AgentDefinition:
    """The same agent with the names of the variables in its addresses instead of the secrets; arguments as of `secrets`."""
    hidden = secrets(agent, given, values)

    def shown(service: Service) -> Service:
        endpoint = without(hidden, service.endpoint) if service.endpoint else None
        return replace(service, endpoint=endpoint, fallback=tuple(map(shown, service.fallback)))

    return replace(agent, stt=shown(agent.stt), llm=shown(agent.llm), tts=shown(agent.tts))
