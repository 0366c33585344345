"""A FIDO token in software: signs as OpenSSH's PROTOCOL.u2f says, touched or not."""

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from intact.trust.keys import PublicKey
from intact.trust.sshsig import NAMESPACE
from intact.trust.wire import SK_ED25519, packed

__all__ = ["TOUCHED", "UNTOUCHED", "SecurityToken"]

UNTOUCHED, TOUCHED = 0x00, 0x01


class SecurityToken:
    """A key that signs what it is given, together with flags and a counter."""

    def __init__(self, seed: int = 7, application: bytes = b"ssh:") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self._application = application
        blob = packed(SK_ED25519, self._key.public_key().public_bytes_raw(), application)
        self.public = PublicKey(blob, f"token {seed}")

    def sign(
        self, message: bytes, *, flags: int = TOUCHED, counter: int = 5, namespace: bytes = NAMESPACE
    ) -> bytes:
        """Return the armored signature, as `ssh-keygen -Y sign` writes it for a token."""
        digest = hashlib.sha512(message).digest()
        content = b"SSHSIG" + packed(namespace, b"", b"sha512", digest)
        token = struct.pack(">BI", flags, counter)
        signed = hashlib.sha256(self._application).digest() + token + hashlib.sha256(content).digest()
        signature = packed(SK_ED25519, self._key.sign(signed)) + token
        return self.armored(packed(self.public.blob, namespace, b"", b"sha512", signature))

    def armored(self, fields: bytes) -> bytes:
        """Put an armor around what follows the version."""
        text = base64.b64encode(b"SSHSIG" + struct.pack(">I", 1) + fields).decode()
        lines = [text[at : at + 70] for at in range(0, len(text), 70)]
        return "\n".join(
            ["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]
        ).encode()
