"""What brings a call: a browser, a Daily room, a telephone, this machine's microphone, or somebody who types."""
