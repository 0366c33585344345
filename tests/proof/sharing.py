"""Acts. Makes `pkg` share even little work among processes, as it shares much, so that a short story meets all of that."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from intact.system import forks

__all__ = ["work_in_parts"]

_ENOUGH = 2  # items for each process


@contextmanager
def work_in_parts(*, wanted: bool = True) -> Iterator[None]:
    """Let two items be enough for each process, in this process and in those that it forks meanwhile."""
    original = forks._parts

    def parts(done: Sequence[int], fewest: int) -> Sequence[range]:
        return original(done, _ENOUGH if fewest == forks.FEWEST else fewest)

    if wanted:
        forks._parts = parts
    try:
        yield
    finally:
        forks._parts = original
