"""Acts. Does a unit of systemd come up again, and stay up?

systemd calls a simple service active as soon as its process is there, although that may end a moment later, and one
with ``Restart=`` is started again so fast that nobody sees it down. So a unit has to stay active for a while, and the
count of restarts by systemd itself has to stay what it was.
"""

import subprocess
import time
from pathlib import Path

__all__ = ["SYSTEMCTL", "find_systemctl", "restart_unit"]

SYSTEMCTL = ("/usr/bin/systemctl", "/bin/systemctl")
_PAUSE = 0.1
_LIVES = ("NRestarts", "MainPID")  # the first that systemd tells: the number is known since version 235
_SECONDS_TO_ANSWER = 10.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "cat"}
_LONGEST = 2000


def find_systemctl() -> Path | None:
    """Return where systemctl is; None where systemd does not run the machine (sd_booted(3))."""
    if not Path("/run/systemd/system").is_dir():
        return None
    return next((Path(one) for one in SYSTEMCTL if Path(one).exists()), None)


def restart_unit(systemctl: Path, unit: str, seconds: float, settling: float) -> str | None:
    """Restart a unit, wait until it is up, and see that it stays so.

    Args:
        unit: its name, made by the service manager.
        seconds: for the restart and until it is up.
        settling: for how many seconds it has to stay up.

    Returns:
        What went wrong; None if it is up.
    """
    deadline = time.monotonic() + seconds
    try:
        code, told = _ask(systemctl, seconds, "restart", "--", unit)
        if code != 0:
            return told or f"`systemctl restart` ended with {code}"
        while (state := _ask(systemctl, _SECONDS_TO_ANSWER, "is-active", "--", unit)[1]) == "activating":
            if time.monotonic() > deadline:
                return f"it is still starting after {seconds:g} s"
            time.sleep(_PAUSE)
        if state == "active":
            return _settles(systemctl, unit, settling)
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} s; it may be starting still"
    except OSError as error:
        return f"systemctl could not be run: {error.strerror}"
    return f"it is {state or 'in no state that systemd tells'}"


def _settles(systemctl: Path, unit: str, settling: float) -> str | None:
    if settling == 0:
        return None
    deadline = time.monotonic() + settling
    life = _life(systemctl, unit)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(2 * _PAUSE, left))
        state = _ask(systemctl, _SECONDS_TO_ANSWER, "is-active", "--", unit)[1]
        if state != "active":
            return f"it was up, but not for {settling:g} s: it is {state or 'in no state that systemd tells'}"
    if _life(systemctl, unit) != life:
        return f"it ended within {settling:g} s after it was up, and systemd started it again"
    return None


def _life(systemctl: Path, unit: str) -> str:
    """Return what changes when systemd starts the unit again by itself; empty where it does not tell."""
    told = _ask(systemctl, _SECONDS_TO_ANSWER, "show", f"--property={','.join(_LIVES)}", "--", unit)[1]
    values = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    return next((values[name] for name in _LIVES if values.get(name)), "")


def _ask(systemctl: Path, seconds: float, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [systemctl, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        env=_ENVIRONMENT,
        check=False,
    )
    return done.returncode, done.stdout[:_LONGEST].decode(errors="backslashreplace").strip()
