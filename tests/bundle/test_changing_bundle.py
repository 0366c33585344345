"""A bundle that changes under our hands gives the signed content, or is refused; the manifest is read once."""

import io
from pathlib import Path

import pytest

from intact.bundle.read import open_bundle
from intact.bundle.verified import VerifiedBundle, verify
from intact.model.errors import BundleRefused
from intact.model.paths import RelPath
from support.bundle_parts import fixed_key, make_bundle, store_of

KEY = fixed_key()
GOOD = {"a": b"good" * 300_000, "b": b"good", "c": b"good" * 300_000}
EVIL = {"a": b"evil" * 300_000, "b": b"evil", "c": b"evil" * 300_000}
NEEDED = {RelPath(path) for path in GOOD}


class Changing(io.BytesIO):
    """Becomes other bytes after so many reads; remembers how often that was asked for."""

    def __init__(self, before: bytes, after: bytes, reads: int) -> None:
        super().__init__(before)
        self._after = after
        self._reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        if self._reads == 0:
            at = self.tell()
            self.seek(0)
            self.truncate()
            self.write(self._after)
            self.seek(at)
        self._reads -= 1
        return super().read(min(size or 0, 512))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = tmp_path_factory.mktemp("changing")
    good = make_bundle(folder / "good", GOOD, keys=[KEY]).read_bytes()
    evil = make_bundle(folder / "evil", EVIL, keys=[fixed_key(2)]).read_bytes()
    return good, evil


def contents_of(bundle: VerifiedBundle) -> dict[str, bytes]:
    return {entry.path: b"".join(pieces) for entry, pieces in bundle.contents(NEEDED)}


def test_a_bundle_exchanged_after_any_read_never_gives_other_content(bundles: tuple[bytes, bytes]) -> None:
    good, evil = bundles
    outcomes = [outcome(Changing(good, evil, reads)) for reads in range(12)]
    assert all(found in (None, GOOD) for found in outcomes)
    assert None in outcomes


def outcome(source: Changing) -> dict[str, bytes] | None:
    try:
        return contents_of(verify(open_bundle(source, "b"), store_of(KEY), now=0))
    except BundleRefused:
        return None


def test_a_bundle_that_turns_good_after_its_head_was_evil_is_refused(bundles: tuple[bytes, bytes]) -> None:
    good, evil = bundles
    for reads in range(1, 12):
        with pytest.raises(BundleRefused):
            contents_of(verify(open_bundle(Changing(evil, good, reads), "b"), store_of(KEY), now=0))


def test_a_file_overwritten_after_verification_is_refused(
    tmp_path: Path, bundles: tuple[bytes, bytes]
) -> None:
    path = tmp_path / "b.tar.zst"
    path.write_bytes(bundles[0])
    with open_bundle(path, "b") as unverified:
        head = unverified.head_length
        bundle = verify(unverified, store_of(KEY), now=0)
        path.write_bytes(bundles[0][:head] + bytes(len(bundles[0]) - head) + b"longer")
        with pytest.raises(BundleRefused):
            contents_of(bundle)


def test_a_file_replaced_by_name_after_opening_makes_no_difference(
    tmp_path: Path, bundles: tuple[bytes, bytes]
) -> None:
    path = tmp_path / "b.tar.zst"
    path.write_bytes(bundles[0])
    with open_bundle(path, "b") as unverified:
        (tmp_path / "new").write_bytes(bundles[1])
        (tmp_path / "new").rename(path)
        assert contents_of(verify(unverified, store_of(KEY), now=0)) == GOOD
