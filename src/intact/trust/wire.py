"""Pure. How do public keys stand on the wire of SSH, and which of them are no keys to trust?

    ssh-ed25519                    kind, 32 bytes
    sk-ssh-ed25519@openssh.com     kind, 32 bytes, application      (OpenSSH's PROTOCOL.u2f; the key is in a FIDO token)

Each field is preceded by its length. No other kind is accepted.
"""

import struct
from types import MappingProxyType
from typing import Final

from intact.model.values import dataclass

__all__ = [
    "ED25519",
    "KINDS",
    "SK_ED25519",
    "KeyMaterial",
    "SignatureFault",
    "fields_of",
    "key_material",
    "kind_of",
    "packed",
]

ED25519: Final = b"ssh-ed25519"
SK_ED25519: Final = b"sk-ssh-ed25519@openssh.com"
KINDS: Final = MappingProxyType({ED25519: 2, SK_ED25519: 3})
"""The accepted kinds, and how many fields a key of each has."""

# A token signs for an application. Signatures for a web site must not pass for ours.
_APPLICATION = b"ssh:"
_P = 2**255 - 19
# y coordinates of the points whose order divides 8; with such a key one signature verifies for many or all messages.
# In this order: 4 (y = 0), 1 (the identity), 2, and 8 twice. A test computes the orders from the curve's equation.
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


class SignatureFault(ValueError):
    """The text is not a key, or not a signature, of a form that is accepted."""


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A public key, taken apart.

    Attributes:
        kind: ``ssh-ed25519``, or ``sk-ssh-ed25519@openssh.com`` for one that lives in a FIDO token.
        raw: 32 bytes of Ed25519.
        application: what a token's key is for; empty for the other kind.
    """

    kind: bytes
    raw: bytes
    application: bytes = b""


def packed(*fields: bytes) -> bytes:
    """Put fields together, each with its length before it."""
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


def key_material(blob: bytes) -> KeyMaterial:
    """Take a public key apart.

    Raises:
        SignatureFault: another kind of key, or one under which anybody could sign (small order, not canonical).
    """
    kind = kind_of(blob)
    if kind not in KINDS:
        raise SignatureFault(
            f"the key is of kind {kind.decode('ascii', 'backslashreplace')!r}; only ssh-ed25519 and sk-ssh-ed25519 are"
            " accepted"
        )
    _, raw, *rest = fields_of(blob, KINDS[kind])
    _insist_on_strength(raw)
    application = rest[0] if rest else b""
    if kind == SK_ED25519 and not application.startswith(_APPLICATION):
        raise SignatureFault("the key of the token is not for SSH (its application does not begin with ssh:)")
    return KeyMaterial(kind, raw, application)


def kind_of(blob: bytes) -> bytes:
    """Return what a public key says that it is, without believing it.

    Raises:
        SignatureFault: it is too short to say anything.
    """
    if len(blob) < 4:
        raise SignatureFault("a field is cut off")
    (length,) = struct.unpack(">I", blob[:4])
    return blob[4 : 4 + min(length, 64)]


def _insist_on_strength(raw: bytes) -> None:
    if len(raw) != 32:
        raise SignatureFault("an Ed25519 key has 32 bytes")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _P or y in _SMALL_ORDER_Y:
        raise SignatureFault("the key is one of the weak ones, under which anybody can sign")
