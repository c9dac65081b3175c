"""Rules about texts that are heard, not read: how long they are, and what nobody can pronounce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from runner.document.names import shown
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent

WORDS_PER_SECOND = 2.5
"""150 words a minute, as voices speak."""

VOICE_STYLE = (
    "How to Build a Real-Time Voice Agent with Pipecat: system prompt (no markdown, no lists, no bullet points)"
)

_WRITTEN = re.compile(
    r"\b(markdown|bullet(?:ed)?[ -]?(?:points?|lists?)|bullets|numbered lists?|emojis?|emoticons?|bold(?: text)?|"
    r"italics?|headings?|tables?|code blocks?|hyperlinks?)\b",
    re.I,
)
_WANTED = re.compile(r"\b(use|using|write|format|answer|reply|respond|add|include|with|put|present|give|in|as)\b", re.I)
_REFUSED = re.compile(
    r"\b(no|not|never|without|avoid|don.?t|nor|neither|instead of|rather than|free of|nothing)\b", re.I
)
_MARKS = re.compile(
    r"\*\*[^*\n]+\*\*|(?m:^#{1,4} )|(?m:^\s*[-*•] (?=\S))|(?m:^\s*\d+\. (?=\S))|`[^`\n]+`|\[[^\]\n]+\]\([^)\n]+\)"
    r"|</?(?:b|i|u|p|br|hr|em|strong|span|div|ul|ol|li|a|h[1-6])(?:\s[^>\n]*)?/?>|"
    "[\U0001f300-\U0001faff\u2600-\u27bf]"
)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+", re.I)


def _written_style(agent: Agent) -> Iterator[Hit]:
    """Markdown, lists or emoji that a prompt asks for; what it forbids is right."""
    for path, text, file in agent.prompt_texts:
        for sentence in re.finditer(r"[^.!?\n;]+", text):
            found = _WRITTEN.search(sentence.group())
            if not found or _REFUSED.search(sentence.group()):
                continue
            if not _WANTED.search(sentence.group()[: found.start()]):
                continue
            start = sentence.start() + found.start()
            spot = agent.spot_in(path, text, start, len(found.group()), file)
            yield Hit(path, {"what": found.group()}, "value", spot, (file, text) if file else None)
            break


def _pasted_twice(agent: Agent) -> Iterator[Hit]:
    for path, text, file in agent.prompt_texts:
        seen: dict[str, int] = {}
        for number, line in enumerate(text.split("\n")):
            plain = " ".join(line.split()).lower()
            if len(plain) >= 40 and plain in seen:
                start = sum(len(before) + 1 for before in text.split("\n")[:number])
                spot = agent.spot_in(path, text, start + len(line) - len(line.lstrip()), len(line.strip()), file)
                if spot and file is None and agent.source.place(path).style == "block":
                    column = (
                        len(agent.source.home(path).lines[agent.source.place(path).value.line + number])
                        - len(line.lstrip())
                        + 1
                    )
                    spot = type(spot)(agent.source.place(path).value.line + number + 1, column, len(line.strip()))
                words = {"line": shown(line.strip()), "first": seen[plain] + 1}
                yield Hit(path, words, "value", spot, (file, text) if file else None)
                break
            seen.setdefault(plain, number)


def _long_prompt(agent: Agent) -> Iterator[Hit]:
    for path, text, file in agent.prompt_texts:
        if len(text) > 20_000:
            yield Hit(path, {"count": len(text)}, "key", None, _first_line(file, text))


def _first_line(file: Path | None, text: str) -> tuple[Path, str] | None:
    return (file, text) if file else None


def _long_opening(agent: Agent) -> Iterator[Hit]:
    for path, text in agent.spoken_texts:
        words = len(re.sub(r"\{[{%].*?[}%]\}", "word", text).split())
        seconds = words / WORDS_PER_SECOND
        if seconds > 20:
            yield Hit(path, {"name": path[-1], "seconds": round(seconds), "words": words})


def _marks(agent: Agent) -> Iterator[Hit]:
    for path, text in agent.spoken_texts:
        found = _MARKS.search(re.sub(r"\{[{%].*?[}%]\}", lambda m: "x" * len(m.group()), text, flags=re.S))
        if found:
            piece = text[found.start() : found.end()]
            spot = agent.spot_in(path, text, found.start(), len(piece.rstrip()) or 1)
            yield Hit(path, {"typed": shown(piece.strip())}, "value", spot)


def _address(agent: Agent) -> Iterator[Hit]:
    for path, text in agent.spoken_texts:
        found = _ADDRESS.search(text)
        if found:
            typed = found.group().rstrip(".,;:!?)")
            spot = agent.spot_in(path, text, found.start(), len(typed))
            yield Hit(path, {"typed": shown(typed)}, "value", spot)


def _stage_direction(agent: Agent) -> Iterator[Hit]:
    for path, text in agent.spoken_texts:
        found = re.search(
            r"\((?:pause|smil\w*|laugh\w*|sigh\w*|wait\w*|cheerful\w*|friendly|whisper\w*)[^)]*\)|\*\w+\*(?!\*)",
            text,
            re.I,
        )
        if found and not text[: found.start()].endswith("*"):
            spot = agent.spot_in(path, text, found.start(), len(found.group()))
            yield Hit(path, {"typed": shown(found.group())}, "value", spot)


RULES = (
    Rule(
        "written-style",
        "warning",
        "prompts",
        '"{what}" cannot be heard: everything the model writes is read aloud.',
        "Ask for short spoken sentences instead: no markdown, no lists, no emoji.",
        VOICE_STYLE,
        _written_style,
    ),
    Rule(
        "pasted-twice",
        "warning",
        "prompts",
        'This stands in the prompt twice: "{line}"',
        "Remove one of the two.",
        "OpenAI, Latency optimization: use fewer input tokens",
        _pasted_twice,
    ),
    Rule(
        "long-prompt",
        "warning",
        "prompts",
        "This prompt has {count} characters, and the model reads all of them before every answer.",
        "Keep what every answer needs; the rest belongs into the prompts of stages.",
        "OpenAI, Latency optimization: use fewer input tokens",
        _long_prompt,
    ),
    Rule(
        "long-speech",
        "warning",
        "greeting, say and goodbye",
        '"{name}" takes about {seconds} seconds to speak ({words} words); callers do not listen that long.',
        "Say it in one or two sentences, and leave the rest to the conversation.",
        "OpenAI, Realtime prompting guide: two or three sentences a turn; 150 words a minute",
        _long_opening,
    ),
    Rule(
        "marks-in-speech",
        "warning",
        "greeting, say and goodbye",
        '"{typed}" is for the eye; the voice would stumble over it.',
        "Write it in plain words.",
        "Cartesia, Prompting tips: plain text with punctuation",
        _marks,
    ),
    Rule(
        "address-in-speech",
        "warning",
        "greeting, say and goodbye",
        'Nobody can note down "{typed}" when it is read aloud.',
        "Write it as it is spoken: our website, example dot com.",
        "Cartesia, Prompting tips: write as it shall be spoken",
        _address,
    ),
    Rule(
        "stage-direction",
        "warning",
        "greeting, say and goodbye",
        '"{typed}" would be read aloud.',
        "Remove it; how the voice sounds is set by tts.emotion and tts.speed.",
        "Cartesia, Volume, speed and emotion: by settings, not by words in brackets",
        _stage_direction,
    ),
)
"""The table of the rules about what is heard."""
