"""What happens in a call, for whoever shows it: the terminal, the page, `runner chat --json`.

`version` is always the version of the agent's file that did it: for what the agent said, the one that made the sentence, which
may be older than the one the call runs when the sentence ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallStarted:
    carrier: str
    version: int


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """A finished turn of whoever is on the line.

    turn:     its number in the call, from 1; 0 where nobody counts.
    speaker:  the ear's letter, `UNKNOWN` where the turn was too short to tell, None where nobody is told apart.
    name:     what the file calls that speaker, "" for nothing.
    language: the short code of what was spoken, and how sure the ear is of it, 0..1; None where it does not tell.
    answered: False for somebody whom the agent does not answer.
    """

    text: str
    stage: str | None
    version: int
    turn: int = 0
    speaker: str | None = None
    name: str = ""
    language: str | None = None
    confidence: float | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Backchannel:
    """The caller only showed that they listen, such as "mhm": the agent spoke on, and nobody answers it."""

    text: str
    stage: str | None
    version: int


@dataclass(frozen=True, slots=True)
class SpeakerCorrected:
    """Somebody else said it: `text`, the turn of that number or a part of it, was taken for `before` and was `speaker`."""

    turn: int
    text: str
    before: str | None
    speaker: str
    version: int


@dataclass(frozen=True, slots=True)
class LanguageChanged:
    """The agent goes over to what the caller speaks; None is the agent's own language."""

    left: str | None
    language: str | None
    version: int


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """`interrupted`: the caller cut it off, so `text` ends where the voice did."""

    text: str
    stage: str | None
    version: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class StageEntered:
    """`left` is None at the beginning of a call."""

    left: str | None
    stage: str
    version: int


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """The call goes on with another version of its file. `changes`: what differs for this call, in plain words."""

    version: int
    stage: str | None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """Caller's last sound to the agent's first, seconds, and its parts in order as (what, seconds, whose)."""

    seconds: float
    parts: tuple[tuple[str, float, str], ...]
    version: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something went wrong in a call that goes on; `text` is for people.

    mended: nobody has to do anything: another service took over, or the first one is at work again.
    """

    text: str
    version: int
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody has spoken for `seconds`, because of one part of the call.

    text:    a sentence for people. awaited: what is waited for, alone: `the model's first word (OpenAI)`.
    """

    text: str
    part: str
    seconds: float
    version: int
    awaited: str = ""


@dataclass(frozen=True, slots=True)
class SilenceOver:
    """What was told as `Silent` lasts no longer: somebody speaks, or nothing is waited for any more. seconds: all of it."""

    seconds: float
    version: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    reason: str
    version: int


Event = (
    CallStarted
    | CallerSaid
    | Backchannel
    | SpeakerCorrected
    | LanguageChanged
    | AgentSaid
    | StageEntered
    | AgentVersion
    | TurnLatency
    | Trouble
    | Silent
    | SilenceOver
    | CallEnded
)
Listener = Callable[[Event], None]
