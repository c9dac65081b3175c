"""What was said in a call so far, for a page that comes back to it."""

from __future__ import annotations

from typing import Any

from runner.events import (
    AgentSaid,
    AgentVersion,
    Backchannel,
    CallerSaid,
    Event,
    LanguageChanged,
    SpeakerCorrected,
    StageEntered,
    Trouble,
)
from runner.live.page_messages import listening, turn_of


class History:
    """The lines of a call, in order."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def take(self, event: Event) -> None:
        """Remember what belongs into a transcript."""
        match event:
            case CallerSaid():
                self._add("caller", turn_of(event))
            case Backchannel():
                self._add("caller", listening(event))
            case SpeakerCorrected(turn=turn, speaker=speaker, before=before):
                for number, line in enumerate(self._lines):
                    if turn and line.get("turn") == turn:
                        self._lines[number] = {**line, "speaker": speaker, "name": "", "was": before}
            case AgentSaid(text, stage, version, interrupted):
                self._add("agent", {"text": text, "stage": stage, "version": version, "interrupted": interrupted})
            case StageEntered(left, stage, version) if left is not None:
                self._add("stage", {"text": stage, "stage": stage, "version": version})
            case LanguageChanged(_, language, version):
                self._add("language", {"text": language or "", "version": version})
            case AgentVersion(version, stage, changes):
                known = {"text": f"version {version}", "stage": stage, "version": version}
                self._add("version", {**known, "details": list(changes)})
            case Trouble(text, version, mended):
                self._add("mended" if mended else "problem", {"text": text, "version": version})
            case _:
                pass

    def _add(self, who: str, what: dict[str, Any]) -> None:
        self._lines.append({"who": who, **what})

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each with `who` said it, or what it is (`caller`, `agent`; `stage`, `language`, `version`, `problem`, `mended`), its
        `text` and `version`, and what else the page shows of it."""
        return list(self._lines)
