"""Acts. The commands about keys and the trust store."""

import os
import sys
import time
from pathlib import Path

import click

from intact.cli.endings import Declined
from intact.cli.session import Session
from intact.cli.words import shown
from intact.model.errors import UsageError, machine_error
from intact.operations.trusting import read_trust_store, revoke_key, trust_key
from intact.trust.keys import KeyFault, KeyUnusable, generate_key, parse_public_key
from intact.trust.store import HOOKS, PRIVILEGED, TrustEntry, allowed_signers

__all__ = ["COMMANDS"]


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
@click.option(
    "--packages", multiple=True, metavar="GLOB", help="Package names that it may sign (default: all)."
)
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
@click.option("--not-after", type=int, metavar="SECONDS", help="It counts until then (seconds since 1970).")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def _trust(  # noqa: PLR0913  one for each option
    session: Session,
    file: Path,
    packages: tuple[str, ...],
    not_after: int | None,
    *,
    privileged: bool,
    hooks: bool,
    yes: bool,
) -> int:
    """Trust a public key (FILE.pub) to sign packages for this root."""
    try:
        key = parse_public_key(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise machine_error("read", error, str(file)) from error
    except (KeyFault, UnicodeDecodeError) as fault:
        raise KeyUnusable(str(fault), path=str(file), remedy="name a .pub file of an Ed25519 key") from fault
    session.screen.say(f"{key.fingerprint} {key.comment}")
    if not yes and sys.stdin.isatty() and not click.confirm("Trust this key?", err=True):
        raise Declined("the key is not trusted", path=str(file))
    roles = (*((PRIVILEGED,) if privileged else ()), *((HOOKS,) if hooks else ()))
    entry = TrustEntry(key, packages or ("*",), roles, not_after=not_after, added=int(time.time()))
    with session.root() as root, session.environment() as environment:
        changed = trust_key(root, entry, environment)
    line = (
        f"trusted: {key.fingerprint} for {', '.join(map(shown, entry.packages))}"
        if changed
        else "it was trusted already"
    )
    session.screen.done({"fingerprint": key.fingerprint, "changed": changed}, [line])
    return 0


@_key.command("list")
@click.pass_obj
def _list(session: Session) -> int:
    """List the keys of this root."""
    with session.root() as root:
        entries = read_trust_store(root).entries
    rows = [
        {
            "fingerprint": one.key.fingerprint,
            "comment": one.key.comment,
            "packages": list(one.packages),
            "roles": list(one.roles),
            "status": one.status,
            "not_before": one.not_before,
            "not_after": one.not_after,
        }
        for one in entries
    ]
    lines = [
        f"{one.key.fingerprint} {shown(one.key.comment)}: {one.status}, may sign {', '.join(map(shown, one.packages))}"
        + ("" if PRIVILEGED in one.roles else ", nothing privileged")
        + (", also hooks" if HOOKS in one.roles else "")
        for one in entries
    ]
    session.screen.result({"keys": rows}, lines)
    return 0


@_key.command("revoke")
@click.argument("fingerprint")
@click.pass_obj
def _revoke(session: Session, fingerprint: str) -> int:
    """Stop trusting a key; it stays in the store as revoked."""
    with session.root() as root, session.environment() as environment:
        key = revoke_key(root, fingerprint, environment)
    session.screen.done(
        {"fingerprint": key.fingerprint, "status": "revoked"}, [f"revoked: {key.fingerprint}"]
    )
    return 0


@_key.command("export")
@click.pass_obj
def _export(session: Session) -> int:
    """Print the trusted keys as an allowed-signers file for `ssh-keygen -Y verify`."""
    with session.root() as root:
        text = allowed_signers(read_trust_store(root))
    session.screen.result({"allowed_signers": text}, text.splitlines())
    return 0


COMMANDS = {"key": _key}
