"""Which class makes which service. One small file a provider; each offers `build` (the service of one call) and `update`
(the frame that tells a running one what changed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipecat.frames.frames import LLMUpdateSettingsFrame, STTUpdateSettingsFrame, TTSUpdateSettingsFrame
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from runner.catalog import PROVIDERS, STILL_MEANT_HERE, Part
from runner.compiler.services import assemblyai, cartesia, openai
from runner.effective import Change, Effective


@dataclass(frozen=True, slots=True)
class Here:
    """What runs on this machine in one call.

    stt, tts: recognise and speak here.
    model:    base address and name on an OpenAI-compatible server; None for the cloud.
    """

    stt: bool = False
    tts: bool = False
    model: tuple[str, str] | None = None


def build_stt(now: Effective, keys: Mapping[str, str], here: Here) -> STTService:
    if here.stt:
        from runner.compiler.services import local

        return local.build_stt(now.stt)
    return assemblyai.build(now.stt, key=_key("stt", now, keys), barge_in=now.turns.barge_in)


def build_llm(now: Effective, keys: Mapping[str, str], here: Here) -> OpenAILLMService:
    if here.model:
        base_url, model = here.model
        return openai.build_local(now.llm, base_url=base_url, model=model, prompt=now.prompt)
    return openai.build(now.llm, key=_key("llm", now, keys), prompt=now.prompt)


def build_tts(now: Effective, keys: Mapping[str, str], here: Here) -> TTSService:
    if here.tts:
        from runner.compiler.services import local

        return local.build_tts(now.tts)
    return cartesia.build(now.tts, key=_key("tts", now, keys))


def update_stt(changed: Change, now: Effective, here: Here) -> STTUpdateSettingsFrame | None:
    if here.stt:
        from runner.compiler.services import local

        return local.update_stt(now.stt, changed.of("stt"))
    return assemblyai.update(now.stt, changed.of("stt"))


def update_llm(changed: Change, now: Effective, here: Here) -> LLMUpdateSettingsFrame | None:
    names = [name for name in changed.of("llm") if not here.model or name in STILL_MEANT_HERE["llm"]]
    return openai.update(now.llm, names, now.prompt if changed.touches("prompt") else None)


def update_tts(changed: Change, now: Effective, here: Here) -> TTSUpdateSettingsFrame | None:
    if here.tts:
        from runner.compiler.services import local

        return local.update_tts(now.tts, changed.of("tts"))
    return cartesia.update(now.tts, changed.of("tts"))


def _key(part: Part, now: Effective, keys: Mapping[str, str]) -> str:
    """The vendor's key. A server of one's own (`llm.endpoint`) may need none, but the client insists on some text."""
    return keys.get(PROVIDERS[part, now.service(part).provider].key, "none")
