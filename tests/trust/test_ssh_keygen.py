"""The same keys and signatures in ssh-keygen's hands and in ours, both ways."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from intact.trust.keys import SigningKey, generate_key, load_signing_key, parse_public_key
from intact.trust.sshsig import NAMESPACE, is_valid, parse_signature
from intact.trust.store import TrustEntry, TrustStore
from intact.trust.store_text import allowed_signers
from intact.trust.wire import SignatureFault

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")

MESSAGE = b'format = 1\nname = "hello"\n'


def keygen(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True, check=False)


def made_by_ssh_keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    result = keygen("-q", "-t", kind, "-N", passphrase, "-C", "someone@example.org", "-f", path)
    assert result.returncode == 0, result.stderr
    return path


def signed_by_ssh_keygen(key: Path, message: bytes, *options: str, namespace: str | None = None) -> bytes:
    name = NAMESPACE.decode() if namespace is None else namespace
    result = keygen("-Y", "sign", "-n", name, "-f", key, *options, stdin=message)
    assert result.returncode == 0, result.stderr
    return result.stdout


def verified_by_ssh_keygen(
    tmp_path: Path, store: TrustStore, key: SigningKey, message: bytes, *options: str
) -> bool:
    """Let ssh-keygen check our signature over MESSAGE, with our export of the trust store."""
    signers, signature = tmp_path / "allowed_signers", tmp_path / "s.sig"
    signers.write_text(allowed_signers(store))
    signature.write_bytes(key.sign(MESSAGE))
    who = ["-I", key.public.fingerprint, "-n", NAMESPACE.decode()]
    return (
        keygen("-Y", "verify", "-f", signers, *who, "-s", signature, *options, stdin=message).returncode == 0
    )


def test_ssh_keygen_shows_the_same_fingerprint(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "ours", "release key")
    shown = keygen("-l", "-f", tmp_path / "ours.pub").stdout.decode()
    assert shown == f"256 {key.public.fingerprint} release key (ED25519)\n"
    assert keygen("-l", "-f", tmp_path / "ours").stdout.split()[1].decode() == key.public.fingerprint


def test_ssh_keygen_finds_the_public_key_in_our_private_one(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "ours", "", b"pass")
    result = keygen("-y", "-P", "pass", "-f", tmp_path / "ours")
    assert parse_public_key(result.stdout.decode()).blob == key.public.blob
    assert keygen("-y", "-P", "wrong", "-f", tmp_path / "ours").returncode != 0


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_key_of_ssh_keygen_signs_here(tmp_path: Path, passphrase: str) -> None:
    path = made_by_ssh_keygen(tmp_path / "theirs", passphrase=passphrase)
    key = load_signing_key(path, passphrase.encode)
    assert key.public == parse_public_key((tmp_path / "theirs.pub").read_text())
    assert key.public.comment == "someone@example.org"
    assert verified_by_ssh_keygen(tmp_path, TrustStore((TrustEntry(key.public),)), key, MESSAGE)


def test_both_make_the_same_signature_byte_for_byte(tmp_path: Path) -> None:
    path = made_by_ssh_keygen(tmp_path / "key")
    assert load_signing_key(path).sign(MESSAGE) == signed_by_ssh_keygen(path, MESSAGE)


@pytest.mark.parametrize("message", [b"", MESSAGE, b"\r\n\0" * 100, bytes(range(256)) * 5000])
def test_what_ssh_keygen_signs_is_accepted_here_for_these_bytes_alone(tmp_path: Path, message: bytes) -> None:
    path = made_by_ssh_keygen(tmp_path / "key")
    signature = parse_signature(signed_by_ssh_keygen(path, message))
    assert signature.key_blob == load_signing_key(path).public.blob
    assert is_valid(signature, message)
    assert not is_valid(signature, message + b"\n")


def test_a_signature_of_a_file_is_accepted_too(tmp_path: Path) -> None:
    path = made_by_ssh_keygen(tmp_path / "key")
    (tmp_path / "manifest.toml").write_bytes(MESSAGE)
    result = keygen("-Y", "sign", "-n", NAMESPACE.decode(), "-f", path, tmp_path / "manifest.toml")
    assert result.returncode == 0, result.stderr
    assert is_valid(parse_signature((tmp_path / "manifest.toml.sig").read_bytes()), MESSAGE)


@pytest.mark.parametrize("namespace", ["git", "file", "pkg-manifest-v1@intac", "pkg-manifest-v2@intact"])
def test_a_signature_for_another_namespace_is_refused(tmp_path: Path, namespace: str) -> None:
    path = made_by_ssh_keygen(tmp_path / "key")
    with pytest.raises(SignatureFault, match=f"namespace '{namespace}'"):
        parse_signature(signed_by_ssh_keygen(path, MESSAGE, namespace=namespace))


def test_a_signature_with_another_hash_is_refused(tmp_path: Path) -> None:
    path = made_by_ssh_keygen(tmp_path / "key")
    with pytest.raises(SignatureFault, match="sha512"):
        parse_signature(signed_by_ssh_keygen(path, MESSAGE, "-O", "hashalg=sha256"))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_keys_of_other_kinds_cannot_vouch_for_a_bundle(tmp_path: Path, kind: str) -> None:
    path = made_by_ssh_keygen(tmp_path / "key", kind)
    with pytest.raises(SignatureFault):
        parse_signature(signed_by_ssh_keygen(path, MESSAGE))


def test_two_signatures_in_one_file_are_refused_though_ssh_keygen_reads_the_first(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key", "")
    both = key.sign(MESSAGE) + key.sign(b"other")
    (tmp_path / "both.sig").write_bytes(both)
    checked = keygen(
        "-Y", "check-novalidate", "-n", NAMESPACE.decode(), "-s", tmp_path / "both.sig", stdin=MESSAGE
    )
    assert checked.returncode == 0
    with pytest.raises(SignatureFault, match="exactly one"):
        parse_signature(both)


# --- the exported trust store -----------------------------------------------------------------------------
def test_ssh_keygen_accepts_our_signature_and_only_over_these_bytes(tmp_path: Path) -> None:
    key, other = generate_key(tmp_path / "a", "a"), generate_key(tmp_path / "b", "b")
    store = TrustStore((TrustEntry(other.public), TrustEntry(key.public)))
    assert verified_by_ssh_keygen(tmp_path, store, key, MESSAGE)
    assert not verified_by_ssh_keygen(tmp_path, store, key, MESSAGE + b" ")
    assert not verified_by_ssh_keygen(tmp_path, TrustStore((TrustEntry(other.public),)), key, MESSAGE)


def test_ssh_keygen_does_not_accept_a_revoked_key_from_the_export(tmp_path: Path) -> None:
    key = generate_key(tmp_path / "a", "a")
    store = TrustStore((TrustEntry(key.public),))
    assert not verified_by_ssh_keygen(tmp_path, store.revoked(key.public.fingerprint), key, MESSAGE)


@pytest.mark.parametrize("seconds", [0, 99, 100, 150, 200, 201, 1000])
def test_ssh_keygen_holds_the_same_period_of_validity(tmp_path: Path, seconds: int) -> None:
    start = 1_600_000_000
    now = start + seconds
    key = generate_key(tmp_path / "a", "a")
    entry = replace(TrustEntry(key.public), not_before=start + 100, not_after=start + 200)
    minutes, rest = divmod(now - 1_599_955_200, 60)  # seconds since 2020-09-13 00:00:00 UTC
    stamp = f"20200913{minutes // 60:02}{minutes % 60:02}{rest:02}Z"
    theirs = verified_by_ssh_keygen(
        tmp_path, TrustStore((entry,)), key, MESSAGE, "-O", f"verify-time={stamp}"
    )
    assert theirs == (entry.fault_at(now) is None)
