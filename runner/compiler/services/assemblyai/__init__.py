"""The ear by AssemblyAI: an agent file's `stt` becomes Pipecat's service, and a change of it a frame that tells a running one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

from pipecat.frames.frames import STTUpdateSettingsFrame
from pipecat.services.assemblyai.stt import is_u3_pro_model
from pipecat.transcriptions.language import Language

from runner.compiler.services.assemblyai.ears import VENDOR, AssemblyAIEars
from runner.compiler.services.assemblyai.settings import FIELDS, EarSettings
from runner.definition import Service, Setting

LONGEST_CONTEXT = 1500
"""Characters that AssemblyAI keeps of `agent_context`."""


def build(service: Service, *, key: str, barge_in: bool) -> AssemblyAIEars:
    """The service of one call. `barge_in` matters in AssemblyAI's own turn detection only.

    In pipecat turn detection on a Universal-3 Pro model Pipecat sets `max_turn_silence` itself when it is constructed, and
    warns if one is given.
    """
    set_ones = [name for name in FIELDS if service.settings.get(name) is not None]
    own_turns = service.settings.get("turn_detection") == "assemblyai"
    if not own_turns and is_u3_pro_model(cast("str | None", service.settings.get("model"))):
        set_ones = [name for name in set_ones if name != "max_turn_silence"]
    return AssemblyAIEars(
        api_key=key,
        endpoint=service.endpoint or VENDOR,
        should_interrupt=barge_in,
        settings=_settings(service, set_ones),
    )


def seeded(service: Service, opening: str | None) -> Service:
    """The service of a call that opens with these words: they are the context of the caller's first answer, unless the file
    says another one or wants none. Pipecat 1.14 sends only what the agent says after that (Universal-3 Pro models)."""
    settings = service.settings
    if not opening or "agent_context" in settings or settings.get("previous_context_n_turns") == 0:
        return service
    if not is_u3_pro_model(cast("str | None", settings.get("model"))):
        return service
    return replace(service, settings={**settings, "agent_context": opening[-LONGEST_CONTEXT:]})


def update(service: Service, names: Collection[str]) -> STTUpdateSettingsFrame | None:
    """The frame that tells a running service the named settings of `service`; None when none of them is its own.

    One that is not set any more is given back: to its resting value, or to what the service has by itself.
    """
    told = [name for name in names if name in FIELDS]
    if not told:
        return None
    at_rest = {name: FIELDS[name].rest for name in told if service.settings.get(name) is None}
    resting = replace(service, settings={**service.settings, **at_rest})
    return STTUpdateSettingsFrame(delta=_settings(resting, told))


def _settings(service: Service, names: Collection[str]) -> EarSettings:
    given: dict[str, Any] = {}
    for name in names:
        field = FIELDS[name]
        given[field.wire or field.argument] = _as_pipecat_has_it(name, service.settings.get(name))
    return EarSettings(**given)


def _as_pipecat_has_it(name: str, value: Setting) -> object:
    if name == "turn_detection":
        return value != "assemblyai"
    if name == "language_codes" and isinstance(value, tuple):
        return [_language(code) for code in value]
    return list(value) if isinstance(value, tuple) else value


def _language(code: str) -> Language | str:
    try:
        return Language(code)
    except ValueError:
        return code
