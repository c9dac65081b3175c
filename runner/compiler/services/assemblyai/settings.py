"""AssemblyAI's settings in a call: everything that an agent file may say about the ear, in one group that a running service can
be told, and the vendor's limits.

Comes in: values as the vendor names them. Goes out: Pipecat's settings, extended by what Pipecat 1.14 has no setting for or
takes only when a service is made.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pipecat.services.assemblyai.stt import MAX_LANGUAGE_CODES, AssemblyAISTTService, AssemblyAISTTSettings
from pipecat.services.stt_service import STTService, WebsocketSTTService
from pipecat.services.websocket_service import WebsocketService
from pipecat.utils.types import NOT_GIVEN, NotGiven

from runner.catalog import NEW_CONNECTION, PROVIDERS

FIELDS = PROVIDERS["stt", "assemblyai"].fields

LIVE = frozenset(field.wire for field in FIELDS.values() if field.wire and field.note != NEW_CONNECTION)
"""What the vendor changes on an open session, by its names."""

PARAMETERS = tuple(field.wire for field in FIELDS.values() if field.parameter)
"""What goes into the address beside Pipecat's own."""

ARGUMENTS = tuple(field.argument for field in FIELDS.values() if field.argument)
"""What Pipecat takes when a service is made."""

OURS: Mapping[str, float] = {"keep_sound": 30.0}
"""What neither the vendor nor Pipecat has, and what it is by itself."""

CLEARED: Mapping[str, object] = {"keyterms_prompt": [], "prompt": "", "language_codes": []}
"""How the vendor is told to forget one again."""

NAMES: Mapping[str, str] = {
    **{field.wire or field.argument: name for name, field in FIELDS.items()},
    "speech_model": "model",
}
"""The vendor's or Pipecat's name -> the name in the agent file."""

MAX_TERMS, MAX_TEXT = 100, 1750
_RANGES: Mapping[str, tuple[float, float]] = {
    "vad_threshold": (0, 1),
    "end_of_turn_confidence_threshold": (0, 1),
    "voice_focus_threshold": (0, 1),
    "interruption_delay": (0, 1000),
    "previous_context_n_turns": (0, 100),
    "max_speakers": (1, 10),
    "inactivity_timeout": (5, 3600),
    "sample_rate": (8000, 96000),
}


@dataclass
class EarSettings(AssemblyAISTTSettings):
    """Pipecat's settings and ours; each is named as the vendor or Pipecat's constructor names it."""

    max_speakers: int | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    filter_profanity: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    redact_pii: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    redact_pii_policies: list[str] | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    redact_pii_sub: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    inactivity_timeout: int | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    vad_force_turn_endpoint: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    speaker_format: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    sample_rate: int | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    ttfs_p99_latency: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    keepalive_timeout: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    keepalive_interval: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    reconnect_on_error: bool | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    reconnect_backoff_min_wait: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    reconnect_backoff_max_wait: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    ws_close_timeout: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    ws_send_timeout: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)
    keep_sound: float | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)


def _defaults() -> dict[str, Any]:
    """What Pipecat's constructors take when they are given nothing."""
    found: dict[str, Any] = {}
    for made in (WebsocketService, STTService, WebsocketSTTService, AssemblyAISTTService):
        for name, parameter in inspect.signature(cast(Any, made).__init__).parameters.items():
            if name in ARGUMENTS and parameter.default is not inspect.Parameter.empty:
                found[name] = parameter.default
    return found


BY_ITSELF: Mapping[str, Any] = {
    **_defaults(),
    **OURS,
    "format_turns": True,
    "continuous_partials": True,
    "reconnect_backoff_min_wait": 0.25,
}
"""What the service has without a setting, where that is not nothing (Pipecat 1.14). Pipecat's own shortest wait before a lost
session is tried again is four seconds; a caller who waits does not know why."""


def beyond(name: str, value: object) -> str | None:
    """Why the vendor would end the session for this value, in plain words; None for a value that it takes."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        most = {"keyterms_prompt": MAX_TERMS, "language_codes": MAX_LANGUAGE_CODES}.get(name, len(items))
        return f"the list has {len(items)} entries, and at most {most} are taken" if len(items) > most else None
    if name in ("prompt", "agent_context") and isinstance(value, str) and len(value) > MAX_TEXT:
        return f"the text has {len(value)} characters, and at most {MAX_TEXT} are taken"
    if name in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[name]
        if not low <= value <= high:
            return f"{value:g} is not between {low:g} and {high:g}"
    return None


def in_address(value: object) -> str:
    """A value as AssemblyAI reads it in an address: true and false in small letters, a list as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, list) else str(value)
