"""Acts. The commands that ask, as they are typed; they work for every user and never wait."""

import click

from intact.cli.answers import list_config, list_files, list_packages, tell_owner, tell_package
from intact.cli.checking import verify_packages
from intact.cli.session import Session

__all__ = ["COMMANDS"]


@click.command("list")
@click.pass_obj
def _list(session: Session) -> int:
    """List the installed packages."""
    return list_packages(session)


@click.command("info")
@click.argument("name")
@click.pass_obj
def _info(session: Session, name: str) -> int:
    """Show one installed package."""
    return tell_package(session, name)


@click.command("files")
@click.argument("name")
@click.pass_obj
def _files(session: Session, name: str) -> int:
    """List what a package owns."""
    return list_files(session, name)


@click.command("owner")
@click.argument("path")
@click.pass_obj
def _owner(session: Session, path: str) -> int:
    """Tell which package a path belongs to."""
    return tell_owner(session, path)


@click.command("config")
@click.pass_obj
def _config(session: Session) -> int:
    """List edited configuration files, and new versions that lie beside them."""
    return list_config(session)


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def _verify(session: Session, names: tuple[str, ...]) -> int:
    """Compare packages, or all of them, with the disk; every file is read.

    Exit code 10 if something is different; edited configuration files are listed, but are no difference.
    """
    return verify_packages(session, *names)


COMMANDS = {
    "list": _list,
    "info": _info,
    "files": _files,
    "owner": _owner,
    "config": _config,
    "verify": _verify,
}
