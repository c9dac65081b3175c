"""What an agent is, once its file has been read and found good.

`document/` makes these, everything else reads them. All are frozen: a save makes a new `AgentDefinition`, and a call swaps
the old one for it. Durations are seconds as float unless a field carries the vendor's own name (then the vendor's unit).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ListenFor = Literal["email", "phone", "number", "name", "address", "date"]
ReloadMode = Literal["live", "next-call", "off"]
TurnStart = Literal["vad", "transcription"]
LookAhead = Literal["likely", "off"]
Mute = Literal["greeting", "tools", "always"]
SpeakersMode = Literal["together", "separate", "first_only"]

BACK = "back"
"""The stage name that means "where the caller came from"."""


@dataclass(frozen=True, slots=True)
class Only:
    """A list in a stage that replaces the agent's list (`keyterms: {only: [...]}`) instead of adding to it."""

    items: tuple[str, ...]


Setting = str | int | float | bool | None | tuple[str, ...] | Only | Mapping[str, "Setting"]
"""One value of a service. A list is a tuple; `Only` appears in stage deltas alone."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of the three services of an agent: the ear (stt), the model (llm) or the voice (tts).

    provider: `assemblyai`, `openai`, `cartesia`.
    settings: what the file says and the schema's defaults, by the names of the agent file (`keyterms`, `model`, `voice`),
              durations in the vendor's unit. A setting nobody gave and the schema has no default for is absent.
    endpoint: another address of the same service, None for the vendor's own.
    given:    the names of the settings that the file itself gives, in its order (the others are defaults).
    fallback: who takes over when it fails, in this order; these have none themselves. Of one by the same provider, `settings`
              are all that hold for it and `given` those it has of its own.
    """

    provider: str
    settings: Mapping[str, Setting] = field(default_factory=dict[str, "Setting"])
    endpoint: str | None = None
    given: tuple[str, ...] = ()
    fallback: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the agent says first: `text` as written, or `prompt` by which the model finds its own words. One of the two."""

    text: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One way out of a stage (an item of `next` or of `anywhere`).

    to:          the stage's name, or `back`.
    when:        in which case, in plain words; "" for the last two kinds.
    examples:    sentences callers say in that case.
    after_tries: after so many finished turns of the caller in the stage without another way taken.
    otherwise:   at once, when a finished turn fits no `when`.
    """

    to: str
    when: str = ""
    examples: tuple[str, ...] = ()
    after_tries: int | None = None
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the conversation. `stt`, `llm`, `tts` and `turns` are deltas over the agent's settings that end with the stage.

    turns:        by the names of `Turns`, those of `vad` and `idle` in groups of their own; `idle: False` is none.
    renamed_from: its earlier names; a call that is in one of them when the file is saved goes on here.
    """

    name: str
    prompt: str | None = None
    say: str | None = None
    listen_for: ListenFor | None = None
    stt: Mapping[str, Setting] = field(default_factory=dict[str, "Setting"])
    llm: Mapping[str, Setting] = field(default_factory=dict[str, "Setting"])
    tts: Mapping[str, Setting] = field(default_factory=dict[str, "Setting"])
    turns: Mapping[str, Setting] = field(default_factory=dict[str, "Setting"])
    next: tuple[Transition, ...] = ()
    end: bool = False
    renamed_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vad:
    """Voice activity detection on this machine (Silero). Seconds, and 0..1. Defaults are Pipecat 1.14's but for `start_secs`:
    with its 0.2 a caller who cuts in is noticed after 0.33 s, with 0.13 (four of Silero's windows) after 0.26."""

    confidence: float = 0.7
    start_secs: float = 0.13
    stop_secs: float = 0.2
    min_volume: float = 0.6


@dataclass(frozen=True, slots=True)
class Idle:
    """A caller who says nothing: after `after` seconds the agent says `say`; after `tries` times it says `goodbye` and ends."""

    after: float
    say: str
    tries: int = 3
    goodbye: str | None = None


@dataclass(frozen=True, slots=True)
class Turns:
    """Turn taking. Defaults are Pipecat 1.14's.

    barge_in:             whether the caller may interrupt the agent.
    barge_in_after_words: with how many words, while the agent speaks; 0: with the first sound of speech.
    barge_in_ignore:      words and phrases that never count as an interruption while the agent speaks.
    mute:                 when the caller is not listened to at all.
    start:                what tells, in pipecat turn detection, that the caller begins.
    smart_turn:           whether Smart Turn tells that the caller has finished; otherwise `speech_timeout` seconds of silence.
    smart_turn_stop_secs: the silence after which a turn that sounds unfinished ends all the same.
    smart_turn_pre_speech_ms, smart_turn_max_duration_secs: how much sound Smart Turn hears, before speech and at most.
    look_ahead:           whether the next stage's first words are made ready while the model still chooses a way out.
    """

    barge_in: bool = True
    barge_in_after_words: int = 0
    barge_in_ignore: tuple[str, ...] = ()
    mute: tuple[Mute, ...] = ()
    vad: Vad = Vad()
    start: tuple[TurnStart, ...] = ("vad", "transcription")
    smart_turn: bool = True
    smart_turn_stop_secs: float = 3.0
    smart_turn_pre_speech_ms: float = 500.0
    smart_turn_max_duration_secs: float = 8.0
    speech_timeout: float = 0.6
    idle: Idle | None = None
    look_ahead: LookAhead = "likely"


@dataclass(frozen=True, slots=True)
class Audio:
    """At which rates sound comes in and goes out, Hz."""

    in_sample_rate: int = 16000
    out_sample_rate: int = 24000


@dataclass(frozen=True, slots=True)
class Daily:
    """The Daily room that runner makes, and the agent's place in it.

    display_name: the agent's name there, None for its own. caller_name: of whoever uses the printed link.
    expires_in:   seconds the room and its links last.
    wait_for_caller: seconds the agent waits there for the first one to come.
    dial_in:      the numbers whose calls it takes. dial_out: beginnings of those it may be asked to call.
    caller_id:    Daily's id of the number that is shown then. sip: telephone systems can call the room.
    """

    display_name: str | None = None
    caller_name: str | None = None
    expires_in: float = 7200.0
    eject_at_room_exp: bool = True
    privacy: Literal["private", "public"] = "private"
    geo: str | None = None
    max_participants: int | None = None
    enable_prejoin_ui: bool = False
    enable_chat: bool = False
    start_video_off: bool = True
    wait_for_caller: float = 120.0
    dial_in: tuple[str, ...] = ()
    dial_out: tuple[str, ...] = ()
    caller_id: str | None = None
    sip: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_call`: seconds after which a call ends, None for no limit; `warn_before` seconds before, the agent says `warning`,
    and at the end `goodbye`.
    `wait_for_return`: seconds that a call waits for a browser that is gone; with 0 it ends at once.
    """

    max_call: float | None = None
    warn_before: float = 60.0
    warning: str | None = None
    goodbye: str | None = None
    wait_for_return: float = 20.0


@dataclass(frozen=True, slots=True)
class Voicemail:
    """What a call that the agent makes does when an answering machine takes it: says `say`, None for nothing, and ends."""

    say: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One speaker on the line. name: what it is called instead of the ear's letter. prompt: added when it is answered."""

    name: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Speakers:
    """What becomes of several voices on one line. `people`: who they are, by the ear's letter."""

    mode: SpeakersMode = "together"
    people: Mapping[str, Person] = field(default_factory=dict[str, Person])


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """What changes while the caller speaks one language.

    voice:      an id, None for the voice of `tts`. prompt: added to the others.
    say:        stage -> its line in this language.
    lines:      what else is said as written, by its place in the agent file: `on_trouble.say` -> its words in this language.
    confidence: how sure the ear must be, 0..1, and `words` how many there must be, before the agent goes over to it.
    """

    voice: str | None = None
    prompt: str | None = None
    say: Mapping[str, str] = field(default_factory=dict[str, str])
    lines: Mapping[str, str] = field(default_factory=dict[str, str])
    confidence: float = 0.7
    words: int = 3


@dataclass(frozen=True, slots=True)
class OnTrouble:
    """What the caller hears when a turn cannot be answered.

    say:     after a fault, so that the caller knows to go on.
    goodbye: before the call ends because a part of it does not work any more.
    tries:   with so many turns in a row that could not be answered the call ends.
    after:   seconds a caller waits for the first words of an answer before it is given up; None: 8, or with a longer
             `llm.timeout` three more than that.
    """

    say: str = "Sorry, something went wrong on my side. Could you say that again?"
    goodbye: str = "I am sorry, something is not working here. Please call again later. Goodbye."
    tries: int = 3
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """Where something was written: a line, from 1, of a file; or `option`, what was given on the command line instead."""

    file: Path
    line: int
    option: str = ""


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One good agent file.

    file:      the YAML file, absolute.
    variables: name -> text, after `--var`.
    voices:    name -> id; the settings of the voice already hold ids.
    prompt:    the Jinja2 source of the system prompt (rendered by `prompts.render`).
    stages:    in file order, the first one starts; empty for an agent that is one conversation.
    speakers:  what becomes of several voices on the line.
    languages: code -> what changes while the caller speaks that language.
    sources:   every file that was read to make this, absolute, the agent file first. What a watcher has to watch.
    written:   where each setting of a service stands, by its path (`tts.voice`, `stages.email.stt.domain`,
               `llm.fallback[0].model`, `languages.es.voice`). It does not count when two agents are compared.
    """

    name: str
    file: Path
    prompt: str
    stt: Service
    llm: Service
    tts: Service
    description: str = ""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    greeting: Greeting | None = None
    voices: Mapping[str, str] = field(default_factory=dict[str, str])
    turns: Turns = Turns()
    audio: Audio = Audio()
    daily: Daily = Daily()
    reload: ReloadMode = "live"
    limits: Limits = Limits()
    voicemail: Voicemail | None = None
    on_trouble: OnTrouble | None = OnTrouble()
    anywhere: tuple[Transition, ...] = ()
    stages: Mapping[str, Stage] = field(default_factory=dict[str, Stage])
    speakers: Speakers = Speakers()
    languages: Mapping[str, SpokenLanguage] = field(default_factory=dict[str, SpokenLanguage])
    sources: tuple[Path, ...] = ()
    written: Mapping[str, Written] = field(default_factory=dict[str, Written], compare=False, repr=False)

    @property
    def first_stage(self) -> str | None:
        """The name of the stage a call begins in, None when the agent has no stages."""
        return next(iter(self.stages), None)
