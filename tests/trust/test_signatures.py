"""SSH signatures: ours with ssh-keygen, ssh-keygen's with us, and everything that is not one."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intact.trust.keys import (
    KeyFault,
    KeyUnusable,
    PublicKey,
    SigningKey,
    generate_key,
    load_signing_key,
    parse_public_key,
)
from intact.trust.sshsig import (
    NAMESPACE,
    SignatureFault,
    armored_signature,
    ed25519_blob,
    ed25519_bytes,
    is_valid,
    parse_signature,
)

MESSAGE = b"format = 1\n"
needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return generate_key(tmp_path_factory.mktemp("keys") / "key", "me@example.org")


def test_a_signature_is_valid_for_its_message_alone(key: SigningKey) -> None:
    signature = parse_signature(key.sign(MESSAGE))
    assert signature.key_blob == key.public.blob
    assert is_valid(signature, MESSAGE)
    assert not is_valid(signature, MESSAGE + b" ")


@needs_ssh_keygen
def test_ssh_keygen_accepts_ours(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "sig").write_bytes(key.sign(MESSAGE))
    (tmp_path / "allowed").write_text(f"me {key.public.line}\n")
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        "allowed",
        "-I",
        "me",
        "-n",
        NAMESPACE.decode(),
        "-s",
        "sig",
    ]
    done = subprocess.run(command, input=MESSAGE, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


@needs_ssh_keygen
def test_we_accept_what_ssh_keygen_makes(tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "you", "-f", "key"], cwd=tmp_path, check=True
    )
    (tmp_path / "message").write_bytes(MESSAGE)
    command = ["ssh-keygen", "-Y", "sign", "-f", "key", "-n", NAMESPACE.decode(), "message"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    signature = parse_signature((tmp_path / "message.sig").read_bytes())
    public = parse_public_key((tmp_path / "key.pub").read_text())
    assert is_valid(signature, MESSAGE)
    assert signature.key_blob == public.blob
    assert load_signing_key(tmp_path / "key").public == public


@needs_ssh_keygen
def test_fingerprints_are_those_of_ssh_keygen(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(key.public.line + "\n")
    done = subprocess.run(
        ["ssh-keygen", "-l", "-f", "key.pub"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.split()[1] == key.public.fingerprint


@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_are_refused(kind: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", "key"], cwd=tmp_path, check=True)
    with pytest.raises(KeyFault, match="only ssh-ed25519"):
        parse_public_key((tmp_path / "key.pub").read_text())
    with pytest.raises(KeyUnusable, match="not an Ed25519 key"):
        load_signing_key(tmp_path / "key")


SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("sign_bit", [0, 0x80])
@pytest.mark.parametrize("text", SMALL_ORDER)
def test_keys_of_small_order_are_refused(text: str, sign_bit: int) -> None:
    raw = bytearray.fromhex(text)
    raw[31] |= sign_bit
    with pytest.raises(SignatureFault, match="weak"):
        ed25519_bytes(ed25519_blob(bytes(raw)))


def test_a_key_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(SignatureFault, match="weak"):
        ed25519_bytes(ed25519_blob((2**255 - 19 + 4).to_bytes(32, "little")))


def _altered(key: SigningKey, at: int) -> bytes:
    armor = key.sign(MESSAGE)
    lines = armor.decode().split("\n")
    blob = bytearray(base64.b64decode("".join(lines[1:-2])))
    blob[at] ^= 1
    text = base64.b64encode(bytes(blob)).decode()
    return "\n".join([lines[0], *[text[i : i + 70] for i in range(0, len(text), 70)], *lines[-2:]]).encode()


def test_no_bit_of_a_signature_can_be_altered(key: SigningKey) -> None:
    length = len(base64.b64decode("".join(key.sign(MESSAGE).decode().split("\n")[1:-2])))
    for at in range(length):
        try:
            signature = parse_signature(_altered(key, at))
        except SignatureFault:
            continue
        assert signature.key_blob != key.public.blob or not is_valid(signature, MESSAGE)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "two in one": lambda armor: armor + armor,
    "text before it": lambda armor: b"x\n" + armor,
    "text behind it": lambda armor: armor + b"x\n",
    "windows line ends": lambda armor: armor.replace(b"\n", b"\r\n"),
    "no last newline": lambda armor: armor[:-1],
    "cut off": lambda armor: armor[:100],
    "empty": lambda _armor: b"",
    "not ascii": lambda armor: armor.replace(b"A", b"\xff", 1),
    "not base64": lambda armor: armor.replace(b"U1NI", b"!!!!"),
    "too long": lambda armor: armor + bytes(5000),
}


@pytest.mark.parametrize("name", FORMS)
def test_only_one_armor_in_its_exact_form_is_a_signature(name: str, key: SigningKey) -> None:
    with pytest.raises(SignatureFault):
        parse_signature(FORMS[name](key.sign(MESSAGE)))


@needs_ssh_keygen
@pytest.mark.parametrize(
    ("option", "expected"),
    [(["-n", "file"], "namespace"), (["-n", NAMESPACE.decode(), "-O", "hashalg=sha256"], "sha512")],
)
def test_another_namespace_or_hash_is_refused(option: list[str], expected: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"], cwd=tmp_path, check=True)
    (tmp_path / "message").write_bytes(MESSAGE)
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", "key", *option, "message"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with pytest.raises(SignatureFault, match=expected):
        parse_signature((tmp_path / "message.sig").read_bytes())


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    for armor in (
        data,
        b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(data) + b"\n-----END SSH SIGNATURE-----\n",
    ):
        with pytest.raises(SignatureFault):
            parse_signature(armor)


def test_a_signature_of_a_wrong_length_is_refused(key: SigningKey) -> None:
    with pytest.raises(SignatureFault, match="not an Ed25519 signature"):
        parse_signature(armored_signature(MESSAGE, key.public.blob, lambda _data: bytes(63)))


BAD_LINES = {
    "empty": "",
    "one word": "ssh-ed25519",
    "not base64": "ssh-ed25519 !!!!",
    "cut off": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "two lines": "ssh-ed25519 AAAA a\nssh-ed25519 AAAA b",
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_that_is_no_public_key_is_refused(name: str) -> None:
    with pytest.raises(KeyFault):
        parse_public_key(BAD_LINES[name])


def test_a_public_key_line_survives_a_round_trip(key: SigningKey) -> None:
    assert parse_public_key(key.public.line) == key.public
    assert parse_public_key(PublicKey(key.public.blob).line).comment == ""


def test_a_new_key_is_private_and_never_overwrites(tmp_path: Path) -> None:
    generate_key(tmp_path / "key", "x")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pub").stat().st_mode & 0o777 == 0o644
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(KeyUnusable, match="never overwritten"):
        generate_key(tmp_path / "key", "x")
    assert (tmp_path / "key").read_bytes() == before


def test_a_protected_key_needs_its_passphrase(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "key", "x", b"secret")
    assert load_signing_key(tmp_path / "key", lambda: b"secret").public == made.public
    with pytest.raises(KeyUnusable, match="passphrase is wrong"):
        load_signing_key(tmp_path / "key", lambda: b"wrong")
    with pytest.raises(KeyUnusable, match="no terminal"):
        load_signing_key(tmp_path / "key")


def test_a_public_key_cannot_sign(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(key.public.line)
    with pytest.raises(KeyUnusable, match="public key"):
        load_signing_key(tmp_path / "key.pub")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(KeyUnusable, match="not an OpenSSH private key"):
        load_signing_key(tmp_path / "text")
