"""Data that passed the schema and the rules in, an agent's definition out. Nothing is checked again here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from runner.definition import (
    AgentDefinition,
    Audio,
    Daily,
    Greeting,
    Limits,
    Only,
    OnTrouble,
    Person,
    Service,
    Setting,
    Speakers,
    SpokenLanguage,
    Stage,
    Transition,
    Turns,
    Voicemail,
)
from runner.document.check import Schema, inside, schema, settings_of
from runner.document.places import Where
from runner.effective_services import turns_with

Group = dict[str, Any]

_NO_SETTINGS = ("provider", "endpoint", "fallback")
"""What a service has beside its settings."""


def made(
    file: Path,
    data: Group,
    variables: Mapping[str, str],
    prompts: Mapping[Where, tuple[Path, str]],
    sources: tuple[Path, ...],
) -> AgentDefinition:
    """The definition of one file. prompts: the texts of prompt files by the path of the prompt."""
    return _Maker(file, data, variables, prompts, sources).agent()


class _Maker:
    def __init__(
        self,
        file: Path,
        data: Group,
        variables: Mapping[str, str],
        prompts: Mapping[Where, tuple[Path, str]],
        sources: tuple[Path, ...],
    ) -> None:
        self.file = file
        self.data = data
        self.variables = variables
        self.prompts = prompts
        self.sources = sources

    def agent(self) -> AgentDefinition:
        data = self.data
        return AgentDefinition(
            name=data.get("name") or self.file.stem,
            file=self.file,
            prompt=self._prompt(data["prompt"], ("prompt",)),
            stt=self._service("stt"),
            llm=self._service("llm"),
            tts=self._service("tts"),
            description=data.get("description", ""),
            variables={**data.get("variables", {}), **self.variables},
            greeting=self._greeting(),
            voices=data.get("voices", {}),
            turns=turns_with(Turns(), _turns(self.data.get("turns", {}))),
            audio=Audio(**self._group("audio")),
            daily=Daily(**_delta(self._group("daily"))),  # type: ignore[arg-type]
            reload=_defaults({"reload": schema()["properties"]["reload"]}, data)["reload"],
            limits=self._limits(),
            voicemail=Voicemail(self._group("voicemail").get("say")) if "voicemail" in self.data else None,
            on_trouble=self._on_trouble(),
            anywhere=tuple(map(_transition, data.get("anywhere", []))),
            stages={name: self._stage(name, stage) for name, stage in data.get("stages", {}).items()},
            speakers=self._speakers(),
            languages={code: self._language(code, one) for code, one in data.get("languages", {}).items()},
            sources=self.sources,
        )

    def _prompt(self, value: str | Group, path: Where) -> str:
        return value if isinstance(value, str) else self.prompts[path][1]

    def _service(self, name: str) -> Service:
        node = inside(schema(), name, self.data) or {}
        given = cast("Group", self.data.get(name, {}))
        filled = _defaults(settings_of(node, given), given)
        provider, endpoint = filled.pop("provider"), filled.pop("endpoint", None)
        instead = cast("list[Group]", filled.pop("fallback", []))
        first = Service(
            provider,
            self._named_voice(name, {key: _setting(value) for key, value in filled.items()}),
            endpoint,
            given=tuple(key for key in given if key not in _NO_SETTINGS),
        )
        return replace(first, fallback=tuple(self._fallback(name, first, item) for item in instead))

    def _fallback(self, part: str, first: Service, item: Group) -> Service:
        """A service that takes over: what `first` is but for what the item says, or one of another provider by itself."""
        provider = cast("str", item.get("provider", first.provider))
        settings, endpoint = dict(first.settings), first.endpoint
        if provider != first.provider:
            node = inside(schema(), part, {part: item}) or {}
            defaults = _defaults(settings_of(node, item), {})
            settings = {key: _setting(value) for key, value in defaults.items() if key not in _NO_SETTINGS}
            endpoint = None
        given = {key: _setting(value) for key, value in item.items() if key not in _NO_SETTINGS}
        settings |= {key: value.items if isinstance(value, Only) else value for key, value in given.items()}
        return Service(provider, self._named_voice(part, settings), item.get("endpoint", endpoint), given=tuple(given))

    def _group(self, name: str) -> Group:
        """One group of the file with the schema's defaults."""
        return _defaults(settings_of(inside(schema(), name, {}) or {}, {}), cast("Group", self.data.get(name, {})))

    def _named_voice(self, part: str, settings: dict[str, Setting]) -> dict[str, Setting]:
        """The settings with the id of the voice in the place of its name."""
        voice = settings.get("voice")
        if part == "tts" and isinstance(voice, str):
            settings["voice"] = self.data.get("voices", {}).get(voice, voice)
        return settings

    def _greeting(self) -> Greeting | None:
        value = self.data.get("greeting")
        if value is None:
            return None
        return Greeting(text=value) if isinstance(value, str) else Greeting(prompt=value["prompt"])

    def _speakers(self) -> Speakers:
        given = self._group("speakers")
        at: Where = ("speakers", "people")
        return Speakers(
            given["mode"],
            {
                letter: Person(one.get("name"), self._optional_prompt(one, (*at, letter)))
                for letter, one in given.get("people", {}).items()
            },
        )

    def _language(self, code: str, given: Group) -> SpokenLanguage:
        node = inside(inside(schema(), "languages", {}) or {}, code, {}) or {}
        filled = _defaults(settings_of(node, {}), given)
        voice = given.get("voice")
        return SpokenLanguage(
            voice=self.data.get("voices", {}).get(voice, voice),
            prompt=self._optional_prompt(given, ("languages", code)),
            say=given.get("say", {}),
            lines=_lines(given),
            confidence=float(filled["confidence"]),
            words=filled["words"],
        )

    def _optional_prompt(self, group: Group, path: Where) -> str | None:
        return self._prompt(group["prompt"], (*path, "prompt")) if "prompt" in group else None

    def _on_trouble(self) -> OnTrouble | None:
        given = self.data.get("on_trouble", True)
        if given is False:
            return None
        if isinstance(given, str):
            given = {"say": given}
        filled = _defaults(
            settings_of(inside(schema(), "on_trouble", {}) or {}, {}), given if given is not True else {}
        )
        return OnTrouble(filled["say"], filled["goodbye"], filled["tries"], _seconds(filled.get("after")))

    def _limits(self) -> Limits:
        filled = _defaults(settings_of(inside(schema(), "limits", {}) or {}, {}), self._group("limits"))
        return Limits(
            max_call=_seconds(filled.get("max_call")),
            warn_before=float(filled["warn_before"]),
            warning=filled.get("warning"),
            goodbye=filled.get("goodbye"),
            wait_for_return=float(filled["wait_for_return"]),
        )

    def _stage(self, name: str, stage: Group) -> Stage:
        prompt = stage.get("prompt")
        return Stage(
            name=name,
            prompt=None if prompt is None else self._prompt(prompt, ("stages", name, "prompt")),
            say=stage.get("say"),
            listen_for=stage.get("listen_for"),
            stt=_delta(stage.get("stt", {})),
            llm=_delta(stage.get("llm", {})),
            tts=self._named_voice("tts", _delta(stage.get("tts", {}))),
            turns=_turns(stage.get("turns", {})),
            next=tuple(map(_transition, stage.get("next", []))),
            end=stage.get("end", False),
            renamed_from=_names(stage.get("renamed_from", [])),
        )


def _defaults(parts: Mapping[str, Schema], given: Group) -> Group:
    """What was given, and the schema's default where nothing was."""
    made: Group = {}
    for name, part in parts.items():
        if name in given:
            made[name] = given[name]
        else:
            value = inside({"properties": {name: part}}, name, {}) or {}
            if "default" in value:
                made[name] = value["default"]
    return made


def _lines(language: Group) -> dict[str, str]:
    """What a language says beside the lines of stages, by the place of each line in the agent file."""
    trouble = language.get("on_trouble", {})
    groups: dict[str, dict[str, str]] = {
        "on_trouble": {"say": trouble} if isinstance(trouble, str) else trouble,
        "limits": language.get("limits", {}),
        "turns.idle": language.get("turns", {}).get("idle", {}),
    }
    return {f"{place}.{name}": line for place, group in groups.items() for name, line in group.items()}


def _turns(given: Group) -> dict[str, Setting]:
    """What a group `turns` says, by the names of `definition.Turns`; nothing that it does not say."""
    made: dict[str, Setting] = {}
    for name, value in given.items():
        if name in ("barge_in", "smart_turn", "vad", "idle") and isinstance(value, dict):
            group = {key: _turns_value(key, inner) for key, inner in cast("Group", value).items()}
            flat = {f"{name}_{key}": inner for key, inner in group.items()}
            made |= {name: group} if name in ("vad", "idle") else flat
        elif name == "start":
            made[name] = Only(tuple(value))
        elif name != "stop":
            made[name] = _turns_value(name, value)
    if "stop" in given:
        made["smart_turn"] = given["stop"] == "smart_turn"
    return made


def _turns_value(name: str, value: Any) -> Setting:
    """A value of turn taking: counts are whole numbers, all other numbers are not."""
    number = isinstance(value, int) and not isinstance(value, bool) and name not in ("after_words", "tries")
    return float(value) if number else _setting(value)


def _delta(group: Group) -> dict[str, Setting]:
    return {name: _setting(value) for name, value in group.items()}


def _setting(value: Any) -> Setting:
    if isinstance(value, list):
        return tuple(map(str, cast("list[Any]", value)))
    if isinstance(value, dict):
        return Only(tuple(map(str, cast("Group", value)["only"])))
    return value


def _names(value: str | list[str]) -> tuple[str, ...]:
    """One name or a list of them."""
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def _transition(item: Group) -> Transition:
    if "otherwise" in item:
        return Transition(to=item["otherwise"], otherwise=True)
    return Transition(
        to=item["to"],
        when=item.get("when", ""),
        examples=tuple(item.get("examples", ())),
        after_tries=item.get("after_tries"),
    )


def _seconds(value: float | int | None) -> float | None:
    return None if value is None else float(value)
