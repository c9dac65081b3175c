"""The model by OpenAI, or by anything that speaks its chat completions (a local server, a gateway)."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Any, cast

from openai import NOT_GIVEN
from pipecat.frames.frames import LLMUpdateSettingsFrame
from pipecat.services.openai.llm import OpenAILLMService

from runner.catalog import PROVIDERS, STILL_MEANT_HERE
from runner.compiler.services.looking_ahead import LookingAhead
from runner.definition import Service

_FIELDS = PROVIDERS["llm", "openai"].fields


def build(service: Service, *, key: str, prompt: str) -> LookingAhead:
    """The service of one call. `prompt` is the system instruction of its first request.

    Pipecat 1.14 takes `timeout` and `max_retries` in its constructor and does nothing with them: the first goes with each
    request here, the second into the client.
    """
    made = LookingAhead(
        api_key=key,
        settings=_settings(service, _FIELDS, prompt),
        base_url=service.endpoint,
        organization=service.settings.get("organization"),
        project=service.settings.get("project"),
    )
    if (retries := service.settings.get("max_retries")) is not None:
        made._client = made._client.with_options(max_retries=cast(int, retries))
    return made


def build_local(service: Service, *, base_url: str, model: str, prompt: str) -> OpenAILLMService:
    """The same service talking to a model on this machine."""
    settings = _settings(service, STILL_MEANT_HERE["llm"], prompt)
    settings.model = model
    settings.max_tokens = LOCAL_MAX_TOKENS
    return LocalLLMService(api_key="local", base_url=base_url, settings=settings)


class LocalLLMService(OpenAILLMService):
    """Pipecat's service for servers that know the roles system, user and assistant only."""

    supports_developer_role = False


LOCAL_MAX_TOKENS = 80
"""A small model left alone rambles; 80 tokens are about three spoken sentences."""


def update(service: Service, names: Collection[str], prompt: str | None) -> LLMUpdateSettingsFrame | None:
    """The frame that tells a running service the named settings, and a new system instruction unless `prompt` is None."""
    told = [name for name in names if name in _FIELDS and _FIELDS[name].wire]
    if not told and prompt is None:
        return None
    delta = _settings(service, told, prompt)
    for name in told:
        if name in service.settings:
            continue
        if _FIELDS[name].parameter:
            delta.extra[name] = NOT_GIVEN  # the vendor's own default again
        else:
            setattr(delta, name, NOT_GIVEN)
    return LLMUpdateSettingsFrame(delta=delta)


def _settings(service: Service, names: Collection[str], prompt: str | None) -> OpenAILLMService.Settings:
    values = {name: service.settings[name] for name in names if name in service.settings and _FIELDS[name].wire}
    given: dict[str, Any] = {name: value for name, value in values.items() if not _FIELDS[name].parameter}
    given["extra"] = {name: value for name, value in values.items() if _FIELDS[name].parameter}
    if prompt is not None:
        given["system_instruction"] = prompt
    return OpenAILLMService.Settings(**given)


def warm() -> None:
    """Load what the first request would load: the OpenAI package imports its chat resources lazily, which costs the first
    turn of a process some 150 ms (Pipecat 1.14, measured)."""
    importlib.import_module("openai.resources.chat.completions")
