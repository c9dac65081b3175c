"""Where in the agent file the settings of a running service stand, so that whoever reads of a refusal finds the line.

Comes in: an agent, the moment of a call, and which service. Goes out: `agents/support.yaml:21: tts.voice`. The file is the
version that the call runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.catalog import Part
from runner.definition import AgentDefinition, Service
from runner.effective import own_language
from runner.problem import short_path


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one service of a call.

    stage, language: as in `effective`. number: which of the part's fallbacks it is, None for the first service.
    """

    agent: AgentDefinition
    stage: str | None
    language: str | None
    part: Part
    number: int | None = None

    def place(self, name: str) -> str | None:
        """Where the setting that is in force stands, for people; None where neither file nor command line says anything."""
        for path in self._paths(name):
            if found := self.agent.written.get(path):
                return found.option or f"{short_path(found.file)}:{found.line}: {path}"
        return None

    @property
    def provider(self) -> str:
        """Whose service the agent file names here, "" where it names none (any more)."""
        fallback = self._first.fallback
        if self.number is None:
            return self._first.provider
        return fallback[self.number].provider if self.number < len(fallback) else ""

    @property
    def own(self) -> str:
        """The path of the service's own settings."""
        return self.part if self.number is None else f"{self.part}.fallback[{self.number}]"

    @property
    def whole(self) -> str:
        """Where the service itself stands, for people."""
        found = self.agent.written.get(self.own)
        return f"{short_path(found.file)}:{found.line}: {self.own}" if found else f"{self.own} in the agent file"

    def _paths(self, name: str) -> Iterator[str]:
        """Where it may stand, what is in force first."""
        language = self.language or own_language(self.agent)
        if self.number is not None:
            yield f"{self.own}.{name}"
        elif self.part == "tts" and name == "voice" and language in self.agent.languages:
            yield f"languages.{language}.voice"
        if self.stage is not None:
            yield f"stages.{self.stage}.{self.part}.{name}"
        if self.provider == self._first.provider:
            yield f"{self.part}.{name}"

    @property
    def _first(self) -> Service:
        return {"stt": self.agent.stt, "llm": self.agent.llm, "tts": self.agent.tts}[self.part]
