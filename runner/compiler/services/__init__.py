"""Which class makes which service. Three providers have a small file of their own, all others share `generic`; each offers
`build` (the service of one call) and `update` (the frame that tells a running one what changed)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import LLMUpdateSettingsFrame, STTUpdateSettingsFrame, TTSUpdateSettingsFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService

from runner.catalog import PROVIDERS, STILL_MEANT_HERE, Part
from runner.compiler.services import assemblyai, cartesia, generic, openai
from runner.definition import Service
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

    @property
    def parts(self) -> frozenset[Part]:
        """The parts of a call that run here."""
        found: dict[Part, object] = {"stt": self.stt, "llm": self.model, "tts": self.tts}
        return frozenset(part for part, here in found.items() if here)


def build_stt(now: Effective, keys: Mapping[str, str], here: Here) -> STTService:
    if here.stt:
        from runner.compiler.services import local

        return local.build_stt(now.stt)
    if _is_generic("stt", now.stt):
        return generic.build("stt", now.stt, keys, barge_in=now.turns.barge_in)
    ear = assemblyai.seeded(now.stt, now.opening)
    return assemblyai.build(ear, key=_key("stt", now, keys), barge_in=now.turns.barge_in)


def build_llm(now: Effective, keys: Mapping[str, str], here: Here) -> LLMService[Any]:
    if here.model:
        base_url, model = here.model
        return openai.build_local(now.llm, base_url=base_url, model=model, prompt=now.prompt)
    if _is_generic("llm", now.llm):
        return generic.build("llm", now.llm, keys, prompt=now.prompt)
    return openai.build(now.llm, key=_key("llm", now, keys), prompt=now.prompt)


def build_tts(now: Effective, keys: Mapping[str, str], here: Here) -> TTSService:
    if here.tts:
        from runner.compiler.services import local

        return local.build_tts(now.tts)
    if _is_generic("tts", now.tts):
        return generic.build("tts", now.tts, keys)
    return cartesia.build(now.tts, key=_key("tts", now, keys))


def decides_turns(stt: STTService) -> bool:
    """Whether the ear itself decides when the caller begins and ends: it then brings its own strategies (Pipecat 1.14)."""
    return stt.service_metadata_frame().user_turn_strategies is not None


def update_stt(
    changed: Change, now: Effective, here: Here, provider: str | None = None
) -> STTUpdateSettingsFrame | None:
    """provider: whose service the call was built with, when a save may have named another one since: that takes the next
    call."""
    if here.stt:
        from runner.compiler.services import local

        return local.update_stt(now.stt, changed.of("stt"))
    if provider and provider != now.stt.provider:
        return None
    if _is_generic("stt", now.stt):
        return generic.update("stt", now.stt, changed.of("stt"))
    return assemblyai.update(now.stt, changed.of("stt"))


def update_llm(
    changed: Change, now: Effective, here: Here, provider: str | None = None
) -> LLMUpdateSettingsFrame | None:
    """Like `update_stt`; a new prompt is told to whatever model answers in the call."""
    prompt = now.prompt if changed.touches("prompt") else None
    if here.model:
        return openai.update(now.llm, [name for name in changed.of("llm") if name in STILL_MEANT_HERE["llm"]], prompt)
    service, names = now.llm, tuple(changed.of("llm"))
    if provider and provider != service.provider:
        service, names = Service(provider), ()
    if _is_generic("llm", service):
        return generic.update("llm", service, names, prompt)
    return openai.update(service, names, prompt)


def update_tts(
    changed: Change, now: Effective, here: Here, provider: str | None = None
) -> TTSUpdateSettingsFrame | None:
    """Like `update_stt`."""
    if here.tts:
        from runner.compiler.services import local

        return local.update_tts(now.tts, changed.of("tts"))
    if provider and provider != now.tts.provider:
        return None
    if _is_generic("tts", now.tts):
        return generic.update("tts", now.tts, changed.of("tts"))
    return cartesia.update(now.tts, changed.of("tts"))


async def close(parts: Iterable[FrameProcessor]) -> None:
    """Release what outlives the pipeline: Pipecat 1.14 leaves HTTP connections open."""
    for service in parts:
        await generic.close_client(service)
        await generic.close_session(service)


def _is_generic(part: Part, service: Service) -> bool:
    return PROVIDERS[part, service.provider].service is not None


def _key(part: Part, now: Effective, keys: Mapping[str, str]) -> str:
    """The vendor's key. A server of one's own (`llm.endpoint`) may need none, but the client insists on some text."""
    return keys.get(PROVIDERS[part, now.service(part).provider].key, "none")
