"""`runner` as a person starts it, and a telephone that calls it from outside."""

from __future__ import annotations

from pathlib import Path

from runner.live.carriers.phone.proofs import twilio_signature
from tests.carriers.phone_caller import PhoneCall, Twilio
from tests.cloud.vendors import KEYS, Ports, vendors_on
from tests.running import Running, free_port, run

LINE = Path(__file__).parent / "agents" / "line.yaml"
TOKEN = "12345678901234567890123456789012"


async def test_telephone_calls_runner_through_a_tunnel(tmp_path: Path) -> None:
    """The tunnel's address is known by `--public-url`, the secret by `.env`; the transcript stands in the terminal."""
    file = tmp_path / "line.yaml"
    file.write_text(LINE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / ".env").write_text(f"TWILIO_AUTH_TOKEN={TOKEN}\n", encoding="utf-8")
    ports, port = Ports.free(), free_port()
    options = ("--no-browser", "--port", port, "--public-url", "https://agent.example.com/", *ports.arguments)
    with vendors_on(ports) as vendors, Running(file, *options, cwd=tmp_path, env=KEYS) as running:
        vendors.mind.answer = lambda body: "Thank you."  # whichever of the requests comes first
        running.wait_for("Telephone:   https://agent.example.com/phone/line for Twilio")
        running.wait_for("ready")
        signature = twilio_signature(TOKEN, "wss://agent.example.com/ws/line", ())
        headers = {"X-Twilio-Signature": signature}
        async with PhoneCall("ws://agent.example.com/ws/line", Twilio(), headers, tunnel=port) as phone:
            await phone.wait_until(lambda: phone.heard_seconds > 0.2, "greeting")
            await phone.press("42#")
            await phone.wait_until(lambda: any("Thank you." in line for line in running.lines), "answer")
            await phone.hang_up()
            await phone.wait_until(lambda: phone.close_code is not None, "end")
        running.wait_for("call started (Twilio)")
        running.wait_for("[caller] [pressed 42]")
        running.wait_for("the caller hung up")
        assert vendors.ears.session.query["sample_rate"] == "8000"
        assert "Traceback" not in running.output
        assert TOKEN not in running.output


def test_public_address_has_to_be_one(tmp_path: Path) -> None:
    for typed in ("agent.example.com", "https://", "wss://agent.example.com"):
        refused = run(LINE, "--public-url", typed, cwd=tmp_path)
        assert refused.returncode == 2
        assert "https://" in refused.stderr
        assert "Traceback" not in refused.stderr
