"""A text with `{{ name }}` and the values in, the finished text out: Jinja2 in its sandbox.

Undefined names are errors. What a caller says is only ever a value here, never a template. A template can neither run for
ever nor grow without end: every loop looks at a clock, every operation that can make a text longer looks at its length, and
filters and methods that could do either unseen are not there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_LENGTH = 200_000
"""The longest text, in characters, finished or on the way."""

MAX_SECONDS = 0.5
"""Of computing, so that a busy machine does not make a good text fail."""

MAX_RANGE = 1_000
MAX_NUMBER = 10**15

FILTERS = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
]
"""The filters of Jinja2 that are available."""

TEXT_METHODS = [
    "capitalize",
    "count",
    "endswith",
    "isalpha",
    "isdigit",
    "lower",
    "lstrip",
    "rstrip",
    "split",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
]

_CLOCK = "_clock"


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


def render(source: str, variables: Mapping[str, object]) -> str:
    """The finished text of a template.

    Raises PromptError: a mistake in it, an undefined name, longer than MAX_LENGTH, slower than MAX_SECONDS.
    """
    if "{" not in source:
        return source
    template = _compiled(source)
    clock = _Clock()
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**variables, _CLOCK: clock}):
            clock.check()
            length += len(piece)
            if length > MAX_LENGTH:
                raise _too_long()
            pieces.append(piece)
    except PromptError as error:
        raise PromptError(error.message, _line_of(error)) from None
    except UndefinedError as error:
        raise PromptError(_undefined(error), _line_of(error)) from None
    except SecurityError as error:
        raise PromptError(_refused(error), _line_of(error)) from None
    except RecursionError:
        raise PromptError("This text is nested too deeply.") from None
    except Exception as error:
        raise PromptError(f"This text cannot be filled in: {_ended(str(error))}", _line_of(error)) from None
    return "".join(pieces)


def undeclared(source: str) -> list[Name]:
    """The names a template needs, in the order they stand in it. Raises PromptError for a broken template.

    A name that may be missing (`{{ name | default("you") }}`, `{% if name is defined %}`) is not needed.
    """
    if "{" not in source:
        return []
    tree = _parsed(source)
    try:
        free = find_undeclared_variables(tree) - set(_ENVIRONMENT.globals)
    except TemplateSyntaxError as error:
        raise PromptError(_plain_words(error.message or ""), error.lineno) from None
    optional = {id(node.node) for node in tree.find_all(nodes.Filter) if node.name in ("default", "d")}
    optional |= {id(node.node) for node in tree.find_all(nodes.Test) if node.name in ("defined", "undefined")}
    return [
        Name(node.name, node.lineno)
        for node in tree.find_all(nodes.Name)
        if node.ctx == "load" and node.name in free and id(node) not in optional
    ]


class _Clock:
    """The time one rendering may still take."""

    def __init__(self) -> None:
        self._end = time.thread_time() + MAX_SECONDS

    def check(self) -> None:
        if time.thread_time() > self._end:
            raise PromptError(f"This text takes longer than {MAX_SECONDS} seconds to fill in.")


def _too_long() -> PromptError:
    return PromptError(f"This text grows beyond {MAX_LENGTH} characters.")


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with less in it, and with limits."""

    intercepted_binops = frozenset(["*", "**", "%", "+"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_spoken)
        available = cast("dict[str, Callable[..., Any]]", self.filters)
        self.filters = {name: available[name] for name in FILTERS}
        self.filters.update(join=_join, replace=_replace, _counted=_counted, _joined=_joined)
        self.globals = {"range": _short_range}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("** is not available here.")
        if operator in "*%" and not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} works with numbers only.")
        call: Any = super().call_binop
        value: object = call(context, operator, left, right)
        if isinstance(value, int | float) and abs(value) > MAX_NUMBER:
            raise SecurityError("A number grows too large here.")
        if isinstance(value, str | list | tuple) and len(cast("list[object]", value)) > MAX_LENGTH:
            raise _too_long()
        return cast("object", value)

    def wrap_str_format(self, value: Any) -> None:
        """`format` can pad a text to any length, so it is not wrapped but refused like other methods."""
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in TEXT_METHODS
        return super().is_safe_attribute(obj, attr, value)


def _spoken(value: object) -> object:
    """What `{{ }}` puts out. A list has no spoken form, and one of lists of lists could grow without end."""
    if isinstance(value, list | tuple | dict | set):
        raise PromptError("A list cannot be spoken as it is. Write | join(', ') after its name.")
    return value


def _short_range(*numbers: int) -> range:
    made = range(*numbers)
    if len(made) > MAX_RANGE:
        raise PromptError(f"range can count to {MAX_RANGE} at most.")
    return made


@pass_context
def _counted(context: Any, values: Iterable[object]) -> Iterator[object]:
    """What every loop runs over: the same values, with a look at the clock now and then."""
    clock = cast("_Clock", context[_CLOCK])
    for number, value in enumerate(values):
        if number % 64 == 0:
            clock.check()
        yield value


def _joined(values: Iterable[object]) -> str:
    """The `~` of Jinja2."""
    return _join(values)


def _join(values: Iterable[object], d: str = "") -> str:
    made: list[str] = []
    length = 0
    for value in values:
        made.append(str(_spoken(value)))
        length += len(made[-1]) + len(d)
        if length > MAX_LENGTH:
            raise _too_long()
    return d.join(made)


def _replace(text: object, old: str, new: str) -> str:
    base = str(_spoken(text))
    if len(base) + base.count(old) * len(new) > MAX_LENGTH:
        raise _too_long()
    return base.replace(old, new)


class _Limits(NodeTransformer):
    """Puts the clock into every loop and the length into every `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (Jinja2 finds the method by this name)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        joined = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(joined, "_joined", [], [], None, None, lineno=node.lineno)


_ENVIRONMENT = _Environment()

_NOT_AVAILABLE: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Macro, "macro"),
    (nodes.CallBlock, "call"),
    (nodes.FilterBlock, "filter"),
    (nodes.AssignBlock, "set without ="),
    (nodes.Block, "block"),
    (nodes.Include, "include"),
    (nodes.Import, "import"),
    (nodes.FromImport, "from"),
    (nodes.Extends, "extends"),
)


@lru_cache(maxsize=256)
def _compiled(source: str) -> Template:
    tree = cast("nodes.Template", _Limits().visit(_parsed(source)))
    try:
        return _ENVIRONMENT.from_string(tree)
    except TemplateSyntaxError as error:
        raise PromptError(_plain_words(error.message or ""), error.lineno) from None
    except (RecursionError, SyntaxError, MemoryError):
        raise PromptError("This text is nested too deeply.") from None


def _parsed(source: str) -> nodes.Template:
    try:
        tree = _ENVIRONMENT.parse(source)
        for kind, said in _NOT_AVAILABLE:
            found = tree.find(kind)
            if found is not None:
                raise PromptError(f'"{said}" is not available in these texts.', found.lineno)
        for name in tree.find_all(nodes.Name):
            if name.name in ("self", _CLOCK):
                raise PromptError(f'"{name.name}" is not available in these texts.', name.lineno)
        return tree
    except TemplateSyntaxError as error:
        raise PromptError(_plain_words(error.message or ""), error.lineno) from None
    except TemplateError as error:
        raise PromptError(_plain_words(str(error))) from None
    except RecursionError:
        raise PromptError("This text is nested too deeply.") from None


def _undefined(error: UndefinedError) -> str:
    text = str(error)
    if text.endswith(" is undefined") and text.startswith("'"):
        return f'"{text.split(chr(39))[1]}" is not a variable.'
    return "Something in this line has no value. A variable is a plain text; it has no parts."


def _refused(error: SecurityError) -> str:
    text = str(error)
    if text.startswith("access to attribute"):
        return f'".{text.split(chr(39))[1]}" is not available in these texts.'
    return text


def _plain_words(text: str) -> str:
    quoted = text.split("'")[1] if text.count("'") >= 2 else ""
    if "expected token" in text and "got" in text and "'end of template'" not in text.split("got")[-1]:
        got = text.rsplit("'", 2)[-2]
        return f'"{got}" is not expected here. Between {{{{ and }}}} stands the name of a variable.'
    if "end of template" in text or "Unexpected end" in text:
        return "Something is opened with {{ or {% here and never closed."
    if text.startswith("Encountered unknown tag"):
        return f'"{quoted}" cannot stand after {{%.'
    if text.startswith("No filter named"):
        return f'"{quoted}" cannot stand after |. There are: {", ".join(FILTERS)}.'
    if text == "unexpected '}'":
        return "One } is not enough here: what begins with {{ ends with }}."
    return f"What stands between the braces cannot be read: {_ended(text)}"


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _line_of(error: BaseException) -> int:
    """The line of the template an error came from, from its traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
