"""The ear by AssemblyAI: an agent file's `stt` becomes Pipecat's service, and a change of it one message on the open session."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from pipecat.frames.frames import InputAudioRawFrame, STTUpdateSettingsFrame, UserAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.stt import AssemblyAISTTService, is_u3_pro_model
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory

from runner.catalog import PROVIDERS
from runner.definition import Service, Setting

VENDOR = "wss://streaming.assemblyai.com/v3/ws"

_FIELDS = PROVIDERS["stt", "assemblyai"].fields
_LIVE = {field.wire for field in _FIELDS.values() if field.when == "now" and field.wire}
_ARGUMENTS = {name: field.argument for name, field in _FIELDS.items() if field.argument and name != "turn_detection"}
_SPEAKER_REVISION = "SpeakerRevision"
_SILENT_MESSAGES = {"Heartbeat", "Silence", "LLMGatewayResponse", _SPEAKER_REVISION}


class AssemblyAIEars(AssemblyAISTTService):
    """Pipecat's service, with settings changed on the open session instead of by a reconnect.

    Pipecat 1.14 closes and reopens the session for every setting but two, and loses what the caller says meanwhile. The
    vendor documents `UpdateConfiguration` for the fields marked `now` in the catalog; those are sent that way here. Pipecat
    also turns the vendor's `Error` and `Warning` messages into "Unknown message type"; here their text is kept.

    parameters: what the vendor knows and Pipecat has no setting for, by the vendor's names; part of the connection's address.

    A `sample_rate` other than the one the caller's sound has (Pipecat 1.14 would only put another number on it) is really
    sent: the sound is resampled.
    """

    def __init__(self, *, parameters: Mapping[str, Setting] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._parameters = dict(parameters or {})
        self._resampler = SOXRStreamAudioResampler()

    def _build_ws_url(self) -> str:
        address = super()._build_ws_url()
        more = urlencode({name: _in_address(value) for name, value in self._parameters.items()})
        return f"{address}&{more}" if more else address

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        if frame.sample_rate != self.sample_rate and frame.audio:
            sound = await self._resampler.resample(frame.audio, frame.sample_rate, self.sample_rate)
            if not sound:
                return
            resampled = InputAudioRawFrame(sound, self.sample_rate, frame.num_channels)
            if isinstance(frame, UserAudioRawFrame):
                resampled = UserAudioRawFrame(sound, self.sample_rate, frame.num_channels, user_id=frame.user_id)
            frame = resampled
        await super().process_audio_frame(frame, direction)

    async def _update_settings(self, delta: AssemblyAISTTService.Settings) -> dict[str, Any]:
        changed = await STTService._update_settings(self, delta)
        told = {name: getattr(self._settings, name) for name in changed if name in _LIVE}
        if told:
            await self._send_update_configuration(**told)
        return changed

    async def _handle_message(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "Error":
                code, text = message.get("error_code"), str(message.get("error"))
                await self.push_error(f"AssemblyAI refused ({code}): {text}", category=_category(code, text))
            case "Warning":
                code, text = message.get("warning_code"), message.get("warning")
                await self.push_error(error_msg=f"AssemblyAI warns ({code}): {text}")
            case kind if kind in _SILENT_MESSAGES:
                pass
            case _:
                await super()._handle_message(message)


def _category(code: object, text: str) -> ErrorCategory:
    """What kind of refusal it is. 1008 is used for keys and for the number of sessions alike, so the text decides. Pipecat
    tries again after a kind that may pass, and not after one that stays."""
    if "concurrent sessions" in text:
        return ErrorCategory.RATE_LIMIT
    if code == 1008:
        return ErrorCategory.AUTHENTICATION
    return ErrorCategory.SERVER if code == 3005 else ErrorCategory.UNKNOWN


def build(service: Service, *, key: str, barge_in: bool) -> AssemblyAIEars:
    """The service of one call. `barge_in` matters in AssemblyAI's own turn detection only."""
    values = service.settings
    return AssemblyAIEars(
        api_key=key,
        parameters={
            field.wire: values[name]
            for name, field in _FIELDS.items()
            if field.parameter and values.get(name) is not None
        },
        **{argument: values[name] for name, argument in _ARGUMENTS.items() if values.get(name) is not None},
        vad_force_turn_endpoint=service.settings.get("turn_detection") != "assemblyai",
        should_interrupt=barge_in,
        settings=_settings(service, _FIELDS),
        api_endpoint_base_url=service.endpoint or VENDOR,
    )


def update(service: Service, names: Collection[str]) -> STTUpdateSettingsFrame | None:
    """The frame that tells a running service the named settings of `service`; None when nothing can be told."""
    live = [name for name in names if name in _FIELDS and _FIELDS[name].wire in _LIVE]
    if not live:
        return None
    at_rest = {name: _FIELDS[name].rest for name in live if service.settings.get(name) is None}
    return STTUpdateSettingsFrame(delta=_settings(replace(service, settings={**service.settings, **at_rest}), live))


def _settings(service: Service, names: Collection[str]) -> AssemblyAISTTService.Settings:
    """Pipecat's settings object with the named settings of an agent file.

    In pipecat turn detection on a Universal-3 Pro model Pipecat sets `max_turn_silence` itself when it is constructed, and
    warns if one is given.
    """
    given: dict[str, Any] = {}
    for name in names:
        wire = _FIELDS[name].wire
        value = service.settings.get(name)
        if wire and value is not None and not _FIELDS[name].parameter:
            given[wire] = _on_the_wire(name, value)
    constructs = "model" in names
    own_turns = service.settings.get("turn_detection") == "assemblyai"
    if constructs and not own_turns and is_u3_pro_model(cast(str, service.settings.get("model"))):
        given.pop("max_turn_silence", None)
    return AssemblyAISTTService.Settings(**given)


def _on_the_wire(name: str, value: Setting) -> object:
    if name == "language_codes":
        return [_language(code) for code in cast(tuple[str, ...], value)]
    return list(value) if isinstance(value, tuple) else value


def _in_address(value: Setting) -> str:
    """A value as AssemblyAI reads it in an address: true and false in small letters, a list as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, tuple) else str(value)


def _language(code: str) -> Language | str:
    try:
        return Language(code)
    except ValueError:
        return code
