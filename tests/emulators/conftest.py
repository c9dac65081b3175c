"""Imports Pipecat before the tests do. Pipecat 1.14 warns about parts of its own while it is imported (`audioop`, its deprecated
classes), and the tests treat warnings as errors."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from tests.emulators import pipecat_call

__all__ = ["pipecat_call"]
