"""The model by OpenAI, or by anything that speaks its chat completions (a local server, a gateway)."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from openai import NOT_GIVEN
from pipecat.frames.frames import LLMUpdateSettingsFrame
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils import types

from runner.catalog import PROVIDERS, STILL_MEANT_HERE
from runner.compiler.services.looking_ahead import LookingAhead
from runner.definition import Service

_FIELDS = PROVIDERS["llm", "openai"].fields
_OF_THE_CLIENT = tuple(name for name, field in _FIELDS.items() if not field.wire)


@dataclass
class ModelSettings(OpenAILLMService.Settings):
    """Pipecat's settings, and what belongs to the client: how often a request is tried again, and in whose name it is made.
    Pipecat 1.14 takes these when the service is made, and does nothing with `max_retries` (nor with `timeout`)."""

    max_retries: int | types.NotGiven | None = field(default_factory=lambda: types.NOT_GIVEN)
    organization: str | types.NotGiven | None = field(default_factory=lambda: types.NOT_GIVEN)
    project: str | types.NotGiven | None = field(default_factory=lambda: types.NOT_GIVEN)


class OpenAIModel(LookingAhead):
    """The service of one call."""

    Settings = ModelSettings
    _settings: ModelSettings  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._by_itself = self._client
        self._ask_for()

    async def _update_settings(self, delta: Any) -> dict[str, Any]:
        changed = await super()._update_settings(delta)
        if changed.keys() & set(_OF_THE_CLIENT):
            self._ask_for()
        return changed

    def _ask_for(self) -> None:
        """From the next request on it is asked in this name. What is not set is as the OpenAI package has it by itself (it
        reads OPENAI_ORG_ID and OPENAI_PROJECT_ID). Trying again is `Asking`'s, never the package's."""
        for name in _OF_THE_CLIENT:
            if not types.is_given(getattr(self._settings, name)):
                setattr(self._settings, name, None)
        given = {name: value for name in _OF_THE_CLIENT if (value := getattr(self._settings, name)) is not None}
        self._client = self._by_itself.with_options(**{**given, "max_retries": 0})


def build(service: Service, *, key: str, prompt: str) -> OpenAIModel:
    """The service of one call. `prompt` is the system instruction of its first request."""
    return OpenAIModel(api_key=key, settings=_settings(service, _FIELDS, prompt), base_url=service.endpoint)


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
    told = [name for name in names if name in _FIELDS]
    if not told and prompt is None:
        return None
    delta = _settings(service, told, prompt)
    for name in told:
        if name in service.settings:
            continue
        if _FIELDS[name].parameter:
            delta.extra[name] = NOT_GIVEN  # the vendor's own default again
        else:
            setattr(delta, name, NOT_GIVEN if _FIELDS[name].wire else None)
    return LLMUpdateSettingsFrame(delta=delta)


def _settings(service: Service, names: Collection[str], prompt: str | None) -> ModelSettings:
    values = {name: service.settings[name] for name in names if name in service.settings}
    given: dict[str, Any] = {name: value for name, value in values.items() if not _FIELDS[name].parameter}
    given["extra"] = {name: value for name, value in values.items() if _FIELDS[name].parameter}
    if prompt is not None:
        given["system_instruction"] = prompt
    return ModelSettings(**given)


def warm() -> None:
    """Load what the first request would load: the OpenAI package imports its chat resources lazily, which costs the first
    turn of a process some 150 ms (Pipecat 1.14, measured)."""
    importlib.import_module("openai.resources.chat.completions")
