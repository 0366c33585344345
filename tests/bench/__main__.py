"""Acts. The command line of the benchmark; see scripts/bench."""

import os
import platform
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from bench.cases import CASES
from bench.chains import CHAINS, Bench
from bench.ground import insist_on_possibility, open_ground
from bench.measure import CommandFailed, Meter
from bench.payloads import FULL, QUICK
from bench.peers import PEERS, present
from bench.report import Circumstances, as_json, as_svg, as_tables, verdicts
from bench.scaling import FAMILIES, Point, scale
from bench.scaling_report import scaling_json, scaling_svg, scaling_tables
from bench.stock import Stock
from intact import __version__

_KEPT = Path(__file__).parent.parent.parent / "build" / "bench"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice([case.name for case in CASES]), help="This case only."
)
@click.option("--runs", type=click.IntRange(1), help="How often.  [default: 5; with --quick 3]")
@click.option(
    "--quick", is_flag=True, help="A tenth of the files and an eighth of the bytes; proves no target."
)
@click.option("--level", default=3, show_default=True, help="Of zstd, for everybody.")
@click.option("--no-peers", is_flag=True, help="Leave other installers out.")
@click.option(
    "--stock",
    "place",
    default=_KEPT,
    type=click.Path(path_type=Path),
    help="Where payloads are made and kept: 4 GB.  [default: build/bench]",
)
@click.option(
    "--scaling", is_flag=True, help="Instead: how cost grows with size, up to --most-files and --most-mib."
)
@click.option("--most-files", default=1_000_000, show_default=True, help="With --scaling.")
@click.option("--most-mib", default=10_240, show_default=True, help="With --scaling.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures to this file.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write the table as SVG to this file.")
def main(
    only: tuple[str, ...],
    runs: int | None,
    level: int,
    place: Path,
    json_file: Path | None,
    picture: Path | None,
    *,
    quick: bool,
    no_peers: bool,
    scaling: bool,
    **most: int,
) -> None:
    """Measure pkg beside `tar -x && sync`, and beside the other installers of this machine.

    Ends with 0 if every target was reached, with 1 if not, with 3 if this machine cannot measure.
    """
    insist_on_possibility()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is mounted is unmounted
    if scaling:
        _tell_scaling(place.absolute() / "scaling", level, most, json_file, picture)
        return
    sizes = QUICK if quick else FULL
    runs = runs or (3 if quick else 5)
    wanted = frozenset(only or (case.name for case in CASES))
    stock = Stock(place.absolute() / ("quick" if quick else "full"), sizes, level, _tell)
    with open_ground() as ground:
        bench = Bench(ground, stock, Meter(ground), wanted, [] if no_peers else present(), {})
        if not no_peers:
            _tell_peers(bench)
        _run(bench, runs)
    found = {name: runs for name, runs in bench.meter.samples.items() if name in wanted}
    parts = {name: runs for name, runs in bench.parts.items() if name in wanted}
    everything = [run for sides in found.values() for side in sides.values() for run in side]
    others = sum(run.others for run in everything) / max(0.001, sum(run.seconds for run in everything))
    around = Circumstances(
        version=__version__,
        kernel=platform.release(),
        python=platform.python_version(),
        processors=os.cpu_count() or 1,
        runs=runs,
        level=level,
        files=sizes.files,
        large=sizes.large,
        others=round(others, 2),
    )
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in as_tables(found, parts, around):
        console.print(table)
    if json_file is not None:
        json_file.write_text(as_json(found, parts, around))
    if picture is not None:
        picture.write_text(as_svg(found, around))
    sys.exit(0 if all(one.reached is not False for one in verdicts(found).values()) else 1)


def _tell_scaling(
    place: Path, level: int, most: dict[str, int], json_file: Path | None, picture: Path | None
) -> None:
    found: dict[str, list[Point]] = {}
    with open_ground() as ground:
        for family in FAMILIES:
            limit = most["most_files" if family.name == "files" else "most_mib"]
            found[family.name] = list(scale(family, limit, ground, place, level, _tell))
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in scaling_tables(found):
        console.print(table)
    if json_file is not None:
        json_file.write_text(scaling_json(found))
    if picture is not None:
        picture.write_text(scaling_svg(found))


def _tell_peers(bench: Bench) -> None:
    missing = [one.name for one in PEERS if one not in bench.peers]
    if missing:
        _tell(f"not installed here, and left out: {', '.join(missing)}")


def _run(bench: Bench, runs: int) -> None:
    """Run every chain, again and again, so that a busy moment of the machine hits all of them."""
    chains = list(dict.fromkeys(case.chain for case in CASES if case.name in bench.wanted))
    if "R" in chains and bench.stock.real() is None:
        _tell("apt cannot fetch packages here: R is left out")
        chains.remove("R")
    for number in range(runs):
        for name in chains:
            _tell(f"run {number + 1} of {runs}: {name}")
            try:
                CHAINS[name](bench, number)
            except CommandFailed as error:
                _tell(f"failed: {error}")
                sys.exit(1)


if __name__ == "__main__":
    main(prog_name="scripts/bench")
