"""Acts. Bring back what is missing or damaged; and what a process still has of a deleted file."""

from pathlib import Path

import click

from intact.cli.bundles import opened_bundles
from intact.cli.session import Session
from intact.cli.words import shown, size_text
from intact.cli.words_receipt import note_lines, receipt_document, receipt_lines, recovered_lines
from intact.model.errors import UsageError
from intact.operations.repairing import Repaired, RepairOptions, repair
from intact.operations.rescuing import STANDARD_OUTPUT, Rescued, rescue
from intact.operations.root import Root

__all__ = ["COMMANDS"]

_UNCHANGED = 4
_DIFFERENCES = 10


@click.command("repair")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--from",
    "bundles",
    multiple=True,
    metavar="BUNDLE",
    type=click.Path(readable=False),
    help="Take content from this bundle, too; it is not installed. Can be repeated.",
)
@click.option("--allow-unsigned", is_flag=True, help="With --from: also if nobody vouches for the bundle.")
@click.option(
    "--config", is_flag=True, help="Bring configuration files back, too, although they were edited."
)
@click.option("--dry-run", "-n", is_flag=True, help="Print what would come from where, and change nothing.")
@click.option("--exit-unchanged", is_flag=True, help="Exit with 4 if there was nothing to do.")
@click.pass_obj
def _repair(
    session: Session,
    /,
    names: tuple[str, ...],
    bundles: tuple[str, ...],
    *,
    exit_unchanged: bool,
    **options: bool,
) -> int:
    """Bring packages, or all of them, back to what was installed.

    Content comes from the backups of the history, from other files of the root, from the bundles named with --from, and
    from processes that still have it. Exit code 10 if something could not be repaired.
    """
    chosen = RepairOptions(**options)
    with session.root() as root, session.environment() as environment, opened_bundles(bundles) as opened:
        done = repair(root, names, opened, chosen, environment)
    for line in recovered_lines(done.receipt.recovered):
        session.screen.say(line)
    tell = session.screen.result if chosen.dry_run else session.screen.done
    tell(_document(done), _lines(done))
    if done.left:
        return _DIFFERENCES
    return _UNCHANGED if exit_unchanged and not done.receipt.changed else 0


def _document(done: Repaired) -> dict[str, object]:
    return {
        **receipt_document(done.receipt),
        "sources": [{"path": path, "source": source} for path, source in done.sources],
        "left": list(done.left),
        "edited": list(done.edited),
        "deleted": list(done.deleted),
    }


def _lines(done: Repaired) -> list[str]:
    lines = [f"{shown(path)}: from {shown(source)}" for path, source in done.sources]
    lines += [f"NOT repaired: {shown(one)}" for one in done.left]
    lines += [f"edited, left alone: {shown(one)} (--config brings it back)" for one in done.edited]
    lines += [
        f"deleted, left alone: {shown(one)} (a configuration file; `pkg repair --config` brings it back, from a bundle"
        " with --from)"
        for one in done.deleted
    ]
    is_all = not done.left and not done.edited and not done.deleted
    if done.receipt.changed or is_all:
        return [*lines, *receipt_lines(done.receipt)]
    lines += note_lines(done.receipt.told)
    return lines if done.left else [*lines, "nothing to do: the rest is as it should be"]


@click.command("rescue")
@click.argument("path")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the content is put; - is standard output.",
)
@click.option("--pid", type=int, metavar="N", help="Take it from this process.")
@click.pass_obj
def _rescue(session: Session, path: str, output: Path, pid: int | None) -> int:
    """Copy the content of a deleted file from a process that still has it.

    PATH is what the file was called; it need not belong to a package. If a package owns it, its digest proves the content,
    and a process that has it under another name is found, too. Or PATH is what a process has: /proc/PID/fd/N.
    """
    is_out = output == STANDARD_OUTPUT
    if is_out and session.screen.as_json:
        raise UsageError(
            "standard output cannot take both JSON and the content", remedy="name a file with -o"
        )
    with session.root() as root:
        done = rescue(root, _host_path(path, root), output, pid)
    lines = _rescued_lines(done, output)
    if is_out:
        for line in lines:
            session.screen.say(line)
    else:
        session.screen.done(_rescued_document(done, output), lines)
    return 0


def _host_path(text: str, root: Root) -> Path:
    """Return the path of the machine that people mean, whatever bytes are in it."""
    if not text.strip("/"):
        raise UsageError("this is no file", path=text, remedy="give a path such as /usr/bin/hello")
    top = root.path.rstrip("/") + "/"
    if text.startswith(("/proc/", top)):
        return Path(text)
    if text.startswith("/") or root.path != "/":
        return Path(root.path, text.lstrip("/"))
    try:
        return Path.cwd() / text
    except FileNotFoundError as error:
        raise UsageError(
            "the directory that you are in was deleted, so a relative path says nothing",
            path=text,
            remedy="give an absolute path",
        ) from error


def _rescued_document(done: Rescued, output: Path) -> dict[str, object]:
    return {
        "output": str(output),
        "pid": done.pid,
        "link": done.link,
        "size": done.size,
        "sha256": done.digest,
        "package": done.package,
        "proven": done.package is not None,
        "differs_from": done.differs_from,
        "stable": done.was_stable,
        "growth": done.growth,
    }


def _rescued_lines(done: Rescued, output: Path) -> list[str]:
    if done.package is not None:
        proof = f"proven: it is what {shown(done.package)} installed (sha256 {done.digest})"
    elif done.differs_from is not None:
        proof = (
            f"not proven: it differs from what {shown(done.differs_from)} installed (sha256 {done.digest})"
        )
    else:
        proof = f"not proven: only the name in /proc says that it is this file (sha256 {done.digest})"
    lines = [f"{shown(output)}: {size_text(done.size)} from process {done.pid} ({done.link})", proof]
    if done.growth:
        lines.append(
            f"warning: the file grew by {size_text(done.growth)} while it was copied; that is not in the copy"
        )
    elif not done.was_stable:
        lines.append("warning: the process wrote to the file while it was copied; run it again when it rests")
    return lines


COMMANDS = {"repair": _repair, "rescue": _rescue}
