"""The child process in which a GGUF model answers. What comes in: its path, and `brief` or `as-it-is`. What goes out:
one line with the address of an OpenAI-compatible server on 127.0.0.1, then answers over HTTP until standard input ends.

A process of its own, because the model then takes no time from the event loop of the calls, and because a processor
that lacks an instruction ends this process and not the calls. Standard input is the life line: it ends with the parent,
however that ends.
"""

# xllamacpp has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import os
import sys

import xllamacpp

CONTEXT = 4096
"""Tokens of prompt, history and answer, for each of the conversations below."""

CONVERSATIONS = 2
"""How many prompts stay in memory side by side. A further one costs its reader the prompt again, nothing else."""

LONGEST_ANSWER = 80
"""Tokens, for requests that name no limit: about three spoken sentences. A small model left alone rambles."""

BRIEF = """
root ::= sentence (" " sentence)?
sentence ::= [A-Z] [A-Za-z0-9 ,'’$%-]{1,120} [.!?]
"""
"""Grammar of at most two sentences without lists or marks. It is what makes the 135 million weights of SmolLM2
bearable: without it they ramble until the limit cuts them off in mid-sentence."""


def main() -> None:
    """Serve until standard input ends."""
    file, manner = sys.argv[1:]
    settings = _settings(file)
    if manner == "brief":
        user = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
        settings.sampling.grammar = xllamacpp.CommonGrammar(user, BRIEF)
        settings.sampling.penalty_repeat = 1.1
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # the threads of the server would be waited for


def _settings(model: str) -> xllamacpp.CommonParams:
    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_ctx = CONTEXT * CONVERSATIONS
    settings.n_parallel = CONVERSATIONS
    settings.n_predict = LONGEST_ANSWER
    settings.cache_ram_mib = 256
    settings.offline = True
    settings.verbosity = 0
    settings.ui = False
    settings.endpoint_slots = False
    settings.cors_origins = "http://127.0.0.1"
    settings.cors_credentials = False
    # The threads wait for each other by spinning: with one for each of two busy processors an answer took up to 20 s.
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 1) // 2)
    settings.sampling.temp = 0.4
    return settings


if __name__ == "__main__":
    main()
