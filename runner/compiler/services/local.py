"""The services of this machine: what stands in for the cloud where a key is missing, and which settings still count there."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from pipecat.frames.frames import STTUpdateSettingsFrame, TTSUpdateSettingsFrame

from runner.definition import Service
from runner.local.ears import WhisperEars
from runner.local.voice import LocalVoice


def build_stt(service: Service) -> WhisperEars:
    return WhisperEars(keyterms=_keyterms(service))


def update_stt(service: Service, names: Collection[str]) -> STTUpdateSettingsFrame | None:
    if "keyterms" not in names:
        return None
    return STTUpdateSettingsFrame(delta=WhisperEars.Settings(keyterms=_keyterms(service)))


def build_tts(service: Service) -> LocalVoice:
    return LocalVoice(speed=_speed(service))


def update_tts(service: Service, names: Collection[str]) -> TTSUpdateSettingsFrame | None:
    if "speed" not in names:
        return None
    return TTSUpdateSettingsFrame(delta=LocalVoice.Settings(speed=_speed(service)))


def _keyterms(service: Service) -> tuple[str, ...]:
    return cast(tuple[str, ...], service.settings.get("keyterms") or ())


def _speed(service: Service) -> float:
    return cast(float, service.settings.get("speed") or 1.0)
