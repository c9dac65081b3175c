"""A wrong value in, what a person most likely meant by it out: other words, other units, numbers in words."""

from __future__ import annotations

import re

from runner.document.check import Schema

MEANT: dict[str, tuple[str, ...]] = {
    "chatgpt": ("openai",),
    "gpt": ("openai",),
    "gpt-4": ("openai",),
    "gpt-4o": ("openai",),
    "open ai": ("openai",),
    "whisper": ("openai",),
    "claude": ("anthropic",),
    "gemini": ("google", "gemini"),
    "bedrock": ("aws_bedrock",),
    "grok": ("xai",),
    "assembly": ("assemblyai",),
    "assembly ai": ("assemblyai",),
    "universal": ("assemblyai",),
    "sonic": ("cartesia",),
    "11labs": ("elevenlabs",),
    "eleven labs": ("elevenlabs",),
    "polly": ("aws_polly",),
    "fast": ("min_latency",),
    "fastest": ("min_latency",),
    "speed": ("min_latency",),
    "quick": ("min_latency",),
    "accurate": ("max_accuracy",),
    "quality": ("max_accuracy",),
    "best": ("max_accuracy",),
    "normal": ("balanced",),
    "default": ("balanced",),
    "vad": ("pipecat",),
    "silero": ("pipecat",),
    "smart_turn": ("pipecat",),
    "local": ("pipecat",),
    "server": ("assemblyai",),
    "model": ("assemblyai",),
    "mail": ("email",),
    "telephone": ("phone",),
    "headset": ("near-field",),
    "room": ("far-field",),
    "medical": ("medical-v1",),
}
"""Other words for values: products for their vendors, what something does for what it is called."""

LANGUAGES: dict[str, str] = {
    "english": "en",
    "spanish": "es",
    "german": "de",
    "french": "fr",
    "italian": "it",
    "portuguese": "pt",
    "turkish": "tr",
    "dutch": "nl",
    "swedish": "sv",
    "norwegian": "no",
    "danish": "da",
    "finnish": "fi",
    "hindi": "hi",
    "vietnamese": "vi",
    "arabic": "ar",
    "hebrew": "he",
    "japanese": "ja",
    "urdu": "ur",
    "chinese": "zh",
    "russian": "ru",
    "korean": "ko",
    "deutsch": "de",
    "espanol": "es",
    "español": "es",
    "français": "fr",
    "francais": "fr",
    "polish": "pl",
}
"""Languages by name, with the short codes that vendors use (ISO 639-1)."""

_UNITS = {
    "ms": r"ms|msecs?|millis|milliseconds?",
    "s": r"s|secs?|seconds?",
    "m": r"m|mins?|minutes?",
    "h": r"h|hrs?|hours?",
}

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def choice_meant(value: str, choices: list[str]) -> str | None:
    """A choice by another word for it: `chatgpt` -> openai, `english` -> en."""
    low = value.lower().strip()
    words = (
        *MEANT.get(low, ()),
        LANGUAGES.get(low, ""),
        LANGUAGES.get(low.partition("-")[0], ""),
        low.partition("-")[0],
    )
    return next((word for word in words if word in choices), None)


def duration_meant(text: str) -> str:
    """`15 minutes` -> `15m`, `1:30` -> `90s`, "" when it cannot be told."""
    bare = text.strip("\"' ")
    for unit, words in _UNITS.items():
        found = re.fullmatch(rf"(\d+(?:[.,]\d+)?)\s*(?:{words})\.?", bare, re.I)
        if found:
            return found.group(1).replace(",", ".") + unit
    clock = re.fullmatch(r"(\d{1,3}):([0-5]\d)", bare)
    if clock:
        minutes, seconds = int(clock.group(1)), int(clock.group(2))
        return f"{minutes * 60 + seconds}s" if seconds else f"{minutes}m"
    return ""


def range_meant(node: Schema, value: float) -> str:
    """What a number out of its range was meant as, as a hint: another unit, a percentage."""
    unit, low, high = node.get("x-unit"), node.get("minimum"), node.get("maximum")
    if unit == "ms" and low is not None and value < low and high is not None and low <= value * 1000 <= high:
        return f'A plain number is milliseconds. Did you mean "{value:g}s"?'
    if unit == "s" and high is not None and value > high and value / 1000 <= high:
        return f'A plain number is seconds. Did you mean "{value:g}ms"?'
    if unit is None and high == 1 and 1 < value <= 100:
        return f"Write it as a part of 1: {value / 100:g}"
    return ""


def number_meant(text: str, quoted: bool) -> str:
    """What is wrong with a number, as a hint."""
    if text.lower() in _NUMBERS:
        return f"In digits: {_NUMBERS.index(text.lower())}"
    if re.fullmatch(r"[-+]?\d+(\.\d+)?\s*[,;]", text):
        return f"Without the {'comma' if text.endswith(',') else 'semicolon'}: {text.rstrip(' ,;')}"
    if re.fullmatch(r"[-+]?\d+(\.\d+)?", text):
        if quoted:
            return f"Without quotes: {text}"
        if re.match(r"[-+]?0\d", text):
            return f"Without the leading 0: {text.lstrip('0') or '0'}"
        return ""
    if re.fullmatch(r"\d+,\d+", text):
        return f"With a point: {text.replace(',', '.')}"
    if re.fullmatch(r"\d+(\.\d+)?\s*%", text):
        return f"Write it as a part of 1: {float(text.rstrip('% ')) / 100:g}"
    if kilo := re.fullmatch(r"(\d+(?:\.\d+)?)\s*khz", text, re.I):
        return f"In Hz: {float(kilo.group(1)) * 1000:g}"
    return "Digits only, without a unit." if text[:1].isdigit() else ""
