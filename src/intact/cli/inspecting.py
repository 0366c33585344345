"""Acts. What is in a bundle, who signed it, would this root let it in?"""

import shlex
import sys
import time
from pathlib import Path

import click

from intact.bundle.fields import too_costly
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.read import open_bundle
from intact.bundle.verified import verify
from intact.cli.session import Session
from intact.cli.words import shown, size_text
from intact.model.entries import DirectoryEntry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import Untrusted
from intact.model.manifest import Manifest
from intact.model.times import utc_text
from intact.operations.trusting import read_trust_store
from intact.system.memory import memory_limited
from intact.trust.keys import PublicKey
from intact.trust.sshsig import parse_signature
from intact.trust.wire import SignatureFault

__all__ = ["COMMANDS"]

_MEMORY = 128 << 20
_MEMORY_FOR_A_BYTE = 16  # a line of 150 bytes becomes an entry of 750, beside two copies of the text


@click.command("inspect")
@click.argument("bundle")
@click.option("--full", is_flag=True, help="Read and check the whole payload, too.")
@click.option("--files", is_flag=True, help="List the files.")
@click.pass_obj
def _inspect(session: Session, bundle: str, *, full: bool, files: bool) -> int:
    """Show what is in a bundle, who signed it, and whether this root would trust it.

    Exit code 3 if it would not.
    """
    source = sys.stdin.buffer if bundle == "-" else Path(bundle)
    with session.root() as root:
        store = read_trust_store(root)
    with open_bundle(source, bundle) as opened:
        refusal: Untrusted | None = None
        try:
            verified = verify(opened, store, now=int(time.time()))
            if full:
                verified.check_payload()
        except Untrusted as error:
            refusal = error
        # Shown although nobody may vouch for it: looking is what this command is for.
        manifest = _looked_at(opened.manifest_bytes, bundle, is_vouched_for=refusal is None)
        signers = [_signer(armor) for armor in opened.signatures]
    entries = manifest.entries
    size = sum(one.size for one in entries if isinstance(one, FileEntry))
    counts = {
        "files": sum(isinstance(one, FileEntry) for one in entries),
        "directories": sum(isinstance(one, DirectoryEntry) for one in entries),
        "symlinks": sum(isinstance(one, SymlinkEntry) for one in entries),
        "hardlinks": sum(isinstance(one, HardlinkEntry) for one in entries),
    }
    document = {
        "name": manifest.identity.name,
        "version": str(manifest.identity.version),
        "architecture": manifest.identity.architecture,
        "summary": manifest.summary,
        "license": manifest.license,
        "created": manifest.created,
        "expires": manifest.expires,
        "minimum_secure": manifest.minimum_secure and str(manifest.minimum_secure),
        "requires": [str(one) for one in manifest.relations.requires],
        "conflicts": [str(one) for one in manifest.relations.conflicts],
        "provides": [str(one) for one in manifest.relations.provides],
        "replaces": [str(one) for one in manifest.relations.replaces],
        "hooks": [
            {
                "when": one.when.value,
                "command": list(one.command),
                "undo": list(one.undo),
                "timeout": one.seconds,
            }
            for one in manifest.hooks
        ],
        "size": size,
        **counts,
        "signers": signers,
        "trusted": refusal is None,
        "reason": None if refusal is None else str(refusal),
        "paths": [f"/{one.path}" for one in entries] if files else None,
    }
    lines = [
        f"package:   {shown(manifest.identity)}",
        f"summary:   {shown(manifest.summary)}",
        f"content:   {size_text(size)}; " + ", ".join(f"{count} {what}" for what, count in counts.items()),
        f"requires:  {shown(', '.join(map(str, manifest.relations.requires)) or 'nothing')}",
        *(f"runs:      {shown(shlex.join(one.command))} ({one.when.value})" for one in manifest.hooks),
        *([f"expires:   {utc_text(manifest.expires)}"] if manifest.expires is not None else []),
        *(f"insecure:  versions below {one}" for one in [manifest.minimum_secure] if one is not None),
        *(f"signed by: {shown(one)}" for one in signers or ["nobody"]),
        f"trusted:   {'yes' if refusal is None else 'NO: ' + shown(refusal.message)}",
    ]
    if refusal is not None:
        lines += [f"           {shown(one)}" for one in refusal.details]
    lines += [f"/{shown(one.path)}" for one in entries] if files else []
    session.screen.result(document, lines)
    return 0 if refusal is None else refusal.exit_code


def _looked_at(text: bytes, bundle: str, *, is_vouched_for: bool) -> Manifest:
    """Read a manifest; one that nobody vouches for may not take more memory than one as `pkg build` makes it would."""
    name = f"{bundle}: .intact/manifest.toml"
    if is_vouched_for:
        return parse_manifest(text, name)
    try:
        with memory_limited(_MEMORY + _MEMORY_FOR_A_BYTE * len(text)):
            return parse_manifest(text, name)
    except MemoryError as error:
        raise too_costly(name) from error


def _signer(armor: bytes) -> str:
    try:
        return PublicKey(parse_signature(armor).key_blob).fingerprint
    except SignatureFault as fault:
        return f"an unreadable signature ({fault})"


COMMANDS = {"inspect": _inspect}
