"""The scenes of `scripts/running`, which are the evidence: real programs, upgraded while they run, and what `cp` does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/running_programs.py"
SAYS = {
    "danger": ["Text file busy", "the program ended by SIG", "the program runs on"],
    "program": ["restarted: program 2, library 2", "proven: it is what app installed", "map_files"],
    "python": ["restarted: extension 2"],
    "script": ["after `pkg install`, it says: 'the old script ends as it began'"],
    "daemon": ["3 processes use old files"],
    "namespace": ["is not named", "in another mount namespace"],
    "chroot": ["executable  /app/program"],
}


@pytest.mark.parametrize("scene", SAYS)
def test_the_scene_shows_what_it_says(scene: str, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    words: list[str | Path] = [sys.executable, SCRIPT, scene]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if "not played: " in done.stdout:
        pytest.skip(done.stdout.partition("not played: ")[2].splitlines()[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [text for text in SAYS[scene] if text not in done.stdout] == []
    assert scene == "danger" or ": from process " in done.stdout, "each is rescued, too"
    assert list(tmp_path.iterdir()) == []


def test_every_scene_is_played_here() -> None:
    told = subprocess.run([sys.executable, SCRIPT, "none"], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr.strip().endswith(", ".join(SAYS))
