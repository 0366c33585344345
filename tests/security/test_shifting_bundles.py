"""SEC-18: a bundle that changes while it is read gives what was signed, or is refused; and it is read once."""

import io
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from intact.bundle.read import open_bundle
from intact.bundle.verified import verify
from intact.model.errors import BundleRefused
from intact.model.paths import RelPath
from support.bundle_parts import make_bundle, store_of
from support.malformed import KEY
from support.measured import measuring
from support.shifting import shifting
from support.target import Target, fast_folder

NOISE = Random(2).randbytes(400_000)  # noqa: S311  a fixed seed
FILES = {"etc/a": b"first", "usr/big": NOISE, "usr/last": b"last"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Two bundles of equal length, both signed."""

    def made(files: dict[str, bytes]) -> bytes:
        return make_bundle(tmp_path_factory.mktemp("b"), files, keys=[KEY]).read_bytes()

    one = made(FILES)
    for number in range(1000):
        files = {**FILES, "etc/a": b"%05d" % number, "usr/big": NOISE[::-1]}
        other = made(files)
        if len(other) == len(one):
            return one, other
    raise AssertionError("no bundle has that length")


def which(found: dict[str, bytes]) -> str:
    """Tell which of the two signed contents this is; there is no third one."""
    if found == FILES:
        return "old"
    assert (found["usr/big"], len(found["etc/a"]), found["usr/last"]) == (NOISE[::-1], 5, b"last")
    assert found["etc/a"].isdigit()
    return "new"


class Shifting(io.BytesIO):
    """Gives the bytes of another bundle after so many reads, and notes which were read."""

    def __init__(self, before: bytes, after: bytes, reads: int) -> None:
        super().__init__(before)
        self._after, self._left = after, reads
        self.ranges: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        found = super().read(min(size or 0, 10_000))
        if self._left <= 0:
            found = self._after[at : at + len(found)]
        self._left -= 1
        self.ranges.append((at, len(found)))
        return found


def insist_on_one_reading(ranges: list[tuple[int, int]], length: int) -> None:
    """No byte was read twice, and all were read, in whatever order: several frames are read at the same time."""
    at = 0
    for start, count in sorted(ranges):
        assert start == at
        at += count
    assert at == length


def test_sec_18_every_moment_of_a_change_gives_the_signed_content_or_a_refusal(
    both: tuple[bytes, bytes],
) -> None:
    outcomes = set()
    for reads in range(len(both[0]) // 10_000 + 10):
        source = Shifting(*both, reads)
        try:
            bundle = verify(open_bundle(source, "b"), store_of(KEY), now=0)
            needed = {RelPath(path) for path in FILES}
            found = {str(entry.path): b"".join(pieces) for entry, pieces in bundle.contents(needed)}
        except BundleRefused:
            outcomes.add("refused")
            continue
        outcomes.add(which(found))
        insist_on_one_reading(source.ranges, len(both[0]))
    assert outcomes == {"refused", "old", "new"}


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/fuse").exists() or not shutil.which("umount"),
    reason="mounting needs root and FUSE",
)
def test_sec_18_an_installation_from_a_changing_file_gives_the_signed_content_or_nothing(
    both: tuple[bytes, bytes], tmp_path: Path
) -> None:
    outcomes = []
    with fast_folder() as place, measuring(place) as server:
        target = Target(place, server)
        for reads in (0, 1, 2, 3, 4, 100):
            with shifting(tmp_path / str(reads), *both, reads) as (bundle, log):
                found = server.run("--root", "root", "install", bundle)
                ranges = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
            if found.code == 0:
                installed = {path: (target.root / path).read_bytes() for path in FILES}
                insist_on_one_reading(ranges, len(both[0]))  # type: ignore[arg-type]
                assert server.run("--root", "root", "rollback").code == 0
                outcomes.append(which(installed))
            else:
                assert (found.code, found.out) == (3, ""), found
                outcomes.append("refused")
            assert not [path for path in FILES if (target.root / path).exists()]
    assert (outcomes[0], outcomes[1], outcomes[-1]) == ("new", "refused", "old")
