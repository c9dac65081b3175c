"""The three parts of a call, each one service or several of which one is at work.

Comes in: what a call is set to, keys, what runs on this machine. Goes out: a processor for each part: the service itself where
the file names no fallback, so that such a call is built as if there were none; and what running services are told of a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameProcessor

from runner.catalog import PROVIDERS, Part, named
from runner.compiler import services
from runner.compiler.fallback.ears import Ears
from runner.compiler.fallback.member import Member
from runner.compiler.fallback.models import Models
from runner.compiler.fallback.relay import Relay
from runner.compiler.fallback.voices import Voices
from runner.compiler.services import Here
from runner.effective import Change, Effective

_BUILD: dict[Part, Callable[[Effective, Mapping[str, str], Here], FrameProcessor]] = {
    "stt": services.build_stt,
    "llm": services.build_llm,
    "tts": services.build_tts,
}
_UPDATE: dict[Part, Callable[[Change, Effective, Here, str | None], Any]] = {
    "stt": services.update_stt,
    "llm": services.update_llm,
    "tts": services.update_tts,
}
_IN_THE_CLOUD = Here()


def build(
    part: Part, held: Callable[[], Effective], keys: Mapping[str, str], here: Here, *, spoken: bool = True
) -> FrameProcessor:
    """One part of a call.

    held: what the call's parts hold at this moment. A fallback whose key is not set is left out; a part that runs on this
    machine needs none.
    """
    make, now = _BUILD[part], held().service(part)
    able = [n for n, one in enumerate(now.fallback) if not PROVIDERS[part, one.provider].missing(one.endpoint, keys)]
    if part in here.parts or not able:
        return make(held(), keys, here)

    def member(number: int | None) -> Member:
        one = now if number is None else now.fallback[number]
        return Member(
            number,
            named(part, one, (now, *now.fallback)),
            PROVIDERS[part, one.provider],
            lambda: make(held() if number is None else held().instead(part, number), keys, here),
        )

    members = [member(None), *map(member, able)]
    if part == "llm":
        return Models(members, spoken=spoken)
    return Ears(members) if part == "stt" else Voices(members)


def at_work(processor: FrameProcessor | None) -> Any:
    """The service of a part that is at work."""
    return processor.service if isinstance(processor, Relay) else processor


def is_first(processor: FrameProcessor | None) -> bool:
    """Whether the part's first service is at work, or its only one."""
    return not isinstance(processor, Relay) or processor.at_work.number is None


def all_of(*processors: FrameProcessor | None) -> list[FrameProcessor]:
    """Every service of these parts that exists."""
    found: list[FrameProcessor] = []
    for one in processors:
        found += one.processors if isinstance(one, Relay) else [one] if one else []
    return found


def told(
    part: Part, processor: FrameProcessor, changed: Change, now: Effective, held: Effective, here: Here, provider: str
) -> Iterator[tuple[FrameProcessor, Frame]]:
    """Which service of a part is told what. One that does not exist is made later, as the call is set to then.

    held: what the parts hold from now on; its list of fallbacks is the one that the call was built with.
    provider: whose the first service is.
    """
    update = _UPDATE[part]
    if not isinstance(processor, Relay):
        if frame := update(changed, now, here, provider):
            yield processor, frame
        return
    for member in processor.members:
        if member.service is None:
            continue
        number = member.number
        if number is None:
            frame = update(changed, now, here, provider)
        else:
            frame = update(changed.instead(part, number), held.instead(part, number), here, member.provider.name)
        if frame:
            yield member.service, frame
