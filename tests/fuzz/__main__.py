"""Acts. Give every parser generated input for a while, steered by what it makes them do; see scripts/fuzz."""

import subprocess
import sys
import tempfile
from pathlib import Path

import click

_TOP = Path(__file__).resolve().parent.parent.parent
_FINDINGS = _TOP / "build/fuzz"
_ONE = """
import sys
import atheris
with atheris.instrument_imports(include=["intact"]):
    from fuzz.targets import TARGETS
run = TARGETS[sys.argv.pop(1)].run
def once(data):
    run(data)
atheris.Setup(sys.argv, once)
atheris.Fuzz()
"""
_MOST_BYTES, _MOST_SECONDS, _MOST_MEMORY = 1 << 16, 10, 600


@click.command()
@click.option(
    "--minutes", default=60.0, show_default=True, help="How long in all; each target gets its share."
)
@click.option("--seed", default=1, show_default=True, help="Which inputs.")
@click.option("--target", "chosen", multiple=True, help="This parser only; can be repeated.")
@click.option(
    "--input", "given", type=click.Path(path_type=Path), help="Give one file to --target, and no other."
)
@click.option("--list", "listing", is_flag=True, help="Name the parsers.")
def main(minutes: float, seed: int, chosen: tuple[str, ...], given: Path | None, *, listing: bool) -> None:
    """Look for input that makes a parser do anything but accept or refuse it.

    A finding (another exception than ours, more than 10 s, more than 600 MiB) is a file in build/fuzz, and exit code 1.
    """
    from fuzz.targets import TARGETS  # noqa: PLC0415  uninstrumented, for the names and seeds

    if listing:
        click.echo("\n".join(TARGETS))
        return
    names = chosen or tuple(TARGETS)
    if given is not None:
        click.echo("accepted" if TARGETS[names[0]].run(given.read_bytes()) else "refused")
        return
    _FINDINGS.mkdir(parents=True, exist_ok=True)
    found = [name for name in names if not _run(name, minutes * 60 / len(names), seed)]
    click.echo(f"{len(names)} targets, findings in {', '.join(found) or 'none'}")
    sys.exit(1 if found else 0)


def _run(name: str, seconds: float, seed: int) -> bool:
    """Run one target; tell what happened, and whether it found nothing."""
    from fuzz.targets import TARGETS  # noqa: PLC0415

    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as place:
        corpus, words = Path(place) / "corpus", Path(place) / "words"
        corpus.mkdir()
        for number, one in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(one)
        quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        words.write_text("".join(f'"{one}"\n' for one in quoted))
        prefix = f"{_FINDINGS}/{name.replace(' ', '-')}-"
        options = {
            "max_total_time": max(1, round(seconds)),
            "seed": seed,
            "max_len": _MOST_BYTES,
            "timeout": _MOST_SECONDS,
            "rss_limit_mb": _MOST_MEMORY,
            "artifact_prefix": prefix,
            "print_final_stats": 1,
            "verbosity": 0,
        }
        words_option = [f"-dict={words}"] if target.words else []
        command = [sys.executable, "-c", _ONE, name, str(corpus), *words_option]
        command += [f"-{option}={value}" for option, value in options.items()]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    count = next(
        (line.split()[-1] for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "?"
    )
    click.echo(f"{name}: {count} inputs, {'nothing' if ended.returncode == 0 else 'a FINDING'}")
    if ended.returncode:
        click.echo(f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}")
        click.echo(f"again: scripts/fuzz --target '{name}' --input {prefix}…")
    return ended.returncode == 0


if __name__ == "__main__":
    main()
