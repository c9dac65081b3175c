"""The XML with which a carrier's webhook is answered, so that it connects the call to this server.

Sources: Twilio, TwiML <Stream> and <Reject>; Telnyx, TeXML <Stream> and <Reject>; Plivo, XML <Stream> and <Hangup>. After the
stream comes <Hangup/>: closing the socket then ends the call at the carrier, also without credentials for its REST interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

Webhook = Literal["twilio", "telnyx", "plivo"]
"""The carriers that ask what to do with a call. Exotel is given the socket's address in its Voicebot applet."""


def whose_webhook(headers: Mapping[str, str], fields: Mapping[str, str]) -> Webhook | None:
    """Who asks, None for nobody known. fields: of the form, or of the address."""
    if "x-plivo-signature-v3" in headers or "CallUUID" in fields:
        return "plivo"
    if "telnyx-signature-ed25519" in headers or "CallControlId" in fields:
        return "telnyx"
    if "x-twilio-signature" in headers or fields.get("AccountSid", "").startswith("AC"):
        return "twilio"
    return "telnyx" if "CallSid" in fields else None


def connect(carrier: Webhook, url: str, status_url: str, facts: Mapping[str, str]) -> str:
    """Connect the call to the socket at `url`, 8 kHz both ways. facts: handed on to the socket where the carrier does not tell
    them there by itself."""
    at, status = quoteattr(url), quoteattr(status_url)
    if carrier == "plivo":
        extra = quoteattr(";".join(f"{name}={value}" for name, value in facts.items()))
        stream = (
            '<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" '
            f"statusCallbackUrl={status} extraHeaders={extra}>{escape(url)}</Stream>"
        )
    elif carrier == "telnyx":
        codec = 'codec="PCMU" bidirectionalMode="rtp" bidirectionalCodec="PCMU"'
        stream = f'<Connect><Stream url={at} track="inbound_track" {codec} statusCallback={status}/></Connect>'
    else:
        said = "".join(f"<Parameter name={quoteattr(n)} value={quoteattr(v)}/>" for n, v in facts.items())
        stream = f"<Connect><Stream url={at} statusCallback={status}>{said}</Stream></Connect>"
    return _document(f"{stream}<Hangup/>")


def busy(carrier: Webhook) -> str:
    """The caller hears the busy tone."""
    return _document('<Hangup reason="busy"/>' if carrier == "plivo" else '<Reject reason="busy"/>')


def _document(verbs: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{verbs}</Response>\n'
