"""A whole call with a model of another provider, one that speaks OpenAI's language: what the file says is on the wire."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType

from tests.emulators import OpenAIEmulator, wait_until
from tests.live.typed_call import TypedCall

AGENT = """
prompt: You are Maya.
greeting: Hello.
llm:
  provider: groq
  model: llama-3.3-70b-versatile
stages:
  ask:
    prompt: Ask for the number.
    llm:
      temperature: 0.1
    next:
      - when: The caller has given the number
        to: done
  done:
    prompt: Talk on.
"""


def test_settings_of_the_file_the_stage_and_a_save_are_on_the_wire(tmp_path: Path) -> None:
    agent = tmp_path / "agent.yaml"
    agent.write_text(AGENT)
    with OpenAIEmulator(key="dummy-groq").in_thread() as model, Typed(agent, model) as call:
        model.reply("Which number?")
        call.ask("Hi")
        assert model.request.body["model"] == "llama-3.3-70b-versatile"
        assert model.request.body["temperature"] == 0.1
        assert model.request.system == "You are Maya.\n\nAsk for the number."
        model.call_tool("go_to_done")
        model.reply("Thank you.")
        call.ask("It is 12")
        assert "temperature" not in model.request.body
        assert model.request.system == "You are Maya.\n\nTalk on."
        agent.write_text(AGENT.replace("llama-3.3-70b-versatile", "llama-3.3-70b-versatile\n  top_p: 0.5"))
        wait_until(lambda: call.of("reload"), 10)
        time.sleep(0.2)
        model.reply("Yes.")
        call.ask("And now?")
        assert model.request.body["top_p"] == 0.5


class Typed(TypedCall):
    """A typed call whose model is Groq's."""

    keys = MappingProxyType({"GROQ_API_KEY": "dummy-groq"})
