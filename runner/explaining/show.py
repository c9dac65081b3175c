"""What was explained, as a person reads it in a terminal. Text in the order of the file, then the wires."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from runner.catalog import LANGUAGE_NAMES, PARTS, PROVIDERS
from runner.definition import AgentDefinition
from runner.diff.words import quoted, shown
from runner.effective import in_fallback
from runner.explaining.hosts import Host
from runner.explaining.settings import Explained
from runner.explaining.wire import Ear, Handed, Opened, Sent, Wire
from runner.problem import short_path
from runner.wording import for_calls

_MOMENTS = {"stt": "", "llm": "for each answer (here without what was said)", "tts": "for each sentence"}
_OTHERS = ("turns", "limits", "speakers", "languages", "audio", "daily")
_PARTS = {"stt": "hears", "llm": "thinks", "tts": "speaks"}


def settings_text(
    agent: AgentDefinition, stage: str | None, settings: Sequence[Explained], *, language: str | None = None
) -> str:
    """All settings in columns: name, value, where from, when a change of it is heard; what is not sent comes last.

    language: the short code of what the caller speaks, None for the agent's own.
    """
    spoken = f", the caller speaks {LANGUAGE_NAMES.get(language, language)}" if language else ""
    blocks = [f"{agent.name}{f', stage {stage}' if stage else ''}{spoken}  ({short_path(agent.file)})"]
    for title, group in _grouped(agent, settings):
        given = [one for one in group if one.value is not None]
        left = [one for one in group if one.value is None and one.kind in ("vendor", "pipecat")]
        lines = [title, *_columns(given)]
        if left:
            lines.append("  not sent, so the vendor decides:")
            lines += [f"    {_leaf(one.path)}{f': {_why(one)}' if _why(one) else ''}" for one in left]
        if given or left:
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def wire_text(agent: AgentDefinition, stage: str | None, wire: Wire) -> str:
    """The three wires, nothing shortened."""
    blocks: list[str] = []
    for part in PARTS:
        title = PROVIDERS[part, getattr(agent, part).provider].title
        match getattr(wire, part):
            case Ear() as ear:
                blocks += _ear_blocks(title, stage, ear)
            case Sent(opened, body):
                blocks.append(f"{title}, {_MOMENTS[part]}\n{_opened(opened)}\n{_indented(body)}")
            case Handed(service, settings):
                given = "\n".join(f"    {name} = {_plainly(value)}" for name, value in settings.items())
                blocks.append(f"{title}, by Pipecat's {service}, which is given\n{given or '    nothing'}")
            case _:
                pass
    return "\n\n".join(blocks)


def _ear_blocks(title: str, stage: str | None, ear: Ear) -> Iterable[str]:
    yield f"{title}, when a call starts\n{_opened(ear.opened)}"
    for entering in ear.entering:
        came = " or ".join(entering.come_from)
        sent = "\n".join(f"  {json.dumps(message, ensure_ascii=False)}" for message in entering.messages)
        if entering.reopened:
            opens = f"  another session, and the call goes over to it\n{_opened(entering.reopened)}"
            sent = f"{sent}\n{opens}" if sent else opens
        yield f"{title}, when {stage} is entered from {came}\n{sent or '  nothing: nothing differs'}"
    if ear.again.url != ear.opened.url:
        yield f"{title}, should the session have to be opened again in {stage}\n{_opened(ear.again)}"


def _plainly(value: object) -> str:
    return ", ".join(map(str, cast("tuple[Any, ...]", value))) if isinstance(value, tuple) else str(value)


def hosts_text(hosts: Iterable[Host]) -> str:
    return "\n".join(f"{host.name}:{host.port}  {host.why}" for host in hosts)


def _grouped(agent: AgentDefinition, settings: Sequence[Explained]) -> Iterable[tuple[str, list[Explained]]]:
    roots = dict.fromkeys(one.path.partition(".")[0] for one in settings)
    texts = [root for root in roots if root not in (*PARTS, *_OTHERS)]
    yield "texts", [one for one in settings if one.path.partition(".")[0] in texts]
    for part in PARTS:
        provider = PROVIDERS[part, getattr(agent, part).provider]
        yield f"{part}: {provider.title} {_PARTS[part]}", [one for one in settings if one.path.startswith(f"{part}.")]
    for root in _OTHERS:
        yield root, [one for one in settings if one.path.startswith(f"{root}.")]


def _columns(settings: Sequence[Explained]) -> list[str]:
    rows = [(_leaf(one.path), _value(one), one.source, for_calls(one.path, one.when)) for one in settings]
    widths = [max((len(row[number]) for row in rows), default=0) for number in range(3)]
    lines: list[str] = []
    for row, one in zip(rows, settings, strict=True):
        cells = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths, strict=True)]
        lines.append(f"  {'  '.join(cells)}  {row[3]}".rstrip())
        if one.note:
            lines.append(f"  {'':<{widths[0]}}  ({one.note})")
    return lines


def _leaf(path: str) -> str:
    """`min_turn_silence` of `stt.min_turn_silence`; `vad.stop_secs`; `company` with its `variables.`"""
    if at := in_fallback(path):
        return f"fallback {at[1] + 1}: {at[2]}"
    root, _, rest = path.partition(".")
    return rest if rest and root not in ("variables", "voices") else path


def _why(one: Explained) -> str:
    return one.note.removeprefix("not sent").removeprefix("; ")


def _value(one: Explained) -> str:
    if isinstance(one.value, str):
        line = " ".join(one.value.split())
        return line if len(line) <= 44 else quoted(line[:40]).removesuffix('"') + '..."'
    if isinstance(one.value, tuple):
        text = ", ".join(map(str, cast("tuple[Any, ...]", one.value)))
        return (text if len(text) <= 44 else f"{text[:40]}...") or "none"
    return shown(one.value, "s") if one.unit == "s" else f"{shown(one.value)}{f' {one.unit}' if one.unit else ''}"


def _opened(opened: Opened) -> str:
    """The address as it is sent, then its parameters one by one for the eye, then the headers."""
    lines = [f"  {opened.url}"]
    query = parse_qsl(urlsplit(opened.url).query, keep_blank_values=True)
    lines += [f"    {name} = {value}" for name, value in query]
    return "\n".join([*lines, *(f"  {name}: {value}" for name, value in opened.headers.items())])


def _indented(body: object) -> str:
    return "\n".join(f"  {line}" for line in json.dumps(body, ensure_ascii=False, indent=2).splitlines())
