"""Every byte of a bundle is signed, or hashed by something signed, or its change is refused."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.bundle.read import open_bundle
from intact.bundle.verified import verify
from intact.bundle.zstdframes import padding_frame
from intact.model.entries import SymlinkEntry
from intact.model.errors import BundleRefused
from intact.model.paths import RelPath
from support.bundle_parts import Pipe, fixed_key, make_bundle, store_of

KEY = fixed_key()
STORE = store_of(KEY)
Outcome = tuple[bytes, dict[str, bytes]]


@pytest.fixture(scope="module", params=["plain", "padded"])
def stored(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    files = {"etc/a": b"a" * 700, "etc/" + "ä" * 60: b"\0\1\2", "usr/empty": b""}
    links = [SymlinkEntry(RelPath("usr/l"), "empty")]
    made = make_bundle(tmp_path_factory.mktemp("m"), files, links, keys=[KEY]).read_bytes()
    if request.param == "plain":
        return made
    with open_bundle(io.BytesIO(made), "made") as bundle:
        behind = bundle.head_length
    return made[:behind] + padding_frame(64) + made[behind:]


def outcome(stored: bytes, *, most: int | None = None) -> Outcome | None:
    """What an installer would act on, or None if the bundle was refused; any other exception is a bug."""
    source = io.BytesIO(stored) if most is None else Pipe(stored, most)
    try:
        with open_bundle(source, "mutant") as unverified:
            bundle = verify(unverified, STORE, now=0)
            needed = {RelPath(entry.path) for entry in bundle.manifest.entries if hasattr(entry, "digest")}
            return bundle.manifest_bytes, {
                entry.path: b"".join(pieces) for entry, pieces in bundle.contents(needed)
            }
    except BundleRefused as error:
        if not (error.path and error.remedy):
            raise
        return None


def flips(stored: bytes) -> Iterator[tuple[int, bytes]]:
    for at, byte in enumerate(stored):
        yield at, stored[:at] + bytes([byte ^ (1 << (at % 8))]) + stored[at + 1 :]


def test_the_untouched_bundle_is_accepted(stored: bytes) -> None:
    assert outcome(stored) is not None
    assert outcome(stored, most=1) == outcome(stored)


def test_no_flipped_bit_changes_what_gets_installed(stored: bytes) -> None:
    original = outcome(stored)
    outcomes = {at: outcome(mutant) for at, mutant in flips(stored)}
    accepted = [at for at, found in outcomes.items() if found is not None]
    assert [at for at in accepted if outcomes[at] != original] == []
    assert len(accepted) <= len(stored) // 100


def test_a_bundle_cut_anywhere_is_refused(stored: bytes) -> None:
    assert [at for at in range(len(stored)) if outcome(stored[:at]) is not None] == []
    assert [at for at in range(0, len(stored), 7) if outcome(stored[:at], most=100) is not None] == []


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 1024, b"x", b"\x28\xb5\x2f\xfd"])
@pytest.mark.parametrize("most", [None, 64])
def test_nothing_may_stand_before_or_behind(stored: bytes, extra: bytes, most: int | None) -> None:
    assert outcome(stored + extra, most=most) is None
    assert outcome(extra + stored, most=most) is None


def test_a_bundle_twice_is_refused(stored: bytes) -> None:
    assert outcome(stored + stored) is None


def test_a_missing_or_doubled_frame_is_refused(stored: bytes) -> None:
    head = open_bundle(io.BytesIO(stored), "b").head_length
    assert outcome(stored[:head]) is None
    assert outcome(stored[:head] + stored[head:] * 2) is None
    assert outcome(stored[head:]) is None


def test_mutants_are_refused_through_a_file_as_well(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mutant.tar.zst"
    for _, mutant in list(flips(stored))[::97]:
        path.write_bytes(mutant)
        try:
            with open_bundle(path, "mutant") as bundle:
                verify(bundle, STORE, now=0).check_payload()
        except BundleRefused:
            continue
        assert outcome(mutant) == outcome(stored)
