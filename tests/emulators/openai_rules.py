"""What OpenAI's Chat Completions refuses, as far as a request of a voice agent can go wrong.

Comes in: the body of a `POST /v1/chat/completions`. Goes out: nothing, or a `RefusedError` with OpenAI's status and
error form. The names of the parameters are the installed SDK's own (openai 3.52).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsBase

PARAMETERS = frozenset(CompletionCreateParamsBase.__annotations__) | {"stream"}
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
MESSAGE_FIELDS = {
    "system": {"content", "name"},
    "developer": {"content", "name"},
    "user": {"content", "name"},
    "assistant": {"content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"content", "tool_call_id"},
}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class RefusedError(Exception):
    """status: of the HTTP answer.  body: OpenAI's error form."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {
                "message": message,
                "type": kind or ("invalid_request_error" if status < 500 else "server_error"),
                "param": param,
                "code": code,
            }
        }


def check_request(body: object) -> None:
    """Raises RefusedError(400) for the first thing that is wrong."""
    if not isinstance(body, Mapping):
        raise RefusedError(400, "We could not parse the JSON body of your request.")
    for name in body:
        if name not in PARAMETERS:
            raise RefusedError(400, f"Unrecognized request argument supplied: {name}")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise RefusedError(400, "you must provide a model parameter")
    _check_numbers(body)
    _check_streaming(body)
    _check_tools(body)
    _check_messages(body.get("messages"))


def _wrong_type(param: str, expected: str, value: object) -> RefusedError:
    kind = type(value).__name__
    message = f"Invalid type for '{param}': expected {expected}, but got {kind} instead."
    return RefusedError(400, message, param=param, code="invalid_type")


def _check_numbers(body: Mapping[str, Any]) -> None:
    for name, (low, high) in RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(name, "a decimal", value)
        if not low <= value <= high:
            side, limit = ("minimum", f">= {low}") if value < low else ("maximum", f"<= {high}")
            message = (
                f"Invalid '{name}': decimal {side} value exceeded. Expected a value {limit}, but got {value} instead."
            )
            raise RefusedError(
                400, message, param=name, code=f"decimal_{'below_min' if value < low else 'above_max'}_value"
            )
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(name, "an integer", value)
        if value < 1:
            message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            raise RefusedError(400, message, param=name, code="integer_below_min_value")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise RefusedError(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
        )
    if (seed := body.get("seed")) is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise _wrong_type("seed", "an integer", seed)


def _check_streaming(body: Mapping[str, Any]) -> None:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong_type("stream", "a boolean", stream)
    options = body.get("stream_options")
    if options is None:
        return
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise RefusedError(400, message, param="stream_options")
    if not isinstance(options, Mapping) or not options.keys() <= {"include_usage", "include_obfuscation"}:
        raise RefusedError(400, "Invalid 'stream_options'.", param="stream_options")


def _check_tools(body: Mapping[str, Any]) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    names: list[str] = []
    if tools is not None:
        if not isinstance(tools, list):
            raise _wrong_type("tools", "an array of objects", tools)
        if not tools:
            message = (
                "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
            )
            raise RefusedError(400, message, param="tools", code="empty_array")
        for index, tool in enumerate(tools):
            names.append(_check_tool(tool, f"tools[{index}]"))
        if repeated := {name for name in names if names.count(name) > 1}:
            raise RefusedError(400, f"Invalid 'tools': duplicate function name '{min(repeated)}'.", param="tools")
    if choice is None:
        return
    if tools is None:
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise RefusedError(400, message, param="tool_choice")
    if isinstance(choice, Mapping):
        function = choice.get("function")
        if choice.get("type") != "function" or not isinstance(function, Mapping) or function.get("name") not in names:
            raise RefusedError(400, "Tool choice names a function that is not in 'tools'.", param="tool_choice")
    elif choice not in ("none", "auto", "required"):
        message = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
        raise RefusedError(400, message, param="tool_choice", code="invalid_value")


def _check_tool(tool: object, where: str) -> str:
    if not isinstance(tool, Mapping) or tool.get("type") != "function" or not isinstance(tool.get("function"), Mapping):
        raise RefusedError(400, f"Invalid '{where}': expected a function.", param=where)
    function = tool["function"]
    if unknown := sorted((tool.keys() - {"type", "function"}) | (function.keys() - _FUNCTION_FIELDS)):
        raise RefusedError(400, f"Unknown parameter: '{where}.{unknown[0]}'.", param=where, code="unknown_parameter")
    name = function.get("name")
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        message = f"Invalid '{where}.function.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
        raise RefusedError(400, message, param=f"{where}.function.name", code="invalid_value")
    parameters = function.get("parameters")
    if parameters is not None and (not isinstance(parameters, Mapping) or parameters.get("type") != "object"):
        message = f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'."
        raise RefusedError(400, message, param=f"{where}.function.parameters", code="invalid_function_parameters")
    return name


_FUNCTION_FIELDS = {"name", "description", "parameters", "strict"}


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise RefusedError(
            400, "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise RefusedError(400, message, param="messages", code="empty_array")
    owed: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = _check_message(message, where)
        if role == "tool":
            if message["tool_call_id"] not in owed:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise RefusedError(400, f"Invalid parameter: {text}", param=f"{where}.role")
            owed.remove(message["tool_call_id"])
            continue
        _check_nothing_owed(owed, where)
        if role == "assistant":
            owed = [call["id"] for call in message.get("tool_calls") or []]
    _check_nothing_owed(owed, "messages")


def _check_nothing_owed(owed: Sequence[str], where: str) -> None:
    if owed:
        message = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(owed)}"
        )
        raise RefusedError(400, message, param=where)


def _check_message(message: object, where: str) -> str:
    if not isinstance(message, Mapping):
        raise _wrong_type(where, "an object", message)
    role = message.get("role")
    if role not in MESSAGE_FIELDS:
        supported = ", ".join(f"'{name}'" for name in MESSAGE_FIELDS)
        text = f"Invalid value: '{role}'. Supported values are: {supported}."
        raise RefusedError(400, text, param=f"{where}.role", code="invalid_value")
    if unknown := sorted(message.keys() - MESSAGE_FIELDS[role] - {"role"}):
        text = f"Unknown parameter: '{where}.{unknown[0]}'."
        raise RefusedError(400, text, param=f"{where}.{unknown[0]}", code="unknown_parameter")
    content, calls = message.get("content"), message.get("tool_calls")
    if role == "assistant" and calls is not None:
        _check_calls(calls, f"{where}.tool_calls")
    if content is None and not (role == "assistant" and calls):
        text = f"Invalid value for 'content': expected a string, got null. ({where})"
        raise RefusedError(400, text, param=f"{where}.content")
    if isinstance(content, list):
        _check_parts(content, f"{where}.content")
    elif content is not None and not isinstance(content, str):
        raise _wrong_type(f"{where}.content", "a string or an array of objects", content)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise RefusedError(400, f"Missing required parameter: '{where}.tool_call_id'.", param=f"{where}.tool_call_id")
    return role


def _check_parts(parts: Sequence[object], where: str) -> None:
    for index, part in enumerate(parts):
        if not isinstance(part, Mapping) or part.get("type") not in (
            "text",
            "image_url",
            "input_audio",
            "file",
            "refusal",
        ):
            raise RefusedError(400, f"Invalid value for '{where}[{index}]'.", param=f"{where}[{index}].type")


def _check_calls(calls: object, where: str) -> None:
    if not isinstance(calls, list) or not calls:
        raise RefusedError(400, f"Invalid '{where}': empty array.", param=where, code="empty_array")
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or call.get("type") != "function" or not isinstance(call.get("id"), str):
            raise RefusedError(400, f"Invalid value for '{where}[{index}]'.", param=f"{where}[{index}]")
        try:
            json.loads(function["arguments"])
        except (KeyError, TypeError, ValueError):
            text = f"Invalid '{where}[{index}].function.arguments': not JSON."
            raise RefusedError(400, text, param=f"{where}[{index}].function.arguments") from None
