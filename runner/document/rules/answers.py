"""Rules about the model and the voice: settings that do not go together, and addresses that lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from runner.document.names import closest, shown
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, number_of

CHAT = "OpenAI, API reference: Chat Completions"
REASONING = re.compile(r"^(o[1-9]|gpt-5(?!.*chat)(?!\.))", re.I)
"""OpenAI's models that think before they answer."""

NO_CHAT = re.compile(r"realtime|whisper|transcribe|-tts|^tts-|embedding|dall-e|image|moderation|^sora|-instruct$", re.I)
"""OpenAI's models that Chat Completions does not take."""

EMOTIONS = re.findall(
    r"\S+",
    "neutral angry excited content sad scared happy enthusiastic elated euphoric triumphant amazed surprised flirtatious "
    "joking/comedic curious peaceful serene calm grateful affectionate trust sympathetic anticipation mysterious mad "
    "outraged frustrated agitated threatened disgusted contempt envious sarcastic ironic dejected melancholic disappointed "
    "hurt guilty bored tired rejected nostalgic wistful apologetic hesitant insecure confused resigned anxious panicked "
    "alarmed proud confident distant skeptical contemplative determined",
)
"""Pipecat 1.14, CartesiaEmotion."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", re.I)


def _both_limits(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.services("llm"):
        if (
            "max_tokens" in whole
            and "max_completion_tokens" in whole
            and own.keys() & {"max_tokens", "max_completion_tokens"}
        ):
            name = "max_completion_tokens" if "max_completion_tokens" in own else "max_tokens"
            yield Hit((*path, name))


def _cut_answer(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.services("llm"):
        for name in ("max_tokens", "max_completion_tokens"):
            value = number_of(own.get(name))
            if value is not None and value < 40:
                yield Hit((*path, name), {"name": name, "value": f"{value:g}"}, "value")


def _old_limit(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.services("llm"):
        model = str(whole.get("model", ""))
        if (
            "max_tokens" in own
            and "max_completion_tokens" not in whole
            and REASONING.match(model)
            and not _elsewhere(agent)
        ):
            yield Hit((*path, "max_tokens"), {"model": model})


def _elsewhere(agent: Agent) -> bool:
    """Another server speaks for the same names of models."""
    return "endpoint" in group_of(agent.data.get("llm"))


def _fixed_by_model(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.services("llm"):
        model = str(whole.get("model", ""))
        for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
            if name in own and REASONING.match(model) and not _elsewhere(agent):
                yield Hit((*path, name), {"name": name, "model": model})


def _slow_model(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.services("llm"):
        model = own.get("model")
        if isinstance(model, str) and re.match(r"o[1-9]", model) and not _elsewhere(agent):
            yield Hit((*path, "model"), {"model": shown(model)}, "value")


def _no_chat_model(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.services("llm"):
        model = own.get("model")
        if isinstance(model, str) and NO_CHAT.search(model) and not _elsewhere(agent):
            yield Hit((*path, "model"), {"model": shown(model)}, "value")


def _two_dials(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.services("llm"):
        if "top_p" in own and "temperature" in whole:
            yield Hit((*path, "top_p"))


def _wild(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.services("llm"):
        value = number_of(own.get("temperature"))
        if value is not None and 1.3 < value <= 2:
            yield Hit((*path, "temperature"), {"value": f"{value:g}"}, "value")


def _no_voice_id(agent: Agent) -> Iterator[Hit]:
    if "endpoint" in group_of(agent.data.get("tts")) or agent.data.get("voices"):
        return  # with names for voices another rule speaks
    for path, own, _ in agent.services("tts"):
        voice = own.get("voice")
        if isinstance(voice, str) and not _ID.match(voice):
            yield Hit((*path, "voice"), {"voice": shown(voice)}, "value")


def _unknown_emotion(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.services("tts"):
        emotion = own.get("emotion")
        if isinstance(emotion, str) and emotion not in EMOTIONS:
            close = closest(emotion, EMOTIONS)
            guess = f' Did you mean "{close}"?' if close else ""
            yield Hit((*path, "emotion"), {"emotion": shown(emotion), "guess": guess}, "value")


def _endpoints(agent: Agent) -> Iterator[tuple[str, str]]:
    for part in ("stt", "llm", "tts"):
        address = group_of(agent.data.get(part)).get("endpoint")
        if isinstance(address, str):
            yield part, address


def _open_line(agent: Agent) -> Iterator[Hit]:
    for part, address in _endpoints(agent):
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            continue
        if address.startswith(("ws://", "http://")) and not _near(host):
            safe = address.split(":", 1)[0] + "s"
            yield Hit((part, "endpoint"), {"scheme": address.split("//", 1)[0] + "//", "safe": f"{safe}://"}, "value")


def _near(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".localhost", ".test"))


def _wrong_path(agent: Agent) -> Iterator[Hit]:
    for part, address in _endpoints(agent):
        if part == "llm" and re.search(r"/(chat/)?completions/?$", address):
            right = re.sub(r"/(chat/)?completions/?$", "", address)
            yield Hit((part, "endpoint"), {"why": "/chat/completions is added to it", "right": right}, "value")
        elif part == "stt" and re.search(r"assemblyai\.com/v2/", address):
            why, right = "AssemblyAI has switched /v2/ off", "wss://streaming.assemblyai.com/v3/ws"
            yield Hit((part, "endpoint"), {"why": why, "right": right}, "value")


RULES = (
    Rule(
        "either-or",
        "error",
        "llm",
        '"max_tokens" and "max_completion_tokens" cannot stand together.',
        "Newer models use max_completion_tokens; keep that one.",
        f"{CHAT}: max_completion_tokens replaces max_tokens, both at once are refused",
        _both_limits,
    ),
    Rule(
        "answer-cut",
        "warning",
        "llm.max_tokens",
        '"{name}: {value}" cuts answers off in the middle of a sentence.',
        "A spoken sentence takes about 30; for two or three sentences write 150. How long answers are is told in the prompt.",
        f"{CHAT}: generation stops at the limit (finish_reason length)",
        _cut_answer,
    ),
    Rule(
        "old-limit",
        "error",
        "llm.max_tokens",
        'OpenAI refuses "max_tokens" with {model}.',
        "Write max_completion_tokens instead.",
        f"{CHAT}: max_tokens is not compatible with o-series models",
        _old_limit,
    ),
    Rule(
        "fixed-by-model",
        "error",
        "llm",
        'OpenAI refuses "{name}" with {model}.',
        "Remove the line, or use a model such as gpt-4o.",
        "OpenAI, Reasoning models: temperature, top_p and the penalties are not supported",
        _fixed_by_model,
    ),
    Rule(
        "slow-model",
        "warning",
        "llm.model",
        "{model} thinks for seconds before it says a word; callers take that for a dead line.",
        "Use a model such as gpt-4o or gpt-4o-mini.",
        "OpenAI, Reasoning models: they think before they answer",
        _slow_model,
    ),
    Rule(
        "no-chat-model",
        "error",
        "llm.model",
        "{model} is not a model that answers in text, so the agent would stay silent.",
        "Use a model such as gpt-4o or gpt-4o-mini.",
        "OpenAI, Models: supported endpoints; Pipecat 1.14 uses Chat Completions",
        _no_chat_model,
    ),
    Rule(
        "two-dials",
        "warning",
        "llm.temperature and llm.top_p",
        '"temperature" and "top_p" turn the same thing; together nobody can tell what they do.',
        "Keep temperature.",
        f"{CHAT}: alter temperature or top_p but not both",
        _two_dials,
    ),
    Rule(
        "wild-temperature",
        "warning",
        "llm.temperature",
        "With temperature {value} answers drift into nonsense.",
        "Between 0.2 and 0.8 suits a telephone.",
        f"{CHAT}: higher values like 0.8 make the output more random",
        _wild,
    ),
    Rule(
        "no-voice-id",
        "warning",
        "tts.voice",
        '"{voice}" does not look like the id of a Cartesia voice.',
        "An id looks like 79a125e8-cd45-4c13-8a67-188112f4dd22; copy it from Cartesia's voice library.",
        "Cartesia, API: voice.id is a UUID",
        _no_voice_id,
    ),
    Rule(
        "unknown-emotion",
        "warning",
        "tts.emotion",
        'Cartesia does not name an emotion "{emotion}".{guess}',
        "There are neutral, content, happy, calm, sympathetic, apologetic, confident, curious and about 50 more.",
        "Pipecat 1.14, CartesiaEmotion; Cartesia, Volume, speed and emotion",
        _unknown_emotion,
    ),
    Rule(
        "open-line",
        "warning",
        "endpoint",
        "What callers say and the key travel to this address without encryption.",
        "Write {safe} instead of {scheme}",
        "AssemblyAI, OpenAI and Cartesia offer wss:// and https:// only",
        _open_line,
    ),
    Rule(
        "endpoint-path",
        "error",
        "endpoint",
        "This address does not work: {why}.",
        "Write: endpoint: {right}",
        "OpenAI's Python package: base_url ends before /chat/completions; AssemblyAI: v2 streaming is retired",
        _wrong_path,
    ),
)
"""The table of the rules about the model, the voice and addresses."""
