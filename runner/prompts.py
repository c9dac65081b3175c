"""A text with `{{ name }}` and the values in, the finished text out: Jinja2 in its sandbox.

Undefined names are errors. What a caller says is only ever a value here, never a template. A template can neither run for ever
nor grow without end: `range` is short, powers and repeated texts are refused, and length and time are limited.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

MAX_LENGTH = 200_000
"""The longest finished text, in characters."""

MAX_SECONDS = 1.0
MAX_RANGE = 1_000
MAX_NUMBER = 10**15


class PromptError(Exception):
    """A template that cannot be filled in: a sentence, and the line of the template from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Name:
    """A name a template uses without giving it a value itself. line from 1."""

    name: str
    line: int


class _Clock:
    """Counts the steps of all loops of one rendering."""

    def __init__(self) -> None:
        self.end = time.monotonic() + MAX_SECONDS

    def check(self) -> None:
        if time.monotonic() > self.end:
            raise PromptError(f"This text takes longer than {MAX_SECONDS:.0f} second to fill in.")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with limits on what an expression may build."""

    intercepted_binops = frozenset(["*", "**", "%", "+", "~"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
        self.globals = {"range": _short_range}
        for name in ("center", "indent", "wordwrap", "format", "random", "pprint", "xmlattr", "urlize", "tojson"):
            self.filters.pop(name, None)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("** is not allowed in a text.")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% with a text is not allowed.")
        if operator == "*" and not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError("* is only for numbers.")
        value: Any = super().call_binop(context, operator, left, right)
        if isinstance(value, int | float) and abs(value) > MAX_NUMBER:
            raise SecurityError("A number grows too large.")
        if isinstance(value, str | list | tuple) and len(value) > MAX_LENGTH:  # pyright: ignore[reportUnknownArgumentType]
            raise SecurityError("A text grows too long.")
        return value

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in ("format", "format_map", "center", "ljust", "rjust", "zfill", "expandtabs"):
            return False
        return super().is_safe_attribute(obj, attr, value)


def _short_range(*numbers: int) -> range:
    made = range(*numbers)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"range counts to {MAX_RANGE} at most.")
    return made


_ENVIRONMENT = _Environment()


def render(source: str, variables: Mapping[str, object]) -> str:
    """The finished text of a template. Raises PromptError (a mistake in it, an undefined name, too long, too slow)."""
    if "{{" not in source and "{%" not in source and "{#" not in source:
        return source
    _refuse_nested_loops(_parse(source))
    clock = _Clock()
    made: list[str] = []
    length = 0
    try:
        template = _ENVIRONMENT.from_string(source)
        for piece in template.generate(dict(variables)):
            clock.check()
            length += len(piece)
            if length > MAX_LENGTH:
                raise PromptError(f"This text grows beyond {MAX_LENGTH} characters.")
            made.append(piece)
    except PromptError:
        raise
    except UndefinedError as error:
        raise PromptError(_undefined(error), _line_of(error)) from None
    except SecurityError as error:
        raise PromptError(str(error) or "This is not allowed in a text.", _line_of(error)) from None
    except TemplateError as error:
        raise PromptError(str(error), _line_of(error)) from None
    except (RecursionError, MemoryError):
        raise PromptError("This text never comes to an end.") from None
    except Exception as error:
        raise PromptError(f"This text cannot be filled in: {error}.", _line_of(error)) from None
    return "".join(made)


def undeclared(source: str) -> list[Name]:
    """The names a template needs, in the order they stand in it, with their lines. Raises PromptError for broken templates."""
    tree = _parse(source)
    from jinja2.meta import find_undeclared_variables

    free = find_undeclared_variables(tree) - set(_ENVIRONMENT.globals)
    found: list[Name] = []
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name in free:
            found.append(Name(node.name, node.lineno))
    return found


def _parse(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        raise PromptError(_plain_words(error.message or ""), error.lineno) from None
    except RecursionError:
        raise PromptError("This text is nested too deeply.") from None


def _loops(node: nodes.Node, depth: int = 0) -> Iterator[tuple[nodes.Node, int]]:
    for child in node.iter_child_nodes():
        inner = depth + 1 if isinstance(child, nodes.For) else depth
        if isinstance(child, nodes.For):
            yield child, inner
        yield from _loops(child, inner)


def _refuse_nested_loops(tree: nodes.Template) -> None:
    """A silent loop in a loop in a loop could run for minutes between two pieces of text, where no clock is looked at."""
    for loop, depth in _loops(tree):
        if depth > 2:
            raise PromptError("Loops cannot be nested more than two deep.", loop.lineno)
    for kind, said in (
        (nodes.Macro, "macro"),
        (nodes.CallBlock, "call"),
        (nodes.Import, "import"),
        (nodes.Include, "include"),
        (nodes.Extends, "extends"),
        (nodes.FromImport, "from"),
    ):
        found = tree.find(kind)
        if found is not None:
            raise PromptError(f'"{said}" is not available in these texts.', found.lineno)


def _undefined(error: UndefinedError) -> str:
    text = str(error)
    if text.endswith(" is undefined") and text.startswith("'"):
        return f'"{text.split(chr(39))[1]}" is not a variable.'
    return f"Something here has no value: {text}."


def _plain_words(text: str) -> str:
    if (
        "unexpected end of template" in text
        or "unexpected 'end of template'" in text
        or "end of print statement" in text
    ):
        return "A {{ or {% is opened here and not closed rightly."
    if text.startswith("Encountered unknown tag"):
        return f"{text.split(chr(39))[1]!r} is not something that can stand after {{%.".replace("'", '"')
    return f"What stands between the braces cannot be read: {text.rstrip('.')}."


def _line_of(error: BaseException) -> int:
    """The line of the template an error came from, from its traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
