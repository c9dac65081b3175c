"""Agent files of one provider each, and keys that are none."""

from __future__ import annotations

import json
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from runner.catalog import PARTS, PROVIDERS, Part
from runner.definition import AgentDefinition
from runner.document.load import Loaded, load
from runner.local.weights import WHISPER
from runner.providers import names
from tests.speech import JOE

EVERY: list[tuple[Part, str]] = [(part, name) for part in PARTS for name in names(part)]
"""All providers of Pipecat's registry but the three described by hand."""

SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "providers.schema.json").read_text(encoding="utf-8"))


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """A part of `providers.schema.json` with its reference followed."""
    while "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def settings_of(part: Part, name: str) -> dict[str, dict[str, Any]]:
    """The settings a file may give for one provider, by name."""
    return {key: resolved(node) for key, node in SCHEMA["$defs"][f"{part}.{name}"]["properties"].items()}


def value_for(node: dict[str, Any]) -> Any:
    """Some right value of a setting."""
    if "enum" in node:
        return node["enum"][0]
    if node.get("examples"):
        return node["examples"][0]
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    if "string" in kinds:
        return "some"
    return {"integer": node.get("minimum", 2), "number": node.get("minimum", 0.5), "boolean": True, "array": ["some"]}[
        kinds[0]
    ]


def needed(part: Part, name: str) -> dict[str, Any]:
    """What a file has to give: the voice or model that has no default."""
    for branch in SCHEMA["$defs"][part]["allOf"]:
        if branch["if"]["properties"]["provider"]["const"] == name:
            return dict.fromkeys(branch["then"].get("required", ()), "some")
    raise KeyError(name)


def agent(
    folder: Path, part: Part, name: str, settings: dict[str, Any], stages: dict[str, Any] | None = None
) -> Loaded:
    """Load an agent whose `part` is done by `name`; the problems, and the definition or None."""
    data: dict[str, Any] = {"prompt": "Say hello.", part: {"provider": name, **settings}}
    if stages:
        data["stages"] = stages
    return load(folder / "agent.yaml", text=json.dumps(data, indent=1))


def made(folder: Path, part: Part, name: str, settings: dict[str, Any]) -> AgentDefinition:
    loaded = agent(folder, part, name, settings)
    assert loaded.definition, [problem.message for problem in loaded.problems]
    return loaded.definition


class _Tokens(BaseHTTPRequestHandler):
    """Google's desk for tokens: whoever asks gets one. Pipecat's Vertex service asks while it is built."""

    def do_POST(self) -> None:
        answer = json.dumps({"access_token": "dummy", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


_TOKENS = HTTPServer(("127.0.0.1", 0), _Tokens)


@cache
def _service_account() -> str:
    """What Google's file of credentials holds, with a key made for this run and tokens from this process."""
    Thread(target=_TOKENS.serve_forever, daemon=True).start()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "northwind",
            "private_key": key.decode(),
            "client_email": "maya@northwind.iam.gserviceaccount.com",
            "token_uri": f"http://127.0.0.1:{_TOKENS.server_port}/token",
        }
    )


def own_weights(part: Part, name: str, folder: Path) -> dict[str, Any]:
    """Settings by which Pipecat's local services find weights that are here, where they would fetch some."""
    if (part, name) == ("stt", "whisper"):
        for file, weights in WHISPER.items():
            weights.write(folder / file)
        return {"model": str(folder)}
    if (part, name) == ("tts", "piper"):
        return {"voice": str(JOE.path().with_suffix(""))}
    return {}


def dummy_keys(part: Part, name: str) -> dict[str, str]:
    """A value for every variable a provider needs."""
    keys = dict.fromkeys(PROVIDERS[part, name].keys, "dummy-key")
    for variable in keys:
        if variable == "GOOGLE_APPLICATION_CREDENTIALS":
            keys[variable] = _service_account()
        elif variable.endswith(("_URL", "_ENDPOINT")):
            keys[variable] = "http://127.0.0.1:9"
        elif variable.endswith("_REGION"):
            keys[variable] = "eastus"
    return keys
