"""Acts. The commands that change a root."""

import shlex
from typing import Any

import click

from intact.cli.installing import install_bundles
from intact.cli.removing import remove_packages
from intact.cli.rolling_back import undo_transactions
from intact.cli.session import Session
from intact.cli.words import shown
from intact.cli.words_receipt import note_lines, recovered_lines, recovered_rows
from intact.model.errors import UsageError
from intact.model.hooks import DEFAULT_SECONDS, MOST_SECONDS, insist_on_command
from intact.operations.hooks import HookOptions
from intact.operations.prepare import InstallOptions
from intact.operations.rebuilding import Rebuilt, rebuild_database
from intact.operations.recovering import interrupted, recover_now
from intact.transaction.recover import Direction

__all__ = ["COMMANDS"]


def _dry_run(command: "click.decorators.FC") -> "click.decorators.FC":
    return click.option(
        "--dry-run", "-n", is_flag=True, help="Print the plan that would run, and change nothing."
    )(command)


def _no_hooks(command: "click.decorators.FC") -> "click.decorators.FC":
    return click.option("--no-hooks", is_flag=True, help="Run none of the packages' hooks.")(command)


def _health_check(command: "click.decorators.FC") -> "click.decorators.FC":
    check = click.option(
        "--health-check",
        metavar="COMMAND",
        help="Run this at the end, in the root; unless it ends with 0, everything is rolled back.",
    )
    seconds = click.option(
        "--health-timeout",
        type=click.IntRange(1, MOST_SECONDS),
        default=DEFAULT_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long the health check may take.",
    )
    return check(seconds(command))


def _hook_options(*, no_hooks: bool, health_check: str | None, health_timeout: int) -> HookOptions:
    try:
        words = tuple(shlex.split(health_check or ""))
        if health_check is not None:
            insist_on_command(words)
    except ValueError as fault:
        raise UsageError(
            f"--health-check: {fault}",
            remedy="give a program by its absolute path, and its arguments: --health-check '/usr/bin/true'",
        ) from fault
    return HookOptions(not no_hooks, words, health_timeout)


def _exit_unchanged(command: "click.decorators.FC") -> "click.decorators.FC":
    return click.option("--exit-unchanged", is_flag=True, help="Exit with 4 if there was nothing to do.")(
        command
    )


@click.command("install")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...", type=click.Path(readable=False))
@click.option(
    "--allow-unsigned", is_flag=True, help="Let bundles in that nobody vouches for. It is recorded."
)
@click.option(
    "--allow-downgrade", is_flag=True, help="Accept a version that is older than one that was here."
)
@click.option(
    "--allow-insecure", is_flag=True, help="Accept a version that its publisher has called insecure since."
)
@click.option(
    "--allow-expired",
    is_flag=True,
    help="Accept a bundle that its publisher no longer wants to be installed.",
)
@click.option(
    "--overwrite",
    multiple=True,
    metavar="GLOB",
    help="Replace files that no package owns (they are kept); a path glob such as '/usr/bin/*'.",
)
@click.option(
    "--assume-installed",
    multiple=True,
    metavar="NAME[=VERSION]",
    help="Count a package as present; a glob is possible.",
)
@click.option(
    "--architecture", metavar="ARCH", help="Architecture of the target, if it is not this machine's."
)
@_health_check
@_no_hooks
@_dry_run
@_exit_unchanged
@click.pass_obj
def _install(
    session: Session,
    /,
    bundles: tuple[str, ...],
    *,
    exit_unchanged: bool,
    no_hooks: bool,
    health_check: str | None,
    health_timeout: int,
    **options: Any,  # noqa: ANN401  click
) -> int:
    """Install or upgrade bundles, all in one transaction.

    BUNDLE is a file, or - for standard input.
    """
    hooks = _hook_options(no_hooks=no_hooks, health_check=health_check, health_timeout=health_timeout)
    chosen = InstallOptions(hooks=hooks, **options)
    return install_bundles(session, *bundles, options=chosen, exit_unchanged=exit_unchanged)


@click.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--assume-installed", multiple=True, metavar="NAME[=VERSION]", help="Count a package as present."
)
@_no_hooks
@_dry_run
@click.pass_obj
def _remove(
    session: Session,
    names: tuple[str, ...],
    assume_installed: tuple[str, ...],
    *,
    no_hooks: bool,
    dry_run: bool,
) -> int:
    """Remove packages, all in one transaction. What was edited since stays."""
    hooks = HookOptions(run=not no_hooks)
    options = InstallOptions(assume_installed=assume_installed, hooks=hooks, dry_run=dry_run)
    return remove_packages(session, *names, options=options)


@click.command("rollback")
@click.argument("transaction", required=False, type=int)
@click.option(
    "--allow-insecure", is_flag=True, help="Also to a version that its publisher has called insecure since."
)
@_no_hooks
@_dry_run
@click.pass_obj
def _rollback(
    session: Session, transaction: int | None, *, allow_insecure: bool, no_hooks: bool, dry_run: bool
) -> int:
    """Undo the newest transaction, or everything back to and including TRANSACTION."""
    hooks = HookOptions(run=not no_hooks)
    return undo_transactions(
        session, transaction=transaction, hooks=hooks, allow_insecure=allow_insecure, dry_run=dry_run
    )


@click.command("recover")
@click.option("--forward", "direction", flag_value="FORWARD", help="Finish it.")
@click.option("--back", "direction", flag_value="BACK", help="Undo it.")
@click.option("--status", is_flag=True, help="Only tell; change nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make the database anew from the retained manifests and transactions.",
)
@click.pass_obj
def _recover(session: Session, direction: str | None, *, status: bool, rebuild: bool) -> int:
    """Finish or undo an interrupted transaction now."""
    if status:
        return _status(session)
    rebuilt = _rebuild(session) if rebuild else None
    chosen = Direction[direction] if direction else Direction.AUTOMATIC
    with session.root() as root, session.environment() as environment:
        recovery = recover_now(root, chosen, environment)
    document: dict[str, Any] = {
        "recovered": recovered_rows(recovery.transactions),
        "told": list(recovery.told),
    }
    if rebuilt is not None:
        document["rebuilt"] = _rebuilt_document(rebuilt)
    lines = recovered_lines(recovery.transactions) or ["nothing was interrupted"]
    lines += note_lines(recovery.told)
    session.screen.done(document, [*(_rebuilt_lines(rebuilt) if rebuilt else []), *lines])
    return 0


def _rebuild(session: Session) -> Rebuilt:
    with session.root() as root, session.environment() as environment:
        return rebuild_database(root, environment)


def _rebuilt_document(rebuilt: Rebuilt) -> dict[str, Any]:
    return {
        "packages": [{"name": name, "version": str(version)} for name, version in rebuilt.packages],
        "transactions": list(rebuilt.transactions),
        "doubts": list(rebuilt.doubts),
        "kept": None if rebuilt.kept is None else f"/{rebuilt.kept}",
    }


def _rebuilt_lines(rebuilt: Rebuilt) -> list[str]:
    lines = [
        f"rebuilt: {len(rebuilt.packages)} packages, {len(rebuilt.transactions)} transactions that can be undone"
    ]
    lines += [f"  {shown(name)} {version}" for name, version in rebuilt.packages]
    lines += note_lines(rebuilt.doubts)
    if rebuilt.kept is not None:
        lines.append(
            f"the database before is kept in /{rebuilt.kept}; `pkg verify` compares the files with the new one"
        )
    return lines


def _status(session: Session) -> int:
    with session.root() as root:
        found = interrupted(root)
    lines = []
    rows = []
    for one in found:
        phase = one.phase.value if one.phase is not None else "not begun"
        command = one.opening.command if one.opening is not None else ""
        lines.append(f"transaction {one.places.id}: interrupted in phase {phase}; `{shown(command)}`")
        lines.append(f"  the next command will: {one.verdict.value}")
        rows.append(
            {"transaction": one.places.id, "phase": phase, "command": command, "verdict": one.verdict.value}
        )
    session.screen.result({"interrupted": rows}, lines or ["nothing was interrupted"])
    return 6 if found else 0


COMMANDS = {"install": _install, "remove": _remove, "rollback": _rollback, "recover": _recover}
