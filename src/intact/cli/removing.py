"""Acts. Remove packages, and tell what that changed."""

from intact.cli.receipts import tell_receipt
from intact.cli.session import Session
from intact.operations.prepare import InstallOptions
from intact.operations.remove import remove

__all__ = ["remove_packages"]


def remove_packages(session: Session, *names: str, options: InstallOptions | None = None) -> int:
    """Remove packages, all in one transaction."""
    with session.root() as root, session.environment() as environment:
        receipt = remove(root, names, options or InstallOptions(), environment)
    return tell_receipt(session, receipt)
