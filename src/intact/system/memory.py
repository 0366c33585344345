"""Acts. How much memory may something take that reads what nobody has vouched for?"""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["memory_limited"]


@contextmanager
def memory_limited(more: int) -> Iterator[None]:
    """Let this process take at most `more` bytes of address space beyond what it has; then there is a MemoryError.

    Where the kernel does not tell what it has (no /proc), nothing is limited.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = _taken()
    most = resource.RLIM_INFINITY if taken is None else taken + more
    limits = [one for one in (most, soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits, default=resource.RLIM_INFINITY), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _taken() -> int | None:
    """Return the bytes of address space that this process has; None where nobody tells."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
