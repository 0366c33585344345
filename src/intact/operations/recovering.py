"""Acts. Finish or undo an interrupted transaction now, or only tell about it."""

from intact.operations.changing import change
from intact.operations.root import Environment, Root
from intact.system.signals import signals_held
from intact.transaction.recover import Direction, Interrupted, Recovery, find_interrupted, recover

__all__ = ["interrupted", "recover_now"]


def interrupted(root: Root) -> list[Interrupted]:
    """Tell which transactions are neither finished nor undone; changes nothing."""
    return find_interrupted(root.disk, root.layout)


def recover_now(root: Root, direction: Direction, environment: Environment) -> Recovery:
    """Finish or undo what was interrupted.

    Raises:
        RecoveryFailed: it could be neither finished nor undone.
    """
    with change(root, environment, recovery=False), signals_held():
        return recover(root.disk, root.layout, direction, now=environment.clock())
