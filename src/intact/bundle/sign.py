"""Acts. How do further signatures get into a bundle, without repacking its payload?"""

from collections.abc import Callable, Sequence
from pathlib import Path

from intact.bundle.build import head_frame
from intact.bundle.read import UnverifiedBundle, open_bundle
from intact.model.errors import BundleDamaged, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.system.destinations import followed
from intact.system.hostfiles import replace_file

__all__ = ["add_signatures"]

_PIECE = 1 << 20


def add_signatures(path: Path, signers: Sequence[Callable[[bytes], bytes]]) -> list[bool]:
    """Sign the manifest of the bundle at `path`; frame 0 is written anew, the payload is copied, once for all signatures.

    All of them are there before anything is written: either each gets into the bundle, or it stays as it was. Several
    may sign one bundle at the same time: they do it one after the other.

    Args:
        signers: each returns an armored signature over the exact manifest bytes, or raises.

    Returns:
        for each signer, False if this very signature was there already.

    Raises:
        BundleDamaged: it is no bundle, or would have more signatures than a bundle can have.
        MachineError: it could not be read or written.
    """
    end = followed(path)  # a link to a bundle stays one
    while True:
        with open_bundle(end, str(path)) as bundle:
            if bundle.hold(end):
                return _sign(bundle, end, signers)


def _sign(bundle: UnverifiedBundle, path: Path, signers: Sequence[Callable[[bytes], bytes]]) -> list[bool]:
    manifest, signatures = bundle.manifest_bytes, list(bundle.signatures)
    are_new = []
    for signer in signers:
        armor = signer(manifest)
        are_new.append(armor not in signatures)  # Ed25519 signatures are deterministic
        signatures += [armor] if are_new[-1] else []
    if not any(are_new):
        return are_new
    _insist_on_room(bundle, len(signatures))
    try:
        head = head_frame(manifest, signatures)
        with replace_file(path, path.stat().st_mode & 0o777) as new:
            new.write(head)
            while piece := bundle.read(_PIECE):
                new.write(piece)
    except OSError as error:
        raise machine_error("sign", error, str(path)) from error
    return are_new


def _insist_on_room(bundle: UnverifiedBundle, wanted: int) -> None:
    if wanted <= DEFAULT_LIMITS.signatures:
        return
    before = len(bundle.signatures)
    room = DEFAULT_LIMITS.signatures - before
    raise BundleDamaged(
        f"the bundle has {before} signatures, and room for {room or 'no'} more; {wanted - before} are to be added",
        path=bundle.name,
        remedy="sign with fewer keys",
    )
