"""Whether the vendors accept the keys, asked before the first caller is there. One cheap request for each service and key.

Comes in: agents and keys. Goes out: a `KeyCheck` for each. Nothing is spoken, heard or paid for.

What is asked, all at once: AssemblyAI `GET /v3/token` (a temporary token that nobody uses), OpenAI `GET /v1/models/MODEL`,
Cartesia `GET /voices/VOICE`, Daily `GET /v1/rooms?limit=1`. An `endpoint` of the agent file is asked instead of the vendor.
Sources: the vendors' API references.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from urllib.parse import quote, urljoin, urlsplit

import aiohttp

from runner.catalog import DAILY_KEY, PARTS, PROVIDERS, Part
from runner.definition import AgentDefinition, Service, Stage
from runner.environment import Environment
from runner.problem import Mendable
from runner.selection import Mode, choose_services

SECS = 5.0
"""How long one vendor may take to answer."""

_AT_ONCE = 8

Verdict = Literal["accepted", "wrong", "missing", "unsure", "not checked"]


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What came of one key.

    service:  whose it is, `AssemblyAI`.
    variable: where it comes from.
    verdict:  `accepted`; `wrong`: no call can succeed (the key, the model or the voice is refused); `missing`: it is not set;
              `unsure`: the vendor could not be reached or said neither; `not checked`: runner knows no cheap request.
    said:     a sentence for people. Holds the vendor's own words, and never the key.
    """

    service: str
    variable: str
    verdict: Verdict
    said: str

    @property
    def stops(self) -> bool:
        """Whether `runner serve` does not start because of it."""
        return self.verdict in ("wrong", "missing")

    def as_json(self) -> dict[str, str]:
        return {"service": self.service, "variable": self.variable, "verdict": self.verdict, "said": self.said}


class KeyRefused(Mendable):
    """At least one vendor refused a key; the text has a sentence for each."""

    def __init__(self, refused: Sequence[KeyCheck]) -> None:
        super().__init__("\n".join(check.said for check in refused))


@dataclass(frozen=True, slots=True)
class _Question:
    """One request.

    about:     the setting that it asks about beside the key, with its value; "" for none.
    otherwise: what to ask a server that knows nothing about one model.
    has_key:   False for a server of one's own that may need none.
    """

    service: str
    variable: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    new_key_at: str
    about: str = ""
    otherwise: str = ""
    has_key: bool = True


async def check_keys(
    agents: Iterable[AgentDefinition],
    environment: Environment,
    mode: Mode = "auto",
    *,
    only: Collection[str] | None = None,
) -> tuple[KeyCheck, ...]:
    """Ask for every key that these agents need, and for Daily's where it is set. Takes at most `SECS`.

    mode: parts that run on this machine in it are not asked about; a part whose key is not set is `missing`.
    only: the variables to ask about, None for all.
    """
    questions: dict[tuple[str, str], _Question] = {}
    answered: dict[tuple[str, str], KeyCheck] = {}
    for agent in agents if mode != "local" else ():
        for found in _of_agent(agent, environment):
            if only is not None and found.variable not in only:
                continue
            if isinstance(found, KeyCheck):
                answered[found.service, found.variable] = found
            else:
                questions[found.url, found.variable] = found
    if (key := environment.keys.get(DAILY_KEY)) and (only is None or DAILY_KEY in only):
        url = f"{environment.values.get('DAILY_API_URL', 'https://api.daily.co/v1').rstrip('/')}/rooms?limit=1"
        at = "https://dashboard.daily.co/developers"
        questions[url, DAILY_KEY] = _Question("Daily", DAILY_KEY, url, {"Authorization": f"Bearer {key}"}, at)
    connector = aiohttp.TCPConnector(limit=_AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, trust_env=True) as session:
        asked = await asyncio.gather(*(_ask(session, question) for question in questions.values()))
    hidden = (_hidden(check, environment.masked) for check in (*asked, *answered.values()))
    return tuple(sorted(dict.fromkeys(hidden), key=lambda check: (check.service, check.variable)))


def _hidden(check: KeyCheck, masked: Callable[[str], str]) -> KeyCheck:
    return KeyCheck(check.service, check.variable, check.verdict, masked(check.said))


def _of_agent(agent: AgentDefinition, environment: Environment) -> Iterator[_Question | KeyCheck]:
    """What to ask about an agent's services, those that take over included, and what needs no asking."""
    keys = environment.keys
    makers = {"assemblyai": _assemblyai, "openai": _openai, "cartesia": _cartesia}
    for part in PARTS:
        first: Service = getattr(agent, part)
        for number, service in enumerate((first, *first.fallback)):
            (choice,) = choose_services(replace(agent, **{part: service}), keys, "auto", (part,))
            if choice.local:
                for name in choice.keys:
                    yield KeyCheck(choice.vendor, name, "missing", f"{name} is not set ({choice.vendor}, {part}).")
            elif PROVIDERS[part, service.provider].service is None and service.provider in makers:
                where = f"{part}.fallback.{number}" if number else part
                stages = () if number else agent.stages.values()
                yield from makers[service.provider](_Used(where, service, stages, part), keys)
            else:
                for name in choice.keys:
                    said = f"{choice.vendor}: {name} is not checked, runner knows no cheap request for it."
                    yield KeyCheck(choice.vendor, name, "not checked", said)


@dataclass(frozen=True, slots=True)
class _Used:
    """A service of an agent. where: `tts`, `tts.fallback.1`. stages: those that change some of its settings."""

    where: str
    service: Service
    stages: Iterable[Stage]
    part: Part

    def said(self, setting: str) -> Iterator[tuple[str, str]]:
        """Every value that the setting has at some time, each once, with its place in the file."""
        places = {f"{self.where}.{setting}": self.service.settings.get(setting)}
        places |= {f"stages.{s.name}.{self.where}.{setting}": getattr(s, self.part).get(setting) for s in self.stages}
        seen = set[str]()
        for where, value in places.items():
            if isinstance(value, str) and value not in seen:
                seen.add(value)
                yield where, value


def _assemblyai(used: _Used, keys: Mapping[str, str]) -> Iterator[_Question]:
    name = "ASSEMBLYAI_API_KEY"
    url = urljoin(_http(used.service.endpoint or "wss://streaming.assemblyai.com/v3/ws"), "token?expires_in_seconds=60")
    yield _Question(
        "AssemblyAI", name, url, {"Authorization": keys[name]}, "https://www.assemblyai.com/dashboard/api-keys"
    )


def _openai(used: _Used, keys: Mapping[str, str]) -> Iterator[_Question]:
    name = "OPENAI_API_KEY"
    # The client takes OPENAI_BASE_URL where the file names no endpoint (openai 3.52).
    base = used.service.endpoint or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    headers = {"Authorization": f"Bearer {keys.get(name, 'none')}"}
    for setting, header in (("organization", "OpenAI-Organization"), ("project", "OpenAI-Project")):
        if isinstance(value := used.service.settings.get(setting), str):
            headers[header] = value
    for where, model in used.said("model"):
        models = f"{base.rstrip('/')}/models"
        url = f"{models}/{quote(model, safe='/')}"
        at = "https://platform.openai.com/api-keys"
        yield _Question("OpenAI", name, url, headers, at, f'{where} "{model}"', models, name in keys)


def _cartesia(used: _Used, keys: Mapping[str, str]) -> Iterator[_Question]:
    name = "CARTESIA_API_KEY"
    base = _http(used.service.endpoint or "wss://api.cartesia.ai/tts/websocket").removesuffix("/tts/websocket")
    headers = {"Authorization": f"Bearer {keys[name]}", "Cartesia-Version": "2026-03-01"}
    at = "https://play.cartesia.ai/keys"
    for where, voice in used.said("voice"):
        url = f"{base}/voices/{quote(voice, safe='')}"
        yield _Question("Cartesia", name, url, headers, at, f'{where} "{voice}"')


def _http(address: str) -> str:
    return re.sub("^ws", "http", address)


async def _ask(session: aiohttp.ClientSession, question: _Question) -> KeyCheck:
    def verdict(what: Verdict, said: str) -> KeyCheck:
        return KeyCheck(question.service, question.variable, what, said)

    service, variable = question.service, question.variable
    try:
        async with asyncio.timeout(SECS):
            status, body = await _get(session, question.url, question.headers)
            if status in (404, 405) and question.otherwise and _code(body) != "model_not_found":
                # Not every server that speaks like OpenAI's tells about one model.
                status, body = await _get(session, question.otherwise, question.headers)
                if status in (404, 405):
                    return verdict("not checked", f"{service}: {variable} is not checked, its server lists no models.")
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        said = f"no answer within {SECS:.0f} s" if isinstance(error, TimeoutError) else reason
        host = urlsplit(question.url).netloc
        return verdict("unsure", f"{service} cannot be reached at {host}: {said}. {variable} is not checked.")
    except ValueError:
        return verdict("wrong", f"{variable} holds a character that no key has. Copy it again: {question.new_key_at}")
    words = f"{service} says: {_words(body)} ({status})"
    if 200 <= status < 300:
        accepts = f"accepts {variable}" if question.has_key else f"answers without {variable}"
        return verdict("accepted", f"{service} {accepts}.")
    if status == 401 or _code(body) == "authorization-header-error":
        cure = f"Copy it again from {question.new_key_at}, into the environment or .env."
        return verdict("wrong", f"{variable} is wrong. {words}. {cure}")
    if status == 404 and question.about:
        return verdict("wrong", f"{question.about} is not there for this {variable}. {words}.")
    return verdict("unsure", f"{service} did not say whether {variable} is right. {words}.")


async def _get(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    async with session.get(url, headers=headers, allow_redirects=False) as answer:
        return answer.status, (await answer.content.read(10_000)).decode("utf-8", "replace")


def _code(body: str) -> str:
    """What kind of error a vendor names: OpenAI's `error.code`, Daily's `error`."""
    said = _json(body).get("error")
    code = cast("dict[str, Any]", said).get("code") if isinstance(said, dict) else said
    return code if isinstance(code, str) else ""


def _words(body: str) -> str:
    """The vendor's sentence in its JSON error; the text itself where it is no JSON, on one line and not for ever."""
    found = _json(body)
    said: object = found.get("error")
    if isinstance(said, dict):
        said = cast("dict[str, Any]", said).get("message")
    named = [text for text in (said, found.get("title"), found.get("message"), found.get("info")) if text]
    text = ": ".join(dict.fromkeys(map(str, named))) if named else "" if "<html" in body.lower() else body
    line = " ".join(text.split())[:300].rstrip(". ")
    return f'"{line}"' if line else "nothing"


def _json(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def stop_at_wrong(checks: Iterable[KeyCheck]) -> None:
    """Let only a good start go on: one without a wrong or a missing key.

    Raises:
        KeyRefused: there is one.
    """
    refused = [check for check in checks if check.stops]
    if refused:
        raise KeyRefused(refused)
