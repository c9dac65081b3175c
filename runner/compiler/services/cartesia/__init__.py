"""The voice by Cartesia."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipecat.frames.frames import TTSUpdateSettingsFrame
from pipecat.services.cartesia.tts import CartesiaTTSService, GenerationConfig
from pipecat.services.tts_service import TextAggregationMode
from pipecat.transcriptions.language import Language

from runner.catalog import PROVIDERS
from runner.compiler.services.cartesia.ahead import CartesiaAhead
from runner.compiler.services.cartesia.voice import DELAY, MODE, TIMEOUT
from runner.definition import Service

VENDOR = "wss://api.cartesia.ai/tts/websocket"

_FIELDS = PROVIDERS["tts", "cartesia"].fields
_AT_REST: dict[str, object] = {"language": Language.EN, "pronunciation_dict_id": None}
"""What Pipecat 1.14 sends when nobody says anything; told to a running call when a setting is taken out of the file."""

_GENERATION = tuple(name for name, field in _FIELDS.items() if field.wire == "generation_config")


def build(service: Service, *, key: str) -> CartesiaAhead:
    """The service of one call."""
    mode, delay = service.settings.get(MODE), service.settings.get(DELAY)
    return CartesiaAhead(
        api_key=key,
        settings=_settings(service, _FIELDS),
        url=service.endpoint or VENDOR,
        text_aggregation_mode=TextAggregationMode(mode) if mode is not None else None,
        max_buffer_delay_ms=delay if isinstance(delay, int) else None,
    )


def update(service: Service, names: Collection[str]) -> TTSUpdateSettingsFrame | None:
    """The frame that tells a running service the named settings of `service`, heard from the next sentence."""
    told = [name for name in names if name in _FIELDS]
    if not told:
        return None
    delta = _settings(service, told)
    for name, rest in _AT_REST.items():
        if name in told and name not in service.settings:
            setattr(delta, _FIELDS[name].wire, rest)
    if any(name in told for name in _GENERATION) and delta.generation_config is None:
        delta.generation_config = GenerationConfig()
    return TTSUpdateSettingsFrame(delta=delta)


def _settings(service: Service, names: Collection[str]) -> CartesiaTTSService.Settings:
    values = service.settings
    given: dict[str, Any] = {
        _FIELDS[name].wire: values[name]
        for name in names
        if name in values and _FIELDS[name].wire and name not in _GENERATION
    }
    given["extra"] = {name: values.get(name) for name in (MODE, DELAY, TIMEOUT) if name in names}
    if any(name in names for name in _GENERATION):
        generation: dict[str, Any] = {name: values[name] for name in _GENERATION if values.get(name) is not None}
        given["generation_config"] = GenerationConfig(**generation) if generation else None
    return CartesiaTTSService.Settings(**given)
