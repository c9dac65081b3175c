"""`runner diff OLD NEW`: two versions of an agent in, a sentence for everything that differs out, and when callers notice.

Built on `effective.file_changes`. What follows from something else by itself (a variable inside a prompt, a silence that
drags another along) is not repeated: one edit is one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from runner.definition import AgentDefinition, Service
from runner.diff.sentences import Difference, Teller
from runner.diff.words import at_path
from runner.effective import FieldChange, file_changes, follows_first
from runner.following import renames, with_new_names


def differences(old: AgentDefinition, new: AgentDefinition) -> list[Difference]:
    """Everything that differs between two versions of an agent, in the order of the file. Empty for equal ones.

    Where a definition was read from, and whether a value was written or is the default, makes no difference; nor do names
    that come from the names of the files.
    """
    if old.name == old.file.stem and new.name == new.file.stem:
        new = replace(new, name=old.name)
    was_called = old
    old, names = with_new_names(old, new)
    found = [
        difference
        for change in _direct(was_called, new)
        for difference in Teller(old, new).tell(change)
        if difference.said
    ]
    named = {difference.path.split(".")[0] for difference in found}
    for name in ("prompt", *(f"stages.{stage}.prompt" for stage in new.stages)):
        before, after = _source_text(old, name), _source_text(new, name)
        if before != after and before is not None and after is not None and not _mentioned(name, found):
            said = f"the text of {name} is written otherwise and says the same"
            found.append(Difference(name, before, after, "next turn", said))
    for field in fields(AgentDefinition):
        if field.name == "stages" and names:
            continue
        differs = _comparable(old, field.name) != _comparable(new, field.name)
        if differs and field.name not in named and not _mentioned(field.name, found):
            said = f"{field.name} is written otherwise"
            found.append(Difference(field.name, None, None, "next call", said))
    return found


def _direct(old: AgentDefinition, new: AgentDefinition) -> Iterator[FieldChange]:
    """What a person changed, without what follows from it; and what `file_changes` leaves to the reader."""
    for kind in ("variables", "voices"):
        was, now = getattr(old, kind), getattr(new, kind)
        for name in dict.fromkeys([*was, *now]):
            if was.get(name) != now.get(name):
                yield FieldChange(f"{kind}.{name}", was.get(name), now.get(name), "next turn")
    changes = file_changes(old, new).fields
    told = renames(old, new)
    old = with_new_names(old, new)[0]
    renamed = _renamed(old, new)
    for change in changes:
        root, _, rest = change.path.partition(".")
        if root in ("variables", "voices") or change.path == "stages":
            continue
        if root == "prompt":
            if old.prompt != new.prompt:
                yield FieldChange("prompt", old.prompt, new.prompt, change.when)
        elif root in ("stt", "llm", "tts") and rest.startswith("fallback"):
            if not follows_first(new, change.path):
                yield change
        elif root in ("stt", "llm", "tts") and rest not in ("provider", "endpoint"):
            if getattr(old, root).settings.get(rest) != getattr(new, root).settings.get(rest):
                yield change
        elif root in ("turns", "limits", "on_trouble"):
            if at_path(old, change.path) != at_path(new, change.path):
                yield change
        elif root == "anywhere" and not (old.stages and new.stages):
            yield replace(change, when="next call")
        elif not (root == "stages" and rest.split(".")[0] in {*renamed, *renamed.values()}):
            yield change
    for was, now in renamed.items():
        yield FieldChange(f"stages.{was}", was, now, "next stage")
    all_names = {**told, **renamed}
    first, was_first = new.first_stage, old.first_stage
    if first is not None and was_first is not None and all_names.get(was_first, was_first) != first:
        yield FieldChange("stages", was_first, first, "next call")
    order = [all_names.get(name, name) for name in old.stages]
    kept = [name for name in new.stages if name in order]
    if first == (order[0] if order else None) and kept != [name for name in order if name in new.stages]:
        yield FieldChange("stages", tuple(order), tuple(new.stages), "next call")


def _renamed(old: AgentDefinition, new: AgentDefinition) -> dict[str, str]:
    """Stages that only have another name, without saying so by `renamed_from`: old name -> new name."""
    gone = [stage for name, stage in old.stages.items() if name not in new.stages]
    come = [stage for name, stage in new.stages.items() if name not in old.stages]
    found: dict[str, str] = {}
    for before in gone:
        same = [after for after in come if replace(after, name=before.name, renamed_from=before.renamed_from) == before]
        if len(same) == 1 and same[0].name not in found.values():
            found[before.name] = same[0].name
    return found


def _source_text(agent: AgentDefinition, path: str) -> str | None:
    if path == "prompt":
        return agent.prompt
    stage = agent.stages.get(path.split(".")[1])
    return stage.prompt if stage else None


def _mentioned(path: str, found: list[Difference]) -> bool:
    return any(d.path == path or d.path.startswith(f"{path}.") for d in found)


def _comparable(agent: AgentDefinition, name: str) -> object:
    """A field for comparing: without where it came from."""
    value: Any = getattr(agent, name)
    if name in ("file", "sources", "written"):
        return None
    if isinstance(value, Service):
        instead = [(one.provider, dict(one.settings), one.endpoint) for one in value.fallback]
        return (value.provider, dict(value.settings), value.endpoint, instead)
    return value
