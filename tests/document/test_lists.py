"""Lists from files: one word a line, and whatever is wrong with a word is said at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.definition import Only
from runner.document.lists import read_list
from runner.document.load import Loaded, load


def words(text: str) -> list[str]:
    return read_list(Path("words.txt"), text).data


def read(folder: Path, agent: str, **files: str | bytes) -> Loaded:
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.txt").write_bytes(content)
    (folder / "agent.yaml").write_text(f"prompt: Be kind.\n{agent}", encoding="utf-8")
    return load(folder / "agent.yaml", env={})


def said(loaded: Loaded) -> list[tuple[str, int, int, str]]:
    return [(p.file.name, p.line, p.column, p.code) for p in loaded.problems]


KEYTERMS = "stt:\n  keyterms:\n    file: words.txt\n"

STAGE = """\
stages:
  ask:
    prompt: Ask.
    stt:
      keyterms: {list}
    next:
      - when: It is given
        examples: {examples}
        to: bye
  bye: {{say: Bye., end: true}}
"""


def test_lines_are_words_and_empty_lines_and_comments_are_not() -> None:
    assert words("# Names\nNorthwind\n\n   RMA  \n  # more\nChai tea # a drink\n") == ["Northwind", "RMA", "Chai tea"]
    assert words("C#\nSuite #4\n#4\nF# minor #\n") == ["C#", "Suite #4", "F# minor"]
    assert words("yes\n010\n12:30\nkey: value\n[a, b]\n") == ["yes", "010", "12:30", "key: value", "[a, b]"]


def test_agents_list_comes_from_a_file(tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words="\ufeffNorthwind\r\n\r\nGrüße\r\n")
    assert loaded.problems == ()
    assert loaded.definition is not None
    assert loaded.definition.stt.settings["keyterms"] == ("Northwind", "Grüße")
    assert loaded.sources == (tmp_path / "agent.yaml", tmp_path / "words.txt")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("{file: words.txt}", ("one", "two")),
        ("{only: {file: words.txt}}", Only(("one", "two"))),
        ("{only: [x]}", Only(("x",))),
    ],
)
def test_lists_of_a_stage_come_from_files(given: str, made: object, tmp_path: Path) -> None:
    agent = STAGE.format(list=given, examples="{file: yes.txt}")
    loaded = read(tmp_path, agent, words="one\ntwo\n", yes="Here it is\n")
    assert loaded.problems == ()
    assert loaded.definition is not None
    assert loaded.definition.stages["ask"].stt["keyterms"] == made
    assert loaded.definition.stages["ask"].next[0].examples == ("Here it is",)


def test_fault_of_a_word_is_reported_in_its_file_at_its_line(tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words=f"# Names\n\nNorthwind\n  {'y' * 51}\nnorthwind\n")
    assert said(loaded) == [("words.txt", 4, 3, "too-long"), ("words.txt", 5, 1, "keyterm-twice")]
    assert loaded.problems[0].snippet == "  " + "y" * 51
    assert loaded.problems[0].message == 'Item 2 of "keyterms" has 51 characters. The most is 50.'


def test_word_beyond_the_hundredth_is_reported_in_its_file(tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words="\n".join(f"word {n}" for n in range(120)))
    assert said(loaded) == [("words.txt", 101, 1, "too-many")]


def test_words_of_agent_and_stage_are_counted_together(tmp_path: Path) -> None:
    agent = KEYTERMS + STAGE.format(list="{file: more.txt}", examples="[Yes]")
    many = "\n".join(f"word {n}" for n in range(60))
    loaded = read(tmp_path, agent, words=many, more=many.replace("word", "term"))
    assert [(p.file.name, p.code) for p in loaded.problems] == [("agent.yaml", "too-many-keyterms")]


def test_fault_of_an_example_is_reported_in_its_file(tmp_path: Path) -> None:
    agent = STAGE.format(list="[x]", examples="{file: yes.txt}")
    assert said(read(tmp_path, agent, yes="Yes\n\nFor {{ company }}\n")) == [("yes.txt", 3, 1, "braces-not-filled")]


def test_habits_of_yaml_are_noticed(tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words='- Northwind\n"RMA"\nMiller-Smith\n')
    assert [(p.line, p.column, p.message, p.hint) for p in loaded.problems] == [
        (1, 1, "A line of this file is taken as it stands, with its dash.", "Write: Northwind"),
        (2, 1, "A line of this file is taken as it stands, with its quotes.", "Write: RMA"),
    ]


def test_pasted_key_is_not_repeated(tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words="sk-abcdefghijklmnopqrstuv\n")
    assert [p.code for p in loaded.problems] == ["key-in-file"]
    assert "abcdef" not in str(loaded.problems)


@pytest.mark.parametrize("content", ["", "\n# none yet\n"])
def test_list_without_a_word_is_a_problem_of_the_name(content: str, tmp_path: Path) -> None:
    loaded = read(tmp_path, KEYTERMS, words=content)
    assert said(loaded) == [("agent.yaml", 4, 11, "list-file")]
    assert loaded.problems[0].message == 'The file "words.txt" has no words in it.'


def test_missing_list_is_found_at_its_name_and_nothing_follows_from_it(tmp_path: Path) -> None:
    loaded = read(tmp_path, STAGE.format(list="{only: {file: wrds.txt}}", examples="{file: absent.txt}"), words="x\n")
    assert [(p.line, p.column, p.message, p.hint) for p in loaded.problems] == [
        (6, 31, 'The file "wrds.txt" cannot be used. There is no such file.', 'Did you mean "words.txt"?'),
        (9, 26, 'The file "absent.txt" cannot be used. There is no such file.', ""),
    ]
    assert loaded.sources[1:] == (tmp_path / "wrds.txt", tmp_path / "absent.txt")


def test_list_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    assert said(read(tmp_path, KEYTERMS, words=b"\x00\x01\x02")) == [("agent.yaml", 4, 11, "list-file")]
    assert said(read(tmp_path, KEYTERMS, words="Straße\n".encode("latin-1"))) == [("words.txt", 1, 5, "not-utf-8")]


def test_endless_list_is_cut(tmp_path: Path) -> None:
    loaded = read(tmp_path, STAGE.format(list="[x]", examples="{file: yes.txt}"), yes="word\n" * 50_000)
    assert ("yes.txt", 1001, 1, "too-many") in said(loaded)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (
            "{file: words.txt, only: [x]}",
            '"file" and "only" cannot stand together.',
            "",
        ),
        ("{fle: words.txt}", '"fle" is not a setting of keyterms. Did you mean "file"?', ""),
        ("{file: [words.txt]}", '"file" must be text, not a list.', "Write one text, without [ ] and without -."),
        ("{}", '"keyterms" is empty.', "Fill it in, or remove the line."),
        (
            "{Northwind: RMA}",
            '"keyterms" must be a list, not a group of settings.',
            "Begin each item with a - and a space.",
        ),
        ("words.txt", '"keyterms" must be a list, not words.txt.', "Write: keyterms: [words.txt]"),
        ("", '"keyterms" has no value.', "For example: keyterms: [Northwind, RMA]"),
    ],
)
def test_list_that_is_written_otherwise_is_explained(given: str, message: str, hint: str, tmp_path: Path) -> None:
    loaded = read(tmp_path, f"stt:\n  keyterms: {given}\n", words="x\n")
    assert [(p.message, p.hint) for p in loaded.problems] == [(message, hint)]


def test_advice_beyond_what_anybody_reads_keeps_no_agent_from_running(tmp_path: Path) -> None:
    agent = STAGE.format(list="[x]", examples="{file: yes.txt}")
    loaded = read(tmp_path, agent, yes="word\n" * 300)
    assert loaded.definition is not None
    assert not any(problem.is_error for problem in loaded.problems)
    assert loaded.problems[-1].message == "There are 199 more problems from here on."
