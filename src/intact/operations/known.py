"""Acts. Are these packages installed, and if not, which may have been meant?"""

from collections.abc import Sequence

from intact.model.errors import UnknownPackage
from intact.state.database import Database

__all__ = ["insist_on_installed"]


def insist_on_installed(database: Database, names: Sequence[str]) -> None:
    """Make sure that each package is installed.

    Raises:
        UnknownPackage: names all that are not, with those that may have been meant.
    """
    known = [package.identity.name for package in database.packages()]
    missing = sorted(set(names) - set(known))
    if not missing:
        return
    import difflib  # noqa: PLC0415  seldom needed

    details = []
    for name in missing:
        close = difflib.get_close_matches(name, known, n=3)
        details.append(f"{name}: not installed" + (f"; did you mean {', '.join(close)}?" if close else ""))
    raise UnknownPackage("no such package", details=details, remedy="`pkg list` shows what is installed")
