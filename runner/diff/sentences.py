"""What differs in the words of a person who edits the file: a change in, one sentence for each single value out.

What the tables do not name gets a plain sentence with the setting's own name, so that no change is ever without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import cast

from runner.catalog import PROVIDERS, TURNS, Part, When
from runner.definition import AgentDefinition, Greeting, Idle, Only, Service, Stage
from runner.diff.callers import callers_said
from runner.diff.fallback import list_said
from runner.diff.phrases import DURATIONS, LABELS, NUMBERS, SWITCHES, TEXTS
from runner.diff.ways import way_changes, ways
from runner.diff.words import at_path, duration, list_change, number, quoted, shown, text_change
from runner.document.check import schema_at
from runner.effective import Effective, FieldChange, effective, in_fallback
from runner.wording import for_calls, in_the_file, joined


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    path:   dotted as in the agent file, `stages.email.stt.max_turn_silence`.
    before, after: the values; None for "not set".
    when:   when running calls notice.
    said:   the sentence without the moment: `waits 1 s longer for the caller in stage email`.
    """

    path: str
    before: object
    after: object
    when: When
    said: str

    def __str__(self) -> str:
        return f"{self.said}: {for_calls(self.path, self.when).replace('running calls ', 'running calls, ', 1)}"

    def as_json(self) -> dict[str, object]:
        """The form of `runner diff --json`."""
        return {
            "path": self.path,
            "before": _plain(self.before),
            "after": _plain(self.after),
            "when": self.when,
            "sentence": str(self),
        }


class Teller:
    """Makes sentences of changes."""

    def __init__(self, old: AgentDefinition, new: AgentDefinition) -> None:
        self.old = old
        self.new = new

    def tell(self, change: FieldChange) -> Iterator[Difference]:
        root, _, rest = change.path.partition(".")
        if root in ("variables", "voices"):
            yield self._made(change, _named(root.removesuffix("s"), rest, change))
        elif root == "stages":
            yield from self._stages(change, rest)
        elif at := in_fallback(change.path):
            part, number, name = at
            said = self._said(f"{part}.{name}", change.before, change.after)
            yield self._made(change, f"{said} in {part}.fallback {number + 1}")
        elif rest == "fallback":
            before = cast("tuple[Service, ...]", change.before or ())
            said = list_said(cast("Part", root), before, cast("tuple[Service, ...]", change.after))
            yield self._made(change, said)
        elif root == "anywhere":
            before, after = ways(change.before), ways(change.after)
            for said in way_changes(before, after, "from anywhere, "):
                yield self._made(change, said)
        else:
            yield from self._leaves(change, change.path)

    def _stages(self, change: FieldChange, rest: str) -> Iterator[Difference]:
        if not rest:
            if isinstance(change.after, str):
                yield self._made(change, f"calls begin in stage {change.after} instead of {change.before}")
            else:
                yield self._made(change, "the stages stand in another order")
            return
        name, _, inner = rest.partition(".")
        if not inner:
            if isinstance(change.before, str):
                yield self._made(change, f"stage {change.before} is called {change.after} now")
            elif change.before is None:
                yield self._made(change, f"there is a new stage {name}{_gist(cast('Stage', change.after))}")
            else:
                yield self._made(change, f"stage {name} is gone")
        elif inner == "next":
            for said in way_changes(ways(change.before), ways(change.after), ""):
                yield self._made(change, f"{said} in stage {name}")
        else:
            yield from self._leaves(change, inner, name)

    def _leaves(self, change: FieldChange, path: str, stage: str = "") -> Iterator[Difference]:
        """One difference for each single value below a change. path: as in the tables, without `stages.NAME`."""
        for at, before, after in _unfolded(path, change.before, change.after):
            when, said = change.when, self._said(at, before, after)
            part, _, setting = at.partition(".")
            if stage and part in ("stt", "llm", "tts"):
                field = PROVIDERS[part, self._service(part).provider].fields.get(setting)
                when = field.when if field else when
                said = self._said_in_stage(stage, part, setting, before, after)
            elif stage and part == "turns":
                when = TURNS[setting.partition(".")[0]]
                said = self._turns_in_stage(stage, setting, before, after)
            elif stage and at == "listen_for":
                when, said = "next turn", self._dictation(stage, before, after)
            where = f" in stage {stage}" if stage else ""
            yield Difference(change.path.removesuffix(path) + at, before, after, when, f"{said}{where}")

    def _said_in_stage(self, stage: str, part: Part, setting: str, before: object, after: object) -> str:
        """A stage's own value against what held there before: what a caller notices, not what is written."""
        path = f"{part}.{setting}"
        if _has_list(before, after):
            return self._said(path, before, after)
        was = effective(self.old, stage).service(part).settings.get(setting)
        now = effective(self.new, stage).service(part).settings.get(setting)
        dictates = self.old.stages[stage].listen_for, self.new.stages[stage].listen_for
        if dictates[0] != dictates[1] and setting in ("min_turn_silence", "max_turn_silence"):
            was, now = before, after
        if was == now:
            return f"{path} is {'not set' if after is None else shown(after, self._unit(path))}, which changes nothing"
        return self._said(path, was, now)

    def _turns_in_stage(self, stage: str, setting: str, before: object, after: object) -> str:
        """The same for turn taking. A setting may be changed by another one: `barge_in: true` does without words."""
        path = f"turns.{setting}"
        if _has_list(before, after):
            return self._said(path, before, after)
        old, new = effective(self.old, stage).turns, effective(self.new, stage).turns
        if setting == "idle":
            return _idle(old.idle, new.idle)
        was, now = at_path(old, setting), at_path(new, setting)
        if was != now:
            return self._said(path, was, now)
        words = (old.barge_in_after_words, old.barge_in_ignore) != (new.barge_in_after_words, new.barge_in_ignore)
        if setting == "barge_in" and after is True and words:
            return "the first sound of speech interrupts"
        name = ".".join(in_the_file(path))
        return f"{name} is {'not set' if after is None else shown(after, self._unit(path))}, which changes nothing"

    def _dictation(self, stage: str, before: object, after: object) -> str:
        longer = _patience(effective(self.new, stage)) - _patience(effective(self.old, stage))
        waits = f"waits {duration(abs(longer), 's')} {'longer' if longer > 0 else 'less'} for the caller"
        why = "nothing is dictated" if after is None else f"listens for {after}"
        instead = f" instead of {before}" if before is not None and after is not None else ""
        return f"{f'{waits}, ' if longer else ''}{why}{instead}"

    def _service(self, part: str) -> Service:
        return getattr(self.new, part)

    def _said(self, path: str, before: object, after: object) -> str:
        if path.startswith(("speakers.", "languages.")):
            return callers_said(path, before, after)
        if path in TEXTS:
            return _text(path, before, after)
        if isinstance(before, Greeting) or isinstance(after, Greeting):
            return _greeting(before, after)
        if isinstance(before, bool | None) and isinstance(after, bool | None) and (before or after) is not None:
            return self._switch(path, before, after)
        if _is_list(before) and _is_list(after):
            return _list(path, before, after)
        if isinstance(before, int | float) and isinstance(after, int | float):
            return self._number(path, before, after)
        return self._other(path, before, after)

    def _switch(self, path: str, before: object, after: object) -> str:
        on, off = SWITCHES.get(path, (f"{path} is on", f"{path} is off"))
        if after is None:
            return f"{path} is no longer set (before: {shown(before)}){self._own_default(path)}"
        return on if after else off

    def _number(self, path: str, before: float, after: float) -> str:
        unit, up = self._unit(path), after > before
        if unit in ("s", "ms"):
            more, less = DURATIONS.get(path, (f"{path} is {{}} longer", f"{path} is {{}} shorter"))
            return (more if up else less).format(duration(abs(after - before), unit))
        steps = f"{number(after)} instead of {number(before)}"
        more, less = NUMBERS.get(path, (f"{path} is higher", f"{path} is lower"))
        return f"{more if up else less}, {steps}"

    def _other(self, path: str, before: object, after: object) -> str:
        label, unit = LABELS.get(path, f"{path} is"), self._unit(path)
        if after is None:
            return f"{path} is no longer set (before: {shown(before, unit)}){self._own_default(path)}"
        instead = f" instead of {shown(before, unit)}" if before is not None else ""
        if before is None:
            instead = " (before: not set)"
        return f"{label} {shown(after, unit)}{instead}"

    def _unit(self, path: str) -> str:
        """`s` or `ms` for a duration, whatever the schema names for others."""
        where = in_the_file(path)
        part = where[0]
        data = {part: {"provider": self._service(part).provider}} if part in ("stt", "llm", "tts") else {}
        node = schema_at(data, where)
        return str(node.get("x-unit", "")) if node else ""

    def _own_default(self, path: str) -> str:
        part, _, setting = path.partition(".")
        if part in ("stt", "llm", "tts") and setting != "endpoint":
            return f"; {PROVIDERS[part, self._service(part).provider].title} decides"
        return ""

    @staticmethod
    def _made(change: FieldChange, said: str) -> Difference:
        return Difference(change.path, change.before, change.after, change.when, said)


def _patience(now: Effective) -> float:
    """How long a caller may pause before the turn is over, seconds: the silence that decides."""
    if now.listen_for:
        return now.listen_for.wait
    by_ear = now.stt.settings.get("turn_detection") == "assemblyai"
    silence = now.stt.settings.get("max_turn_silence") if by_ear else None
    return silence / 1000 if isinstance(silence, int | float) else now.turns.vad.stop_secs


def _idle(before: Idle | None, after: Idle | None) -> str:
    """A stage that switches `idle` off, or has it again."""
    if before == after:
        return f"turns.idle is {'off' if after is None else 'as before'}, which changes nothing"
    if after is None:
        return "says nothing to a silent caller any more"
    return f"speaks to a silent caller after {duration(after.after, 's')}"


def _named(kind: str, name: str, change: FieldChange) -> str:
    """A sentence about one of the `variables` or `voices`."""
    if change.before is None:
        return f"the {kind} {name} is new: {quoted(str(change.after))}"
    if change.after is None:
        return f"the {kind} {name} is gone"
    return f"the {kind} {name} is {quoted(str(change.after))} instead of {quoted(str(change.before))}"


def _text(path: str, before: object, after: object) -> str:
    what = TEXTS[path] or path
    if before is None:
        return f"says {quoted(str(after))} on entering" if path == "say" else f"{what} is new: {quoted(str(after))}"
    if after is None:
        return "says nothing on entering" if path == "say" else f"{what} is gone"
    return text_change(str(before), str(after)) if path == "say" else f"{what} {text_change(str(before), str(after))}"


def _greeting(before: object, after: object) -> str:
    if after is None:
        return "the caller speaks first, there is no greeting"
    old, new = cast("Greeting | None", before), cast("Greeting", after)
    if new.text is not None:
        if old is not None and old.text is not None:
            return f"the greeting {text_change(old.text, new.text)}"
        return f"greets with {quoted(new.text)}"
    if old is not None and old.prompt is not None:
        return f"what the model is told for its greeting {text_change(old.prompt, new.prompt or '')}"
    return f"the model finds its own greeting: {quoted(new.prompt or '')}"


def _list(path: str, before: object, after: object) -> str:
    only = isinstance(after, Only)
    came, went = list_change(_items(before), _items(after))
    path = ".".join(in_the_file(path))
    if path == "stt.keyterms":
        here, more, less, both = (
            f"listens for {shown(_items(after))} and not for the agent's other words",
            "also listens for",
            "no longer listens for",
            "listens for the agent's words too",
        )
    else:
        here, more, less, both = (
            f"{path} has {shown(_items(after))} in place of what the agent's has",
            f"{path} also has",
            f"{path} no longer has",
            f"{path} has what the agent's has too",
        )
    if only and not isinstance(before, Only):
        return here
    said = [f"{verb} {joined(words)}" for verb, words in ((more, came), (less, went)) if words]
    if isinstance(before, Only) and not only:
        said.append(both)
    return joined(said) or f"{path} stands in another order: {shown(_items(after))}"


def _gist(stage: Stage) -> str:
    if stage.say:
        return f", which says {quoted(stage.say)}"
    return f", with the prompt {quoted(stage.prompt)}" if stage.prompt else ""


def _unfolded(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """The single values in which two groups differ, with their paths."""
    if isinstance(before, Greeting | Only) or isinstance(after, Greeting | Only):
        yield path, before, after
        return
    old, new = _group(before), _group(after)
    if (old is None and new is None) or (old is None and before is not None) or (new is None and after is not None):
        yield path, before, after
        return
    old, new = old or {}, new or {}
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name), new.get(name)
        if one != other:
            yield from _unfolded(f"{path}.{name}", one, other)


def _group(value: object) -> dict[str, object] | None:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _is_list(value: object) -> bool:
    return value is None or isinstance(value, tuple | Only)


def _has_list(*values: object) -> bool:
    return any(isinstance(value, tuple | Only) for value in values)


def _items(value: object) -> tuple[object, ...]:
    return value.items if isinstance(value, Only) else cast("tuple[object, ...]", value or ())


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, Service):
        return {"provider": value.provider, **{name: _plain(value.settings[name]) for name in value.given}}
    group = _group(value)
    if isinstance(value, Only):
        return {"only": list(value.items)}
    if group is not None:
        return {name: _plain(inner) for name, inner in group.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
