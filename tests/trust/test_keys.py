"""Keys: made, read, refused with a remedy, never overwritten."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from intact.model.errors import IntactError, MachineError
from intact.trust.keys import (
    KeyFault,
    KeyUnusable,
    PublicKey,
    generate_key,
    load_signing_key,
    parse_public_key,
)
from intact.trust.sshsig import is_valid, parse_signature

# `ssh-keygen -t ed25519`, and what `ssh-keygen -l` says about it.
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example.org"
BLOB = base64.b64decode(LINE.split()[1])


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_private(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    openssh = serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, openssh, serialization.NoEncryption()))
    path.chmod(0o600)
    return path


# --- public keys ------------------------------------------------------------------------------------------
def test_a_public_key_line_is_read_and_written_back() -> None:
    key = parse_public_key(LINE + "\n")
    assert key == PublicKey(BLOB, "someone@example.org")
    assert key.line == LINE
    assert parse_public_key(PublicKey(BLOB).line) == PublicKey(BLOB)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("two words", "two words"),
        ("  spaces  around  ", "spaces  around"),
        ("\u00fcber \U0001f511", "\u00fcber \U0001f511"),
        ("esc\x1b[31m bell\x07", "esc[31m bell"),
        ("right\u202eleft", "rightleft"),
        ("end \x7f", "end"),
        ("", ""),
    ],
)
def test_a_comment_is_kept_as_far_as_it_is_harmless(written: str, read: str) -> None:
    key = parse_public_key(f"ssh-ed25519 {LINE.split()[1]} {written}")
    assert key.comment == read
    assert parse_public_key(key.line) == key


WRONG_LINES = {
    "nothing": ("", "one line"),
    "one word": ("ssh-ed25519", "one line"),
    "two keys": (LINE + "\n" + LINE, "one line"),
    "rsa": ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", "only ssh-ed25519"),
    "security key of another curve": ("sk-ecdsa-sha2-nistp256@openssh.com AAAA", "only ssh-ed25519"),
    "security key that is cut off": ("sk-ssh-ed25519@openssh.com AAAA", "not a usable"),
    "key under another name": (
        LINE.replace("ssh-", "sk-ssh-", 1).replace(" ", "@openssh.com ", 1),
        "key of the kind",
    ),
    "options before it": ("restrict " + LINE, "only ssh-ed25519"),
    "private key in one line": ("-----BEGIN OPENSSH PRIVATE KEY----- abc", "private key"),
    "not base64": ("ssh-ed25519 !!!!", "not a usable"),
    "not ASCII": ("ssh-ed25519 AAAAÄ", "not a usable"),
    "bad padding": ("ssh-ed25519 AAAAC", "not a usable"),
    "cut off": (LINE[:60], "not a usable"),
    "rsa blob under a false name": ("ssh-ed25519 AAAAB3NzaC1yc2EAAAAAAAAA", "not a usable"),
    "identity": (PublicKey(BLOB[:19] + b"\1" + bytes(31)).line, "weak"),
}


@pytest.mark.parametrize("name", WRONG_LINES)
def test_what_is_no_usable_public_key_is_refused_with_the_reason(name: str) -> None:
    line, reason = WRONG_LINES[name]
    with pytest.raises(KeyFault, match=reason):
        parse_public_key(line)


# --- making keys ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("passphrase", [None, b"", b"correct horse"])
def test_a_made_key_can_be_loaded_and_signs(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "release"
    made = generate_key(path, "release@example.org", passphrase)
    loaded = load_signing_key(path, lambda: passphrase or b"not asked for")
    assert loaded.public == made.public
    assert loaded.public.comment == "release@example.org"
    assert loaded.warnings == ()
    signature = parse_signature(loaded.sign(b"text"))
    assert signature.key_blob == made.public.blob
    assert is_valid(signature, b"text")


def test_the_private_key_is_for_its_owner_and_the_public_one_for_everybody(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "k", "c")
    assert mode_of(tmp_path / "k") == 0o600
    assert mode_of(tmp_path / "k.pub") == 0o644
    assert (tmp_path / "k.pub").read_text() == key.public.line + "\n"


def test_two_keys_differ(tmp_path: Path) -> None:
    assert generate_key(tmp_path / "a", "").public.blob != generate_key(tmp_path / "b", "").public.blob


def test_a_comment_cannot_add_a_line_to_the_public_file(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "k", "a\nssh-ed25519 AAAA evil")
    assert (tmp_path / "k.pub").read_text().count("\n") == 1
    assert parse_public_key((tmp_path / "k.pub").read_text()) == key.public


@pytest.mark.parametrize("taken", ["k", "k.pub"])
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_overwritten(tmp_path: Path, taken: str, *, dangling: bool) -> None:
    if dangling:
        (tmp_path / taken).symlink_to("nowhere")
    else:
        (tmp_path / taken).write_text("precious")
    with pytest.raises(KeyUnusable, match="never overwritten") as caught:
        generate_key(tmp_path / "k", "")
    assert caught.value.path == str(tmp_path / taken)
    assert caught.value.remedy
    assert [one.name for one in tmp_path.iterdir()] == [taken]
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="ENOENT"):
        generate_key(tmp_path / "missing" / "k", "")


# --- loading keys -----------------------------------------------------------------------------------------
def refusal(path: Path, passphrase: bytes | None = None) -> IntactError:
    """Load the key, which must fail, with the place and a remedy."""
    with pytest.raises(IntactError) as caught:
        load_signing_key(path, None if passphrase is None else lambda: passphrase)
    assert caught.value.path == str(path)
    return caught.value


def test_a_wrong_passphrase_is_called_wrong(tmp_path: Path) -> None:
    generate_key(tmp_path / "k", "", b"right")
    error = refusal(tmp_path / "k", b"wrong")
    assert error.message == "the passphrase is wrong"
    assert error.remedy == f"check it with: ssh-keygen -y -f {tmp_path / 'k'}"


def test_no_passphrase_given_is_a_wrong_one(tmp_path: Path) -> None:
    generate_key(tmp_path / "k", "", b"right")
    assert refusal(tmp_path / "k", b"").message == "the passphrase is wrong"


def test_a_protected_key_without_anybody_to_ask_says_how_to_go_on(tmp_path: Path) -> None:
    generate_key(tmp_path / "k", "", b"right")
    error = refusal(tmp_path / "k")
    assert "protected" in error.message
    assert "PKG_KEY_PASSPHRASE" in str(error.remedy)


def test_nobody_is_asked_for_the_passphrase_of_an_open_key(tmp_path: Path) -> None:
    def ask() -> bytes:
        pytest.fail("asked")

    generate_key(tmp_path / "k", "")
    load_signing_key(tmp_path / "k", ask)


def test_a_missing_key_file_leads_to_the_command_that_makes_one(tmp_path: Path) -> None:
    error = refusal(tmp_path / "k")
    assert "no such file" in error.message
    assert error.remedy == f"make a key with `pkg key generate {tmp_path / 'k'}`"


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    assert "EISDIR" in refusal(tmp_path).message


@pytest.mark.parametrize(
    "kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"]
)
def test_a_public_key_in_the_place_of_the_private_one_is_noticed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "k.pub"
    path.write_text(f"{kind} AAAA comment\n")
    error = refusal(path)
    assert error.message == "this is the public key"
    assert error.remedy == "name the private key, without .pub"


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    paths = (
        write_private(tmp_path / "rsa", rsa.generate_private_key(65537, 2048)),
        write_private(tmp_path / "ec", ec.generate_private_key(ec.SECP256R1())),
    )
    for path in paths:
        error = refusal(path)
        assert error.message == "the key is not an Ed25519 key"
        assert "pkg key generate" in str(error.remedy)


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n", b"\0" * 100, b"-----BEGIN OPENSSH PRIVATE KEY-----\n"]
)
def test_what_is_no_key_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    error = refusal(path)
    assert error.message.startswith("not an OpenSSH private key")
    assert error.remedy


def test_a_private_key_cut_anywhere_is_refused(tmp_path: Path) -> None:
    generate_key(tmp_path / "k", "")
    whole = (tmp_path / "k").read_bytes()
    path = tmp_path / "cut"
    for length in range(0, len(whole) - 40, 11):
        path.write_bytes(whole[:length])
        refusal(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_works_with_a_warning(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k"
    generate_key(path, "")
    path.chmod(mode)
    key = load_signing_key(path)
    assert key.warnings == (
        f"{path}: others can read this private key (mode {mode:04o}); mend it with: chmod 600 {path}",
    )


@pytest.mark.parametrize("public", [None, "garbage", "ssh-rsa AAAA x"])
def test_the_comment_is_a_courtesy(tmp_path: Path, public: str | None) -> None:
    path = tmp_path / "k"
    generate_key(path, "comment")
    (tmp_path / "k.pub").unlink()
    if public is not None:
        (tmp_path / "k.pub").write_text(public)
    assert load_signing_key(path).public.comment == ""
