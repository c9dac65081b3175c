"""Imports Pipecat before the tests do: Pipecat 1.14 warns about parts of its own while it is imported, and the tests treat
warnings as errors."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from runner.local import ears, voice
    from tests.local import calling

__all__ = ["calling", "ears", "voice"]
