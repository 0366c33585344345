"""Acts. Does the root still hold what was installed?"""

from intact.cli.session import Session
from intact.cli.words import shown
from intact.operations.verify import verify

__all__ = ["verify_packages"]

_DIFFERENCES = 10


def verify_packages(session: Session, *names: str) -> int:
    """Compare packages, or all of them, with the disk; every file is read.

    Exit code 10 if something is different; edited configuration files are listed, but are no difference.
    """
    with session.root() as root, session.environment(changing=False) as environment:
        found = verify(root, names, environment)
    lines = [
        f"{shown(one.location)} ({shown(one.package)}): {one.what}: {shown(one.expected)} expected, {shown(one.found)} found"
        + (" [configuration]" if one.is_config else "")
        for one in found.differences
    ]
    count = sum(not one.is_config for one in found.differences)
    lines.append(f"{len(found.packages)} packages, {found.checked} paths, {count} differences")
    rows = [
        {
            "path": one.location,
            "package": one.package,
            "what": one.what,
            "expected": one.expected,
            "found": one.found,
            "config": one.is_config,
        }
        for one in found.differences
    ]
    session.screen.result(
        {
            "packages": list(found.packages),
            "checked": found.checked,
            "clean": found.is_clean,
            "differences": rows,
        },
        lines,
    )
    return 0 if found.is_clean else _DIFFERENCES
