"""Acts. How is it told what a transaction did, or would do? As lines for people, and as a document for programs."""

from collections.abc import Iterable
from typing import Any

from intact.cli.words import shown
from intact.cli.words_in_use import in_use_lines, in_use_rows
from intact.cli.words_plan import action_line, change_line, command_line, signers_line
from intact.operations.receipt import Receipt
from intact.transaction.recover import Recovered

__all__ = ["note_lines", "receipt_document", "receipt_lines", "recovered_lines", "recovered_rows"]

_MOST_PROCESSES = 10


def recovered_lines(recovered: tuple[Recovered, ...]) -> list[str]:
    """Say what was finished or undone first."""
    lines = []
    for one in recovered:
        what = f"`{shown(one.command)}`" if one.command else "a transaction that had not begun"
        lines.append(
            f"recovered: transaction {one.transaction} ({what}) was interrupted; now {one.outcome.value}"
        )
        lines += [f"  {shown(told)}" for told in one.told]
    return lines


def recovered_rows(recovered: tuple[Recovered, ...]) -> list[dict[str, Any]]:
    """Write what was finished or undone first, for programs."""
    return [
        {"transaction": one.transaction, "outcome": one.outcome.value, "told": list(one.told)}
        for one in recovered
    ]


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """Write a receipt for programs."""
    return {
        "kind": receipt.kind,
        "transaction": receipt.transaction,
        "changed": receipt.changed and not receipt.dry_run,
        "dry_run": receipt.dry_run,
        "packages": [
            {"name": one.name, "old": _text(one.old), "new": _text(one.new)} for one in receipt.packages
        ],
        "plan": {
            "digest": receipt.plan_digest,
            "actions": [action_line(one) for one in receipt.plan.actions],
            "commands": [
                {"when": one.moment.value, "package": one.package or None, "command": list(one.command)}
                for one in (*receipt.plan.commands.before, *receipt.plan.commands.after)
            ],
        },
        "notes": list(receipt.plan.notes),
        "told": list(receipt.told),
        "signers": {name: list(signers) for name, signers in receipt.signers},
        "recovered": recovered_rows(receipt.recovered),
        "in_use": in_use_rows(receipt.in_use),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def note_lines(told: Iterable[str]) -> list[str]:
    """Write what a person should know, a line each."""
    return [f"note: {shown(one)}" for one in told]


def receipt_lines(receipt: Receipt) -> list[str]:
    """Write a receipt for people."""
    if not receipt.changed:
        return [*note_lines(receipt.told), "nothing to do: everything is as it should be"]
    lines = [change_line(one, receipt.kind) for one in receipt.packages]
    if receipt.dry_run:
        commands = receipt.plan.commands
        lines += [f"  {command_line(one)}" for one in commands.before]
        lines += [f"  {action_line(one)}" for one in receipt.plan.actions]
        lines += [f"  {command_line(one)}" for one in commands.after]
    lines += note_lines((*receipt.plan.notes, *receipt.told))
    lines += [signers_line(name, signers) for name, signers in receipt.signers]
    if receipt.dry_run:
        lines.append(
            f"dry run: nothing was changed; plan {receipt.plan_digest[:16]}, {len(receipt.plan.actions)} actions"
        )
    else:
        if receipt.in_use.uses:
            lines += ["still in use:", *in_use_lines(receipt.in_use, _MOST_PROCESSES)]
        lines.append(
            f"done: transaction {receipt.transaction}, {len(receipt.plan.actions)} actions; undo it with `pkg rollback`"
        )
    return lines
