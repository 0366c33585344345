"""Acts. Does a unit of systemd come up again?"""

import subprocess
import time
from pathlib import Path

__all__ = ["SYSTEMCTL", "find_systemctl", "restart_unit"]

SYSTEMCTL = ("/usr/bin/systemctl", "/bin/systemctl")
_PAUSE = 0.1
_SECONDS_TO_ANSWER = 10.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "cat"}
_LONGEST = 2000


def find_systemctl() -> Path | None:
    """Return where systemctl is; None where systemd does not run the machine (sd_booted(3))."""
    if not Path("/run/systemd/system").is_dir():
        return None
    return next((Path(one) for one in SYSTEMCTL if Path(one).exists()), None)


def restart_unit(systemctl: Path, unit: str, seconds: float) -> str | None:
    """Restart a unit, and wait until it is up.

    Args:
        unit: its name, made by the service manager.
        seconds: for both together.

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
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:g} s; it may be starting still"
    except OSError as error:
        return f"systemctl could not be run: {error.strerror}"
    return None if state == "active" else f"it is {state or 'in no state that systemd tells'}"


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
