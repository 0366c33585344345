"""Acts. Where do keys come from, and how do they sign?

Keys are OpenSSH's: `ssh-keygen` can make, show and change every one of them.
"""

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from intact.model.errors import IntactError, machine_error
from intact.model.values import dataclass
from intact.system.hostfiles import write_new_file
from intact.trust.sshsig import NAMESPACE, armored_signature
from intact.trust.wire import ED25519, SK_ED25519, key_material, kind_of, packed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "KeyFault",
    "KeyUnusable",
    "PublicKey",
    "SigningKey",
    "generate_key",
    "load_signing_key",
    "parse_public_key",
]

_MOST = 64 << 10
_KINDS = frozenset({ED25519.decode(), SK_ED25519.decode()})
_PUBLIC_STARTS = (b"ssh-", b"ecdsa-", b"sk-")
AskPassphrase = Callable[[], bytes]


class KeyFault(ValueError):
    """The text is not a public key that can be trusted; the message says why."""


class KeyUnusable(IntactError):
    """A key file cannot be used."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key, of a file or of a FIDO token.

    Attributes:
        blob: SSH wire format.
        comment: what the owner calls it; display only.
    """

    blob: bytes
    comment: str = ""

    @property
    def kind(self) -> str:
        """``ssh-ed25519`` or ``sk-ssh-ed25519@openssh.com``."""
        return kind_of(self.blob).decode("ascii", "backslashreplace")

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """One line, as in a ``.pub`` file."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()

    @property
    def listing(self) -> str:
        """One line, as `ssh-keygen -l` shows it: length in bits, fingerprint, comment, kind."""
        kind = "ED25519-SK" if self.kind == SK_ED25519.decode() else "ED25519"
        return f"256 {self.fingerprint} {self.comment or 'no comment'} ({kind})"


def parse_public_key(line: str) -> PublicKey:
    """Read one line of a ``.pub`` file.

    Raises:
        KeyFault: it is no Ed25519 key, or a weak one.
    """
    fields = line.strip().split(None, 2)
    if "PRIVATE KEY" in line:
        raise KeyFault("this is a private key; trust the .pub file beside it")
    if len(fields) < 2 or "\n" in line.strip():
        raise KeyFault("a public key is one line: ssh-ed25519 BASE64 COMMENT")
    if fields[0] not in _KINDS:
        raise KeyFault(
            f"the key is of kind {fields[0]!r}; only ssh-ed25519 (ssh-keygen -t ed25519) and security keys"
            " (ssh-keygen -t ed25519-sk) are accepted"
        )
    try:
        blob = base64.b64decode(fields[1], validate=True)
        kind = key_material(blob).kind.decode()
    except ValueError as fault:  # binascii.Error and SignatureFault are; so is a text that is not ASCII
        raise KeyFault(f"not a usable Ed25519 key: {fault}") from fault
    if kind != fields[0]:
        raise KeyFault(f"it says {fields[0]}, and is a key of the kind {kind}")
    return PublicKey(blob, _one_line(fields[2] if len(fields) > 2 else ""))


def _one_line(comment: str) -> str:
    """A comment is somebody's text: it must not end a line, nor move the cursor of a terminal."""
    return "".join(one for one in comment if one.isprintable()).strip()


class SigningKey:
    """A private key that is ready to sign; made by `load_signing_key` and `generate_key`.

    Attributes:
        public: what others trust.
        warnings: what the owner of the key should mend, one line each.
    """

    def __init__(self, key: "Ed25519PrivateKey", comment: str, warnings: tuple[str, ...] = ()) -> None:
        self._key = key
        self.public = PublicKey(packed(ED25519, key.public_key().public_bytes_raw()), _one_line(comment))
        self.warnings = warnings

    def sign(self, message: bytes, namespace: bytes = NAMESPACE) -> bytes:
        """Return an armored SSH signature over `message`."""
        return armored_signature(message, self.public.blob, self._key.sign, namespace)


def load_signing_key(path: Path, ask_passphrase: AskPassphrase | None = None) -> SigningKey:
    """Read an OpenSSH private key file.

    Args:
        ask_passphrase: called if the key is protected; None where nobody can be asked.

    Raises:
        KeyUnusable: the file is missing, no private key, of another kind, or the passphrase is wrong.
    """
    # Imported here, because loading it takes longer than most commands run.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key  # noqa: PLC0415

    text, mode = _read(path)
    if text.startswith(_PUBLIC_STARTS):
        raise KeyUnusable(
            "this is the public key", path=str(path), remedy="name the private key, without .pub"
        )
    passphrase = None
    try:
        try:
            key = load_ssh_private_key(text, None)
        except TypeError:  # the library's word for "it is encrypted"
            if ask_passphrase is None:
                raise _protected(path) from None
            passphrase = ask_passphrase()
            key = load_ssh_private_key(text, passphrase)
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        what = (
            "the passphrase is wrong" if passphrase is not None else f"not an OpenSSH private key ({error})"
        )
        raise KeyUnusable(
            what, path=str(path), remedy="check it with: ssh-keygen -y -f " + str(path)
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(
            "the key is not an Ed25519 key", path=str(path), remedy="make one with `pkg key generate FILE`"
        )
    return SigningKey(key, _comment_beside(path), _warnings(path, mode))


def _warnings(path: Path, mode: int) -> tuple[str, ...]:
    """Say that others can read the key; `ssh-keygen` refuses to use such a file."""
    if not mode & 0o077:
        return ()
    return (f"{path}: others can read this private key (mode {mode:04o}); mend it with: chmod 600 {path}",)


def _protected(path: Path) -> KeyUnusable:
    return KeyUnusable(
        "the key is protected by a passphrase, and there is no terminal to ask for it",
        path=str(path),
        remedy="set PKG_KEY_PASSPHRASE, or sign on a terminal",
    )


def _read(path: Path) -> tuple[bytes, int]:
    """Return the content and the permission bits of a key file."""
    try:
        with path.open("rb") as source:
            return source.read(_MOST), stat.S_IMODE(os.fstat(source.fileno()).st_mode)
    except FileNotFoundError as error:
        raise KeyUnusable(
            "there is no such file", path=str(path), remedy=f"make a key with `pkg key generate {path}`"
        ) from error
    except OSError as error:
        raise machine_error("read key", error, str(path)) from error


def _comment_beside(path: Path) -> str:
    """The comment stands in the public key file; a key works without."""
    try:
        return parse_public_key(Path(f"{path}.pub").read_text(encoding="utf-8")).comment
    except (OSError, ValueError):
        return ""


def generate_key(path: Path, comment: str, passphrase: bytes | None = None) -> SigningKey:
    """Make a new key: the private one at `path` (mode 0600), the public one at `path`.pub (mode 0644).

    Raises:
        KeyUnusable: one of the files exists; nothing is overwritten.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  (slow to load)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    public_path = Path(f"{path}.pub")
    for one in (path, public_path):
        if os.path.lexists(one):
            raise KeyUnusable(
                "the file exists, and keys are never overwritten", path=str(one), remedy="name another file"
            )
    key = Ed25519PrivateKey.generate()
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, protection)
    made = SigningKey(key, comment)
    write_new_file(path, private, 0o600)
    write_new_file(public_path, (made.public.line + "\n").encode(), 0o644)
    return made
