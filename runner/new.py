"""`runner new`: three answers in, the text of a first agent file out, and written where nothing is yet.

What a person answers is only ever text in the file: nothing of it is read as YAML or as a template.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.document.load import load
from runner.problem import Problem

WHAT = "Answers the telephone and takes messages."
"""What an agent is for when nobody says."""

_PLAIN = re.compile(r"[^\W\d_](?:[\w ,.!?()'/+-]|:(?! |$))*(?<! )")
_WORDS_THAT_ARE_NOT_TEXT = ("true", "false", "null", "yes", "no", "on", "off")


@dataclass(frozen=True, slots=True)
class Answers:
    """what: what the agent is for. name: its own or its company's, "" for none. stages: whether it goes in steps."""

    what: str = WHAT
    name: str = ""
    stages: bool = False


class CannotWriteError(Exception):
    """The file is not written; the sentence says why. `problems` are those of the text, when that is the reason."""

    def __init__(self, sentence: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(sentence)
        self.problems = problems


def ask(answer: Callable[[str], str], what: str | None, name: str | None, stages: bool | None) -> Answers:
    """The three answers. answer: shows a question and gives what was typed; only what is None is asked for.

    Whoever cannot answer (the end of the input) or types nothing gets the default.
    """

    def typed(question: str) -> str:
        try:
            return _one_line(answer(question))
        except EOFError:
            return ""

    if what is None:
        what = typed(f"What is the agent for?  [{WHAT}]\n> ")
    if name is None:
        name = typed("Who is it: its own name, or the name of your company?  [none]\n> ")
    if stages is None:
        stages = typed(
            "Should a call go in steps (stages), each with instructions of its own? y/n  [n]\n> "
        ).lower() in (
            "y",
            "yes",
        )
    return Answers(_one_line(what) or WHAT, _one_line(name), stages)


def file_for(typed: Path) -> Path:
    """The file that `runner new typed` writes: `.yaml` is added where it is missing.

    Raises CannotWriteError: there is something already, or runner would not take the file for an agent.
    """
    file = typed if typed.suffix in (".yaml", ".yml") else typed.with_name(typed.name + ".yaml")
    if typed.is_dir():
        raise CannotWriteError(f"{typed} is a folder. Name the file, for example: runner new {typed / 'first.yaml'}")
    if file.name.startswith(("_", ".")) or file.stem.endswith(".tests"):
        raise CannotWriteError(f"{file.name} is not a name for an agent: files that begin with _ or . are not agents.")
    if os.path.lexists(file):
        raise CannotWriteError(f"{file} is there already and stays as it is. Choose another name.")
    return file


def write(file: Path, answers: Answers) -> None:
    """Write the agent, and the folder it is in. Nothing that is there is ever touched.

    Raises CannotWriteError: the file is there already or cannot be written, or the answers make no good agent.
    """
    text = agent_text(file, answers)
    loaded = load(file, text=text, env={})
    if loaded.definition is None:
        raise CannotWriteError("With these answers the file would not be a good agent:", loaded.problems)
    try:
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True)
        with file.open("x", encoding="utf-8", newline="\n") as new:
            new.write(text)
    except OSError as error:
        if os.path.lexists(file):
            raise CannotWriteError(f"{file} is there already and stays as it is. Choose another name.") from None
        raise CannotWriteError(f"{file} cannot be written: {error.strerror}.") from None


def agent_text(file: Path, answers: Answers) -> str:
    """The text of an agent that is going to stand in `file`."""
    what, name = _without_templates(answers.what), _without_templates(answers.name)
    purpose = what if what.endswith((".", "!", "?")) else f"{what}."
    who = "{{ company }}" if name else ""
    lines = [
        f"# yaml-language-server: $schema={_schema_seen_from(file)}",
        f"name: {_agent_name(file)}",
        f"description: {_value(what)}",
    ]
    if name:
        lines += ["", "variables:", f"  company: {_value(name)}"]
    lines += [
        "",
        "prompt: |",
        f"  You are the friendly voice {f'of {who} ' if who else ''}on the telephone.",
        f"  What you are there for: {purpose}",
        "  Answer in one or two short sentences, in plain spoken words. If you do not know something, say so.",
        "",
        f"greeting: Hello{f', this is {who}' if who else ''}. How can I help you?",
        "",
        "turns:",
        "  idle:",
        "    after: 12s",
        "    say: Are you still there?",
        "limits:",
        "  max_call: 15m",
    ]
    text = "\n".join(lines) + "\n"
    return f"{text}{_STAGES}" if answers.stages else text


_STAGES = """
anywhere:                         # ways that are open in every stage
  - when: The caller asks for a person
    examples:
      - Let me talk to a human
      - I want to speak to a real person
    to: human

stages:                           # the first one starts
  wish:
    prompt: Find out what the caller wants. Ask one short question at a time.
    next:
      - when: The caller has said what they want
        examples:
          - I have a question about my order
          - I would like to leave a message
          - I need some help
        to: contact
  contact:
    say: Gladly. Please tell me your name first.       # spoken as written
    prompt: Get the name of the caller and repeat it.  # leads what follows
    listen_for: name                                   # waits longer while the caller spells it
    next:
      - when: The caller has given a name
        examples:
          - My name is Jane Miller
          - It is Robert Brown
        to: goodbye
      - after_tries: 3
        to: human
  human:
    say: One moment please, I am connecting you to a colleague.
    end: true
  goodbye:
    say: Thank you for calling. We will take care of it. Goodbye.
    end: true
"""


def _one_line(text: str) -> str:
    """Without line breaks, tabs and characters that nobody can see."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _without_templates(text: str) -> str:
    """Text without the pairs of signs that Jinja2 would read."""
    return re.sub(r"\{(?=[{%#])", "{ ", text)


def _value(text: str) -> str:
    """Text as a value after a colon; in quotes where YAML would read it otherwise."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS_THAT_ARE_NOT_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)


def _agent_name(file: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-_")[:60]
    return name if name[:1].isalpha() else f"agent-{name}".strip("-")


def _schema_seen_from(file: Path) -> str:
    """Where an editor finds the schema: the nearest `schema/` folder above the file, else the installed one."""
    folder = file.absolute().parent
    for above in (folder, *folder.parents[:3]):
        if (above / "schema" / "agent.schema.json").is_file():
            return Path(os.path.relpath(above / "schema" / "agent.schema.json", folder)).as_posix()
    here = Path(__file__).resolve().parent
    for found in (here / "schema" / "agent.schema.json", here.parent / "schema" / "agent.schema.json"):
        if found.is_file():
            return found.as_posix()
    return "agent.schema.json"
