"""Acts. What can one ask about a root, without changing or locking anything?"""

from intact.model.entries import NEW_SUFFIX
from intact.model.errors import MachineError
from intact.model.installed import InstalledPackage, OwnedEntry
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.operations.known import insist_on_installed
from intact.operations.locate import Locator
from intact.operations.root import Root

__all__ = ["ConfigCase", "config_cases", "hook_output", "installed_package", "owners_of"]


@dataclass(frozen=True, slots=True)
class ConfigCase:
    """A configuration file that is not as it was installed.

    Attributes:
        state: ``edited`` or ``deleted``.
        beside: path of the package's version beside it, empty if there is none.
    """

    path: str
    package: str
    state: str
    beside: str


def installed_package(root: Root, name: str) -> InstalledPackage:
    """Return an installed package.

    Raises:
        UnknownPackage: it is not installed.
    """
    with root.database() as database:
        insist_on_installed(database, [name])
        package = database.package(name)
    if package is None:
        raise AssertionError(name)
    return package


def owners_of(root: Root, path: RelPath) -> list[OwnedEntry]:
    """Return who owns a path, given as it is called in a package or as it is reached in the root."""
    with root.database() as database:
        found = database.owner_of(path)
        if not found:
            found = database.owner_of(Locator(root.disk).entry(path))
    return found


def config_cases(root: Root) -> list[ConfigCase]:
    """Return the configuration files that were edited or deleted here."""
    cases = []
    with root.database() as database:
        entries = [one for package in database.packages() for one in database.entries(package.identity.name)]
    for entry in entries:
        if not entry.config:
            continue
        beside = RelPath(entry.location + NEW_SUFFIX)
        beside_text = f"/{beside}" if root.disk.observe(beside) is not None else ""
        seen = root.disk.observe(entry.location)
        if seen is None:
            state = "deleted"
        elif seen.kind is not Kind.FILE or root.disk.digest(entry.location) != entry.digest:
            state = "edited"
        elif beside_text:
            state = "as packaged"
        else:
            continue
        cases.append(ConfigCase(f"/{entry.location}", entry.package, state, beside_text))
    return cases


def hook_output(root: Root, number: int) -> tuple[str, ...]:
    """Return what the commands of a transaction wrote, if it is kept and this user may see it."""
    place = root.layout.transaction(number).commands_log
    try:
        if root.disk.observe(place) is None:
            return ()
        return tuple(root.disk.read_file(place).decode("utf-8", "replace").splitlines())
    except MachineError:  # only the owner of the root may look into it
        return ()
