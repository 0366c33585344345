"""Acts. The command line of the proof; see scripts/prove."""

import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from intact import __version__
from proof.defects import DEFECTS
from proof.images import missing_tools
from proof.instruments import INSTRUMENTS, opened, scenes
from proof.listener import is_possible
from proof.report import Circumstances, as_json, as_markdown, as_svg, as_table, without_duplicates
from proof.run import BROKEN, Report, prove, workplace
from proof.supervise import load_all
from proof.verdicts import Scene, Verdict

_MOST_SHOWN = 40


class _Progress:
    """Tells how far it is: a line that is written over on a terminal, a line per thousand states elsewhere."""

    def __init__(self) -> None:
        self._states = self._violations = 0
        self._began = self._told = time.monotonic()

    def __call__(self, verdict: Verdict) -> None:
        self._states += verdict.tried
        self._violations += len(verdict.violations)
        now = time.monotonic()
        on_terminal = sys.stderr.isatty()
        if now - self._told < (0.2 if on_terminal else 15):
            return
        self._told = now
        line = f"{self._states:,} states, {self._violations} violations, {now - self._began:.0f} s: {verdict.scene}"
        print(
            f"\r\033[K{line}" if on_terminal else line,
            end="" if on_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """Leave the line."""
        if sys.stderr.isatty():
            print(file=sys.stderr)


@click.command()
@click.option(
    "--quick", "budget", flag_value="quick", default=True, help="A sample of the states; some minutes."
)
@click.option("--full", "budget", flag_value="full", help="A large sample of the states; an hour or more.")
@click.option("--every", "budget", flag_value="every", help="Every state; a day.")
@click.option("--only", multiple=True, type=click.Choice(list(INSTRUMENTS)), help="This instrument only.")
@click.option("--filesystem", multiple=True, help="On this filesystem only.")
@click.option("--story", multiple=True, help="This story only.")
@click.option("--seed", default=1, show_default=True, help="Which sample.")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, help="Processes side by side.")
@click.option("--state", help="Try this one state again, by its id, and tell all about it.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="With --state: copy the root that it ends in to here."
)
@click.option(
    "--defect", type=click.Choice(list(DEFECTS)), help="Break pkg in this way first; it has to be found."
)
@click.option("--stop-at-first", is_flag=True, help="End with the first violation.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures to this file.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write the table as SVG to this file.")
@click.option(
    "--markdown", type=click.Path(path_type=Path), help="Write all scenes as a Markdown table to this file."
)
def main(
    budget: str,
    only: tuple[str, ...],
    filesystem: tuple[str, ...],
    story: tuple[str, ...],
    seed: int,
    workers: int,
    state: str | None,
    keep: Path | None,
    defect: str | None,
    json_file: Path | None,
    picture: Path | None,
    markdown: Path | None,
    *,
    stop_at_first: bool,
) -> None:
    """Prove, or disprove, that a crash never leaves a half-written file.

    Ends with 0 if no violation was found, with 1 if any was, with 3 if this machine cannot do it.
    """
    _insist_on_possibility()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is mounted is unmounted
    if state is not None:
        sys.exit(_try_again(state, keep))
    chosen = [
        one
        for one in scenes(budget)
        if (not only or one.instrument in only)
        and (not filesystem or one.filesystem in filesystem)
        and (not story or one.story in story)
    ]
    progress, began = _Progress(), time.monotonic()
    report = prove(
        chosen,
        budget=budget,
        seed=seed,
        workers=workers,
        defect=defect,
        stop_at_first=stop_at_first,
        tell=progress,
    )
    progress.end()
    circumstances = Circumstances(
        budget,
        seed,
        platform.release(),
        platform.python_version(),
        __version__,
        time.monotonic() - began,
    )
    sys.exit(_tell(report, circumstances, json_file, picture, markdown))


def _insist_on_possibility() -> None:
    reasons = []
    if os.geteuid() != 0:
        reasons.append("it mounts filesystems, so it has to run as root")
    if not is_possible():
        reasons.append(
            "the kernel lacks seccomp's user notification (Linux 5.5), or the machine is neither x86-64 nor arm64"
        )
    reasons += [f"the program {name} is missing" for name in missing_tools()]
    if not Path("/dev/fuse").exists():
        reasons.append("/dev/fuse is missing")
    if reasons:
        for reason in reasons:
            print(f"prove: {reason}", file=sys.stderr)
        sys.exit(3)


def _tell(
    report: Report,
    circumstances: Circumstances,
    json_file: Path | None,
    picture: Path | None,
    markdown: Path | None,
) -> int:
    title = (
        f"{circumstances.budget} proof, seed {circumstances.seed}, Linux {circumstances.kernel}, "
        f"{circumstances.seconds:.0f} s"
    )
    Console().print(as_table(report, title))
    violations = [line for one in report.values() for line in one.violations]
    for line in without_duplicates(violations)[:_MOST_SHOWN]:
        print(line)
    if violations:
        print(
            f"{len(violations)} violations. Try one again with: scripts/prove --state ID (what stands before the colon)"
        )
    if json_file is not None:
        json_file.write_text(as_json(report, circumstances))
    if picture is not None:
        picture.write_text(as_svg(report, title))
    if markdown is not None:
        markdown.write_text(as_markdown(report))
    broken = [line for line in violations if BROKEN in line]
    if len(violations) > len(broken):
        return 1
    return 3 if broken else 0  # nothing was disproved, but not everything could be tried here


def _try_again(state: str, keep: Path | None) -> int:
    instrument, filesystem, story, name = state.split("/", 3)
    load_all()
    scene = Scene(instrument, filesystem, story)
    with workplace() as place, opened(scene, place, thorough=True) as one:
        verdict = one.try_state(name)
        for line in verdict.violations:
            print(f"{verdict.id}: {line}")
        print(f"{verdict.id}: {dict(verdict.outcomes)}, {len(verdict.violations)} violations")
        if keep is not None:
            shutil.copytree(place, keep, symlinks=True, ignore_dangling_symlinks=True, dirs_exist_ok=True)
            print(f"kept in {keep}")
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    main()
