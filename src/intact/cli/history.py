"""Acts. The command that tells what happened to a root, and gives up what is kept of it."""

import click

from intact.cli.past import tell_history
from intact.cli.session import Session
from intact.cli.words import shown
from intact.model.errors import UsageError
from intact.operations.retaining import forget_history

__all__ = ["COMMANDS"]


@click.command("history")
@click.argument("transaction", required=False, type=int)
@click.option(
    "--keep",
    type=int,
    metavar="COUNT",
    help="Give up the way back for all but the newest COUNT transactions, to free their space.",
)
@click.pass_obj
def _history(session: Session, transaction: int | None, keep: int | None) -> int:
    """Show the transactions of this root, newest first."""
    if keep is not None:
        return _forget(session, transaction, keep)
    return tell_history(session, transaction)


def _forget(session: Session, transaction: int | None, keep: int) -> int:
    if transaction is not None:
        raise UsageError("--keep and a transaction exclude each other")
    with session.root() as root, session.environment() as environment:
        gone, told = forget_history(root, keep, environment)
    lines = [f"cannot be undone any more: {', '.join(map(str, gone))}" if gone else "nothing to give up"]
    session.screen.result(
        {"changed": bool(gone), "forgotten": list(gone), "told": list(told)},
        [*lines, *(shown(one) for one in told)],
    )
    return 0


COMMANDS = {"history": _history}
