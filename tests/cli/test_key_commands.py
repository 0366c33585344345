"""`key generate`, `trust`, `list`, `revoke` and `export`."""

import stat
import subprocess

import pytest

from support.command_line import Desk


@pytest.fixture
def keyed(desk: Desk) -> Desk:
    """A desk with a key that nobody trusts yet."""
    desk.good("key", "generate", "key", "--comment", "me@example.org")
    return desk


def _fingerprint(desk: Desk, name: str = "key.pub") -> str:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", desk.place / name], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()[1]


def test_a_key_is_two_files_and_the_private_one_is_closed(keyed: Desk) -> None:
    assert stat.S_IMODE((keyed.place / "key").stat().st_mode) == 0o600
    assert (keyed.place / "key.pub").read_text().startswith("ssh-ed25519 ")
    assert (keyed.place / "key.pub").read_text().endswith(" me@example.org\n")


def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(desk: Desk) -> None:
    result = desk("--json", "key", "generate", "key")
    assert result.json == {"private": "key", "public": "key.pub", "fingerprint": _fingerprint(desk)}


def test_a_key_without_a_comment_is_called_after_its_file(desk: Desk) -> None:
    desk.good("key", "generate", "release")
    assert (desk.place / "release.pub").read_text().split()[2] == "release"


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_a_key_that_is_there_is_never_overwritten(there: str, desk: Desk) -> None:
    (desk.place / there).write_text("precious")
    result = desk("key", "generate", "key")
    assert result.code == 1
    assert there in result.err
    assert (desk.place / there).read_text() == "precious"
    assert [path.name for path in desk.place.iterdir() if path.name.startswith("key")] == [there]


def test_a_key_in_a_directory_that_does_not_exist_is_told(desk: Desk) -> None:
    result = desk("key", "generate", "nowhere/key")
    assert (result.code, "ENOENT" in result.err) == (1, True)


def test_trusting_twice_changes_nothing(keyed: Desk) -> None:
    first = keyed("--json", "key", "trust", "key.pub", "--yes").json
    assert first == {"fingerprint": _fingerprint(keyed), "changed": True}
    store = keyed.root / "var/lib/intact/trust.toml"
    before = store.stat().st_ino, store.read_bytes()
    assert keyed("--json", "key", "trust", "key.pub", "--yes").json["changed"] is False
    assert keyed("key", "trust", "key.pub", "--yes").out == "it was trusted already\n"
    assert (store.stat().st_ino, store.read_bytes()) == before


def test_trusting_again_with_another_scope_replaces_the_scope(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    keyed.good("key", "trust", "key.pub", "--yes", "--packages", "a-*", "--packages", "b", "--no-privileged")
    (key,) = keyed("--json", "key", "list").json["keys"]
    assert (key["packages"], key["roles"]) == (["a-*", "b"], [])
    assert keyed("key", "list").out == (
        f"256 {_fingerprint(keyed)} me@example.org (ED25519): trusted, may sign a-*, b, nothing privileged\n"
    )


FAULTY_SCOPES: dict[str, tuple[tuple[str, ...], str]] = {
    "a glob that matches no name": (("--packages", "A B"), "matches no package name"),
    "an empty glob": (("--packages", ""), "matches no package name"),
    "a time before 1970": (("--not-after=-1",), "seconds since 1970"),
    "a time that is far away": (("--not-after", "9" * 15), "seconds since 1970"),
    "a time that is none": (("--not-after", "tomorrow"), "--not-after"),
}


@pytest.mark.parametrize("name", FAULTY_SCOPES)
def test_a_scope_that_cannot_be_is_refused(name: str, keyed: Desk) -> None:
    arguments, says = FAULTY_SCOPES[name]
    result = keyed("key", "trust", "key.pub", "--yes", *arguments)
    assert (result.code, says in result.err) == (2, True)
    assert keyed("key", "list").out == ""


NOT_KEYS: dict[str, tuple[str, str]] = {
    "a private key": ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "private key"),
    "text": ("hello\n", "ssh-ed25519"),
    "empty": ("", "ssh-ed25519"),
    "an RSA key": ("ssh-rsa AAAAB3NzaC1yc2E= me\n", "only ssh-ed25519"),
    "two keys": ("ssh-ed25519 AAAA a\nssh-ed25519 AAAA b\n", "one line"),
    "a short key": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n", "not a usable Ed25519 key"),
}


@pytest.mark.parametrize("name", NOT_KEYS)
def test_what_is_no_public_key_is_not_trusted(name: str, desk: Desk) -> None:
    text, says = NOT_KEYS[name]
    (desk.place / "wrong.pub").write_text(text)
    result = desk("key", "trust", "wrong.pub", "--yes")
    assert result.code == 1
    assert result.err.startswith("pkg: wrong.pub: ")
    assert says in result.err
    assert "next: name a .pub file" in result.err
    assert list(desk.root.iterdir()) == []


def test_the_private_key_is_not_trusted_by_mistake(keyed: Desk) -> None:
    result = keyed("key", "trust", "key", "--yes")
    assert (result.code, "trusted:" in result.out) == (1, False)


def test_a_revoked_key_stays_listed_and_does_not_come_back(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    fingerprint = _fingerprint(keyed)
    assert keyed("key", "revoke", fingerprint).out == f"revoked: {fingerprint}\n"
    assert "revoked" in keyed("key", "list").out
    assert keyed("key", "export").out == ""
    result = keyed("--json", "key", "trust", "key.pub", "--yes")
    assert (result.code, result.json["error"]["kind"]) == (1, "KeyRevoked")
    assert keyed("--json", "key", "list").json["keys"][0]["status"] == "revoked"


def test_revoking_twice_is_no_error(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    for _ in range(2):
        assert keyed("key", "revoke", _fingerprint(keyed)).code == 0


@pytest.mark.parametrize("name", ["", "SHA256:", "SHA256:x", "key.pub", "me@example.org"])
def test_an_unknown_fingerprint_is_told(name: str, keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    result = keyed("--json", "key", "revoke", name)
    assert (result.code, result.json["error"]["kind"]) == (1, "UnknownKey")
    assert "pkg key list" in result.err
    assert "trusted" in keyed("key", "list").out


def test_an_expired_key_is_exported_with_its_end(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes", "--not-after", "1700000000")
    assert 'valid-before="20231114221320Z"' in keyed("key", "export").out


def test_a_key_for_some_packages_lets_just_those_in(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes", "--packages", "editor*")
    for name, code in (("editor", 0), ("editor-data", 0), ("shell", 3)):
        assert keyed("install", keyed.bundle(name, "1")).code == code, name


def test_a_key_without_privileges_may_not_sign_set_id_files(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes", "--no-privileged")
    manifest = keyed.place / keyed.source("su", "1", {"usr/su": "x"})
    manifest.write_text(manifest.read_text() + 'mode = "4755"\n')
    keyed.good("build", manifest, "-o", "su.tar.zst", "--key", "key")
    result = keyed("install", "su.tar.zst")
    assert (result.code, "usr/su" in result.err or "privileged" in result.err) == (3, True)
    keyed.good("key", "trust", "key.pub", "--yes", "--privileged")
    assert keyed("install", "su.tar.zst").code == 0


def test_the_trust_store_can_be_read_by_everybody_and_written_by_its_owner(keyed: Desk) -> None:
    keyed.good("key", "trust", "key.pub", "--yes")
    assert stat.S_IMODE((keyed.root / "var/lib/intact/trust.toml").stat().st_mode) == 0o644
