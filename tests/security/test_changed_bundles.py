"""Whatever somebody does to the bytes of a signed bundle, or around them: it is refused, or nothing is different."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.bundle.build import head_frame
from intact.bundle.head import head_bytes
from intact.bundle.read import open_bundle
from intact.bundle.zstdframes import compress_frame
from support.bundle_parts import fixed_key, make_bundle
from support.malformed import KEY, good_bundle
from support.measured import Measured, measuring
from support.target import Target, fast_folder

FILES = {"etc/a": b"first", "etc/b": b"second"}


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with fast_folder() as place, measuring(place) as server:
        made = Target(place, server)
        made.put(good_bundle())
        assert server.run("--root", "root", "install", "bundle.tar.zst").code == 0
        made.original = made.described()
        yield made


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_bundle(tmp_path_factory.mktemp("b"), FILES, keys=[KEY]).read_bytes()


def install(target: Target, content: bytes) -> Measured:
    target.put(content)
    return target.server.run("--root", "root", "install", "bundle.tar.zst")


def insist_on_refusal(target: Target, content: bytes) -> None:
    found = install(target, content)
    assert (found.code, found.out) == (3, ""), found
    assert target.described() == target.original


def insist_on_refusal_or_the_same(target: Target, content: bytes) -> bool:
    """Return whether it was refused; if not, what was installed is what was signed."""
    found = install(target, content)
    if found.code == 0:
        assert {path: (target.root / path).read_bytes() for path in FILES} == FILES
        assert target.server.run("--root", "root", "rollback").code == 0
        assert not [path for path in FILES if (target.root / path).exists()]
        target.original = target.described()
        return False
    assert (found.code, found.out) == (3, ""), found
    assert target.described() == target.original
    return True


def test_sec_27_each_changed_byte_is_refused_or_changes_nothing(target: Target, stored: bytes) -> None:
    accepted = []
    for at, byte in enumerate(stored):
        mutant = stored[:at] + bytes([byte ^ (1 << at % 8)]) + stored[at + 1 :]
        if not insist_on_refusal_or_the_same(target, mutant):
            accepted.append(at)
    assert len(accepted) <= len(stored) // 100, accepted


def test_sec_27_each_cut_is_refused(target: Target, stored: bytes) -> None:
    for at in range(0, len(stored), 5):
        insist_on_refusal(target, stored[:at])
    insist_on_refusal(target, stored[:-1])


@pytest.mark.parametrize("extra", [b"\0", b"x", bytes(512), b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\0\0\0\0"])
def test_sec_27_whatever_stands_before_or_behind_is_refused(
    target: Target, stored: bytes, extra: bytes
) -> None:
    for changed in (stored + extra, extra + stored):
        insist_on_refusal(target, changed)


# --- SEC-28: nothing outside the signed manifest decides --------------------------------------------------
def planned(target: Target, *arguments: str | Path) -> dict[str, object]:
    found = target.server.run("--root", "root", "--json", "install", "--dry-run", *arguments)
    assert found.code == 0, found
    document: dict[str, object] = json.loads(found.out)
    return {key: document[key] for key in ("plan", "packages", "signers", "changed", "notes")}


@pytest.mark.parametrize(
    "name", ["evil-9.9_arm64.tar.zst", "sudo", "--no-hooks", "ü\u202e.tar.zst", "malformed-0.1-all.deb", " "]
)
def test_sec_28_a_file_name_decides_nothing(target: Target, stored: bytes, name: str) -> None:
    target.put(stored)
    (target.place / name).write_bytes(stored)
    assert planned(target, "--", name) == planned(target, "bundle.tar.zst")


def test_sec_28_time_mode_owner_and_attributes_of_the_file_decide_nothing(
    target: Target, stored: bytes
) -> None:
    target.put(stored)
    other = target.place / "other.tar.zst"
    other.write_bytes(stored)
    os.utime(other, (0, 0))
    other.chmod(0o4711)
    if os.geteuid() == 0:
        os.chown(other, 65534, 65534)
    assert planned(target, other) == planned(target, "bundle.tar.zst")
    os.utime(other, (2**33, 2**33))
    (target.place / "link.tar.zst").symlink_to(other)
    assert planned(target, "link.tar.zst") == planned(target, "bundle.tar.zst")


def test_sec_28_how_the_head_is_stored_decides_nothing(target: Target, stored: bytes, tmp_path: Path) -> None:
    """Frame 0 is not signed itself: another compression of it, and signatures of strangers, change nothing."""
    (tmp_path / "b").write_bytes(stored)
    with open_bundle(tmp_path / "b", "b") as bundle:
        manifest, (own,), rest = bundle.manifest_bytes, bundle.signatures, stored[bundle.head_length :]
    target.put(stored)
    expected = planned(target, "bundle.tar.zst")
    stranger = fixed_key(9).sign(manifest)
    heads = {compress_frame(head_bytes(manifest, [own]), level) for level in (-5, 1, 3, 9, 19)}
    assert len(heads) > 1
    heads |= {
        compress_frame(head_bytes(manifest, armors), 3)
        for armors in ([own, stranger], [stranger, own], [own, own])
    }
    for head in heads:
        target.put(head + rest)
        assert planned(target, "bundle.tar.zst") == expected


def test_sec_28_the_manifest_decides(target: Target, stored: bytes, tmp_path: Path) -> None:
    """The comparison above can fail: a signed manifest with one byte more is another plan."""
    (tmp_path / "b").write_bytes(stored)
    with open_bundle(tmp_path / "b", "b") as bundle:
        text, rest = bundle.manifest_bytes, stored[bundle.head_length :]
    target.put(stored)
    expected = planned(target, "bundle.tar.zst")
    changed = text.replace(b'path = "etc/a"', b'path = "etc/a", owner = "1"')
    with (tmp_path / "changed").open("wb") as file:
        file.write(head_frame(changed, [KEY.sign(changed)]))
        file.write(rest)
    target.put((tmp_path / "changed").read_bytes())
    assert planned(target, "bundle.tar.zst")["plan"] != expected["plan"]
