"""Pure. Is this an SSH signature over these bytes, and by which key?

The format is OpenSSH's PROTOCOL.sshsig: an armored blob with the public key, a namespace, a hash name and a signature over
those and the hash of the message. `ssh-keygen -Y verify` accepts what `armored_signature` makes, and `parse_signature` accepts
what `ssh-keygen -Y sign` makes with an Ed25519 key, from a file, an agent or a FIDO token. Nothing else is accepted: one armor
in a file, no trailing bytes, no other algorithm, no other hash, and no token that nobody has touched.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from typing import Final

from intact.model.values import dataclass
from intact.trust.wire import ED25519, SK_ED25519, SignatureFault, fields_of, key_material, packed

__all__ = [
    "NAMESPACE",
    "TRUST_NAMESPACE",
    "Signature",
    "armored_signature",
    "is_ed25519_valid",
    "is_valid",
    "parse_signature",
]

NAMESPACE: Final = b"pkg-manifest-v1@intact"
"""Of signatures over bundle manifests."""
TRUST_NAMESPACE: Final = b"pkg-trust-v1@intact"
"""Of signatures over trust updates."""

_MAGIC = b"SSHSIG"
_HASH = b"sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_LINE = 70
_MOST = 4096
_TOUCHED = 0x01  # SSH_SK_USER_PRESENCE_REQD of OpenSSH's PROTOCOL.u2f


@dataclass(frozen=True, slots=True)
class Signature:
    """One parsed, not yet verified signature.

    Attributes:
        key_blob: the public key in SSH wire format; a hint which key to look up, never a reason to trust.
        raw: 64 bytes of Ed25519 signature.
        namespace: what it was made for.
        token: for a key in a FIDO token the five bytes of flags and counter that it signed too; else empty.
    """

    key_blob: bytes
    raw: bytes
    namespace: bytes = NAMESPACE
    token: bytes = b""


def _signed_bytes(message: bytes, namespace: bytes) -> bytes:
    return _MAGIC + packed(namespace, b"", _HASH, hashlib.sha512(message).digest())


def armored_signature(
    message: bytes, key_blob: bytes, sign: Callable[[bytes], bytes], namespace: bytes = NAMESPACE
) -> bytes:
    """Make an armored signature with a key of kind ``ssh-ed25519``.

    Args:
        sign: returns the 64 raw bytes of the Ed25519 signature over its argument.
    """
    raw = packed(ED25519, sign(_signed_bytes(message, namespace)))
    blob = _MAGIC + struct.pack(">I", 1) + packed(key_blob, namespace, b"", _HASH, raw)
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def parse_signature(armor: bytes, namespace: bytes = NAMESPACE) -> Signature:
    """Read one armored signature.

    Raises:
        SignatureFault: it has another form than the one that is accepted, or was made for something else; the message
            says which.
    """
    blob = _dearmored(armor)
    if blob[:6] != _MAGIC or blob[6:10] != struct.pack(">I", 1):
        raise SignatureFault("it is not an SSH signature of version 1")
    key_blob, found, reserved, hash_name, signature = fields_of(blob[10:], 5)
    if found != namespace:
        shown = found.decode("ascii", "backslashreplace")
        raise SignatureFault(f"it was made for the namespace {shown!r}, not for {namespace.decode()!r}")
    if reserved or hash_name != _HASH:
        raise SignatureFault("its hash is not sha512, or a reserved field is used")
    raw, token = _raw_signature(signature, key_material(key_blob).kind)
    return Signature(key_blob, raw, namespace, token)


def _raw_signature(signature: bytes, kind: bytes) -> tuple[bytes, bytes]:
    """Return (64 bytes, what a token adds); the signature has to be of the same kind as its key."""
    token = b""
    if kind == SK_ED25519:
        signature, token = signature[:-5], signature[-5:]
    found, raw = fields_of(signature, 2)
    if found != kind or len(raw) != 64:
        raise SignatureFault("it is not an Ed25519 signature")
    if token and not token[0] & _TOUCHED:  # `ssh-keygen -Y verify` accepts those, too
        raise SignatureFault("nobody touched the security key when it signed (made with no-touch-required)")
    return raw, token


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
    material = key_material(signature.key_blob)
    signed = _signed_bytes(message, signature.namespace)
    if material.kind == SK_ED25519:  # a token signs digests, and what it knows itself
        application, content = hashlib.sha256(material.application), hashlib.sha256(signed)
        signed = application.digest() + signature.token + content.digest()
    return is_ed25519_valid(material.raw, signature.raw, signed)


def is_ed25519_valid(key: bytes, raw: bytes, signed: bytes) -> bool:
    """Tell whether `raw` is the Ed25519 signature of a key (32 bytes) over exactly the bytes `signed` (RFC 8032)."""
    # Imported here, because loading it takes longer than most commands run.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(raw, signed)
    except InvalidSignature:
        return False
    return True
