"""Who does what in a call, and whose fault an error is.

Comes in: a part of a call, or an error of one of its services. Goes out: a name, or a sentence for people without the keys that a
vendor may repeat in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipecat.frames.frames import ErrorFrame

from runner.catalog import PARTS, Part, Provider
from runner.compiler.conversation import Conversation
from runner.compiler.fallback.parts import at_work
from runner.compiler.fallback.relay import TookOverFrame
from runner.compiler.pipeline import Compiled
from runner.live.troubles import sentence
from runner.live.written import Settings
from runner.masking import masked


class Vendors:
    """Those of one call. keys: variable name -> key."""

    def __init__(self, compiled: Compiled, conversation: Conversation, keys: Mapping[str, str]) -> None:
        self._compiled, self._conversation, self._keys = compiled, conversation, keys

    def at_work(self, part: Part) -> str:
        """Who does this part at this moment, for people."""
        parts = self._compiled
        service = {"stt": parts.stt, "llm": parts.llm, "tts": parts.tts}[part]
        vendor = parts.vendor_of(part, at_work(service)) if part not in parts.here.parts else None
        return vendor.title if vendor else "this machine"

    def sentence(self, frame: ErrorFrame) -> str | None:
        """What to tell about an error, None for what was told before (`troubles.sentence`)."""
        said = sentence(frame, self._whose(frame), self._settings_of(frame))
        return said and masked(said, self._keys)

    def _settings_of(self, frame: ErrorFrame) -> Settings | None:
        """Where the settings of the service that an error is about stand in the file, in the version that the call runs."""
        failure = (frame.failure if isinstance(frame, TookOverFrame) else None) or frame
        vendor, now = self._whose(failure), self._conversation
        if vendor is None:
            return None
        number = self._compiled.number_of(vendor.part, failure.processor)
        found = Settings(now.agent, now.now.stage, now.language, vendor.part, number)
        return found if found.provider == vendor.name else None

    def _whose(self, frame: ErrorFrame) -> Provider | None:
        """Whose service an error is about, None for a part on this machine and for what is not a service."""
        parts = self._compiled
        found = (parts.vendor_of(part, frame.processor) for part in PARTS if part not in parts.here.parts)
        return next((vendor for vendor in found if vendor), None)
