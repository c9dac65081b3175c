"""Agents that share: what a file takes over from the one it extends, where its faults are, and what it may not reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.definition import AgentDefinition, Only, Transition
from runner.document.load import Loaded, agents_of, load
from runner.live.reload import Agents, reader

FAMILY = Path(__file__).parents[1] / "examples" / "family"
NORTHWIND = (FAMILY / "_northwind.yaml").read_text(encoding="utf-8")


def put(folder: Path, **files: str) -> Path:
    """Write files into a folder, `_base` for _base.yaml; returns agent.yaml."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "agent.yaml"


def read(folder: Path, **files: str) -> Loaded:
    return load(put(folder, **files), env={})


def good(loaded: Loaded) -> AgentDefinition:
    assert loaded.definition is not None, loaded.problems
    return loaded.definition


def said(loaded: Loaded) -> list[tuple[str, int, int, str]]:
    return [(p.file.name, p.line, p.column, p.message) for p in loaded.problems]


BASE = """\
prompt: Be kind.
greeting: Hello.
stt:
  mode: balanced
  keyterms: [Northwind, RMA]
  language_codes: [en, de]
turns:
  idle: {after: 8s, say: Hello?}
anywhere:
  - when: The caller asks for a person
    to: human
stages:
  ask:
    prompt: Ask for the number.
    stt: {keyterms: [number]}
    next:
      - {when: It is given, to: human}
  human:
    say: One moment.
    end: true
"""


def over_base(folder: Path, text: str) -> Loaded:
    return read(folder, _base=BASE, agent=f"extends: _base.yaml\n{text}")


def test_agent_takes_over_what_it_does_not_say() -> None:
    made = good(load(FAMILY / "refunds.yaml", env={}))
    assert made.name == "refunds"
    assert made.file == FAMILY / "refunds.yaml"
    assert made.prompt == "You are {{ agent_name }} of {{ company }}. Be brief.\n"
    assert dict(made.variables) == {"company": "Northwind", "agent_name": "Maya"}
    assert made.greeting is not None
    assert made.llm.settings["temperature"] == 0.4
    assert made.anywhere[0].examples == ("Let me talk to a human", "Is there a real person?")


def test_groups_are_put_together_setting_by_setting() -> None:
    made = good(load(FAMILY / "refunds.yaml", env={}))
    assert made.turns.idle is not None
    assert (made.turns.idle.after, made.turns.idle.say) == (12.0, "Are you still there?")
    assert (made.stages["goodbye"].say, made.stages["goodbye"].end) == ("Your refund is on its way. Goodbye.", True)


def test_a_list_replaces_and_keyterms_add_up() -> None:
    made = good(load(FAMILY / "refunds.yaml", env={}))
    assert made.stt.settings["language_codes"] == ("en",)
    assert made.stt.settings["keyterms"] == ("Northwind", "RMA", "Chai tea", "Suite #4", "refund number")


def test_several_levels_are_put_together_and_a_removed_stage_is_gone() -> None:
    made = good(load(FAMILY / "night.yaml", env={}))
    assert made.name == "after-hours"
    assert made.variables["agent_name"] == "Otto"
    assert list(made.stages) == ["message", "goodbye"]
    assert made.turns.idle is None


def test_a_way_of_anywhere_is_added_or_takes_the_place_of_the_one_for_the_same_case(tmp_path: Path) -> None:
    person, bye = "The caller asks for a person", "The caller says goodbye"
    loaded = over_base(tmp_path, f"anywhere:\n  - when: {bye}\n    to: human\n")
    assert good(loaded).anywhere == (Transition("human", bye), Transition("human", person))
    loaded = over_base(tmp_path, f"anywhere:\n  - when: {person.upper()}\n    to: ask\n")
    assert good(loaded).anywhere == (Transition("ask", person.upper()),)


@pytest.mark.parametrize(
    ("own", "order"),
    [
        ("human: {say: Wait.}", ["ask", "human"]),
        ("first: {prompt: Hi}\n  human: {say: Wait.}", ["first", "ask", "human"]),
        ("ask: {say: Hi.}\n  more: {prompt: Hi}", ["ask", "more", "human"]),
        ("human: {}\n  last: {prompt: Hi}\n  then: {prompt: Hi}", ["ask", "human", "last", "then"]),
        ("human: {}\n  ask: {}", ["ask", "human"]),
    ],
)
def test_stages_keep_the_order_of_the_base_and_new_ones_stand_where_they_are_written(
    own: str, order: list[str], tmp_path: Path
) -> None:
    made = good(over_base(tmp_path, f"greeting: null\nstages:\n  {own}\n"))
    assert list(made.stages) == order


def test_keyterms_of_a_stage_add_up_and_only_replaces(tmp_path: Path) -> None:
    def terms(text: str, base: str = BASE) -> object:
        made = good(read(tmp_path, _base=base, agent=f"extends: _base.yaml\nstages:\n  ask:\n    stt: {text}\n"))
        return made.stages["ask"].stt.get("keyterms")

    only = BASE.replace("{keyterms: [number]}", "{keyterms: {only: [number]}}")
    assert terms("{keyterms: [digit, number]}") == ("number", "digit")
    assert terms("{keyterms: {only: [digit]}}") == Only(("digit",))
    assert terms("{keyterms: [digit]}", only) == Only(("number", "digit"))
    assert terms("{keyterms: null}") is None


def test_only_at_the_top_leaves_out_the_words_of_the_base(tmp_path: Path) -> None:
    made = good(over_base(tmp_path, "stt: {keyterms: {only: [Acme]}}\n"))
    assert made.stt.settings["keyterms"] == ("Acme",)
    long = over_base(tmp_path, f"stt:\n  keyterms:\n    only: [Acme, {'y' * 51}]\n")
    assert said(long) == [("agent.yaml", 4, 18, 'Item 2 of "keyterms" has 51 characters. The most is 50.')]


def test_another_provider_begins_afresh(tmp_path: Path) -> None:
    base = "prompt: Be kind.\ntts: {model: sonic-3, speed: 0.9}\n"
    made = good(read(tmp_path, _base=base, agent="extends: _base.yaml\ntts: {provider: deepgram}\n"))
    assert made.tts.provider == "deepgram"
    assert "speed" not in made.tts.settings
    made = good(read(tmp_path, _base=base, agent="extends: _base.yaml\ntts: {provider: cartesia}\n"))
    assert made.tts.settings["speed"] == 0.9


def test_null_takes_a_setting_away_and_an_empty_one_is_still_a_mistake(tmp_path: Path) -> None:
    made = good(over_base(tmp_path, "greeting: null\nstt: {mode: ~}\nturns: {idle: null}\n"))
    assert made.greeting is None
    assert "mode" not in made.stt.settings
    assert made.turns.idle is None
    assert said(over_base(tmp_path, "greeting:\n")) == [("agent.yaml", 2, 1, '"greeting" has no value.')]


def test_null_for_what_the_base_does_not_have_is_told(tmp_path: Path) -> None:
    loaded = over_base(tmp_path, "limits: null\nstages: {bye: null}\n")
    assert good(loaded)
    assert said(loaded) == [
        ("agent.yaml", 2, 1, 'There is no "limits" to remove: _base.yaml does not have it.'),
        ("agent.yaml", 3, 10, 'There is no "bye" to remove: _base.yaml does not have it.'),
    ]
    assert said(over_base(tmp_path, "greting: null\n")) == [
        ("agent.yaml", 2, 1, '"greting" is not a setting of an agent. Did you mean "greeting"?')
    ]


def test_a_base_that_is_an_agent_keeps_its_name_to_itself(tmp_path: Path) -> None:
    base = f"name: first\n{BASE}"
    assert good(read(tmp_path, first=base, agent="extends: first.yaml\n")).name == "agent"


def test_fault_of_a_base_is_reported_there_and_names_the_agent(tmp_path: Path) -> None:
    loaded = read(tmp_path, _base=BASE.replace("mode: balanced", "mood: balanced"), agent="extends: _base.yaml\n")
    assert said(loaded) == [("_base.yaml", 4, 3, '"mood" is not a setting of stt. Did you mean "mode"?')]
    assert loaded.problems[0].hint == "agent.yaml extends this file."
    assert loaded.problems[0].snippet == "  mood: balanced"


def test_faults_of_three_files_come_at_once_each_in_its_own(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        _far='prompt: "Be {{ kind }}."\nllm: {temperature: 5}\n',
        _near="extends: _far.yaml\n\n\ntts:\n  speed: 9\n",
        agent="extends: _near.yaml\nstt:\n  mode: fast\n",
    )
    assert [(p.file.name, p.line, p.column, p.code) for p in loaded.problems] == [
        ("_far.yaml", 1, 16, "unknown-variable"),
        ("_far.yaml", 2, 20, "out-of-range"),
        ("_near.yaml", 5, 10, "out-of-range"),
        ("agent.yaml", 3, 9, "not-a-choice"),
    ]


def test_fault_that_an_agent_makes_of_a_value_of_the_base_points_at_the_base(tmp_path: Path) -> None:
    loaded = over_base(tmp_path, "stages:\n  human: null\n  end: {say: Bye., end: true}\n")
    assert ("_base.yaml", 11, 9, 'There is no stage "human".') in said(loaded)
    assert ("_base.yaml", 17, 33, 'There is no stage "human".') in said(loaded)


def test_setting_that_does_not_go_with_the_base_s_is_reported_where_it_stands(tmp_path: Path) -> None:
    loaded = over_base(tmp_path, "stt: {model: universal-streaming-english}\n")
    assert {(p.file.name, p.line) for p in loaded.problems if p.is_error} == {("_base.yaml", 4)}


def test_broken_base_is_read_on_and_nothing_follows_from_it(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        _base=BASE.replace("greeting: Hello.", "greeting:Hello."),
        agent="extends: _base.yaml\nllm: {modl: x}\n",
    )
    assert [(p.file.name, p.line, p.code) for p in loaded.problems] == [
        ("_base.yaml", 2, "space-after-colon"),
        ("agent.yaml", 2, "unknown-key"),
    ]


def test_missing_base_is_found_at_its_name_and_what_it_may_say_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "_base.yaml").write_text(BASE)
    loaded = read(tmp_path, agent="extends: _bse.yaml\nllm: {modl: gpt-4o}\nstages: {ask: {stt: {keyterms: [x]}}}\n")
    assert [(p.line, p.column, p.message, p.hint) for p in loaded.problems] == [
        (1, 10, 'The file "_bse.yaml" cannot be used. There is no such file.', 'Did you mean "_base.yaml"?'),
        (2, 7, '"modl" is not a setting of llm. Did you mean "model"?', ""),
    ]
    assert loaded.sources == (tmp_path / "agent.yaml", tmp_path / "_bse.yaml")


def test_base_that_says_nothing_is_a_problem_of_the_base(tmp_path: Path) -> None:
    loaded = read(tmp_path, _base="# later\n", agent="extends: _base.yaml\n")
    assert said(loaded) == [("_base.yaml", 1, 1, "This file holds only comments.")]


def test_circle_is_named(tmp_path: Path) -> None:
    loaded = load(FAMILY / "circle" / "a.yaml", env={})
    circle = "These files extend each other in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml."
    assert said(loaded) == [("c.yaml", 3, 10, circle)]
    assert said(read(tmp_path, agent="extends: ./agent.yaml\n")) == [
        ("agent.yaml", 1, 10, "agent.yaml extends itself.")
    ]


def test_circle_behind_an_agent_and_through_a_link_is_found(tmp_path: Path) -> None:
    put(tmp_path, one="extends: two.yaml\n", two="extends: three.yaml\n")
    (tmp_path / "three.yaml").symlink_to(tmp_path / "one.yaml")
    loaded = read(tmp_path, agent="extends: one.yaml\nprompt: x\n")
    circle = "These files extend each other in a circle: one.yaml -> two.yaml -> three.yaml."
    assert said(loaded) == [("two.yaml", 1, 10, circle)]


def test_five_files_in_a_row_may_stand_behind_an_agent_and_no_more(tmp_path: Path) -> None:
    files = {f"_{n}": f"extends: _{n + 1}.yaml\n" for n in range(1, 6)} | {"_6": "prompt: Be kind.\n"}
    assert good(read(tmp_path, **files, agent="extends: _2.yaml\n")).prompt == "Be kind."
    loaded = read(tmp_path, **files, agent="extends: _1.yaml\n")
    assert [p.code for p in loaded.problems] == ["extends-too-many"]
    assert loaded.problems[0].message.startswith(
        "agent.yaml extends more than 5 files, one behind the other: agent.yaml ->"
    )


def test_family_has_a_bound_on_its_values(tmp_path: Path) -> None:
    words = "variables:\n" + "".join(f"  v{n}: x\n" for n in range(11_000))
    loaded = read(tmp_path, _base=f"prompt: x\n{words}", agent=f"extends: _base.yaml\n{words}")
    assert [p.message for p in loaded.problems if p.is_error] == [
        "With _base.yaml, this agent has more than 20000 values."
    ]


def test_all_files_of_an_agent_have_a_bound_together(tmp_path: Path) -> None:
    stages = ""
    for number in range(10):
        (tmp_path / f"{number}.md").write_text("Ask. " * 100_000)
        stages += f"  s{number}: {{prompt: {{file: {number}.md}}, end: true}}\n"
    loaded = read(tmp_path, agent=f"prompt: x\nstages:\n{stages}")
    big = "With it, the files of this agent are larger than 4.0 MB together."
    found = [p for p in loaded.problems if p.is_error]
    assert [(p.line, p.message) for p in found] == [
        (11, f'The file "8.md" cannot be used. {big}'),
        (12, f'The file "9.md" cannot be used. {big}'),
    ]


@pytest.mark.parametrize("value", ["", " 3", " [_base.yaml]", " {file: _base.yaml}", ' ""'])
def test_extends_is_the_name_of_one_file(value: str, tmp_path: Path) -> None:
    loaded = read(tmp_path, _base=BASE, agent=f"extends:{value}\n")
    assert [(p.file.name, p.line) for p in loaded.problems] == [("agent.yaml", 1)]
    loaded = read(tmp_path, _base=f"extends:{value}\n", agent="extends: _base.yaml\nprompt: x\n")
    assert [(p.file.name, p.line) for p in loaded.problems] == [("_base.yaml", 1)]


@pytest.mark.parametrize("setting", ["extends", "prompt", "words"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "Other files are named from the folder of the file that names them."),
        ("~/words.txt", "Other files are named from the folder of the file that names them."),
        ("C:\\words.txt", "Other files are named from the folder of the file that names them."),
        ("../outside.txt", "It lies outside the folder of the file that names it."),
        ("inside/../../outside.txt", "It lies outside the folder of the file that names it."),
        ("..\\outside.txt", "It lies outside the folder of the file that names it."),
        ("link.txt", "It is a link that leads out of the agent's folder."),
        ("folder/outside.txt", "It is a link that leads out of the agent's folder."),
    ],
)
def test_nothing_outside_the_folder_is_read(setting: str, name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("prompt: secret\n")
    agents = tmp_path / "agents"
    (agents / "inside").mkdir(parents=True)
    (agents / "link.txt").symlink_to(tmp_path / "outside.txt")
    (agents / "folder").symlink_to(tmp_path)
    line = {
        "extends": f"extends: {name}",
        "prompt": f"prompt:\n  file: {name}",
        "words": f"stt:\n  keyterms:\n    file: {name}",
    }
    loaded = read(agents, agent=f"{line[setting]}\n" + ("" if setting == "prompt" else "prompt: x\n"))
    assert [p.message for p in loaded.problems] == [f'The file "{name}" cannot be used. {why}']
    assert [p.snippet[p.column - 1 : p.column - 1 + p.length] for p in loaded.problems] == [name]
    assert "secret" not in str(loaded.problems)


def test_files_are_named_from_the_file_that_names_them(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "prompts").mkdir(parents=True)
    (shared / "prompts" / "kind.md").write_text("Be kind.\n")
    put(shared, _base="prompt: {file: prompts/kind.md}\n")
    made = good(read(tmp_path, agent="extends: shared/_base.yaml\n"))
    assert made.prompt == "Be kind.\n"
    put(shared, _base="prompt: {file: ../kind.md}\n")
    assert [p.file.name for p in read(tmp_path).problems] == ["_base.yaml"]


def mounted(folder: Path, version: str) -> None:
    """The folder as Kubernetes mounts a ConfigMap: every name leads through `..data`, which is exchanged at one stroke."""
    content = folder / f"..{version}"
    (content / "words").mkdir(parents=True)
    (content / "agent.yaml").write_text("extends: _base.yaml\nstt: {keyterms: {file: words/own.txt}}\n")
    (content / "_base.yaml").write_text(f"prompt: Be {version}.\n")
    (content / "words" / "own.txt").write_text(f"{version}\n")
    (folder / "..new").symlink_to(content.name)
    (folder / "..new").replace(folder / "..data")
    for name in ("agent.yaml", "_base.yaml", "words"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data") / name)


def test_links_of_a_kubernetes_mount_stay_inside(tmp_path: Path) -> None:
    mounted(tmp_path, "first")
    made = good(load(tmp_path / "agent.yaml", env={}))
    assert (made.prompt, made.stt.settings["keyterms"]) == ("Be first.", ("first",))
    mounted(tmp_path, "second")
    made = good(load(tmp_path / "agent.yaml", env={}))
    assert (made.prompt, made.stt.settings["keyterms"]) == ("Be second.", ("second",))
    assert made.sources == tuple(tmp_path / name for name in ("agent.yaml", "words/own.txt", "_base.yaml"))


def test_agent_in_a_folder_that_is_a_link_may_use_its_neighbours(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    put(real, _base=BASE, agent="extends: _base.yaml\n")
    (tmp_path / "agents").symlink_to(real)
    assert good(load(tmp_path / "agents" / "agent.yaml", env={}))


def test_every_file_that_was_read_or_looked_for_is_a_source() -> None:
    names = ["refunds.yaml", "words/digits.txt", "_northwind.yaml", "words/products.txt", "words/person.txt"]
    assert good(load(FAMILY / "refunds.yaml", env={})).sources == tuple(
        FAMILY / name for name in (*names, "prompts/manner.md")
    )
    circle = load(FAMILY / "circle" / "a.yaml", env={})
    assert circle.sources == tuple(FAMILY / "circle" / f"{name}.yaml" for name in "abc")


async def test_save_of_any_of_its_files_is_a_new_version_of_the_agents_that_use_it(tmp_path: Path) -> None:
    for file in FAMILY.rglob("*.*"):
        copy = tmp_path / file.relative_to(FAMILY)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (tmp_path / "alone.yaml").write_text("prompt: Be kind.\n")
    agents = Agents(reader({}, {}, lambda: {}))
    for name in ("refunds", "night", "alone"):
        assert agents.open(tmp_path / f"{name}.yaml") == ()

    async def saved(name: str, text: str) -> dict[str, tuple[bool, list[str], int]]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        found = await agents.take(frozenset({tmp_path / name}))
        return {s.agent.name: (s.good, [field.path for field in s.changed.fields], s.agent.version) for s in found}

    both = {"refunds", "after-hours"}
    assert await saved("words/digits.txt", "zero\none\n") == {"refunds": (True, ["stages.number.stt"], 2)}
    found = await saved("words/products.txt", "Northwind\nChai\n")
    assert found == {"refunds": (True, ["stt.keyterms"], 3), "after-hours": (True, ["stt.keyterms"], 2)}
    assert set(await saved("prompts/manner.md", "You are {{ agent_name }}.\n")) == both
    assert set(await saved("_northwind.yaml", NORTHWIND.replace("0.4", "0.7"))) == both
    assert await saved("_night.yaml", "extends: _gone.yaml\n") == {"after-hours": (False, [], 4)}
    assert agents.named("after-hours") is not None
    found = await saved("_gone.yaml", NORTHWIND)
    assert found["after-hours"][0], "a file that was looked for and not found belongs to the agent as well"
    assert {agent.name: agent.version for agent in agents} == {"refunds": 5, "after-hours": 5, "alone": 1}


def test_set_goes_over_the_whole_family_and_cannot_exchange_it(tmp_path: Path) -> None:
    file = put(tmp_path, _base=BASE, agent="extends: _base.yaml\n")
    (tmp_path / "words.txt").write_text("Acme\n")
    made = good(load(file, env={}, settings={"llm.model": "gpt-4.1", "stt.keyterms": "{file: words.txt}"}))
    assert made.llm.settings["model"] == "gpt-4.1"
    assert made.stt.settings["keyterms"] == ("Acme",)
    assert [p.message for p in load(file, env={}, settings={"stt.mode": "fast"}).problems] == [
        '--set stt.mode=fast: "mode" cannot be "fast". Did you mean "min_latency"?'
    ]
    assert [p.message for p in load(file, env={}, settings={"extends": "x.yaml"}).problems] == [
        "--set extends=x.yaml: what an agent extends is said in its file alone."
    ]


def test_a_shared_file_stands_for_the_agents_that_are_made_of_it() -> None:
    assert [file.name for file in agents_of(FAMILY / "_northwind.yaml")] == ["night.yaml", "refunds.yaml"]
    assert [file.name for file in agents_of(FAMILY / "_night.yaml")] == ["night.yaml"]
    assert agents_of(FAMILY / "night.yaml") == [FAMILY / "night.yaml"]


def test_a_fault_of_a_shared_file_is_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from runner.cli import main

    put(tmp_path, _base=f"{BASE}modl: x\n", one="extends: _base.yaml\n", two="extends: _base.yaml\n")
    for path in (tmp_path, tmp_path / "_base.yaml"):
        assert main(["check", os.fspath(path)]) == 1
        out = capsys.readouterr().out
        assert out.count('"modl" is not a setting') == 1
        assert out.endswith("1 problem.\n")
