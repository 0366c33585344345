"""Pure. Do the packages that will be there fit together, and if not, why not?"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping

from intact.model.manifest import PackageIdentity, Relations
from intact.model.relations import Relation, Requirement
from intact.model.values import dataclass
from intact.model.versions import Version

__all__ = ["AssumedPackages", "PackageFacts", "may_take_over", "relation_problems"]


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What one package says about itself and others.

    Attributes:
        upgrade_from: oldest version that it can be upgraded from; None for any.
    """

    identity: PackageIdentity
    relations: Relations
    upgrade_from: Version | None = None


@dataclass(frozen=True, slots=True)
class AssumedPackages:
    """Packages that the user declares to be there, although this root's database does not know them.

    Attributes:
        globs: names, possibly with wildcards, of any version.
        versions: names with one version.
    """

    globs: tuple[str, ...] = ()
    versions: tuple[tuple[str, Version], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "AssumedPackages":
        """Read NAME, NAME=VERSION and globs.

        Raises:
            VersionFault: what follows the ``=`` is not a version.
        """
        globs, versions = [], []
        for text in texts:
            name, equals, version = text.partition("=")
            if equals:
                versions.append((name, Version(version)))
            else:
                globs.append(name)
        return cls(tuple(globs), tuple(versions))

    def meets(self, relation: Relation) -> bool:
        """Tell whether a declared package satisfies the relation."""
        if any(fnmatch.fnmatchcase(relation.name, glob) for glob in self.globs):
            return True
        return any(name == relation.name and relation.admits(version) for name, version in self.versions)


def relation_problems(
    installed: Mapping[str, PackageFacts], after: Mapping[str, PackageFacts], assumed: AssumedPackages
) -> list[str]:
    """Name every problem that going from `installed` to `after` would introduce.

    Args:
        installed: packages before, by name.
        after: packages afterwards, by name; equal facts mean that a package stays as it is.

    Returns:
        One sentence per problem, with its remedy; what was unmet before and is not touched is left out.
    """
    before = set(_problems(installed, assumed))
    found = [problem for problem in _problems(after, assumed) if problem not in before]
    return [*found, *_upgrade_problems(installed, after)]


def _problems(packages: Mapping[str, PackageFacts], assumed: AssumedPackages) -> Iterator[str]:
    offers = _offers(packages)
    for name in sorted(packages):
        facts = packages[name]
        for requirement in facts.relations.requires:
            if not _is_met(requirement, offers, assumed):
                yield (
                    f"{name} {facts.identity.version} requires {requirement}, which will not be there; install it in"
                    " the same command, or say --assume-installed if it comes from elsewhere"
                )
        for conflict in facts.relations.conflicts:
            for other in _matching(conflict, offers):
                if other != name:
                    yield f"{name} {facts.identity.version} conflicts with {conflict}: {other} will be there; remove one of them"


_Offers = Mapping[str, list[tuple[str, Version | None]]]


def _offers(packages: Mapping[str, PackageFacts]) -> _Offers:
    """Map each name to the packages that bear or provide it, with the version under which they do."""
    offers: dict[str, list[tuple[str, Version | None]]] = {}
    for name, facts in packages.items():
        offers.setdefault(name, []).append((name, facts.identity.version))
        for provided in facts.relations.provides:
            offers.setdefault(provided.name, []).append((name, provided.version))
    return offers


def _matching(relation: Relation, offers: _Offers) -> list[str]:
    found = {name for name, version in offers.get(relation.name, ()) if relation.admits(version)}
    return sorted(found)


def _is_met(requirement: Requirement, offers: _Offers, assumed: AssumedPackages) -> bool:
    return any(_matching(one, offers) or assumed.meets(one) for one in requirement.alternatives)


def _upgrade_problems(
    installed: Mapping[str, PackageFacts], after: Mapping[str, PackageFacts]
) -> Iterator[str]:
    for name in sorted(installed.keys() & after.keys()):
        old, new = installed[name].identity.version, after[name]
        if new is not installed[name] and new.upgrade_from is not None and old < new.upgrade_from:
            yield (
                f"{name}: {new.identity.version} can be upgraded to from {new.upgrade_from} or later, and {old} is"
                " installed; install a version in between first"
            )


def may_take_over(taker: PackageFacts, owner: PackageFacts) -> bool:
    """Tell whether `taker` declares that it replaces files of `owner`."""
    return any(
        relation.name == owner.identity.name and relation.admits(owner.identity.version)
        for relation in taker.relations.replaces
    )
