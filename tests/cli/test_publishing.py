"""`build`, `sign` and `inspect` as a publisher uses them."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.bundle_parts import opened
from support.command_line import Desk

MANIFESTS = Path(__file__).parent.parent.parent / "manifests"
INVALID = sorted(path.stem for path in (MANIFESTS / "invalid").glob("*.toml"))
VALID = sorted(path.stem for path in (MANIFESTS / "valid").glob("*.toml"))
EXAMPLES = sorted(path.stem for path in MANIFESTS.glob("*.toml"))


@pytest.mark.parametrize("name", INVALID)
def test_all_faults_of_a_manifest_are_told_at_once_with_their_places(name: str, desk: Desk) -> None:
    manifest = MANIFESTS / "invalid" / f"{name}.toml"
    expected = (MANIFESTS / "invalid" / f"{name}.expected").read_text().splitlines()[1:]
    result = desk("build", manifest, "-o", "out.tar.zst")
    told = [line.removeprefix("  - ") for line in result.err.splitlines() if line.startswith("  - ")]
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"pkg: {manifest}: ")
    assert told == expected
    assert not (desk.place / "out.tar.zst").exists()
    document = desk("--json", "build", manifest, "-o", "out.tar.zst").json
    assert document["error"]["details"] == expected


@pytest.mark.parametrize("name", [f"valid/{name}" for name in VALID] + EXAMPLES)
def test_what_is_built_can_be_inspected_installed_and_verified(name: str, trusting: Desk) -> None:
    built = trusting.good("build", MANIFESTS / f"{name}.toml", "-o", "out.tar.zst", "--key", "key")
    assert built.out.startswith("out.tar.zst: ") or "out.tar.zst: " in built.out
    shown = trusting("--json", "inspect", "--full", "--files", "out.tar.zst").json
    assert shown["trusted"] is True
    here = shown["architecture"]
    installed = trusting("install", "out.tar.zst", "--architecture", here, "--assume-installed", "*")
    if installed.code == 5:  # it belongs to accounts that an empty root does not have
        assert "create it first" in installed.err
        return
    assert installed.code == 0, installed.err
    listed = trusting("files", shown["name"]).out.splitlines()
    assert set(shown["paths"]) <= set(listed)
    assert trusting("verify").code == 0


def test_a_bundle_is_called_after_its_package(desk: Desk) -> None:
    desk.source("app", "1.0-1", {"usr/app": "x"})
    document = desk("--json", "build", "app-1.0-1.toml").json
    assert Path(document["bundle"]).name == "app-1.0-1-all.tar.zst"
    assert (desk.place / "app-1.0-1-all.tar.zst").stat().st_size == document["size"]


def test_a_bundle_can_be_put_into_a_directory_or_under_another_name(desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    (desk.place / "dist").mkdir()
    desk.good("build", "app-1.toml", "--output", "dist")
    desk.good("build", "app-1.toml", "--output", "other.tar.zst")
    assert (desk.place / "dist/app-1-all.tar.zst").read_bytes() == (desk.place / "other.tar.zst").read_bytes()


def test_a_higher_level_is_smaller_and_every_level_installs(trusting: Desk) -> None:
    trusting.source("app", "1", {"usr/app": "".join(f"{number:x}{number % 7}" for number in range(60000))})
    sizes = {}
    for level in ("1", "19"):
        name = f"level-{level}.tar.zst"
        sizes[level] = trusting(
            "--json", "build", "app-1.toml", "-o", name, "--level", level, "--key", "key"
        ).json["size"]
        assert trusting("inspect", "--full", name).code == 0
    assert sizes["19"] < sizes["1"]


@pytest.mark.parametrize("level", ["0", "20", "-1", "best"])
def test_a_level_that_there_is_not_is_refused(level: str, desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    assert desk("build", "app-1.toml", f"--level={level}").code == 2


@pytest.mark.parametrize("epoch", ["-5", "now", "1.5", "", "\uff19", "8589934592", "9" * 5000])
def test_a_source_date_that_is_none_is_refused(
    epoch: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    result = desk("build", "app-1.toml")
    assert (result.code, "SOURCE_DATE_EPOCH must be seconds since 1970" in result.err) == (2, True)


def test_the_latest_source_date_fits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "08589934591")
    desk.good("build", "app-1.toml")


def test_another_source_date_is_another_bundle(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    found = set()
    for epoch in ("1000000000", "1000000001", "1000000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        found.add(desk("--json", "build", "app-1.toml", "-o", "out.tar.zst").json["sha256"])
    assert len(found) == 2


def test_the_digest_that_is_told_is_that_of_the_bundle(desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    told = desk("--json", "build", "app-1.toml", "-o", "out.tar.zst").json["sha256"]
    assert told == hashlib.sha256((desk.place / "out.tar.zst").read_bytes()).hexdigest()


def test_a_manifest_that_is_a_directory_or_unreadable_text_is_told(desk: Desk) -> None:
    (desk.place / "latin.toml").write_bytes(b"name = '\xff'")
    assert "EISDIR" in desk("build", "root").err
    result = desk("build", "latin.toml")
    assert result.code == 3
    assert result.err.startswith("pkg: latin.toml: ")


def test_an_output_that_cannot_be_is_told_and_leaves_nothing(desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    result = desk("build", "app-1.toml", "-o", "nowhere/app.tar.zst")
    assert (result.code, "ENOENT" in result.err) == (1, True)
    assert not [path for path in desk.place.iterdir() if path.name.startswith("nowhere")]


@pytest.mark.parametrize("output", ["new dir/", "new dir/.", "new dir//"])
@pytest.mark.parametrize("source", ["app-1.toml", "app.deb"])
def test_a_directory_that_is_not_there_is_not_taken_for_a_file(source: str, output: str, desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    (desk.place / "app.deb").write_text("is not even looked at")
    before = sorted(desk.place.iterdir())
    result = desk("build", source, "-o", output)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("pkg: new dir: look: ENOENT ")
    assert "next: make the directory (mkdir -p 'new dir')" in result.err
    assert sorted(desk.place.iterdir()) == before
    (desk.place / "new dir").mkdir()
    desk.good("build", "app-1.toml", "-o", output)
    assert [one.name for one in (desk.place / "new dir").iterdir()] == ["app-1-all.tar.zst"]


def test_a_bundle_that_is_there_is_replaced_whole(desk: Desk) -> None:
    desk.source("app", "1", {"usr/app": "x"})
    (desk.place / "out.tar.zst").write_text("old")
    inode = (desk.place / "out.tar.zst").stat().st_ino
    desk.good("build", "app-1.toml", "-o", "out.tar.zst")
    assert (desk.place / "out.tar.zst").stat().st_ino != inode
    assert not [path.name for path in desk.place.iterdir() if re.search(r"tmp|\.new$|~$", path.name)]


def test_several_keys_sign_at_once(trusting: Desk) -> None:
    trusting.good("key", "generate", "second")
    trusting.source("app", "1", {"usr/app": "x"})
    trusting.good("build", "app-1.toml", "-o", "out.tar.zst", "--key", "key", "--key", "second")
    assert len(trusting("--json", "inspect", "out.tar.zst").json["signers"]) == 2


def test_signing_changes_no_byte_of_the_payload(trusting: Desk) -> None:
    bundle = trusting.bundle("app", "1", {"usr/app": "x" * 100_000})
    trusting.good("key", "generate", "second")
    before = (trusting.place / bundle).read_bytes()
    trusting.good("sign", bundle, "--key", "second")
    after = (trusting.place / bundle).read_bytes()
    tail = len(before) // 2
    assert before != after
    assert after.endswith(before[-min(tail, 100) :])
    assert trusting("inspect", "--full", bundle).code == 0


def test_a_signature_that_does_not_fit_keeps_the_others_out_too(trusting: Desk) -> None:
    trusting.good("key", "generate", "second")
    bundle = trusting.place / trusting.bundle("app", "1", {"usr/app": "x"})
    signature = opened((trusting.place / trusting.bundle("other", "1")).read_bytes()).signatures[0]
    (trusting.place / "other.sig").write_bytes(signature)
    before = bundle.read_bytes()
    result = trusting("sign", bundle, "--key", "second", "--signature", "other.sig")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(
        "pkg: other.sig: the signature was not made over the manifest of this bundle"
    )
    assert bundle.read_bytes() == before


def test_for_each_signature_it_is_told_whether_it_is_new(trusting: Desk) -> None:
    trusting.good("key", "generate", "second")
    bundle = trusting.bundle("app", "1", {"usr/app": "x"})
    lines = trusting.good(
        "sign", bundle, "--key", "key", "--key", "second", "--key", "second"
    ).out.splitlines()
    told = [re.sub(r"SHA256:\S+", "KEY", line) for line in lines]
    old, new = f"{bundle}: was signed by KEY already", f"{bundle}: signed by KEY"
    assert told == [old, new, old]


WRONG_KEYS: dict[str, Callable[[Path], object]] = {
    "a public key": lambda place: shutil.copy(place / "key.pub", place / "wrong"),
    "text": lambda place: (place / "wrong").write_text("hello"),
    "empty": lambda place: (place / "wrong").write_text(""),
    "a directory": lambda place: (place / "wrong").mkdir(),
    "an ECDSA key": lambda place: subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(place / "wrong")], check=True
    ),
    "missing": lambda _place: None,
}


@pytest.mark.parametrize("name", WRONG_KEYS)
@pytest.mark.parametrize("command", ["build", "sign"])
def test_a_key_that_cannot_sign_is_told_and_nothing_is_written(
    command: str, name: str, trusting: Desk
) -> None:
    WRONG_KEYS[name](trusting.place)
    bundle = trusting.bundle("app", "1")
    before = (trusting.place / bundle).read_bytes()
    arguments = ("build", "app-1.toml", "-o", bundle) if command == "build" else ("sign", bundle)
    result = trusting(*arguments, "--key", "wrong")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("pkg: wrong: ")
    assert "next: " in result.err
    assert (trusting.place / bundle).read_bytes() == before


def test_a_key_that_others_can_read_is_warned_of(trusting: Desk) -> None:
    (trusting.place / "key").chmod(0o644)
    trusting.source("app", "1", {"usr/app": "x"})
    result = trusting("build", "app-1.toml", "--key", "key")
    assert (result.code, "warning: " in result.err) == (0, True)


def test_inspecting_shows_everything_that_a_person_decides_by(trusting: Desk) -> None:
    package = 'license = "MIT"\nrequires = ["engine (>= 2)"]'
    bundle = trusting.bundle("app", "1", {"usr/app": "x" * 2048, "etc/app.conf": "a"}, package)
    lines = trusting("inspect", "--files", bundle).out.splitlines()
    fingerprint = trusting("--json", "key", "list").json["keys"][0]["fingerprint"]
    assert lines[0] == "package:   app 1 (all)"
    assert lines[1] == "summary:   The app of the tests"
    assert lines[2].startswith("content:   2.0 KiB; 2 files, ")
    assert lines[3] == "requires:  engine (>= 2)"
    assert lines[4:6] == [f"signed by: {fingerprint}", "trusted:   yes"]
    assert {"/usr/app", "/etc/app.conf"} <= set(lines[6:])


def test_inspecting_says_why_a_bundle_is_not_trusted(desk: Desk) -> None:
    desk.good("key", "generate", "key")
    signed, unsigned = desk.bundle("app", "1"), desk.bundle("app", "2", key="")
    result = desk("inspect", signed)
    assert (result.code, result.err) == (3, "")
    assert "trusted:   NO: " in result.out
    result = desk("inspect", unsigned)
    assert (result.code, "signed by: nobody" in result.out) == (3, True)
    assert desk("--json", "inspect", unsigned).json["reason"]


def test_only_the_full_inspection_reads_the_payload(trusting: Desk) -> None:
    bundle = trusting.place / trusting.bundle("app", "1", {"usr/app": "x" * 9000})
    content = bytearray(bundle.read_bytes())
    content[-8] ^= 1
    bundle.write_bytes(content)
    assert trusting("inspect", bundle).code == 0
    result = trusting("inspect", "--full", bundle)
    assert (result.code, "altered" in result.err) == (3, True)


def test_inspecting_changes_and_needs_nothing_of_a_root(desk: Desk) -> None:
    bundle = desk.bundle("app", "1", key="")
    desk("inspect", bundle)
    assert list(desk.root.iterdir()) == []
