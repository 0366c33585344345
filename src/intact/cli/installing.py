"""Acts. Install bundles, and tell what that changed."""

from intact.cli.bundles import opened_bundles
from intact.cli.receipts import tell_receipt
from intact.cli.session import Session
from intact.operations.install import install
from intact.operations.prepare import InstallOptions

__all__ = ["install_bundles"]


def install_bundles(
    session: Session, *bundles: str, options: InstallOptions | None = None, exit_unchanged: bool = False
) -> int:
    """Install or upgrade bundles, all in one transaction."""
    with session.root() as root, session.environment() as environment, opened_bundles(bundles) as opened:
        receipt = install(root, opened, options or InstallOptions(), environment)
    return tell_receipt(session, receipt, exit_unchanged=exit_unchanged)
