"""Acts. Runs pkg in this process, and tells how long each part of a transaction took.

python -I -B -c "…" RESULT pkg's own words
"""

import atexit
import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

__all__ = ["COMMIT", "command", "main"]

COMMIT = "commit"
_TESTS = Path(__file__).parent.parent
_START = f"import sys; sys.path.insert(0, {str(_TESTS)!r}); from bench.phases import main; main()"
# What is told, and the functions that do it, by the module that calls them.
_PARTS = (
    ("verify the signature, read the manifest", "install", "verify"),
    ("look and plan", "install", "prepare"),
    ("stage files", "execute", "stage_objects"),
    ("stage the database", "execute", "_stage_state"),
    ("make durable", "execute", "seal"),
    (COMMIT, "execute", "commit"),
    ("record and close", "execute", "close_committed"),
)


def command(result: Path, *words: str | Path) -> list[str]:
    """Return the command that runs pkg with these words, and writes the seconds of its parts as JSON."""
    return [sys.executable, "-I", "-B", "-c", _START, str(result), *map(str, words)]


def main() -> None:
    """Run pkg."""
    began = time.perf_counter()
    result, *words = sys.argv[1:]
    parts: dict[str, float] = {}
    for title, module, name in _PARTS:
        loaded = __import__(f"intact.operations.{module}", fromlist=[name])
        setattr(loaded, name, _timed(getattr(loaded, name), title, parts))
    from intact.cli import main as cli  # noqa: PLC0415  after the parts were put in

    sys.argv[1:] = words
    atexit.register(
        lambda: Path(result).write_text(json.dumps({**parts, "all": time.perf_counter() - began}))
    )
    cli.main()


def _timed(call: Callable[..., Any], title: str, parts: dict[str, float]) -> Callable[..., Any]:
    @wraps(call)
    def timed(*words: Any, **named: Any) -> Any:  # noqa: ANN401  whatever the function takes
        began = time.perf_counter()
        try:
            return call(*words, **named)
        finally:
            parts[title] = parts.get(title, 0.0) + time.perf_counter() - began

    return timed
