"""What AssemblyAI's streaming v3 accepts, as far as it is known (docs, SDK 1.8.2, reports of live calls, 2026).

Comes in: query parameters of a connection, fields of an `UpdateConfiguration`. Goes out: a `Configuration`, or a
`RefusedError` with the vendor's code and kind of sentence. Names the vendor does not know are dropped without a word,
as the vendor does; `Configuration.ignored` keeps them for the test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

U3_MODELS = ("universal-3-6-pro", "universal-3-5-pro", "u3-rt-pro", "u3-rt-pro-beta-1")
US_MODELS = ("universal-streaming-english", "universal-streaming-multilingual")
DEFAULT_MODEL = "universal-3-6-pro"

# Connect and update refuse these on another family (Pipecat 1.14's docstrings, from AssemblyAI's staff).
U3_REQUIRED = frozenset({"prompt", "mode"})
# Accepted and without effect on the other family.
U3_ONLY = frozenset(
    {
        "agent_context",
        "interruption_delay",
        "continuous_partials",
        "previous_context_n_turns",
        "language_codes",
        "language_code",
        "voice_focus",
        "voice_focus_threshold",
        "acknowledge_silence",
    }
)
US_ONLY = frozenset({"end_of_turn_confidence_threshold", "format_turns"})
# Fields of UpdateConfiguration that the vendor's documentation lists and nobody disputes.
LIVE = frozenset(
    {
        "keyterms_prompt",
        "prompt",
        "agent_context",
        "language_codes",
        "min_turn_silence",
        "max_turn_silence",
        "vad_threshold",
        "interruption_delay",
        "continuous_partials",
        "end_of_turn_confidence_threshold",
    }
)
# (min, max) silence in ms; a reading of 2026-09-24. The vendor changes them: nobody should rely on these.
SILENCES = {"min_latency": (128, 640), "balanced": (128, 1280), "max_accuracy": (512, 2560)}
US_SILENCES = (400, 1280)
# (ms) before the first partial, by mode; the server adds FIRST_PARTIAL_MS.
INTERRUPTION_DELAYS = {"min_latency": 0, "balanced": 500, "max_accuracy": 500}
FIRST_PARTIAL_MS = 256
# fmt: off
LANGUAGES = frozenset({
    "en", "es", "de", "fr", "it", "pt", "tr", "nl", "sv", "no", "da", "fi", "hi", "vi", "ar", "he", "ja",
    "ur", "zh", "ru", "ko", "ca", "gl", "ro", "et", "fa", "yue", "af", "mr", "zu", "xh", "nn", "multi",
})
# fmt: on


class RefusedError(Exception):
    """The session ends with an Error frame. code: also the close code.  text: the frame's `error`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _from_query(info: ValidationInfo) -> bool:
    return bool(info.context and info.context["query"])


def _json_list(value: object, info: ValidationInfo) -> object:
    if not _from_query(info):
        return value
    try:
        parsed = json.loads(str(value))
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, list):
        raise ValueError("Invalid JSON array")
    return parsed


def _true_or_false(value: object, info: ValidationInfo) -> object:
    if not _from_query(info):
        return value
    if value not in ("true", "false"):
        raise ValueError("Expected true or false")
    return value == "true"


def _number(kind: type[int] | type[float]) -> BeforeValidator:
    def read(value: object, info: ValidationInfo) -> object:
        return kind(str(value)) if _from_query(info) else value

    return BeforeValidator(read)


def _at_most_100(terms: list[str]) -> list[str]:
    if len(terms) > 100:
        raise ValueError("Max 100 items")
    return terms


def _known_languages(codes: list[str]) -> list[str]:
    if len(codes) > 10:
        raise ValueError("Max 10 items")
    if unknown := [code for code in codes if code not in LANGUAGES]:
        raise ValueError(f"Unsupported language code: {unknown[0]}")
    if "multi" in codes and len(codes) > 1:
        raise ValueError("'multi' must be the only language code")
    return codes


def _clamped_silence(milliseconds: int) -> int:
    return min(max(milliseconds, 50), 10_000)


Text = Annotated[str, Field(max_length=1750)]
Flag = Annotated[bool, BeforeValidator(_true_or_false)]
Whole = Annotated[int, _number(int)]
Share = Annotated[float, _number(float), Field(ge=0, le=1)]
Silence = Annotated[int, AfterValidator(_clamped_silence), _number(int)]


class _Parameters(BaseModel):
    """Every parameter the vendor knows, with its type and range. None: not given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    speech_model: (
        Literal[
            "universal-3-6-pro",
            "universal-3-5-pro",
            "u3-rt-pro",
            "u3-rt-pro-beta-1",
            "universal-streaming-english",
            "universal-streaming-multilingual",
            "whisper-rt",
        ]
        | None
    ) = None
    sample_rate: Annotated[int, _number(int), Field(ge=8000, le=96000)] | None = None
    encoding: Literal["pcm_s16le", "pcm_mulaw", "opus", "ogg_opus", "aac"] | None = None
    mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    min_turn_silence: Silence | None = None
    max_turn_silence: Silence | None = None
    end_of_turn_confidence_threshold: Share | None = None
    vad_threshold: Share | None = None
    interruption_delay: Annotated[int, _number(int), Field(ge=0, le=1000)] | None = None
    continuous_partials: Flag | None = None
    format_turns: Flag | None = None
    prompt: Text | None = None
    agent_context: Text | None = None
    keyterms_prompt: Annotated[list[str], AfterValidator(_at_most_100), BeforeValidator(_json_list)] | None = None
    language_codes: Annotated[list[str], AfterValidator(_known_languages), BeforeValidator(_json_list)] | None = None
    language_code: str | None = None
    language_detection: Flag | None = None
    previous_context_n_turns: Annotated[int, _number(int), Field(ge=0, le=100)] | None = None
    speaker_labels: Flag | None = None
    max_speakers: Annotated[int, _number(int), Field(ge=1, le=10)] | None = None
    voice_focus: Literal["near-field", "far-field"] | None = None
    voice_focus_threshold: Share | None = None
    domain: Literal["medical-v1"] | None = None
    filter_profanity: Flag | None = None
    redact_pii: Flag | None = None
    redact_pii_policies: Annotated[list[str], BeforeValidator(_json_list)] | None = None
    redact_pii_sub: str | None = None
    include_partial_turns: Flag | None = None
    session_heartbeat: Flag | None = None
    acknowledge_silence: Flag | None = None
    inactivity_timeout: Annotated[int, _number(int), Field(ge=5, le=3600)] | None = None
    turn_left_pad_ms: Whole | None = None
    customer_support_audio_capture: Flag | None = None
    llm_gateway: str | None = None
    webhook_url: str | None = None
    webhook_auth_header_name: str | None = None
    webhook_auth_header_value: str | None = None


KNOWN = frozenset(_Parameters.model_fields)


@dataclass
class Configuration:
    """What one session runs with.

    values: known and accepted parameters, typed.
    ignored: what was sent and has no effect (unknown, other family, not live).
    """

    values: dict[str, Any] = field(default_factory=dict)
    ignored: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return self.values.get("speech_model", DEFAULT_MODEL)

    @property
    def is_u3(self) -> bool:
        return self.model in U3_MODELS

    @property
    def mode(self) -> str:
        return self.values.get("mode", "balanced")

    @property
    def sample_rate(self) -> int:
        return self.values.get("sample_rate", 16000)

    @property
    def encoding(self) -> str:
        return self.values.get("encoding", "pcm_s16le")

    @property
    def silences(self) -> tuple[int, int]:
        """(min, max) turn silence in ms of audio."""
        shortest, longest = SILENCES[self.mode] if self.is_u3 else US_SILENCES
        return self.values.get("min_turn_silence", shortest), self.values.get("max_turn_silence", longest)

    @property
    def first_partial_ms(self) -> int:
        delay = self.values.get("interruption_delay", INTERRUPTION_DELAYS[self.mode]) if self.is_u3 else 0
        return FIRST_PARTIAL_MS + delay

    def flag(self, name: str, default: bool = False) -> bool:
        return self.values.get(name, default)

    def echo(self) -> dict[str, Any]:
        """The eight settings that `Begin` repeats."""
        return {
            "model": self.model,
            "mode": self.mode if self.is_u3 else None,
            "api_version": "2025-05-12",
            "speaker_labels": self.flag("speaker_labels"),
            "redact_pii": self.flag("redact_pii"),
            "filter_profanity": self.flag("filter_profanity"),
            "domain": self.values.get("domain"),
            "voice_focus": self.values.get("voice_focus"),
        }

    def connect(self, query: Mapping[str, str]) -> None:
        """Takes the query of the address. Raises RefusedError(3006)."""
        self._take(query, frozenset(KNOWN), from_query=True)

    def update(self, fields: Mapping[str, Any]) -> None:
        """Takes the fields of one `UpdateConfiguration`. Raises RefusedError(3006) and is then unchanged."""
        self._take(fields, LIVE, from_query=False)

    def _take(self, given: Mapping[str, Any], allowed: frozenset[str], *, from_query: bool) -> None:
        known = {name: value for name, value in given.items() if name in allowed}
        try:
            read = _Parameters.model_validate(known, context={"query": from_query})
        except ValidationError as problem:
            first = problem.errors()[0]
            raise RefusedError(
                3006, f"User Input Validation Error: Invalid '{first['loc'][0]}': {first['msg']}"
            ) from None
        values = {name: getattr(read, name) for name in known}
        if None in values.values():
            name = next(name for name, value in values.items() if value is None)
            raise RefusedError(3006, f"User Input Validation Error: Invalid '{name}': Input should not be null")

        model = values.get("speech_model", self.model)
        other_family = U3_ONLY if model not in U3_MODELS else US_ONLY
        if model not in U3_MODELS:
            for name in sorted(U3_REQUIRED & values.keys()):
                text = f"User Input Validation Error: Invalid '{name}': Not supported by speech_model '{model}'"
                raise RefusedError(3006, text)
        self.ignored |= {name: value for name, value in given.items() if name not in allowed or name in other_family}
        self.values |= {name: value for name, value in values.items() if name not in other_family}
