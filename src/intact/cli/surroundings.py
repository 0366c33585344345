"""Acts. What does a command take from the process that started it, and what not? Whose is the code that it runs?

The interpreter is started isolated (`src/pkg`), so nothing of the environment has decided which modules were loaded.
What is left of the environment afterwards is what is named here; no library that is loaded later finds a variable that
makes it read, write or load something (OPENSSL_CONF, SSLKEYLOGFILE, TMPDIR, SQLITE_TMPDIR), and no command inherits one.
"""

import os
import re
import resource
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from intact.system.children import Surroundings, surroundings_now

__all__ = ["caller", "code_of_others", "settle_surroundings"]

_KEPT: Final = re.compile(
    r"LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|COLORTERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|SOURCE_DATE_EPOCH"
    r"|PKG_[A-Z_]+|_PKG_COMPLETE|COMP_WORDS|COMP_CWORD"
)
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AGAIN: Final = "from intact.cli.main import main; main()"


_callers: list[Surroundings] = []


def caller() -> Surroundings:
    """Return what this process was started with; a command that a person wants to be run gets that."""
    return _callers[0] if _callers else surroundings_now()


def settle_surroundings() -> None:
    """Make this process the same, whoever started it; to be called before anything else is done.

    The superuser's interpreter is started again if it is not isolated. What such a one has imported at its start has
    run by then: this only keeps it from doing more.
    """
    kept = _kept(os.environ)
    if os.geteuid() == 0 and not sys.flags.isolated and sys.executable:
        os.execve(sys.executable, [sys.executable, "-I", "-B", "-c", _AGAIN, *sys.argv[1:]], kept)  # noqa: S606
    _callers[:] = [surroundings_now()]
    for name in os.environ.keys() - kept.keys():
        del os.environ[name]
    os.environ.update(kept)
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # a private key may be in memory


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _KEPT.fullmatch(name)} | {"PATH": _PATH}


def code_of_others() -> list[str]:
    """Name what the code that is running now comes from, as far as others than root can write it.

    Looks at the interpreter, at every directory that modules come from, and at all directories above them; not at each
    module, which would take longer than most commands.
    """
    programs = [Path(sys.executable), Path(sys.executable).resolve()]
    sources = [Path(__file__).parent.parent, *map(Path, sys.path)]
    found = []
    for path in dict.fromkeys(
        [*programs, *sources, *(up for one in (*programs, *sources) for up in one.parents)]
    ):
        try:
            seen = path.stat()
        except OSError:  # sys.path names what may be there
            continue
        is_shared = stat.S_ISDIR(seen.st_mode) and seen.st_mode & stat.S_ISVTX and path not in sources
        others = 0o002 if seen.st_gid == 0 else 0o022
        if seen.st_uid != 0:
            found.append(f"{path} belongs to uid {seen.st_uid}")
        elif seen.st_mode & others and not is_shared:  # in /tmp nobody replaces what is root's
            found.append(f"{path} can be written by others (mode {stat.S_IMODE(seen.st_mode):04o})")
    return found
