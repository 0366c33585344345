"""Acts. Remove packages: all of them, or nothing."""

import difflib
from collections.abc import Sequence

from intact.model.errors import UnknownPackage
from intact.operations.execute import execute
from intact.operations.prepare import InstallOptions, prepare
from intact.operations.receipt import Receipt
from intact.operations.root import Environment, Root, change
from intact.state.database import Database

__all__ = ["insist_on_installed", "remove"]


def remove(root: Root, names: Sequence[str], options: InstallOptions, environment: Environment) -> Receipt:
    """Remove the packages in one transaction, or leave the root exactly as it was.

    What was edited since it was installed stays, and the receipt says so.

    Raises:
        UnknownPackage: one of them is not installed.
        Conflict: another package needs one of them.
    """
    with change(root, environment, dry_run=options.dry_run) as recovered, root.database() as database:
        insist_on_installed(database, names)
        unique = tuple(sorted(set(names)))
        prepared = prepare(root, database, (), unique, options, environment.clock())
        return execute(root, prepared, environment, recovered, dry_run=options.dry_run)


def insist_on_installed(database: Database, names: Sequence[str]) -> None:
    """Make sure that each package is installed.

    Raises:
        UnknownPackage: names all that are not, with those that may have been meant.
    """
    known = [package.identity.name for package in database.packages()]
    missing = sorted(set(names) - set(known))
    if not missing:
        return
    details = []
    for name in missing:
        close = difflib.get_close_matches(name, known, n=3)
        details.append(f"{name}: not installed" + (f"; did you mean {', '.join(close)}?" if close else ""))
    raise UnknownPackage("no such package", details=details, remedy="`pkg list` shows what is installed")
