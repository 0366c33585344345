"""A manifest that somebody signed may still be absurd: it costs no crash, no flood of text and no memory."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.model.errors import FeatureUnknown, ManifestInvalid
from support.bundle_parts import head_frame, make_source
from support.command_line import PKG
from support.malformed.case import STREAM, frame_row, manifest_of

TEXT = manifest_of([frame_row(b"stored", len(STREAM))]).decode()
NOISE = "X" * 100_000


@pytest.mark.parametrize("number", ["0x1" + "0" * 5000, "2" + "0" * 4000, "9223372036854775808", "-2"])
def test_sec_35_a_format_that_is_too_long_to_be_printed_is_a_newer_format(number: str) -> None:
    """Python refuses to write whole numbers of more than 4300 digits, and reads them if they are hexadecimal."""
    with pytest.raises(FeatureUnknown, match="made for a newer pkg") as caught:
        parse_manifest(TEXT.replace("format = 1", f"format = {number}").encode())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('"malformed"', f'"{NOISE}"'),
        TEXT.replace("usr/share/m/b", f"{NOISE}/.."),
        f"{NOISE} = 1\n{TEXT}",
        TEXT.replace("features = []", f'features = ["{NOISE}"]'),
        TEXT.replace("[package]", f'[package]\nrequires = ["{NOISE}"]'),
        TEXT.replace("size = 0", f"size = 0, xattrs = {{{NOISE} = 1}}"),
    ],
)
def test_sec_35_what_a_manifest_says_does_not_flood_the_terminal(text: str) -> None:
    with pytest.raises((ManifestInvalid, FeatureUnknown)) as caught:
        parse_manifest(text.encode())
    assert max(map(len, str(caught.value).splitlines())) < 5000


def test_sec_35_deep_paths_without_a_common_parent_cost_no_memory() -> None:
    """All parents of all entries would be many times the manifest."""
    lines = [f"  {{path = '{number}/{'d/' * 500}x'}}," for number in range(300)]
    text = render_manifest(make_source({}).manifest).decode().replace("frames = [", _FRAMES)
    text += "\n".join(["directories = [", *lines, "]", ""])
    tracemalloc.start()
    try:
        found = parse_manifest(text.encode())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.entries) == 300
    assert peak < 16 * len(text)


_FRAMES = f"frames = [{{compressed = 9, size = 1024, sha256 = '{'0' * 64}'}},"


def test_sec_35_looking_at_a_manifest_that_nobody_vouches_for_takes_bounded_memory(tmp_path: Path) -> None:
    """Each part of a dotted key becomes a table: of 70 KB of text 3.7 GB were made."""
    key = ".".join(str(number % 10) for number in range(900))
    text = "\n".join(f"t{number}.{key[2 * number :]} = 1" for number in range(300)).encode()
    path = tmp_path / "costly.tar.zst"
    path.write_bytes(head_frame(text, []))
    # By way of a small process: Linux counts the memory of whoever starts another one, until execve.
    small = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        " print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    words = [sys.executable, "-I", "-c", small, str(PKG), "--root", str(tmp_path), "inspect", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    code, memory = map(int, done.stdout.split())
    assert code == 3, done.stderr
    assert "takes more memory than there is for it" in done.stderr
    assert memory < 600 << 10  # KiB
    assert len(done.stderr) < 5000
