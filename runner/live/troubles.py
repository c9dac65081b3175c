"""What went wrong with a vendor, in plain words: whose fault, the vendor's own sentence, and what to change.

Comes in: Pipecat's error frames, and where the settings of the service stand in the agent file. Goes out: one sentence for the
terminal and the page, or nothing for what only repeats an earlier one. The kinds of failure are Pipecat 1.14's `ErrorCategory`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory

from runner.catalog import Part, Provider
from runner.compiler.fallback.relay import TookOverFrame
from runner.compiler.services.lost import AnswerLost
from runner.compiler.services.openai.asking import NoAnswer
from runner.compiler.services.refused import RefusedChangeFrame, RefusedSessionFrame
from runner.live.written import Settings

_GOES_ON = "The call goes on with what it had before."
_CANNOT: dict[Part, str] = {"stt": "hear the caller", "llm": "think", "tts": "speak"}

_BEFORE_THE_WORDS = re.compile(
    r"^(?:Error during completion|Unknown error occurred|Unable to connect to \w+|Error code: \d+ -|Error"
    r"|\w+#\d+(?: reconnection attempt \d+ failed| failed to reconnect after \d+ attempts)?"
    r"|\w+ refused \(\d+\)|server rejected WebSocket connection)[:\s]\s*"
)
"""What Pipecat and the vendors' packages put before the vendor's own words, one layer a match."""

_MESSAGE_IN_BODY = re.compile(r"""["']message["']:\s*(["'])(.*?)\1[,}]""")
_NOT_TAKEN = "The caller's side takes no sound any more, so the agent is not heard."
"""What Pipecat 1.14 tells of an output that it gives up names its own classes."""

_ATTEMPT = re.compile(r"reconnection attempt (\d+) failed")
_NO_SOUND = re.compile(r"^TTS context \S+ completed with no audio$")
_UNKNOWN_NAME = re.compile(
    r"\b(?:voice|model)\b.*\b(?:not (?:supported|found|known)|unknown|invalid|does not exist)\b", re.I
)


def sentence(frame: ErrorFrame, provider: Provider | None, settings: Settings | None = None) -> str | None:
    """What to tell about one error.

    provider: whose service reported it, None for a part that runs on this machine. settings: where that service's stand in the
    agent file, None where that is not known.
    Returns None for what was told before: a further attempt to reconnect.
    """
    if isinstance(frame, TookOverFrame):
        if frame.failure is None:
            return f"{frame.who} is at work again."
        return f"{sentence(frame.failure, frame.whose, settings) or ''} {frame.who} goes on.".strip()
    if provider is None:
        return _NOT_TAKEN if "the peer has stopped reading" in frame.error else frame.error
    who, words = provider.title, _words(frame)
    if isinstance(frame.exception, NoAnswer):
        return f"{who} {words}"
    if isinstance(frame, AnswerLost) and frame.exception is None:
        cure = f" {_check(frame, provider, settings, words)}" if _UNKNOWN_NAME.search(words) else ""
        return f"{who} did not say all of it: {words}{cure}"
    if isinstance(frame, RefusedChangeFrame):
        what, cure = "to renew the connection", ""
        if frame.settings:
            what, cure = f"the change of {' and '.join(frame.settings)}", _check(frame, provider, settings, words)
        return " ".join(filter(None, (f"{who} refuses {what}: {words}", cure, _GOES_ON)))
    if attempt := _ATTEMPT.search(frame.error):
        return f"The connection to {who} broke and does not come back yet: {words}" if attempt[1] == "1" else None
    if "failed to reconnect" in frame.error:
        return f"{who} cannot be reached any more, so the agent cannot {_CANNOT[provider.part]} in this call: {words}"
    if _NO_SOUND.match(frame.error):
        return f"{who} sent no sound for what the agent wanted to say."
    if frame.category is ErrorCategory.INVALID_REQUEST or (isinstance(frame, RefusedSessionFrame) and frame.settings):
        told = f"{who} refuses what it was asked for: {words} {_check(frame, provider, settings, words)}"
    else:
        told = _by_category(frame.category, provider, words)
    if isinstance(frame, RefusedSessionFrame):
        if frame.again:
            return f"{told} Another connection is being opened."
        if frame.category is None or not frame.category.is_permanent:
            return f"{told} The agent cannot {_CANNOT[provider.part]} any more in this call."
    return told


def _by_category(category: ErrorCategory | None, provider: Provider, words: str) -> str:
    who = provider.title
    match category:
        case ErrorCategory.AUTHENTICATION:
            return f"{who} does not accept the key: {words} Check {provider.key} in .env or in the environment."
        case ErrorCategory.AUTHORIZATION:
            return f"{who} does not allow this: {words} Check what the account of {provider.key} may use."
        case ErrorCategory.RATE_LIMIT:
            return f"{who} is asked for too much at once: {words} Wait, or raise the limits of the account."
        case ErrorCategory.QUOTA:
            return f"{who} has nothing left on the account of {provider.key}: {words}"
        case ErrorCategory.CONNECTIVITY:
            return f"{who} cannot be reached: {words} Check the network and {provider.part}.endpoint."
        case ErrorCategory.SERVER:
            return f"{who} has a fault of its own: {words}"
        case _:
            return f"{who}: {words}"


def _check(frame: ErrorFrame, provider: Provider, settings: Settings | None, words: str) -> str:
    """What to look at in the agent file: the lines of the settings that the vendor means."""
    names = _meant(frame, provider, words)
    if settings is None:
        keys = " and ".join(f"{provider.part}.{name}" for name in names) or provider.part
        return f"Check {keys} in the agent file."
    if "model" in names and settings.place("model") is None and settings.place("voice"):
        names = ["voice"]  # with some vendors a voice is a model
    places = [place for name in names if (place := settings.place(name))]
    if places:
        return f"Check {' and '.join(places)}."
    if len(names) == 1:
        return f"Check {settings.own}.{names[0]}, which the agent file does not set."
    return f"Check {settings.whole}."


def _meant(frame: ErrorFrame, provider: Provider, words: str) -> Sequence[str]:
    """The settings that a refusal is about, by their names in the agent file: those it names, else those in its words."""
    named: tuple[str, ...] = getattr(frame, "settings", ())
    if named:
        return named
    wires = {field.wire or name: name for name, field in provider.fields.items()}
    parameter = getattr(frame.exception, "param", None)
    if isinstance(parameter, str) and parameter in wires:
        return [wires[parameter]]
    found = {
        name: re.search(rf"(?<![\w])(['\"`]?){re.escape(wire)}(?![\w])", words, re.I) for wire, name in wires.items()
    }
    quoted = [name for name, match in found.items() if match and match[1]]
    return quoted or [name for name, match in found.items() if match]


def _words(frame: ErrorFrame) -> str:
    """The vendor's own words, as a sentence."""
    text = _body_of_refusal(frame.exception) or frame.error
    if message := _MESSAGE_IN_BODY.search(text):
        text = message[2]
    while (shorter := _BEFORE_THE_WORDS.sub("", text, count=1)) != text:
        text = shorter
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _body_of_refusal(exception: Exception | None) -> str:
    """What a server wrote when it refused a websocket (`websockets.InvalidStatus`); the error itself only names the status."""
    response = getattr(exception, "response", None)
    body, status = getattr(response, "body", None), getattr(response, "status_code", None)
    return f"{body.decode(errors='replace')} (HTTP {status})" if isinstance(body, bytes | bytearray) and body else ""
