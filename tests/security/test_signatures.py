"""Signatures: one form, one key each, over exactly these bytes; whatever else is there, they decide alone."""

import base64
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from intact.bundle.read import open_bundle
from intact.model.errors import Untrusted
from intact.trust.approval import check_signatures
from intact.trust.keys import KeyFault, parse_public_key
from intact.trust.sshsig import (
    NAMESPACE,
    TRUST_NAMESPACE,
    armored_signature,
    is_ed25519_valid,
    is_valid,
    parse_signature,
)
from intact.trust.store import TrustEntry, TrustStore
from intact.trust.store_text import allowed_signers
from intact.trust.wire import SK_ED25519, SignatureFault, key_material, packed
from support.bundle_parts import fixed_key
from support.command_line import Desk
from support.security_token import TOUCHED, UNTOUCHED, SecurityToken

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/wycheproof_ed25519.json").read_text())[
    "vectors"
]
MESSAGE = b'format = 1\nname = "editor"\n'
KEY = fixed_key(1)
TOKEN = SecurityToken()
needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (openssh-client)"
)


def refusal(*signatures: bytes, store: TrustStore) -> Untrusted:
    with pytest.raises(Untrusted) as caught:
        check_signatures(MESSAGE, signatures, store, now=0, name="b", allow_unsigned=False)
    return caught.value


# --- SIG-1: one form --------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", VECTORS)
def test_sig_1_the_wycheproof_vectors_hold_through_our_verifier(key: str) -> None:
    """Where the vectors leave it open ("acceptable"), either answer is right; ours is the library's."""
    for number, expected, message, raw in VECTORS[key]:
        found = is_ed25519_valid(bytes.fromhex(key), bytes.fromhex(raw), bytes.fromhex(message))
        assert expected == "acceptable" or found == (expected == "valid"), number


def test_sig_1_there_are_vectors_of_both_kinds() -> None:
    results = [expected for rows in VECTORS.values() for _, expected, _, _ in rows]
    assert len(results) == 210
    assert (results.count("valid"), results.count("invalid")) == (117, 64)


def test_sig_1_every_altered_byte_of_the_blob_is_noticed() -> None:
    good = KEY.sign(MESSAGE)
    blob = base64.b64decode("".join(good.decode().split("\n")[1:-2]))
    store = TrustStore((TrustEntry(KEY.public),))
    for at in range(len(blob)):
        altered = TOKEN.armored((blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])[10:])
        if at >= 10:
            refusal(altered, store=store)


@pytest.mark.parametrize(
    "algorithm", [b"ssh-rsa", b"ecdsa-sha2-nistp256", b"ssh-dss", b"sk-ecdsa-sha2-nistp256@openssh.com"]
)
def test_sig_1_no_other_algorithm_is_accepted(algorithm: bytes) -> None:
    with pytest.raises(SignatureFault, match="only ssh-ed25519 and sk-ssh-ed25519"):
        key_material(packed(algorithm, bytes(range(32))))


# --- SIG-2: one signature in a file -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "second", [KEY.sign(b"other"), b"-----BEGIN SSH SIGNATURE-----\n", b"\n", b"# note\n"]
)
def test_sig_2_nothing_may_follow_the_signature(second: bytes) -> None:
    with pytest.raises(SignatureFault, match="exactly one armored SSH signature"):
        parse_signature(KEY.sign(MESSAGE) + second)


# --- SIG-3: keys in a FIDO token --------------------------------------------------------------------------
def test_sig_3_a_signature_of_a_touched_token_counts() -> None:
    store = TrustStore((TrustEntry(TOKEN.public),))
    valid = check_signatures(MESSAGE, [TOKEN.sign(MESSAGE)], store, now=0, name="b", allow_unsigned=False)
    assert [one.key for one in valid.entries] == [TOKEN.public]


@pytest.mark.parametrize("flags", [UNTOUCHED, 0x04, 0x80, 0xFE])
def test_sig_3_a_signature_that_nobody_touched_the_token_for_does_not_count(flags: int) -> None:
    error = refusal(TOKEN.sign(MESSAGE, flags=flags), store=TrustStore((TrustEntry(TOKEN.public),)))
    assert "nobody touched the security key" in error.details[0]


@needs_ssh_keygen
@pytest.mark.parametrize("flags", [TOUCHED, UNTOUCHED])
def test_sig_3_ssh_keygen_agrees_but_for_the_touch(flags: int, tmp_path: Path) -> None:
    """So the refusal above is ours, and the form is OpenSSH's."""
    (tmp_path / "signers").write_text(allowed_signers(TrustStore((TrustEntry(TOKEN.public),))))
    (tmp_path / "s.sig").write_bytes(TOKEN.sign(MESSAGE, flags=flags))
    who = ["-I", TOKEN.public.fingerprint, "-n", NAMESPACE.decode()]
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), *who]
    command += ["-s", str(tmp_path / "s.sig")]
    checked = subprocess.run(command, input=MESSAGE, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("at", range(5))
def test_sig_3_flags_and_counter_are_signed_too(at: int) -> None:
    signature = parse_signature(TOKEN.sign(MESSAGE))
    token = bytearray(signature.token)
    token[at] ^= 0x40
    assert is_valid(signature, MESSAGE)
    assert not is_valid(replace(signature, token=bytes(token)), MESSAGE)


def test_sig_3_a_token_s_key_for_something_else_is_refused() -> None:
    for application in (b"https://example.org", b"", b"webauthn"):
        other = SecurityToken(application=application)
        with pytest.raises(KeyFault, match="not for SSH"):
            parse_public_key(other.public.line)
        with pytest.raises(SignatureFault, match="not for SSH"):
            parse_signature(other.sign(MESSAGE))


def test_sig_3_the_same_point_as_an_ordinary_key_is_another_key() -> None:
    """Who trusts a token has not trusted whoever may have its secret in a file."""
    raw = key_material(TOKEN.public.blob).raw
    ordinary = packed(b"ssh-ed25519", raw)
    assert parse_public_key(TOKEN.public.line).blob != ordinary
    assert SK_ED25519.decode() in TOKEN.public.line
    made = armored_signature(MESSAGE, ordinary, TOKEN._key.sign)
    assert "does not know" in refusal(made, store=TrustStore((TrustEntry(TOKEN.public),))).details[0]


def test_sig_3_a_token_signs_a_bundle_from_build_to_install(trusting: Desk) -> None:
    (trusting.place / "token.pub").write_text(TOKEN.public.line + "\n")
    trusting.good("key", "trust", "token.pub", "--fingerprint", TOKEN.public.fingerprint)
    assert f"256 {TOKEN.public.fingerprint} token 7 (ED25519-SK)" in trusting("key", "list").out
    bundle = trusting.bundle("app", "1", key="")
    with open_bundle(trusting.place / bundle, bundle) as opened:
        manifest = opened.manifest_bytes
    (trusting.place / "lazy.sig").write_bytes(TOKEN.sign(manifest, flags=UNTOUCHED))
    refused = trusting("sign", bundle, "--signature", "lazy.sig")
    assert (refused.code, "nobody touched" in refused.err) == (2, True)
    (trusting.place / "token.sig").write_bytes(TOKEN.sign(manifest))
    trusting.good("sign", bundle, "--signature", "token.sig")
    assert f"signed   app by {TOKEN.public.fingerprint}" in trusting.good("install", bundle).out


# --- SIG-4: what the signature says of itself is a hint ---------------------------------------------------
def test_sig_4_a_key_in_the_bundle_is_not_trusted_because_it_is_there(trusting: Desk) -> None:
    trusting.good("key", "generate", "stranger", "--comment", "publisher@example.org")
    refused = trusting("install", trusting.bundle("app", "1", key="stranger"))
    assert refused.code == 3
    assert "a key that this root does not know" in refused.err


# --- SIG-6, SIG-7 -----------------------------------------------------------------------------------------
def test_sig_6_the_trust_store_is_a_file_of_the_root_that_ssh_keygen_gets_too(trusting: Desk) -> None:
    place = trusting.root / "var/lib/intact/trust.toml"
    assert place.stat().st_mode & 0o7777 == 0o644
    exported = trusting.good("key", "export", "--allowed-signers").out
    assert exported == trusting.good("key", "export").out
    fingerprint = trusting("--json", "key", "list").json["keys"][0]["fingerprint"]
    assert exported.startswith(
        f'{fingerprint} namespaces="pkg-manifest-v1@intact,pkg-trust-v1@intact" ssh-ed25519 '
    )


def test_sig_7_a_signature_for_one_kind_of_document_is_none_for_the_other() -> None:
    with pytest.raises(SignatureFault, match="namespace"):
        parse_signature(KEY.sign(MESSAGE, TRUST_NAMESPACE))
    with pytest.raises(SignatureFault, match="namespace"):
        parse_signature(KEY.sign(MESSAGE), TRUST_NAMESPACE)


# --- SEC-29: which keys -----------------------------------------------------------------------------------
def test_sec_29_the_fingerprint_is_that_of_ssh_keygen(trusting: Desk) -> None:
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", trusting.place / "key.pub"], capture_output=True, check=True, text=True
    ).stdout.strip()
    assert trusting("key", "list").out.startswith(listed + ": trusted")


def test_sec_29_a_weak_key_is_trusted_neither_by_command_nor_in_the_file(trusting: Desk) -> None:
    identity = bytes([1]) + bytes(31)
    line = f"ssh-ed25519 {base64.b64encode(packed(b'ssh-ed25519', identity)).decode()} weak"
    (trusting.place / "weak.pub").write_text(line + "\n")
    refused = trusting("key", "trust", "weak.pub", "--yes")
    assert (refused.code, "weak" in refused.err) == (1, True)
    store = trusting.root / "var/lib/intact/trust.toml"
    store.write_text(store.read_text() + f'\n[[key]]\npublic_key = "{line}"\npackages = ["*"]\n')
    refused = trusting("install", trusting.bundle("app", "1"))
    assert (refused.code, "weak" in refused.err) == (1, True)


def test_sec_29_one_key_counts_once_however_often_it_signed() -> None:
    blob = struct.pack(">I", 0)
    store = TrustStore((TrustEntry(KEY.public),))
    valid = check_signatures(MESSAGE, [KEY.sign(MESSAGE)] * 3, store, now=0, name="b", allow_unsigned=False)
    assert len(valid.entries) == 1
    assert blob not in {one.key.blob for one in valid.entries}
