"""Acts. How long does this command take, from the start of its process to its end?"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases import Sample, Samples

__all__ = ["CommandFailed", "Meter", "warm"]

_RUNNER = Path(__file__).with_name("runner.py")


class CommandFailed(RuntimeError):
    """What was to be measured did not do its work."""


@dataclass
class Meter:
    """Runs commands and keeps what they took.

    Attributes:
        ground: a directory in memory, for its own files.
    """

    ground: Path
    samples: Samples = field(default_factory=dict)

    def run(
        self, case: str, who: str, words: Sequence[str | Path], *, directory: Path | None = None
    ) -> Sample:
        """Run a command, cold, and note the sample.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        result = self.ground / "runner.json"
        line = [sys.executable, "-I", "-S", _RUNNER, result, directory or self.ground, *words]
        done = subprocess.run(line, check=False, capture_output=True)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise CommandFailed(f"{case}, {who}: {' '.join(map(str, words))}: exit {done.returncode}: {said}")
        told = json.loads(result.read_text())
        sample = Sample(told["seconds"], told["processor"], told["memory"] / 1024, told["others"])
        self.note(case, who, sample)
        return sample

    def note(self, case: str, who: str, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.setdefault(case, {}).setdefault(who, []).append(sample)


def warm(*paths: Path) -> None:
    """Read files, so that the first who unpacks them does not pay for the disk."""
    buffer = bytearray(1 << 20)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
