"""Acts. Ways to break `pkg` on purpose; the proof has to find each of them.

Each takes one promise away, as a plausible mistake would: a sync that is left out, an order turned round, a record
not written. They are put in by replacing a function while the proof runs, never in the source.
"""

import os
import sys
import zlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from intact.model.actions import Remove
from intact.model.hooks import Moment
from intact.system import forks, linux
from intact.transaction import closing, commit, deleting, hooks, journal, recover, staging, steps, swap
from intact.transaction.phases import Phase
from intact.transaction.plan_text import parse_plan

__all__ = ["DEFECTS", "put_in"]

Patch = Callable[[], None]


def _nothing(*_arguments: Any, **_options: Any) -> None:  # noqa: ANN401  stands for anything
    return None


def _no_barrier() -> None:
    """Nothing staged is made durable before the renames."""
    original = staging.seal

    def seal(disk: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        disk.sync_filesystem = _nothing
        try:
            return original(disk, *arguments, **options)
        finally:
            del disk.sync_filesystem

    _everywhere("seal", seal)


def _no_directory_sync() -> None:
    """The names in a directory are never made durable."""
    linux.LinuxDisk.sync_directory = _nothing  # type: ignore[method-assign]


def _no_sync_before_committed() -> None:
    """COMMITTED is written before the renames are durable."""
    commit._make_durable = _nothing


def _no_journal_sync() -> None:
    """Records are written, and not synced."""

    def overwrite_block(self: Any, path: Any, offset: int, data: bytes) -> None:  # noqa: ANN401
        with self._opened(path, os.O_WRONLY) as fd:
            os.pwrite(fd, data, offset)

    linux.LinuxDisk.overwrite_block = overwrite_block  # type: ignore[method-assign]


def _lost_record(phase: Phase) -> Patch:
    def put() -> None:
        original = journal.Journal.append

        def append(self: journal.Journal, record: journal.Record) -> None:
            if record.phase is phase:
                self._records.append(record)
            else:
                original(self, record)

        journal.Journal.append = append  # type: ignore[method-assign]

    put.__doc__ = f"The {phase.value} record is never written."
    return put


def _undo_in_wrong_order() -> None:
    """A rollback undoes the first step first."""
    commit.reversed = iter  # type: ignore[attr-defined]


def _done_turned_round() -> None:
    """A recovery takes steps that are done for open, and the other way round."""
    original = steps.is_done
    _everywhere("is_done", lambda disk, step: not original(disk, step))


def _half_the_steps() -> None:
    """Every other step is forgotten when a recovery rolls forward."""
    original = steps.is_done

    def is_done(disk: Any, step: Any) -> bool:  # noqa: ANN401
        return original(disk, step) or zlib.crc32(step.action.path.encode()) % 2 == 0

    _everywhere("is_done", is_done)


def _in_place() -> None:
    """A replaced file is overwritten where it stands, and nothing looks at what comes back."""
    original = swap.swap
    _everywhere("_insist", _nothing)

    def swapped(disk: Any, slot: Any, path: Any) -> None:  # noqa: ANN401
        one, other = disk.host_path(slot), disk.host_path(path)
        plain = all(file.is_file() and not file.is_symlink() for file in (one, other))
        if plain and other.stat().st_nlink == 1:
            old, new = other.read_bytes(), one.read_bytes()
            for place, data in ((one, old), (other, new)):
                with place.open("r+b") as file:
                    half = len(data) // 2
                    file.write(data[:half])
                    file.flush()
                    file.write(data[half:])
                    file.truncate()
                    os.fsync(file.fileno())
        else:
            original(disk, slot, path)

    _everywhere("swap", swapped)


def _remove_then_rename() -> None:
    """The live name is removed before the new object gets it."""
    original = swap.swap

    def swapped(disk: Any, slot: Any, path: Any) -> None:  # noqa: ANN401
        waiting = type(slot)(slot + ".aside")
        seen = disk.observe(path)
        if seen is None or seen.kind.value == "directory":
            original(disk, slot, path)
            return
        disk.move_over(path, waiting)
        disk.move_over(slot, path)
        disk.move_over(waiting, slot)

    _everywhere("swap", swapped)


def _backups_deleted_early() -> None:
    """A rollback deletes its slots before it has put everything back."""
    original = steps.undo

    def undo(disk: Any, step: Any) -> Any:  # noqa: ANN401
        if isinstance(step.action, Remove) and disk.observe(step.slot) is not None:
            deleting.drop_tree(disk, step.slot)
        return original(disk, step)

    _everywhere("undo", undo)


def _database_before_commit_point() -> None:
    """The database says that it has happened before it has."""
    original = commit.commit

    def committed(disk: Any, staged: Any, **options: Any) -> Any:  # noqa: ANN401
        places = staged.open.places
        if disk.observe(places.next_database) is not None:
            target = type(places.home)("var/lib/intact/installed.db")
            disk.link(places.next_database, type(places.home)(places.home + "/early.db"))
            disk.move_over(type(places.home)(places.home + "/early.db"), target)
        return original(disk, staged, **options)

    _everywhere("commit", committed)


def _trash_stays() -> None:
    """What was moved to the trash is never deleted."""
    _everywhere("sweep", lambda *_arguments: [])


def _discard_keeps_files() -> None:
    """A discarded transaction leaves its staging tree behind."""
    _everywhere("drop_transaction", _nothing)


def _plan_believed() -> None:
    """The plan is carried out whatever the journal says about it."""
    original = recover._plan

    def plan(disk: Any, layout: Any, transaction: Any) -> Any:  # noqa: ANN401
        place = transaction.places.plan
        try:
            return parse_plan(disk.read_file(place), f"/{place}")
        except Exception:  # noqa: BLE001
            return original(disk, layout, transaction)

    recover._plan = plan


def _hooks_not_asked() -> None:
    """A recovery takes what nobody has confirmed for confirmed, and no hook is asked."""
    original = hooks.run_or_fail

    def run_or_fail(disk: Any, transaction: Any, commands: Any) -> Any:  # noqa: ANN401
        return original(disk, transaction, [one for one in commands if one.moment is Moment.BEFORE])

    _everywhere("run_or_fail", run_or_fail)


def _work_is_not_kept() -> None:
    """What a person did meanwhile is deleted with the slots of a transaction that is rolled back."""
    _everywhere("keep_after_rollback", lambda *_arguments: iter(()))


def _changes_are_not_noticed() -> None:
    """What comes back from an exchange is not looked at, and goes with the history at once."""
    _everywhere("_insist", _nothing)
    original = closing.close_committed

    def closed(disk: Any, layout: Any, committed: Any, **options: Any) -> Any:  # noqa: ANN401
        told = original(disk, layout, committed, **options)
        deleting.drop_tree(disk, committed.open.places.slots)
        return told

    _everywhere("close_committed", closed)


def _old_journals_believed() -> None:
    """A journal says what has happened, whatever the database knows."""
    _everywhere("insist_on_not_committed", _nothing)


def _parts_not_taken_away() -> None:
    """What a process left that did not come to its end is not taken away before its part is done again."""
    original = forks.all_in_parts

    def all_in_parts(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        options.pop("take_away", None)
        return original(*arguments, **options)

    _everywhere("all_in_parts", all_in_parts)


def _everywhere(name: str, replacement: Callable[..., Any]) -> None:
    """Replace a function in every module that has imported it; there has to be one."""
    replaced = 0
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("intact.") and callable(getattr(module, name, None)):
            setattr(module, name, replacement)
            replaced += 1
    if not replaced:
        raise AssertionError(f"there is no {name} to be replaced")


DEFECTS: Final = MappingProxyType(
    {
        "no-barrier": _no_barrier,
        "no-directory-sync": _no_directory_sync,
        "no-sync-before-committed": _no_sync_before_committed,
        "no-journal-sync": _no_journal_sync,
        "lost-staged": _lost_record(Phase.STAGED),
        "lost-committed": _lost_record(Phase.COMMITTED),
        "lost-rolling-back": _lost_record(Phase.ROLLING_BACK),
        "undo-in-wrong-order": _undo_in_wrong_order,
        "done-turned-round": _done_turned_round,
        "half-the-steps": _half_the_steps,
        "in-place": _in_place,
        "remove-then-rename": _remove_then_rename,
        "backups-deleted-early": _backups_deleted_early,
        "database-before-commit-point": _database_before_commit_point,
        "trash-stays": _trash_stays,
        "discard-keeps-files": _discard_keeps_files,
        "plan-believed": _plan_believed,
        "hooks-not-asked": _hooks_not_asked,
        "work-not-kept": _work_is_not_kept,
        "changes-not-noticed": _changes_are_not_noticed,
        "old-journals-believed": _old_journals_believed,
        "parts-not-taken-away": _parts_not_taken_away,
    }
)


def put_in(name: str) -> None:
    """Break `pkg` in this process and in those that it forks."""
    DEFECTS[name]()
