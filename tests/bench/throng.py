"""Acts. Many processes at once, each of them a program of its own, for as long as a question is measured."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["throng"]

_START = """
import os, signal, sys
os.setpgid(0, 0)
for _ in range(int(sys.argv[1])):
    os.posix_spawn("/bin/sleep", ["sleep", "3600"], {})
print("ready", flush=True)
signal.pause()
"""


@contextmanager
def throng(processes: int) -> Iterator[None]:
    """Keep so many processes running.

    Raises:
        RuntimeError: this machine does not let us have so many.
    """
    with subprocess.Popen([sys.executable, "-c", _START, str(processes)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        try:
            if starter.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{processes} processes cannot be started here (ulimit -u, pids.max)")
            yield
        finally:
            os.killpg(starter.pid, signal.SIGKILL)
