"""Acts. How is what a transaction did told?"""

from intact.cli.session import Session
from intact.cli.words_receipt import receipt_document, receipt_lines, recovered_lines
from intact.operations.receipt import Receipt

__all__ = ["tell_receipt"]

_UNCHANGED = 4


def tell_receipt(session: Session, receipt: Receipt, *, exit_unchanged: bool = False) -> int:
    """Tell what a transaction did; return the exit code."""
    screen = session.screen
    for line in recovered_lines(receipt.recovered):
        screen.say(line)
    tell = screen.result if receipt.dry_run else screen.done
    tell(receipt_document(receipt) if screen.as_json else {}, receipt_lines(receipt))
    return _UNCHANGED if exit_unchanged and not receipt.changed else 0
