"""Acts. The commands about keys and the trust store."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from intact.cli.endings import Declined
from intact.cli.session import Session
from intact.cli.words import shown
from intact.model.errors import UsageError, machine_error
from intact.model.times import TIME_FORMS, parse_time, utc_text
from intact.operations.trusting import (
    find_key,
    read_trust_store,
    revoke_key,
    set_threshold,
    trust_key,
    update_keys,
)
from intact.trust.keys import KeyFault, KeyUnusable, PublicKey, generate_key, parse_public_key
from intact.trust.store import (
    HOOKS,
    MOST_SIGNATURES,
    PRIVILEGED,
    TRUSTED,
    Threshold,
    TrustEntry,
    TrustStore,
)
from intact.trust.store_text import allowed_signers as allowed_signers_text
from intact.trust.update import MOST_UPDATE_BYTES

__all__ = ["COMMANDS"]

_MOST_SIGNATURE_BYTES = 4096


class _Time(click.ParamType[int]):
    """A moment, as `model.times` reads it."""

    name = "time"

    def __init__(self, *, end: bool) -> None:
        self._end = end

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        try:
            return parse_time(str(value), end=self._end)
        except ValueError as fault:
            self.fail(str(fault), param, ctx)


def _packages(command: "click.decorators.FC") -> "click.decorators.FC":
    return click.option(
        "--packages", multiple=True, metavar="GLOB", help="For packages of this name (default: all)."
    )(command)


def _yes(command: "click.decorators.FC") -> "click.decorators.FC":
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


@click.group("key")
def _key() -> None:
    """Make keys, and decide whom this root trusts."""


@_key.command("generate")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option("--comment", default="", help="What you call the key.")
@click.option("--passphrase", is_flag=True, help="Protect the key (asks, or takes PKG_KEY_PASSPHRASE).")
@click.pass_obj
def _generate(session: Session, file: Path, comment: str, *, passphrase: bool) -> int:
    """Make an Ed25519 key: FILE (private) and FILE.pub (public), as ssh-keygen does."""
    secret = None
    if passphrase:
        secret = _new_passphrase()
    key = generate_key(file, comment or file.name, secret)
    lines = [
        f"{shown(file)}: private key, keep it secret",
        f"{shown(file)}.pub: public key {key.public.fingerprint}",
    ]
    session.screen.done(
        {"private": str(file), "public": f"{file}.pub", "fingerprint": key.public.fingerprint}, lines
    )
    return 0


def _new_passphrase() -> bytes:
    known = os.environ.get("PKG_KEY_PASSPHRASE")
    if known is None and sys.stdin.isatty():
        known = str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True))
    if not known:
        raise UsageError(
            "there is no passphrase to protect the key with",
            remedy="set PKG_KEY_PASSPHRASE, or run the command in a terminal",
        )
    return os.fsencode(known)


@_key.command("trust")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@_packages
@click.option(
    "--privileged/--no-privileged",
    default=True,
    help="May it sign set-id files, capabilities and special owners?",
)
@click.option(
    "--hooks/--no-hooks",
    default=False,
    help="May it sign commands that are run on this machine?",
)
@click.option(
    "--not-before", type=_Time(end=False), metavar="TIME", help=f"It counts from then on ({TIME_FORMS})."
)
@click.option("--not-after", type=_Time(end=True), metavar="TIME", help="It counts until then.")
@click.option(
    "--set",
    "key_set",
    default="",
    metavar="NAME",
    help="Name of the set of keys that a trust update of its publisher replaces.",
)
@click.option(
    "--fingerprint",
    metavar="SHA256:…",
    help="Trust it only if this is its fingerprint; then nobody is asked.",
)
@_yes
@click.pass_obj
def _trust(  # noqa: PLR0913  one for each option
    session: Session,
    file: Path,
    *,
    packages: tuple[str, ...],
    not_before: int | None,
    not_after: int | None,
    key_set: str,
    fingerprint: str | None,
    privileged: bool,
    hooks: bool,
    yes: bool,
) -> int:
    """Trust a public key (FILE.pub) to sign packages for this root.

    Without a terminal to ask on, say --fingerprint or --yes.
    """
    key = _read_key(file)
    session.screen.say(shown(key.listing))
    _insist_on_consent(key, file, fingerprint, yes=yes)
    roles = (*((PRIVILEGED,) if privileged else ()), *((HOOKS,) if hooks else ()))
    entry = TrustEntry(
        key,
        packages or ("*",),
        roles,
        not_before=not_before,
        not_after=not_after,
        added=int(time.time()),
        key_set=key_set,
    )
    with session.root() as root, session.environment() as environment:
        changed = trust_key(root, entry, environment)
    line = (
        f"trusted: {key.fingerprint} for {', '.join(map(shown, entry.packages))}"
        if changed
        else "it was trusted already"
    )
    session.screen.done({"fingerprint": key.fingerprint, "changed": changed}, [line])
    return 0


def _read_key(file: Path) -> PublicKey:
    try:
        return parse_public_key(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise machine_error("read", error, str(file)) from error
    except (KeyFault, UnicodeDecodeError) as fault:
        raise KeyUnusable(str(fault), path=str(file), remedy="name a .pub file of an Ed25519 key") from fault


def _insist_on_consent(key: PublicKey, file: Path, fingerprint: str | None, *, yes: bool) -> None:
    """Nobody comes to be trusted by accident: a person has looked at the fingerprint, or has said what it is."""
    if fingerprint is not None:
        if fingerprint != key.fingerprint:
            raise KeyUnusable(
                f"this is another key: {key.fingerprint}",
                path=str(file),
                remedy="do not trust it; ask its owner for the fingerprint again, in another way",
            )
    elif yes:
        pass
    elif not sys.stdin.isatty():
        raise UsageError(
            "there is nobody here to ask whether this key is to be trusted",
            path=str(file),
            remedy=f"compare the fingerprint, then say --fingerprint {key.fingerprint} (or --yes)",
        )
    elif not click.confirm("Trust this key?", err=True):
        raise Declined("the key is not trusted", path=str(file))


@_key.command("list")
@click.pass_obj
def _list(session: Session) -> int:
    """List the keys of this root, and how many of them have to agree."""
    with session.root() as root:
        store = read_trust_store(root)
    now = int(time.time())
    lines = [f"{shown(one.key.listing)}: {_what(one, now)}" for one in store.entries]
    lines += [
        f"{', '.join(map(shown, one.packages))}: {one.signatures} keys have to sign"
        for one in store.thresholds
    ]
    session.screen.result(
        {
            "keys": [_key_document(one, now) for one in store.entries],
            "thresholds": [
                {"packages": list(one.packages), "signatures": one.signatures} for one in store.thresholds
            ],
        },
        lines,
    )
    return 0


def _what(entry: TrustEntry, now: int) -> str:
    return (
        f"{entry.status_at(now)}, may sign {', '.join(map(shown, entry.packages)) or 'nothing'}"
        + ("" if PRIVILEGED in entry.roles else ", nothing privileged")
        + (", also hooks" if HOOKS in entry.roles else "")
    )


def _key_document(entry: TrustEntry, now: int) -> dict[str, Any]:
    return {
        "fingerprint": entry.key.fingerprint,
        "kind": entry.key.kind,
        "comment": entry.key.comment,
        "packages": list(entry.packages),
        "roles": list(entry.roles),
        "status": entry.status_at(now),
        "not_before": entry.not_before,
        "not_after": entry.not_after,
        "added": entry.added,
        "set": entry.key_set or entry.key.fingerprint,
        "update": entry.update,
        "public_key": entry.key.line,
    }


@_key.command("show")
@click.argument("fingerprint")
@click.pass_obj
def _show(session: Session, fingerprint: str) -> int:
    """Show one key: what it may sign, since when, until when."""
    with session.root() as root:
        store = read_trust_store(root)
        entry = find_key(root, store, fingerprint)
    now = int(time.time())
    by_update = f", by trust update {entry.update}" if entry.update else ""
    rows = {
        "status": entry.status_at(now),
        "packages": ", ".join(entry.packages) or "none",
        "roles": ", ".join(entry.roles) or "none",
        "set": entry.key_set or "a set of its own",
        "valid from": "always" if entry.not_before is None else utc_text(entry.not_before),
        "valid until": "always" if entry.not_after is None else utc_text(entry.not_after),
        "trusted on": utc_text(entry.added) + by_update,
        "public key": entry.key.line,
    }
    lines = [shown(entry.key.listing), *(f"  {f'{name}:':<13}{shown(text)}" for name, text in rows.items())]
    session.screen.result(_key_document(entry, now), lines)
    return 0


@_key.command("revoke")
@click.argument("fingerprint")
@click.pass_obj
def _revoke(session: Session, fingerprint: str) -> int:
    """Stop trusting a key; it stays in the store as revoked."""
    with session.root() as root, session.environment() as environment:
        key = revoke_key(root, fingerprint, environment)
        store = read_trust_store(root)
    lines = [f"revoked: {key.fingerprint}", *_warnings(store)]
    session.screen.done({"fingerprint": key.fingerprint, "status": "revoked"}, lines)
    return 0


@_key.command("threshold")
@click.argument("signatures", type=click.IntRange(1, MOST_SIGNATURES))
@_packages
@click.pass_obj
def _threshold(session: Session, signatures: int, packages: tuple[str, ...]) -> int:
    """Say how many different keys have to sign a package: SIGNATURES of all that may; 1 takes a threshold back."""
    threshold = Threshold(packages or ("*",), signatures)
    with session.root() as root, session.environment() as environment:
        changed = set_threshold(root, threshold, environment)
        store = read_trust_store(root)
    names = ", ".join(map(shown, threshold.packages))
    line = f"{names}: {signatures} {'key has' if signatures == 1 else 'keys have'} to sign"
    session.screen.done(
        {"packages": list(threshold.packages), "signatures": signatures, "changed": changed},
        [line, *_warnings(store)],
    )
    return 0


def _warnings(store: TrustStore) -> list[str]:
    """Name the thresholds that cannot be reached, so that nobody learns it from the next upgrade."""
    trusted = [one for one in store.entries if one.status == TRUSTED]
    return [
        f"warning: {', '.join(map(shown, one.packages))}: {one.signatures} keys have to sign, and only {count} may"
        for one in store.thresholds
        if (count := sum(one.may_concern(entry.packages) for entry in trusted)) < one.signatures
    ]


@_key.command("update")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    type=click.Path(path_type=Path, readable=False),
    help="A signature of it (default: FILE.sig, FILE.2.sig and so on); can be repeated.",
)
@click.pass_obj
def _update(session: Session, file: Path, signatures: tuple[Path, ...]) -> int:
    """Take a publisher's trust update: new keys in the place of old ones, signed by both sets."""
    text = _read(file, MOST_UPDATE_BYTES)
    found = [_read(one, _MOST_SIGNATURE_BYTES) for one in signatures or _signatures_beside(file)]
    with session.root() as root, session.environment() as environment:
        before, after = update_keys(root, text, found, environment, name=str(file))
    known = {one.key.fingerprint: one.status for one in before.entries}
    now = int(time.time())
    added = [one for one in after.entries if one.key.fingerprint not in known]
    gone = [
        one for one in after.entries if one.status != TRUSTED and known.get(one.key.fingerprint) == TRUSTED
    ]
    lines = [f"trusted: {shown(one.key.listing)}: {_what(one, now)}" for one in added]
    lines += [f"revoked: {shown(one.key.listing)}" for one in gone]
    lines += _warnings(after)
    changed = before != after
    document = {
        "changed": changed,
        "trusted": [one.key.fingerprint for one in added],
        "revoked": [one.key.fingerprint for one in gone],
    }
    session.screen.done(
        document, lines or (["the keys have changed"] if changed else ["it was taken already"])
    )
    return 0


def _signatures_beside(file: Path) -> list[Path]:
    further = (Path(f"{file}.{number}.sig") for number in range(2, MOST_SIGNATURES + 1))
    return [one for one in (Path(f"{file}.sig"), *further) if one.exists()]


def _read(file: Path, most: int) -> bytes:
    """Read a file, and a little more than it may have: who parses it says that it is too long."""
    try:
        with file.open("rb") as source:
            return source.read(most + 1)
    except OSError as error:
        raise machine_error("read", error, str(file)) from error


@_key.command("export")
@click.option(
    "--allowed-signers",
    is_flag=True,
    help="In the form of `ssh-keygen -Y verify -f` (the only one; default).",
)
@click.pass_obj
def _export(session: Session, *, allowed_signers: bool) -> int:  # noqa: ARG001  says what is done anyway
    """Print the trusted keys as an allowed-signers file for `ssh-keygen -Y verify`."""
    with session.root() as root:
        text = allowed_signers_text(read_trust_store(root))
    session.screen.result({"allowed_signers": text}, text.splitlines())
    return 0


COMMANDS = {"key": _key}
