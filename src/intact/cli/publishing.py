"""Acts. The commands of a publisher: build and sign."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import click

from intact.bundle.build import build_bundle, output_directory
from intact.bundle.package import PackageSource
from intact.bundle.sign import add_signatures
from intact.bundle.source_manifest import read_source_manifest
from intact.bundle.tarstream import LARGEST_NUMBER
from intact.cli.session import Session
from intact.cli.words import shown, size_text
from intact.model.entries import FileEntry
from intact.model.errors import UsageError, machine_error
from intact.trust.keys import PublicKey, SigningKey, load_signing_key
from intact.trust.sshsig import is_valid, parse_signature
from intact.trust.wire import SignatureFault

__all__ = ["COMMANDS"]

_HOW_TO_SIGN = (
    "tar --zstd -xf BUNDLE .intact; ssh-keygen -Y sign -f KEY -n pkg-manifest-v1@intact .intact/manifest.toml"
)


_LONGEST_EPOCH = 12  # digits, so that Python reads it whatever it is


def _ask_passphrase() -> bytes:
    known = os.environ.get("PKG_KEY_PASSPHRASE")
    if known is not None:
        return os.fsencode(known)
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True)).encode()


def _load(path: str, session: Session) -> SigningKey:
    can_ask = "PKG_KEY_PASSPHRASE" in os.environ or sys.stdin.isatty()
    key = load_signing_key(Path(path), _ask_passphrase if can_ask else None)
    for warning in key.warnings:
        session.screen.say(f"warning: {warning}")
    return key


def _made_elsewhere(path: str) -> tuple[str, Callable[[bytes], bytes]]:
    """Return (fingerprint, signer) for a signature that `ssh-keygen -Y sign` has made over the manifest."""
    try:
        armor = Path(path).read_bytes()
        signature = parse_signature(armor)
    except OSError as error:
        raise machine_error("read", error, path) from error
    except SignatureFault as fault:
        raise UsageError(
            f"this is no signature for a bundle: {fault}", path=path, remedy=_HOW_TO_SIGN
        ) from fault

    def signer(manifest: bytes) -> bytes:
        if not is_valid(signature, manifest):
            raise UsageError(
                "the signature was not made over the manifest of this bundle", path=path, remedy=_HOW_TO_SIGN
            )
        return armor

    return PublicKey(signature.key_blob).fingerprint, signer


def _epoch() -> int | None:
    """Read SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/)."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_EPOCH
    if not is_number or int(text) > LARGEST_NUMBER:
        raise UsageError(
            f"SOURCE_DATE_EPOCH must be seconds since 1970, {LARGEST_NUMBER} (in the year 2242) at the most",
            path=text,
            remedy="unset it, or set it to a whole number in that range",
        )
    return int(text)


def _source(path: Path, output: str | None) -> AbstractContextManager[PackageSource]:
    directory = output_directory(output)
    if path.suffix == ".deb":
        from intact.bundle.deb import read_deb  # noqa: PLC0415  its readers of tar and mail take an eighth of a small build

        return read_deb(path, directory)
    return nullcontext(read_source_manifest(path, epoch=_epoch()))


@contextmanager
def _no_bundle_told() -> Iterator[None]:
    """Say of a signal what it has done: a bundle is there as a whole or not at all."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = ("nothing is left of the build, unless the bundle was complete already",)
        raise


@click.command("build")
@click.argument("manifest", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--output",
    "-o",
    type=click.Path(readable=False),
    help="File of the bundle, or a directory that is there.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(readable=False),
    help="Private key to sign with; can be repeated.",
)
@click.option(
    "--level", default=9, show_default=True, type=click.IntRange(1, 19), help="Compression level of zstd."
)
@click.pass_obj
def _build(session: Session, manifest: Path, output: str | None, keys: tuple[str, ...], level: int) -> int:
    """Make a bundle from a source manifest, or from a Debian package (FILE.deb)."""
    signers = [_load(key, session).sign for key in keys]
    with (
        _no_bundle_told(),
        _source(manifest, output) as source,
        session.environment(changing=False) as environment,
    ):
        total = sum(one.size for one in source.manifest.entries if isinstance(one, FileEntry))
        done = 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            environment.tell_progress("build", done, total)

        digested = session.screen.as_json  # nobody else is told it
        built = build_bundle(
            source, output, signers=signers, level=level, digested=digested, progress=progress
        )
    for note in source.notes:
        session.screen.say(f"note: {note}")
    if not signers:
        session.screen.say("note: the bundle is not signed; sign it with `pkg sign`")
    document = {
        "bundle": str(built.path),
        "name": built.identity.name,
        "version": str(built.identity.version),
        "architecture": built.identity.architecture,
        "size": built.size,
        "content": built.content,
        "frames": built.frames,
        "sha256": built.sha256,
        "notes": list(source.notes),
    }
    line = f"{shown(built.path)}: {shown(built.identity)}, {size_text(built.size)} ({size_text(built.content)} of files)"
    session.screen.done(document, [line])
    return 0


@click.command("sign")
@click.argument("bundle", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(readable=False),
    help="Private key to sign with; can be repeated.",
)
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    type=click.Path(readable=False),
    help="A signature that `ssh-keygen -Y sign` made over .intact/manifest.toml (an agent's key); can be repeated.",
)
@click.pass_obj
def _sign(session: Session, bundle: Path, keys: tuple[str, ...], signatures: tuple[str, ...]) -> int:
    """Add signatures to a bundle, without packing it anew."""
    signers: list[tuple[str, Callable[[bytes], bytes]]] = []
    for path in keys:
        key = _load(path, session)
        signers.append((key.public.fingerprint, key.sign))
    signers += [_made_elsewhere(path) for path in signatures]
    if not signers:
        raise UsageError("nothing to sign with", remedy="say --key KEY or --signature FILE")
    are_new = add_signatures(bundle, [signer for _, signer in signers])
    told = [(fingerprint, is_new) for (fingerprint, _), is_new in zip(signers, are_new, strict=True)]
    added = [fingerprint for fingerprint, is_new in told if is_new]
    lines = [
        f"{shown(bundle)}: signed by {fingerprint}"
        if is_new
        else f"{shown(bundle)}: was signed by {fingerprint} already"
        for fingerprint, is_new in told
    ]
    session.screen.done({"bundle": str(bundle), "added": added}, lines)
    return 0


COMMANDS = {"build": _build, "sign": _sign}
