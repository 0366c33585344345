"""Pure. Is this an SSH signature over these bytes, and by which key?

The format is OpenSSH's PROTOCOL.sshsig: an armored blob with the public key, a namespace, a hash name and a signature over
those and the hash of the message. `ssh-keygen -Y verify` accepts what `armored_signature` makes, and `parse_signature` accepts
what `ssh-keygen -Y sign` makes with an Ed25519 key. Nothing else is accepted: one armor in a file, no trailing bytes, no other
algorithm, no other hash.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ED25519",
    "NAMESPACE",
    "Signature",
    "SignatureFault",
    "armored_signature",
    "ed25519_blob",
    "ed25519_bytes",
    "fields_of",
    "is_valid",
    "parse_signature",
]

NAMESPACE: Final = b"pkg-manifest-v1@intact"
ED25519: Final = b"ssh-ed25519"

_MAGIC = b"SSHSIG"
_HASH = b"sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_LINE = 70
_MOST = 4096

_P = 2**255 - 19
# y coordinates of the points whose order divides 8; with such a key one signature verifies for many or all messages.
# In this order: 4 (y = 0), 1 (the identity), 2, and 8 twice. A test computes the orders from the curve's equation.
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


class SignatureFault(ValueError):
    """The text is not a signature of the one form that is accepted."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One parsed, not yet verified signature.

    Attributes:
        key_blob: the public key in SSH wire format; a hint which key to look up, never a reason to trust.
        raw: 64 bytes of Ed25519 signature.
    """

    key_blob: bytes
    raw: bytes


def _packed(*fields: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def fields_of(blob: bytes, count: int) -> list[bytes]:
    """Take `count` length-prefixed fields apart; nothing may follow them.

    Raises:
        SignatureFault: the blob has another form.
    """
    fields = []
    for _ in range(count):
        if len(blob) < 4:
            raise SignatureFault("a field is cut off")
        (length,) = struct.unpack(">I", blob[:4])
        if length > len(blob) - 4:
            raise SignatureFault("a field is longer than what is there")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if blob:
        raise SignatureFault("bytes follow the last field")
    return fields


def ed25519_blob(raw: bytes) -> bytes:
    """Return a public key of 32 bytes in SSH wire format."""
    return _packed(ED25519, raw)


def ed25519_bytes(key_blob: bytes) -> bytes:
    """Return the 32 bytes of an Ed25519 public key in SSH wire format.

    Raises:
        SignatureFault: another kind of key, or one under which anybody could sign (small order, not canonical).
    """
    kind, raw = fields_of(key_blob, 2)
    if kind != ED25519:
        raise SignatureFault(
            f"the key is of kind {kind.decode('ascii', 'backslashreplace')!r}; only ssh-ed25519 is accepted"
        )
    if len(raw) != 32:
        raise SignatureFault("an Ed25519 key has 32 bytes")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _P or y in _SMALL_ORDER_Y:
        raise SignatureFault("the key is one of the weak ones, under which anybody can sign")
    return raw


def _signed_bytes(message: bytes) -> bytes:
    return _MAGIC + _packed(NAMESPACE, b"", _HASH, hashlib.sha512(message).digest())


def armored_signature(message: bytes, key_blob: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Make an armored signature.

    Args:
        sign: returns the 64 raw bytes of the Ed25519 signature over its argument.
    """
    raw = _packed(ED25519, sign(_signed_bytes(message)))
    blob = _MAGIC + struct.pack(">I", 1) + _packed(key_blob, NAMESPACE, b"", _HASH, raw)
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def parse_signature(armor: bytes) -> Signature:
    """Read one armored signature.

    Raises:
        SignatureFault: it has another form than the one that is accepted; the message says which.
    """
    blob = _dearmored(armor)
    if blob[:6] != _MAGIC or blob[6:10] != struct.pack(">I", 1):
        raise SignatureFault("it is not an SSH signature of version 1")
    key_blob, namespace, reserved, hash_name, signature = fields_of(blob[10:], 5)
    if namespace != NAMESPACE:
        shown = namespace.decode("ascii", "backslashreplace")
        raise SignatureFault(f"it was made for the namespace {shown!r}, not for {NAMESPACE.decode()!r}")
    if reserved or hash_name != _HASH:
        raise SignatureFault("its hash is not sha512, or a reserved field is used")
    kind, raw = fields_of(signature, 2)
    ed25519_bytes(key_blob)
    if kind != ED25519 or len(raw) != 64:
        raise SignatureFault("it is not an Ed25519 signature")
    return Signature(key_blob, raw)


def _dearmored(armor: bytes) -> bytes:
    if len(armor) > _MOST:
        raise SignatureFault(f"it is longer than {_MOST} bytes")
    try:
        lines = armor.decode("ascii").split("\n")
        if lines[0] != _BEGIN or lines[-2:] != [_END, ""] or _BEGIN in lines[1:] or _END in lines[:-2]:
            raise SignatureFault("it is not exactly one armored SSH signature")
        body = lines[1:-2]
        blob = base64.b64decode("".join(body), validate=True)
    except (UnicodeDecodeError, binascii.Error) as error:
        raise SignatureFault("it is not armored text") from error
    # One text for one signature: tools fold at different widths, but all fold evenly and none leaves bits over.
    width = len(body[0]) if body else 0
    encoded = base64.b64encode(blob).decode()
    if not width or body != [encoded[start : start + width] for start in range(0, len(encoded), width)]:
        raise SignatureFault("it is not canonical base64 in lines of one length")
    return blob


def is_valid(signature: Signature, message: bytes) -> bool:
    """Tell whether the signature was made over `message` with the key that it names."""
    # Imported here, because loading it takes longer than most commands run.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    key = Ed25519PublicKey.from_public_bytes(ed25519_bytes(signature.key_blob))
    try:
        key.verify(signature.raw, _signed_bytes(message))
    except InvalidSignature:
        return False
    return True
