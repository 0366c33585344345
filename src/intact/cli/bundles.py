"""Acts. Which bundles did the command line name?"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from intact.bundle.read import UnverifiedBundle, open_bundle
from intact.model.errors import UsageError

__all__ = ["opened_bundles"]


@contextmanager
def opened_bundles(names: Sequence[str]) -> Iterator[list[UnverifiedBundle]]:
    """Open the bundles, ``-`` for standard input.

    Raises:
        UsageError: standard input is named twice.
        BundleRefused: one of them is no bundle.
    """
    if names.count("-") > 1:
        raise UsageError(
            "standard input can be named once only", remedy="name the other bundles by their files"
        )
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                open_bundle(sys.stdin.buffer, "standard input")
                if name == "-"
                else open_bundle(Path(name), name)
            )
            for name in names
        ]
