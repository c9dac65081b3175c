"""What every setting of an agent is in one stage, and where that comes from. Nothing of Pipecat is loaded for it.

Comes in: a definition, the file it was read from. Goes out: one `Explained` for each setting. The values are those of
`effective`, so what is explained is what a call uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from runner.catalog import PARTS, PATTERNS, PROVIDERS, U3_FAMILY, Part, When
from runner.definition import AgentDefinition, SpokenLanguage, Stage
from runner.document.check import schema_at
from runner.document.family import read_family
from runner.document.folder import Folder
from runner.document.places import Source, Where
from runner.document.text import read_file
from runner.effective import Effective, FieldChange, change, effective, in_fallback, own_language
from runner.effective_services import turns_with
from runner.problem import short_path
from runner.wording import in_the_file, joined

Kind = Literal["file", "option", "default", "runner", "pipecat", "vendor"]
"""Who says so: the file, `--set` or `--var`, the schema's default, runner for a reason it names, Pipecat 1.14 unasked, or
the vendor because nothing is sent."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting in one stage.

    path:  as in the agent file, `stt.min_turn_silence`.
    value: what it is; None when nothing is sent.
    unit:  `ms`, `s`, or "".
    kind, file, line: who says so, and where (line from 1; 0 outside the file).
    when:  how soon a change of it reaches a running call.
    note:  what else is worth knowing, "" for nothing.
    """

    path: str
    value: object
    unit: str
    kind: Kind
    when: When
    file: Path | None = None
    line: int = 0
    note: str = ""

    @property
    def source(self) -> str:
        """`agents/support.yaml:14`, `default`, `AssemblyAI` ... for people."""
        if self.kind == "file" and self.file:
            return f"{short_path(self.file)}:{self.line}"
        return {"option": "command line", "vendor": _title(self.path), "pipecat": "Pipecat"}.get(self.kind, self.kind)

    def as_json(self) -> dict[str, object]:
        """The form of `runner explain --json`."""
        source: dict[str, object] = {"kind": self.kind}
        if self.kind == "file":
            source |= {"file": str(self.file), "line": self.line}
        return {
            "path": self.path,
            "value": _plain(self.value),
            "unit": self.unit,
            "source": source,
            "when": self.when,
            "note": self.note,
        }


def explained(
    agent: AgentDefinition,
    stage: str | None,
    settings: Mapping[str, str] | None = None,
    *,
    language: str | None = None,
) -> list[Explained]:
    """Every setting of `agent` while a call is in `stage`, in the order of the file.

    settings: the `--set` the definition was read with. language: the short code of what the caller speaks, None for the agent's
    own.
    """
    return list(_Explainer(agent, stage, settings or {}, language).all())


def unit_of(agent: AgentDefinition, where: Where) -> str:
    """`ms` or `s` for a duration, "" for anything else. where: as in the file."""
    node = _schema(agent, where)
    return str(node.get("x-unit", "")) if node else ""


def _schema(agent: AgentDefinition, where: Where) -> dict[str, Any] | None:
    part = where[0]
    data = {part: {"provider": getattr(agent, part).provider}} if part in PARTS else {}
    return schema_at(data, where)


class _Explainer:
    def __init__(
        self, agent: AgentDefinition, stage: str | None, settings: Mapping[str, str], language: str | None
    ) -> None:
        self.agent = agent
        self.here = agent.stages[stage] if stage is not None else Stage("")
        self.language = language or own_language(agent)
        self.spoken = agent.languages.get(self.language, SpokenLanguage())
        self.now: Effective = effective(agent, stage, language)
        text, _ = read_file(agent.file)
        self.file: Source = read_family(agent.file, text or "", Folder(agent.file), settings)

    def all(self) -> Iterator[Explained]:
        changes = change(None, self.now).fields
        yield from self._texts(changes)
        for part in PARTS:
            yield from self._service(part, changes)
        for field in changes:
            if field.path.startswith(("turns.", "limits.", "on_trouble")):
                yield from self._record(field.path, field.after, field.when)
        yield from self._callers()
        for name in ("audio", "daily"):
            yield from self._record(name, getattr(self.agent, name), "next call")
        yield from self._record("reload", self.agent.reload, "now")

    def _texts(self, changes: tuple[FieldChange, ...]) -> Iterator[Explained]:
        for name, value in self.agent.variables.items():
            where: Where = ("variables", name)
            kind: Kind = "file" if where in self.file.places and self._text_at(where) == value else "option"
            yield self._made(f"variables.{name}", value, "next turn", where, kind=kind)
        for name, value in self.agent.voices.items():
            yield self._made(f"voices.{name}", value, "next turn", ("voices", name))
        whens: dict[str, When] = {field.path: field.when for field in changes}
        own: Where = ("stages", self.here.name, "prompt")
        with_them = [f"the stage's own, {self._place(own)}"] if self.here.prompt is not None else []
        if self.spoken.prompt is not None:
            with_them.append(f"the language's own, {self._place(('languages', self.language, 'prompt'))}")
        note = f"with {joined(with_them)}" if with_them else ""
        yield self._made("prompt", self.now.prompt, whens["prompt"], ("prompt",), note=note)
        if self.now.greeting:
            greeting = self.now.greeting.text or f"the model's own: {self.now.greeting.prompt}"
            yield self._made("greeting", greeting, "next call", ("greeting",))
        if self.now.say:
            where = ("stages", self.here.name, "say")
            if self.here.name in self.spoken.say:
                where = ("languages", self.language, "say", self.here.name)
            yield self._made("say", self.now.say, "next stage", where)
        if self.here.listen_for:
            own = ("stages", self.here.name, "listen_for")
            yield self._made("listen_for", self.here.listen_for, "next turn", own, note=self._dictation())
        if self.now.ways:
            to = tuple(dict.fromkeys(way.to for way in self.now.ways))
            where = ("stages", self.here.name, "next") if self.here.next else ("anywhere",)
            yield self._made("next", to, whens["next"], where)

    def _callers(self) -> Iterator[Explained]:
        """What the file says about the people on the line and their languages; nothing where it says nothing."""
        speakers, languages = self.agent.speakers, self.agent.languages
        if "speakers" in self.file.data:
            yield from self._record("speakers.mode", speakers.mode, "next turn")
        groups = {f"speakers.people.{letter}": one for letter, one in speakers.people.items()}
        groups |= {f"languages.{code}": one for code, one in languages.items()}
        for path, group in groups.items():
            for field in fields(group):
                value = getattr(group, field.name)
                if isinstance(value, Mapping):
                    lines = cast("Mapping[str, str]", value)
                    for place, line in lines.items():
                        at = f"{path}.{place}" if field.name == "lines" else f"{path}.{field.name}.{place}"
                        yield from self._record(at, line, "next turn" if field.name == "lines" else "next stage")
                elif value is not None:
                    yield from self._record(f"{path}.{field.name}", value, "next turn")

    def _dictation(self) -> str:
        wait = self.now.listen_for.wait if self.now.listen_for else 0
        sooner = ", sooner when it sounds complete" if self.here.listen_for in PATTERNS else ""
        return f"a turn ends after {wait:g} s of silence{sooner}"

    def _service(self, part: Part, changes: tuple[FieldChange, ...]) -> Iterator[Explained]:
        service = self.now.service(part)
        provider = PROVIDERS[part, service.provider]
        whens: dict[str, When] = {field.path: field.when for field in changes}
        yield self._made(f"{part}.provider", service.provider, whens[f"{part}.provider"], (part, "provider"))
        where: Where = (part, "endpoint")
        if service.endpoint:
            yield self._made(f"{part}.endpoint", service.endpoint, whens[f"{part}.endpoint"], where)
        else:
            note = f"{provider.title}'s own address"
            yield self._made(f"{part}.endpoint", None, whens[f"{part}.endpoint"], where, kind="vendor", note=note)
        for name, field in provider.fields.items():
            value = service.settings.get(name)
            path = f"{part}.{name}"
            if value is None:
                yield self._made(path, None, field.when, (part, name), kind="vendor", note=self._vendors(part, name))
                continue
            where, kind, note = self._origin(part, name, value)
            cost = field.note if where in self.file.places else ""
            notes = [note, self._advice(path, value), self._named_voice(where, value), cost]
            yield self._made(path, value, field.when, where, kind=kind, note="; ".join(filter(None, notes)))
        yield from self._instead(part)

    def _instead(self, part: Part) -> Iterator[Explained]:
        """The services that take over: of one by the same provider what differs from the first, else all that is set."""
        first = self.now.service(part)
        for number, one in enumerate(first.fallback):
            at, written = f"{part}.fallback.{number}", getattr(self.agent, part).fallback[number].given
            same = one.provider == first.provider
            note = "otherwise like the one above" if same else ""
            where: Where = (part, "fallback", number)
            if (*where, "provider") in self.file.places:
                where = (*where, "provider")
            yield self._made(f"{at}.provider", one.provider, "next call", where, note=note)
            if one.endpoint and (not same or one.endpoint != first.endpoint):
                place: Where = (part, "fallback", number, "endpoint")
                yield self._made(f"{at}.endpoint", one.endpoint, "next call", place)
            fields = PROVIDERS[part, one.provider].fields
            for name, value in one.settings.items():
                if value is None or (same and name not in written and value == first.settings.get(name)):
                    continue
                place = (part, "fallback", number, name)
                kind: Kind | None = None if place in self.file.places else "runner" if same else None
                voice = self._named_voice(place, value)
                yield self._made(f"{at}.{name}", value, fields[name].when, place, kind=kind, note=voice)

    def _origin(self, part: Part, name: str, value: object) -> tuple[Where, Kind | None, str]:
        """Where the value of one setting of a service comes from."""
        agents = getattr(self.agent, part)
        delta = getattr(self.here, part)
        whole: Where = (part, name)
        stage: Where = ("stages", self.here.name, part, name)
        if part == "tts" and name == "voice" and self.spoken.voice is not None:
            return ("languages", self.language, "voice"), None, f"language {self.language}"
        if part == "tts" and name == "language" and value != agents.settings.get(name):
            return ("languages", self.language), None, "what the caller speaks"
        if name in delta and self._not_overruled(part, name):
            adds = isinstance(delta[name], tuple) and agents.settings.get(name)
            return stage, None, f"added to the agent's, {self._place(whole)}" if adds else f"stage {self.here.name}"
        if name in agents.settings and agents.settings[name] == value:
            return whole, None, ""
        if self.here.listen_for and name not in delta:
            return ("stages", self.here.name, "listen_for"), None, f"because of listen_for: {self.here.listen_for}"
        if part == "stt" and name in _PIPECATS_SILENCES:
            by_pipecat = self.now.stt.settings.get("turn_detection") != "assemblyai"
            return whole, "runner", _PIPECATS_SILENCES[name] if by_pipecat else _VENDORS_SILENCES
        others = [other.name for other in self.agent.stages.values() if name in getattr(other, part)]
        if name not in agents.settings and others:
            return whole, "runner", f"sent so that what stage {others[0]} sets ends with it"
        return whole, "runner", ""

    def _not_overruled(self, part: Part, name: str) -> bool:
        overruled = part == "stt" and name == "max_turn_silence" and _pipecat_decides(self.now)
        return not overruled or self.here.listen_for is not None

    def _advice(self, path: str, value: object) -> str:
        if path == "stt.mode" and _pipecat_decides(self.now):
            silence = self.now.stt.settings.get("min_turn_silence")
            return (
                f"its silences have no effect: with turn_detection pipecat, Pipecat sends min_turn_silence and "
                f"max_turn_silence {silence} in their place"
            )
        written = self.here.stt.get("max_turn_silence", self.agent.stt.settings.get("max_turn_silence"))
        if path == "stt.max_turn_silence" and _pipecat_decides(self.now) and written not in (None, value):
            return f"the {written} of the file has no effect with turn_detection pipecat"
        return ""

    def _named_voice(self, where: Where, value: object) -> str:
        """The name under `voices` that the file says instead of the id."""
        if where[-1] != "voice" or where not in self.file.places:
            return ""
        name = self._text_at(where)
        return f"called {name} in voices" if name != value and name in self.agent.voices else ""

    def _vendors(self, part: Part, name: str) -> str:
        """What the vendor does when nothing is sent: the schema's own sentence."""
        node = _schema(self.agent, (part, name))
        found = re.search(r"Without it:? (.*?)\.(?= [A-Z]|$)", str(node.get("description", ""))) if node else None
        return f"not sent; {found.group(1)}" if found else "not sent"

    def _record(self, path: str, value: object, when: When) -> Iterator[Explained]:
        if is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                yield from self._record(f"{path}.{field.name}", getattr(value, field.name), when)
            return
        where, note = self._turns_origin(path) if path.startswith("turns.") else (in_the_file(path), "")
        path = ".".join(in_the_file(path))
        if value is not None:
            where = self._written(
                ("languages", self.language, *in_the_file(path)) if path in self.spoken.lines else where
            )
        stop, written = self.now.turns.vad.stop_secs, turns_with(self.agent.turns, self.here.turns).vad.stop_secs
        if path == "turns.vad.stop_secs" and stop != written:
            cause, note = self._cause_of_waiting(written)
            yield self._made(path, value, when, cause, note=note)
        elif value is None and not note:
            yield self._made(path, None, when, where, kind="default", note="not set")
        else:
            yield self._made(path, value, when, where, note=note)

    def _turns_origin(self, path: str) -> tuple[Where, str]:
        """Where a setting of turn taking comes from, with a note when the stage says so."""
        delta, where = self.here.turns, in_the_file(path)
        name, _, inner = path.removeprefix("turns.").partition(".")
        own, switched = delta.get(name), delta.get("barge_in") is True and name.startswith("barge_in_")
        says = own is False or not inner or (isinstance(own, Mapping) and inner in own)
        below = any(other.startswith(f"{name}_") for other in delta)
        stage: Where = ("stages", self.here.name)
        at = stage if (name in delta and says) or below or switched else ()
        places = ((*at, *where), (*at, "turns", "stop" if name == "smart_turn" else name), (*at, *where[:2]))
        found = next((place for place in places if self._is_written(place)), where)
        if not at:
            return (found if name == "smart_turn" else where), ""
        adds = isinstance(own, tuple) and getattr(self.agent.turns, name)
        return found, f"added to the agent's, {self._place(where)}" if adds else f"stage {self.here.name}"

    def _written(self, where: Where) -> Where:
        """Where a line stands, which may be all that is written of its group: `on_trouble: Sorry, I lost the thread.`"""
        whole = where[:-1]
        alone = where[-1] == "say" and where not in self.file.places and whole in self.file.places
        return whole if alone and isinstance(self._text_at(whole), str) else where

    def _is_written(self, where: Where) -> bool:
        return where in self.file.places or bool(self.file.origin(where))

    def _cause_of_waiting(self, agents: float) -> tuple[Where, str]:
        stage: Where = ("stages", self.here.name)
        raised = f"raised from {agents:g} s: the turn ends no sooner than the ear's silence"
        if "min_turn_silence" in self.here.stt:
            return (*stage, "stt", "min_turn_silence"), raised
        if self.here.listen_for:
            return (*stage, "listen_for"), f"raised from {agents:g} s because of listen_for: {self.here.listen_for}"
        return ("stt", "min_turn_silence"), raised

    def _made(
        self, path: str, value: object, when: When, where: Where, *, kind: Kind | None = None, note: str = ""
    ) -> Explained:
        if kind is None:
            kind = "option" if self.file.origin(where) else "file" if where in self.file.places else "default"
        line = self.file.place(where).key.line if kind == "file" else 0
        if at := in_fallback(path):
            part, number, name = at
            first = getattr(self.agent, part)
            unit = unit_of(replace(self.agent, **{part: first.fallback[number]}), (part, name))
        else:
            unit = unit_of(self.agent, in_the_file(path))
        file = self.file.home(where).file if kind == "file" else None
        return Explained(path, value, unit, kind, when, file, line, note)

    def _place(self, where: Where) -> str:
        if where not in self.file.places:
            return "given on the command line" if self.file.origin(where) else "a default"
        return f"{short_path(self.file.home(where).file)}:{self.file.place(where).key.line}"

    def _text_at(self, where: Where) -> object:
        value: Any = self.file.data
        for key in where:
            value = value[key]
        return value


_PIPECATS_SILENCES = {
    "min_turn_silence": "what Pipecat uses with turn_detection pipecat",
    "max_turn_silence": "kept equal to min_turn_silence: with turn_detection pipecat it is Pipecat that decides",
}
_VENDORS_SILENCES = (
    "AssemblyAI's advice for its own turn detection; sent because its documentation names several defaults"
)
"""Why silences are sent that nobody set."""


def _pipecat_decides(now: Effective) -> bool:
    stt = now.stt.settings
    return stt.get("turn_detection") == "pipecat" and stt.get("model") in U3_FAMILY


def _title(path: str) -> str:
    part, _, _ = path.partition(".")
    titles = {provider.part: provider.title for provider in PROVIDERS.values()}
    return titles.get(cast("Part", part), "nobody")


def _plain(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
