"""SSH signatures: one accepted form, the curve's weak points, and RFC 8032."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from intact.trust.sshsig import (
    NAMESPACE,
    Signature,
    armored_signature,
    is_valid,
    parse_signature,
)
from intact.trust.wire import ED25519, SignatureFault, fields_of, key_material

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point, RFC 8032 section 5.1
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]

MESSAGE = b"format = 1\n"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def packed(*fields: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def ed25519_blob(raw: bytes) -> bytes:
    """A public key in SSH wire format."""
    return packed(ED25519, raw)


BLOB = ed25519_blob(PRIVATE.public_key().public_bytes_raw())
ARMOR = armored_signature(MESSAGE, BLOB, PRIVATE.sign)

# RFC 8032 section 7.1: secret key, public key, message, signature.
RFC_8032 = {
    "TEST 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "TEST 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "TEST 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
}


def armored(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def signed_blob(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    key: bytes = BLOB,
    namespace: bytes = NAMESPACE,
    reserved: bytes = b"",
    digest: bytes = b"sha512",
    kind: bytes = b"ssh-ed25519",
    raw: bytes = bytes(64),
) -> bytes:
    return magic + struct.pack(">I", version) + packed(key, namespace, reserved, digest, packed(kind, raw))


def with_raw(raw: bytes) -> Signature:
    return Signature(BLOB, raw)


# --- the curve, written down a second time -----------------------------------------------------------------
def added(one: Point, other: Point) -> Point:
    product = D * one[0] * other[0] * one[1] * other[1] % P
    x = (one[0] * other[1] + other[0] * one[1]) * pow(1 + product, P - 2, P) % P
    return x, (one[1] * other[1] + one[0] * other[0]) * pow(1 - product, P - 2, P) % P


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x * x % P == square else None


def times(count: int, point: Point) -> Point:
    result: Point = (0, 1)
    while count:
        if count & 1:
            result = added(result, point)
        point, count = added(point, point), count >> 1
    return result


def small_order_points() -> set[Point]:
    """All eight, found by clearing the large prime factor from points that come along."""
    found: set[Point] = set()
    y = 2
    while len(found) < 8:
        x = x_of(y)
        if x is not None:
            start = times(ORDER, (x, y))
            found |= {times(count, start) for count in range(8)}
        y += 1
    return found


def weak_encodings() -> list[bytes]:
    """Each y of a small-order point, canonical or not, with both signs."""
    ys = {y for _, y in small_order_points()}
    numbers = {y + shift for y in ys for shift in (0, P) if y + shift < 2**255}
    return [(number | sign << 255).to_bytes(32, "little") for number in sorted(numbers) for sign in (0, 1)]


def test_the_curve_has_eight_points_of_small_order_and_fourteen_encodings_of_them_matter() -> None:
    assert all(times(8, point) == (0, 1) for point in small_order_points())
    assert len({y for _, y in small_order_points()}) == 5
    assert len(weak_encodings()) == 14


@pytest.mark.parametrize("raw", weak_encodings(), ids=bytes.hex)
def test_a_key_under_which_anybody_can_sign_is_refused(raw: bytes) -> None:
    with pytest.raises(SignatureFault, match="weak"):
        key_material(ed25519_blob(raw))
    with pytest.raises(SignatureFault, match="weak"):
        parse_signature(armored(signed_blob(key=ed25519_blob(raw))))


def test_the_forgery_that_the_refusal_prevents_really_works() -> None:
    identity = (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), b"any message at all")
    forged = Signature(ed25519_blob(identity), identity + bytes(32))
    with pytest.raises(SignatureFault, match="weak"):
        is_valid(forged, MESSAGE)


@pytest.mark.parametrize("y", [P, P + 1, P + 2, P + 18, 2**255 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_key_that_is_not_canonical_is_refused(y: int, sign: int) -> None:
    with pytest.raises(SignatureFault, match="weak"):
        key_material(ed25519_blob((y | sign << 255).to_bytes(32, "little")))


# --- signatures -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", RFC_8032)
def test_the_vectors_of_rfc_8032_hold_for_the_library_and_its_keys_work_here(name: str) -> None:
    secret, public, message, signature = (bytes.fromhex(one) for one in RFC_8032[name])
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert key.public_key().public_bytes_raw() == public
    assert key.sign(message) == signature
    made = parse_signature(armored_signature(message, ed25519_blob(public), key.sign))
    assert is_valid(made, message)
    assert not is_valid(Signature(ed25519_blob(public), signature), message)  # signed without the namespace


def test_what_is_signed_is_what_the_specification_says() -> None:
    demanded = b"SSHSIG" + packed(NAMESPACE, b"", b"sha512", hashlib.sha512(MESSAGE).digest())
    PRIVATE.public_key().verify(parse_signature(ARMOR).raw, demanded)


def test_a_signature_is_read_back_and_fits_its_message_alone() -> None:
    signature = parse_signature(ARMOR)
    assert signature.key_blob == BLOB
    assert is_valid(signature, MESSAGE)
    assert not is_valid(signature, MESSAGE + b"\n")
    assert not is_valid(signature, b"")


def test_every_flipped_bit_of_the_raw_signature_is_noticed() -> None:
    raw = parse_signature(ARMOR).raw
    for bit in range(512):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_valid(with_raw(bytes(flipped)), MESSAGE), bit


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_a_signature_whose_s_is_not_reduced_is_no_second_signature(factor: int) -> None:
    raw = parse_signature(ARMOR).raw
    s = int.from_bytes(raw[32:], "little") + factor * ORDER
    assert not is_valid(with_raw(raw[:32] + s.to_bytes(32, "little")), MESSAGE)


@pytest.mark.parametrize(
    "raw", [bytes(64), b"\xff" * 64, b"\1" + bytes(63)], ids=["zeros", "ones", "identity"]
)
def test_a_signature_that_says_nothing_does_not_verify(raw: bytes) -> None:
    assert not is_valid(with_raw(raw), MESSAGE)


def test_a_key_that_is_no_point_of_the_curve_verifies_nothing() -> None:
    y = next(y for y in range(2, 100) if x_of(y) is None)
    assert not is_valid(Signature(ed25519_blob(y.to_bytes(32, "little")), bytes(64)), MESSAGE)


WRONG_BLOBS = {
    "another magic": (signed_blob(magic=b"SSHSIX"), "version 1"),
    "version 0": (signed_blob(version=0), "version 1"),
    "version 2": (signed_blob(version=2), "version 1"),
    "nothing": (b"", "one length"),
    "only the magic": (b"SSHSIG", "version 1"),
    "namespace of git": (signed_blob(namespace=b"git"), "'git'"),
    "namespace with an escape": (signed_blob(namespace=b"\x1b[2J\xff"), r"\\xff"),
    "empty namespace": (signed_blob(namespace=b""), "namespace"),
    "longer namespace": (signed_blob(namespace=NAMESPACE + b"2"), "namespace"),
    "reserved field": (signed_blob(reserved=b"x"), "reserved"),
    "sha256": (signed_blob(digest=b"sha256"), "sha512"),
    "security key signature": (signed_blob(kind=b"sk-ssh-ed25519@openssh.com"), "Ed25519"),
    "rsa signature": (signed_blob(kind=b"rsa-sha2-512"), "Ed25519"),
    "63 bytes": (signed_blob(raw=bytes(63)), "Ed25519"),
    "65 bytes": (signed_blob(raw=bytes(65)), "Ed25519"),
    "rsa key": (signed_blob(key=packed(b"ssh-rsa", bytes(32))), "only ssh-ed25519"),
    "weak key": (signed_blob(key=packed(b"ssh-ed25519", bytes(32))), "weak"),
    "ordinary signature by a security key": (
        signed_blob(key=packed(b"sk-ssh-ed25519@openssh.com", BLOB[-32:], b"ssh:")),
        "Ed25519|longer",
    ),
    "short key": (signed_blob(key=packed(b"ssh-ed25519", bytes(31))), "32 bytes"),
    "trailing byte": (signed_blob() + b"\0", "follow"),
    "cut off": (signed_blob()[:-1], "longer than what is there"),
    "cut inside a length": (signed_blob()[:12], "cut off"),
    "length of 4 GiB": (b"SSHSIG\0\0\0\1\xff\xff\xff\xff", "longer"),
}


@pytest.mark.parametrize("name", WRONG_BLOBS)
def test_a_signature_of_another_form_is_refused_and_told_apart(name: str) -> None:
    blob, reason = WRONG_BLOBS[name]
    with pytest.raises(SignatureFault, match=reason):
        parse_signature(armored(blob))


BODY = ARMOR.split(b"\n")[1:-2]
FIRST, LAST = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"


def text_of(*lines: bytes) -> bytes:
    return b"\n".join(lines)


WRONG_ARMORS = {
    "empty": b"",
    "two signatures in one file": ARMOR + ARMOR,
    "two in one, without a line between": ARMOR[:-1] + ARMOR,
    "text before": b"\n" + ARMOR,
    "text after": ARMOR + b"\n",
    "no newline at the end": ARMOR[:-1],
    "CRLF": ARMOR.replace(b"\n", b"\r\n"),
    "no begin": text_of(*BODY, LAST, b""),
    "no end": text_of(FIRST, *BODY, b""),
    "no body": text_of(FIRST, LAST, b""),
    "empty line inside": text_of(FIRST, BODY[0], b"", *BODY[1:], LAST, b""),
    "space inside": text_of(FIRST, BODY[0] + b" ", *BODY[1:], LAST, b""),
    "uneven lines": text_of(FIRST, BODY[0] + BODY[1][:5], BODY[1][5:], *BODY[2:], LAST, b""),
    "last line empty": text_of(FIRST, *BODY, b"", LAST, b""),
    "url alphabet": text_of(FIRST, b"_" + BODY[0][1:], *BODY[1:], LAST, b""),
    "no padding": text_of(FIRST, *BODY[:-1], BODY[-1].rstrip(b"=") + b"=", LAST, b""),
    "padding in the middle": text_of(FIRST, BODY[0] + b"=", *BODY[1:], LAST, b""),
    "not ASCII": ARMOR.replace(b"U1NI", "Ü1NI".encode()),
    "another armor": ARMOR.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
    "NUL": ARMOR.replace(b"U1NI", b"U1N\0"),
    "longer than 4 KiB": text_of(FIRST, *[b"A" * 70] * 60, LAST, b""),
}


@pytest.mark.parametrize("name", WRONG_ARMORS)
def test_an_armor_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(SignatureFault):
        parse_signature(WRONG_ARMORS[name])


def test_bits_left_over_in_base64_are_refused() -> None:
    padded = armored(signed_blob(namespace=b"xx"))
    body = padded.split(b"\n")[-3]
    assert body.endswith(b"=")
    at = len(body.rstrip(b"=")) - 1
    other = body[:at] + bytes([body[at] + 1]) + body[at + 1 :]
    assert base64.b64decode(body[-4:]) == base64.b64decode(other[-4:])
    with pytest.raises(SignatureFault, match="canonical"):
        parse_signature(padded.replace(body, other))


@pytest.mark.parametrize("width", [4, 64, 70, 76, 4000])
def test_any_even_folding_is_read_alike(width: int) -> None:
    text = b"".join(BODY)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    assert parse_signature(text_of(FIRST, *lines, LAST, b"")) == parse_signature(ARMOR)


@pytest.mark.parametrize(
    ("blob", "count"),
    [(b"", 1), (b"\0\0\0", 1), (packed(b"a"), 2), (packed(b"a", b"b"), 1), (b"\0\0\0\2a", 1)],
)
def test_fields_are_taken_apart_exactly(blob: bytes, count: int) -> None:
    with pytest.raises(SignatureFault):
        fields_of(blob, count)


def test_fields_come_back_as_they_were_packed() -> None:
    assert fields_of(packed(b"", b"a", bytes(300)), 3) == [b"", b"a", bytes(300)]
    assert fields_of(b"", 0) == []
