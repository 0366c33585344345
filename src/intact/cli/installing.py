"""Acts. Install bundles, and tell what that changed."""

from intact.cli.bundles import opened_bundles
from intact.cli.session import Session
from intact.cli.words_receipt import receipt_document, receipt_lines, recovered_lines
from intact.operations.install import install
from intact.operations.prepare import InstallOptions
from intact.operations.receipt import Receipt

__all__ = ["install_bundles", "tell_receipt"]

_UNCHANGED = 4


def install_bundles(
    session: Session, *bundles: str, options: InstallOptions | None = None, exit_unchanged: bool = False
) -> int:
    """Install or upgrade bundles, all in one transaction."""
    with session.root() as root, session.environment() as environment, opened_bundles(bundles) as opened:
        receipt = install(root, opened, options or InstallOptions(), environment)
    return tell_receipt(session, receipt, exit_unchanged=exit_unchanged)


def tell_receipt(session: Session, receipt: Receipt, *, exit_unchanged: bool = False) -> int:
    """Tell what a transaction did; return the exit code."""
    screen = session.screen
    for line in recovered_lines(receipt.recovered):
        screen.say(line)
    tell = screen.result if receipt.dry_run else screen.done
    tell(receipt_document(receipt) if screen.as_json else {}, receipt_lines(receipt))
    return _UNCHANGED if exit_unchanged and not receipt.changed else 0
