"""Acts. Runs one command and tells, as JSON, how long it took; small, because a process's peak memory begins with its parent's.

python -I -S runner.py RESULT DIRECTORY WORD...
"""

import json
import os
import sys
import time


def main() -> None:
    """Run it; exit as it did."""
    result, directory, *words = sys.argv[1:]
    os.chdir(directory)
    nothing = os.open(os.devnull, os.O_RDWR)
    before = _busy()
    began = time.perf_counter()
    actions = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, nothing, 1)]
    pid = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    processor = used.ru_utime + used.ru_stime
    told = {
        "seconds": seconds,
        "processor": processor,
        "memory": used.ru_maxrss,
        "others": max(0.0, _busy() - before - processor),
    }
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123  importing pathlib would cost memory
        json.dump(told, file)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _busy() -> float:
    """Return the seconds that all processors of the machine were not idle."""
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123  as above
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
