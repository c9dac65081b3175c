"""What the terminal shows: the banner, the transcript as it happens, what a save did. Nothing else prints while calls run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from runner.catalog import Part
from runner.events import (
    AgentSaid,
    AgentVersion,
    Backchannel,
    CallEnded,
    CallerSaid,
    CallStarted,
    Event,
    LanguageChanged,
    SilenceOver,
    Silent,
    SpeakerCorrected,
    StageEntered,
    Trouble,
    TurnLatency,
)
from runner.problem import Problem, print_problems
from runner.selection import Choice

_PARTS: dict[Part, str] = {"stt": "hears", "llm": "thinks", "tts": "speaks"}
_DIM, _BOLD, _CYAN, _GREEN, _YELLOW, _END = "\x1b[2m", "\x1b[1m", "\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def wants_color(stream: TextIO) -> bool:
    """Colours only on a terminal, and not where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _part(what: str, seconds: float, whose: str) -> str:
    """`endpointing wait 200 (turns.vad.stop_secs)`; the name of a processor is no news for people."""
    return f"{what} {seconds * 1000:.0f}{f' ({whose})' if whose.startswith('turns.') else ''}"


def _by(version: int) -> str:
    """Which version did it; the one that the agent was started with goes without saying."""
    return f" (version {version})" if version > 1 else ""


def _caller(said: CallerSaid) -> str:
    """`caller`, `caller B es 0.93`, `caller B the interpreter`."""
    sure = f"{said.confidence:.2f}" if said.language and said.confidence is not None else None
    known = (said.speaker, said.name or None, said.language, sure)
    return " ".join(["caller", *(word for word in known if word)])


class Terminal:
    """Prints to one stream. Calls are told by their number as soon as two run at once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._color = wants_color(self._stream)
        self._open: set[int] = set()
        self._crowded = False

    def line(self, text: str = "", style: str = "") -> None:
        print(f"{style}{text}{_END}" if style and self._color else text, file=self._stream, flush=True)

    def banner(self, title: str, choices: Iterable[tuple[Choice, str]]) -> None:
        """Who hears, thinks and speaks. `choices` pairs each choice with its description."""
        self.line(title, _BOLD)
        for choice, who in choices:
            self.line(f"  {_PARTS[choice.part]:<7} {who}")
            if choice.local:
                cure = "" if choice.why.startswith("--") else f"; set it and {choice.vendor} takes over"
                self.line(f"          because {choice.why}{cure}", _DIM)
                if choice.unused:
                    self.line(f"          without effect here: {', '.join(choice.unused)}", _DIM)
            if choice.instead:
                self.line(f"          when it fails: {', then '.join(choice.instead)}", _DIM)
            for who, names in choice.left_out:
                keys = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set"
                self.line(f"          {who} cannot take over: {keys}", _DIM)

    def detail(self, text: str) -> None:
        """A line that may quote an agent file."""
        self.line(text)

    def problems(self, problems: Sequence[Problem], after: str) -> None:
        """What is wrong with a file, and what it means for who is talking; "" for nothing."""
        self.line(f"{print_problems(problems, color=self._color)} {after}".rstrip())

    def event(self, call: int, event: Event, agent: str = "") -> None:
        """One thing that happened in the call of that number. agent: its name, for logs."""
        who = self._prefix(call)
        match event:
            case CallStarted(carrier, version):
                self._opened(call)
                self.line(f"{self._prefix(call)}call started ({carrier}), version {version}", _DIM)
            case CallerSaid(text, _, version):
                ignored = "" if event.answered else " (not answered)"
                self.line(f"{who}[{_caller(event)}] {text}{ignored}{_by(version)}", _CYAN)
            case Backchannel(text, _, version):
                self.line(f"{who}[caller] {text} (while the agent spoke on){_by(version)}", _DIM)
            case SpeakerCorrected(turn, text, before, speaker, _):
                self.line(f'{who}[correction] turn {turn} was {speaker}, not {before}: "{text}"', _DIM)
            case LanguageChanged(left, language, version):
                self.line(f"{who}[language] {left or 'own'} -> {language or 'own'} (version {version})", _DIM)
            case AgentSaid(text, _, version, interrupted):
                cut = " (cut off by the caller)" if interrupted else ""
                self.line(f"{who}[agent] {text}{cut}{_by(version)}", _GREEN)
            case StageEntered(left, stage, version):
                came = f"{left} -> {stage}" if left else stage
                self.line(f"{who}[stage] {came} (version {version})", _DIM)
            case AgentVersion(version, _, _):
                self.line(f"{who}[version] the call goes on with version {version}", _DIM)
            case TurnLatency(seconds, parts, version):
                named = ", ".join(_part(what, secs, whose) for what, secs, whose in parts)
                self.line(f"{who}[latency] {seconds * 1000:.0f} ms: {named}{_by(version)}", _DIM)
            case Trouble(text, version, mended):
                kind, color = ("mended", _DIM) if mended else ("problem", _YELLOW)
                self.line(f"{who}[{kind}] {text}{_by(version)}", color)
            case Silent(text, _, _, version):
                self.line(f"{who}[silence] {text}{_by(version)}", _YELLOW)
            case SilenceOver():
                pass  # what ended it has a line of its own
            case CallEnded(reason, version):
                self.line(f"{who}call ended: {reason}{_by(version)}", _DIM)
                self._open.discard(call)

    def _opened(self, call: int) -> None:
        self._open.add(call)
        self._crowded = self._crowded or len(self._open) > 1

    def _prefix(self, call: int) -> str:
        return f"call {call} " if self._crowded else ""
