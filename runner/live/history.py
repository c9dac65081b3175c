"""What was said in a call so far, for a page that comes back to it."""

from __future__ import annotations

from typing import Any

from runner.events import AgentSaid, AgentVersion, CallerSaid, Event, StageEntered


class History:
    """The lines of a call, in order."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def take(self, event: Event) -> None:
        """Remember what belongs into a transcript."""
        match event:
            case CallerSaid(text=text, stage=stage, version=version):
                self._lines.append({"who": "caller", "text": text, "stage": stage, "version": version})
            case AgentSaid(text, stage, version, interrupted):
                line = {"who": "agent", "text": text, "stage": stage, "version": version, "interrupted": interrupted}
                self._lines.append(line)
            case StageEntered(left, stage, version) if left is not None:
                self._lines.append({"who": "stage", "text": stage, "stage": stage, "version": version})
            case AgentVersion(version=version, stage=stage):
                self._lines.append({"who": "version", "text": f"version {version}", "stage": stage, "version": version})
            case _:
                pass

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each with `who` (`caller`, `agent`, `stage`, `version`), `text`, `stage` and `version`."""
        return list(self._lines)
