"""Acts. How does a further signature get into a bundle, without repacking its payload?"""

import shutil
from collections.abc import Callable
from pathlib import Path

from intact.bundle.build import head_frame
from intact.bundle.read import damaged, open_bundle
from intact.model.errors import machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.system.hostfiles import replace_file

__all__ = ["add_signature"]


def add_signature(path: Path, signer: Callable[[bytes], bytes]) -> bool:
    """Sign the manifest of the bundle at `path`; frame 0 is written anew, the payload is copied.

    Args:
        signer: returns an armored signature over the exact manifest bytes.

    Returns:
        False if this very signature was there already.

    Raises:
        BundleDamaged: it is no bundle, or has as many signatures as a bundle can have.
    """
    with open_bundle(path, str(path)) as bundle:
        manifest, signatures = bundle.manifest_bytes, bundle.signatures
        head_length = bundle.head_length
    armor = signer(manifest)
    if armor in signatures:  # Ed25519 signatures are deterministic
        return False
    if len(signatures) == DEFAULT_LIMITS.signatures:
        raise damaged(str(path), f"the bundle has {len(signatures)} signatures, and no room for more")
    try:
        mode = path.stat().st_mode & 0o777
        with path.open("rb") as old, replace_file(path, mode) as new:
            old.seek(head_length)
            new.write(head_frame(manifest, [*signatures, armor]))
            shutil.copyfileobj(old, new, 1 << 20)
    except OSError as error:
        raise machine_error("sign", error, str(path)) from error
    return True
