"""Facts about the services: their settings, how a change of each reaches a running call, and whose key they need. Data only.

Sources: AssemblyAI, OpenAI and Cartesia documentation and Pipecat 1.14's settings classes. Which AssemblyAI settings the vendor
updates on an open session is the vendor's list for `UpdateConfiguration`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from runner.definition import ListenFor, Setting, Turns
from runner.definition import Service as Held

Part = Literal["stt", "llm", "tts"]
PARTS: tuple[Part, ...] = ("stt", "llm", "tts")

When = Literal["now", "next turn", "next stage", "next call", "restart"]
"""When a change reaches a running call: at once, with the next thing said, when a stage is entered, with the next call, or
after runner was started again."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of one provider.

    wire:      its name in Pipecat's Settings class (and so the vendor's own), "" for what only a constructor takes.
    when:      how soon a change reaches a running call.
    rest:      what is sent when a stage that set it is left and the agent itself says nothing; None where nothing needs
               sending.
    argument:  its name among the arguments of Pipecat's constructor, for what is no field of Settings.
    parameter: the vendor has it and Pipecat 1.14 does not: it goes as `wire` into the address of the connection (AssemblyAI)
               or into the body of each request (OpenAI).
    note:      what a change costs, "" for nothing worth a word.
    """

    wire: str
    when: When
    rest: Setting = None
    argument: str = ""
    parameter: bool = False
    note: str = ""


TURNS: dict[str, When] = {one.name: "now" if one.name in ("vad", "idle") else "next turn" for one in fields(Turns)}
"""How soon a change of turn taking reaches a running call: the voice detection and the idle time are told at once, all else
waits for a moment in which the caller does not speak."""

NEW_CONNECTION = "opens a new connection"


def _opened_with(wire: str, *, argument: str = "", parameter: bool = False) -> Field:
    """A setting that a session of AssemblyAI opens with: a running call opens another one and goes over to it."""
    return Field(wire, "now", argument=argument, parameter=parameter, note=NEW_CONNECTION)


def _kept_here(argument: str) -> Field:
    """A setting of AssemblyAI's service that the vendor never sees."""
    return Field("", "now", argument=argument)


_ASSEMBLYAI: dict[str, Field] = {
    "model": _opened_with("model"),
    "turn_detection": Field("", "next turn", argument="vad_force_turn_endpoint"),
    "mode": _opened_with("mode"),
    "keyterms": Field("keyterms_prompt", "now", rest=()),
    "about": Field("prompt", "now", rest=""),
    "min_turn_silence": Field("min_turn_silence", "now"),
    "max_turn_silence": Field("max_turn_silence", "now"),
    "vad_threshold": Field("vad_threshold", "now", rest=0.3),
    "interruption_delay": Field("interruption_delay", "now", rest=500),
    "continuous_partials": Field("continuous_partials", "now", rest=True),
    "language_codes": Field("language_codes", "now", rest=()),
    "language_detection": _opened_with("language_detection"),
    "format_turns": _opened_with("format_turns"),
    "speaker_labels": _opened_with("speaker_labels"),
    "max_speakers": _opened_with("max_speakers", parameter=True),
    "speaker_format": _kept_here("speaker_format"),
    "domain": _opened_with("domain"),
    "voice_focus": _opened_with("voice_focus"),
    "voice_focus_threshold": _opened_with("voice_focus_threshold"),
    "agent_context": Field("agent_context", "now"),
    "previous_context_n_turns": _opened_with("previous_context_n_turns"),
    "end_of_turn_confidence_threshold": Field("end_of_turn_confidence_threshold", "now", rest=0.4),
    "filter_profanity": _opened_with("filter_profanity", parameter=True),
    "redact_pii": _opened_with("redact_pii", parameter=True),
    "redact_pii_policies": _opened_with("redact_pii_policies", parameter=True),
    "redact_pii_sub": _opened_with("redact_pii_sub", parameter=True),
    "inactivity_timeout": _opened_with("inactivity_timeout", parameter=True),
    "sample_rate": _opened_with("", argument="sample_rate"),
    "ttfs_p99_latency": _kept_here("ttfs_p99_latency"),
    "keepalive_timeout": _kept_here("keepalive_timeout"),
    "keepalive_interval": _kept_here("keepalive_interval"),
    "reconnect_on_error": _kept_here("reconnect_on_error"),
    "reconnect_backoff_min_wait": _kept_here("reconnect_backoff_min_wait"),
    "reconnect_backoff_max_wait": _kept_here("reconnect_backoff_max_wait"),
    "ws_close_timeout": _kept_here("ws_close_timeout"),
    "ws_send_timeout": _kept_here("ws_send_timeout"),
    "keep_sound": _kept_here("keep_sound"),
}

_OPENAI_SETTINGS = (
    *("model", "temperature", "max_tokens", "max_completion_tokens", "top_p"),
    *("frequency_penalty", "presence_penalty", "seed"),
)
_OPENAI_PARAMETERS = ("reasoning_effort", "verbosity", "service_tier", "prompt_cache_key", "timeout")
_OPENAI: dict[str, Field] = {
    **{name: Field(name, "next turn") for name in _OPENAI_SETTINGS},
    **{name: Field(name, "next turn", parameter=True) for name in _OPENAI_PARAMETERS},
    **{name: Field("", "next turn", argument=name) for name in ("max_retries", "organization", "project")},
}

_CARTESIA: dict[str, Field] = {
    "model": Field("model", "next turn"),
    "voice": Field("voice", "next turn"),
    "language": Field("language", "next turn"),
    "speed": Field("generation_config", "next turn"),
    "volume": Field("generation_config", "next turn"),
    "emotion": Field("generation_config", "next turn"),
    "pronunciation_dict_id": Field("pronunciation_dict_id", "next turn"),
    "text_aggregation_mode": Field("", "next turn", argument="text_aggregation_mode"),
    "timeout": Field("", "next turn", argument="timeout"),
    "max_buffer_delay_ms": Field("", "next turn", argument="max_buffer_delay_ms"),
}


@dataclass(frozen=True, slots=True)
class Service:
    """How Pipecat makes a service that has no file of its own under `compiler/services`.

    module, name: where its class is.
    extras:    Pipecat's extras that install what it needs, and `packages` what they install.
    python:    the lowest Python those packages run on, "" for any.
    keys:      argument of the constructor -> variable that has to be set; `optional`: that may be.
    endpoint:  the argument that takes another address, "" when there is none.
    takes:     of `aiohttp_session` and `should_interrupt`, what the constructor takes.
    unset:     setting -> where the vendor's own "not given" is, as `module:name`.
    choices:   setting -> the class of its values, as `module:name`; `languages`: settings that are languages.
    """

    module: str
    name: str
    extras: tuple[str, ...]
    packages: tuple[str, ...]
    python: str
    keys: Mapping[str, str]
    optional: Mapping[str, str]
    endpoint: str
    takes: frozenset[str]
    unset: Mapping[str, str]
    choices: Mapping[str, str]
    languages: frozenset[str]


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor of one part.

    key:     the environment variable that holds its key, "" for one that needs none.
    service: None for the three that have a file of their own.
    """

    part: Part
    name: str
    title: str
    key: str
    fields: dict[str, Field]
    service: Service | None = field(default=None, repr=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """All variables it needs."""
        return tuple(self.service.keys.values()) if self.service else (self.key,)

    def needed(self, endpoint: str | None) -> tuple[str, ...]:
        """The variables without which it cannot be made. An address in the file does for a variable that holds one."""
        if self.service is None:
            return self.keys
        made = self.service
        return tuple(name for argument, name in made.keys.items() if not (endpoint and argument == made.endpoint))

    def missing(self, endpoint: str | None, keys: Mapping[str, str]) -> tuple[str, ...]:
        """Those of them that are not set. A model at an address of one's own may need no key."""
        wanted = tuple(name for name in self.needed(endpoint) if not keys.get(name))
        return () if self.part == "llm" and endpoint and wanted == (self.key,) else wanted


class _Providers(dict[tuple[Part, str], Provider]):
    """The three that are described here, and by name every other of Pipecat's, looked up when it is asked for."""

    def __missing__(self, at: tuple[Part, str]) -> Provider:
        from runner.providers import provider

        return provider(*at)


PROVIDERS: dict[tuple[Part, str], Provider] = _Providers(
    {
        ("stt", "assemblyai"): Provider("stt", "assemblyai", "AssemblyAI", "ASSEMBLYAI_API_KEY", _ASSEMBLYAI),
        ("llm", "openai"): Provider("llm", "openai", "OpenAI", "OPENAI_API_KEY", _OPENAI),
        ("tts", "cartesia"): Provider("tts", "cartesia", "Cartesia", "CARTESIA_API_KEY", _CARTESIA),
    }
)


def named(part: Part, one: Held, among: Sequence[Held]) -> str:
    """A service for people: its vendor, and what sets it apart from others by the same vendor."""
    title = PROVIDERS[part, one.provider].title
    same = [other for other in among if other.provider == one.provider]
    if len(same) < 2:
        return title
    for name in ("model", "voice"):
        if len({str(other.settings.get(name)) for other in same}) == len(same):
            return f"{title} ({one.settings.get(name)})"
    address = (one.endpoint or "").partition("://")[2].partition("/")[0]
    return f"{title} ({address})" if address else title


STILL_MEANT_HERE: dict[Part, frozenset[str]] = {
    "stt": frozenset({"keyterms"}),
    "llm": frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed"}),
    "tts": frozenset({"speed"}),
}
"""Settings of the cloud services that also work when a part runs on this machine."""

SHARED: dict[Part, frozenset[str]] = {
    "stt": frozenset({"language"}),
    "llm": frozenset({"temperature", "top_p", "max_tokens"}),
    "tts": frozenset({"language", "speed"}),
}
"""Settings that mean the same with every provider which has one of that name. What a stage says about them holds for a fallback
by another provider too."""

DAILY_KEY = "DAILY_API_KEY"
"""The variable that holds the key of Daily's REST interface."""

TWILIO_TOKEN = "TWILIO_AUTH_TOKEN"
PLIVO_TOKEN = "PLIVO_AUTH_TOKEN"
TELNYX_PUBLIC_KEY = "TELNYX_PUBLIC_KEY"
PHONE_TOKEN = "RUNNER_PHONE_TOKEN"
"""The variables by which a telephone carrier's requests are checked. The last is for carriers that sign nothing."""

PHONE_SECRETS = (TWILIO_TOKEN, "TWILIO_API_SECRET", "TELNYX_API_KEY", PLIVO_TOKEN, PHONE_TOKEN)

DAILY_WEBHOOK_SECRET = "PINLESS_HMAC_SECRET"
"""The variable, named as in Daily's and Pipecat's examples, by which Daily's webhook for telephone calls is checked."""

KEY_NAMES: tuple[str, ...] = (
    *(provider.key for provider in PROVIDERS.values()),
    *(DAILY_KEY, DAILY_WEBHOOK_SECRET),
    *PHONE_SECRETS,
)

CALLER, CALLED = "caller_number", "called_number"

CALL_VARIABLES = (CALLER, CALLED)
"""Variables that every agent has: the numbers of a telephone call. Without one they are empty, or what the file gives them."""

U3_FAMILY = ("u3-rt-pro", "universal-3-5-pro", "universal-3-6-pro")
"""AssemblyAI's Universal-3 Pro models: the only ones with its own turn detection, `about` and context carryover."""

LANGUAGE_NAMES: Mapping[str, str] = {
    **{"en": "English", "es": "Spanish", "de": "German", "fr": "French", "it": "Italian", "pt": "Portuguese"},
    **{"tr": "Turkish", "nl": "Dutch", "sv": "Swedish", "no": "Norwegian", "da": "Danish", "fi": "Finnish"},
    **{"hi": "Hindi", "vi": "Vietnamese", "ar": "Arabic", "he": "Hebrew", "ja": "Japanese", "ur": "Urdu"},
    **{"zh": "Chinese", "ru": "Russian", "ko": "Korean", "ca": "Catalan", "gl": "Galician", "ro": "Romanian"},
    **{"et": "Estonian", "fa": "Persian", "yue": "Cantonese", "af": "Afrikaans", "mr": "Marathi", "zu": "Zulu"},
    **{"xh": "Xhosa", "nn": "Norwegian Nynorsk"},
}
"""The languages that AssemblyAI's models tell, by its codes."""

OF_3_5 = frozenset(
    ["en", "es", "de", "fr", "it", "pt", "tr", "nl", "sv", "no", "da", "fi", "hi", "vi", "ar", "he", "ja", "ur", "zh"]
)
"""The languages of universal-3-5-pro and u3-rt-pro; universal-3-6-pro has all of `LANGUAGE_NAMES`."""

OF_STREAMING_MULTILINGUAL = frozenset(["en", "es", "de", "fr", "it", "pt"])
"""The languages of universal-streaming-multilingual."""

UNKNOWN_SPEAKER = "UNKNOWN"
"""AssemblyAI's label of a turn that was too short to tell who spoke."""

DICTATION_SECS: dict[ListenFor, float] = {
    "email": 2.0,
    "address": 2.0,
    "phone": 2.0,
    "number": 2.0,
    "date": 1.5,
    "name": 1.5,
}
"""How long a caller who dictates may pause before the turn ends, seconds. People look numbers up and spell in groups: pauses
of 1.5 s inside an address or a number are ordinary."""

DICTATION_SETTLED_SECS = 0.7
"""The same when what was heard sounds complete, such as an address that ends in "dot com"."""

PATTERNS: frozenset[ListenFor] = frozenset({"email", "phone", "date"})
"""Kinds of dictation of which one can tell that it is complete (`compiler.dictation`)."""

DICTATION_MAX_SILENCE_MS = 3000
"""AssemblyAI's `max_turn_silence` while somebody dictates; the vendor advises 2000 to 4000."""

MAX_SILENCE_MS = 1280
"""What AssemblyAI's universal-streaming models use for `max_turn_silence` by themselves."""
