"""Telephones: the streams of Twilio, Telnyx, Plivo and Exotel."""
