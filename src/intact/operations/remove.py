"""Acts. Remove packages: all of them, or nothing."""

from collections.abc import Sequence

from intact.operations.changing import change
from intact.operations.execute import Prepared, execute
from intact.operations.known import insist_on_installed
from intact.operations.prepare import InstallOptions, prepare
from intact.operations.receipt import Receipt
from intact.operations.root import Environment, Root

__all__ = ["remove"]


def remove(root: Root, names: Sequence[str], options: InstallOptions, environment: Environment) -> Receipt:
    """Remove the packages in one transaction, or leave the root exactly as it was.

    What was edited since it was installed stays, and the receipt says so.

    Raises:
        UnknownPackage: one of them is not installed.
        Conflict: another package needs one of them.
    """
    with change(root, environment, dry_run=options.dry_run) as recovery:
        prepared = _prepared(root, names, options, environment)
        return execute(root, prepared, environment, recovery, dry_run=options.dry_run)


def _prepared(
    root: Root, names: Sequence[str], options: InstallOptions, environment: Environment
) -> Prepared:
    """Decide; what was read for that is not needed any more when it is carried out."""
    with root.database() as database:
        insist_on_installed(database, names)
        return prepare(root, database, (), tuple(sorted(set(names))), options, environment.clock())
