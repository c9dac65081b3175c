"""Every service of Pipecat that has no file of its own: an agent file's settings become its class, by the catalog's data.

Comes in: a `Service` of a definition and the variables that are set. Goes out: Pipecat's service, and the frame that tells a
running one what changed. Facts are Pipecat 1.14's.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import ClientSession
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMUpdateSettingsFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transcriptions.language import Language

from runner.catalog import PROVIDERS, Part, Provider
from runner.catalog import Service as Making
from runner.compiler.services.unsaid import telling_unsaid
from runner.definition import Service, Setting

_SESSIONS: WeakKeyDictionary[FrameProcessor, ClientSession] = WeakKeyDictionary()

_DEAF_AFTER = 3
"""An ear that failed so often in a row is given up."""

_FRAMES = {"stt": STTUpdateSettingsFrame, "llm": LLMUpdateSettingsFrame, "tts": TTSUpdateSettingsFrame}


def build(part: Part, service: Service, keys: Mapping[str, str], *, prompt: str = "", barge_in: bool = True) -> Any:
    """The service of one call.

    keys:     variable name -> value, for the vendor's key and whatever else its constructor needs.
    prompt:   the system instruction of a model's first request.
    barge_in: matters for an ear that decides itself when the caller speaks.

    Must run inside an event loop: some services are handed a session, which `close_session` closes.
    """
    provider = PROVIDERS[part, service.provider]
    making = _making(provider)
    arguments: dict[str, Any] = {}
    for argument, variable in (*making.keys.items(), *making.optional.items()):
        if value := keys.get(variable):
            arguments.update(_credentials(value) if argument == "credentials" else {argument: value})
    if service.endpoint and making.endpoint:
        arguments[making.endpoint] = service.endpoint
        arguments.update({argument: "none" for argument in making.keys if argument not in arguments})
    if "should_interrupt" in making.takes:
        arguments["should_interrupt"] = barge_in
    session = ClientSession() if "aiohttp_session" in making.takes else None
    if session:
        arguments["aiohttp_session"] = session
    given = {name: value for name, value in service.settings.items() if value is not None}
    arguments["settings"] = _settings(provider, given, prompt if part == "llm" else None)
    service_class = _named(f"{making.module}:{making.name}")
    made: FrameProcessor = (telling_unsaid(service_class) if part == "tts" else service_class)(**arguments)
    if session:
        _SESSIONS[made] = session
    if part == "stt":
        _give_up_when_deaf(made)
    return made


def _give_up_when_deaf(ear: FrameProcessor) -> None:
    """Most ears give up by themselves when a connection does not come back (Pipecat 1.14: `is_usable`). One that makes a request
    for each sentence never does: it is given up when it failed several times and understood nothing between."""
    failures = 0

    @ear.event_handler("on_error")
    async def _failed(_: FrameProcessor, error: ErrorFrame) -> None:
        nonlocal failures
        failures += "reconnection attempt" not in error.error
        if failures >= _DEAF_AFTER and ear.is_usable:
            await ear.set_usable(False)

    @ear.event_handler("on_before_push_frame")
    async def _understood(_: FrameProcessor, frame: Frame) -> None:
        nonlocal failures
        if isinstance(frame, TranscriptionFrame):
            frame.interruptible = False  # Pipecat 1.14 drops words that wait when a turn begins
            failures = 0


def update(part: Part, service: Service, names: Collection[str], prompt: str | None = None) -> Any:
    """The frame that tells a running service the named settings of `service`, None when there is nothing to tell.

    A setting that is not set any more goes back to what the service has by itself. prompt: a model's new system instruction.
    """
    provider = PROVIDERS[part, service.provider]
    told = {name: service.settings.get(name) for name in names if name in provider.fields}
    if not told and prompt is None:
        return None
    return _FRAMES[part](delta=_settings(provider, told, prompt))


def warm(part: Part, name: str) -> None:
    """Import what a provider's first service would import: vendors' packages take up to seconds."""
    making = _making(PROVIDERS[part, name])
    importlib.import_module(making.module)


async def close_session(service: FrameProcessor | None) -> None:
    """Close the session that a service was handed when it was built."""
    if service is not None and (session := _SESSIONS.pop(service, None)):
        await session.close()


async def close_client(service: FrameProcessor) -> None:
    """Close the connections of a service's client, whichever vendor's it is."""
    client = getattr(service, "_client", None)
    for name in ("close", "aclose"):
        if closer := getattr(client, name, None):
            closing = closer()
            if hasattr(closing, "__await__"):
                await closing
            return


def _making(provider: Provider) -> Making:
    assert provider.service, provider.name
    return provider.service


def _credentials(value: str) -> dict[str, str]:
    """Google's variable holds the path of a file by Google's own custom, and the text of that file by Pipecat's."""
    return {"credentials": value} if value.lstrip().startswith("{") else {"credentials_path": value}


def _settings(provider: Provider, values: Mapping[str, Setting], prompt: str | None) -> Any:
    making = _making(provider)
    given = {name: _value(provider, name, value) for name, value in values.items() if name in provider.fields}
    if prompt is not None:
        given["system_instruction"] = prompt
    return _named(f"{making.module}:{making.name}").Settings(**given)


def _value(provider: Provider, name: str, value: Setting) -> object:
    """A setting as Pipecat wants it; for one that is not set, what the service has by itself."""
    making = _making(provider)
    if value is None:
        value = provider.fields[name].rest
        if value is None:
            return _named(making.unset[name]) if name in making.unset else None
    if isinstance(value, tuple):
        return [_language(item) for item in value] if name in making.languages else list(value)
    if name in making.choices:
        return _named(making.choices[name])(value)
    return _language(value) if name in making.languages and isinstance(value, str) else value


def _language(code: str) -> Language | str:
    """Pipecat's language where it knows the code, else the vendor's own word."""
    try:
        return Language(code)
    except ValueError:
        return code


def _named(address: str) -> Any:
    """What stands at `module:name`."""
    module, _, name = address.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
