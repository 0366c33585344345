"""Acts. What happened to a root, and what of it can be undone?"""

from collections.abc import Sequence
from typing import Any

from intact.cli.session import Session
from intact.cli.words import shown, size_text, time_text
from intact.cli.words_plan import change_line, signers_line
from intact.model.errors import UnknownTransaction
from intact.model.installed import TransactionRecord
from intact.operations.asking import hook_output

__all__ = ["tell_history"]


def _transaction_document(record: TransactionRecord, said: Sequence[str]) -> dict[str, Any]:
    return {
        "transaction": record.id,
        "kind": record.kind,
        "command": record.command,
        "started": record.started,
        "finished": record.finished,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "packages": [
            {"name": one.name, "old": one.old and str(one.old), "new": one.new and str(one.new)}
            for one in record.packages
        ],
        "notes": list(record.notes),
        "signers": {name: list(signers) for name, signers in record.signers},
        "hooks": list(said),
        "undoes": list(record.undoes),
        "can_be_rolled_back": record.retained,
        "size": record.size,
    }


def _transaction_lines(record: TransactionRecord) -> list[str]:
    kept = f", {size_text(record.size)} kept for the way back" if record.retained else ""
    undone = f" of {', '.join(map(str, record.undoes))}" if record.undoes else ""
    lines = [
        f"{record.id}  {time_text(record.started)}  {shown(record.kind)}{undone}: {record.outcome.value}{kept}"
    ]
    lines += [f"    {change_line(one)}" for one in record.packages]
    if record.reason:
        lines.append(f"    because: {shown(record.reason)}")
    return lines


def tell_history(session: Session, transaction: int | None = None) -> int:
    """Show the transactions of this root, newest first."""
    with session.root() as root, root.database() as database:
        records = database.history()
        said = hook_output(root, transaction) if transaction is not None else ()
    if transaction is not None:
        records = [one for one in records if one.id == transaction]
        if not records:
            raise UnknownTransaction(
                f"there is no transaction {transaction}", remedy="`pkg history` shows all"
            )
    lines = [line for one in records for line in _transaction_lines(one)]
    if transaction is not None:
        lines += [f"    command: {shown(records[0].command)}"]
        lines += [f"    {signers_line(*one)}" for one in records[0].signers]
        lines += [f"    note: {shown(one)}" for one in records[0].notes]
        lines += [f"    hooks: {shown(one)}" for one in said]
    session.screen.result({"transactions": [_transaction_document(one, said) for one in records]}, lines)
    return 0
