"""Acts. How does a further signature get into a bundle, without repacking its payload?"""

from collections.abc import Callable
from pathlib import Path

from intact.bundle.build import head_frame
from intact.bundle.read import UnverifiedBundle, damaged, open_bundle
from intact.model.errors import machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.system.destinations import followed
from intact.system.hostfiles import replace_file

__all__ = ["add_signature"]

_PIECE = 1 << 20


def add_signature(path: Path, signer: Callable[[bytes], bytes]) -> bool:
    """Sign the manifest of the bundle at `path`; frame 0 is written anew, the payload is copied.

    Several may sign one bundle at the same time: they do it one after the other.

    Args:
        signer: returns an armored signature over the exact manifest bytes.

    Returns:
        False if this very signature was there already.

    Raises:
        BundleDamaged: it is no bundle, or has as many signatures as a bundle can have.
    """
    end = followed(path)  # a link to a bundle stays one
    while True:
        with open_bundle(end, str(path)) as bundle:
            if bundle.hold(end):
                return _sign(bundle, end, signer)


def _sign(bundle: UnverifiedBundle, path: Path, signer: Callable[[bytes], bytes]) -> bool:
    manifest, signatures = bundle.manifest_bytes, bundle.signatures
    armor = signer(manifest)
    if armor in signatures:  # Ed25519 signatures are deterministic
        return False
    if len(signatures) == DEFAULT_LIMITS.signatures:
        raise damaged(str(path), f"the bundle has {len(signatures)} signatures, and no room for more")
    try:
        with replace_file(path, path.stat().st_mode & 0o777) as new:
            new.write(head_frame(manifest, [*signatures, armor]))
            while piece := bundle.read(_PIECE):
                new.write(piece)
    except OSError as error:
        raise machine_error("sign", error, str(path)) from error
    return True
