"""Acts. Undo transactions, and tell what that changed."""

from intact.cli.receipts import tell_receipt
from intact.cli.session import Session
from intact.operations.hooks import HookOptions
from intact.operations.rollback import roll_back_to

__all__ = ["undo_transactions"]


def undo_transactions(
    session: Session,
    *,
    transaction: int | None = None,
    hooks: HookOptions | None = None,
    allow_insecure: bool = False,
    dry_run: bool = False,
) -> int:
    """Undo the newest transaction, or everything back to and including one."""
    with session.root() as root, session.environment() as environment:
        receipt = roll_back_to(
            root,
            transaction,
            environment,
            hooks=hooks or HookOptions(),
            allow_insecure=allow_insecure,
            dry_run=dry_run,
        )
    return tell_receipt(session, receipt)
