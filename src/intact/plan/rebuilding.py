"""Pure. Which of the retained manifests are those of the installed packages?

A manifest stays as long as its package is installed, or a retained transaction needs it for the way back. The newest
retained transaction that names a package says which version it left; a package that none of them names has
not changed since, and has one manifest.
"""

from collections.abc import Iterable, Mapping

from intact.model.entries import Digest
from intact.model.manifest import Manifest, PackageChange

__all__ = ["choose_installed"]


def choose_installed(
    manifests: Mapping[Digest, Manifest], changes: Iterable[PackageChange]
) -> tuple[dict[str, Digest], list[str]]:
    """Return the manifest of each installed package, and what is not certain, one line each.

    Args:
        manifests: the retained ones, by digest.
        changes: those of the retained transactions, oldest first.
    """
    last = {change.name: change for change in changes}
    by_name: dict[str, list[tuple[Digest, Manifest]]] = {}
    for digest, manifest in sorted(manifests.items()):
        by_name.setdefault(manifest.identity.name, []).append((digest, manifest))
    chosen: dict[str, Digest] = {}
    doubts: list[str] = []
    for name, found in sorted(by_name.items()):
        change = last.get(name)
        if change is not None and change.new is None:
            continue  # removed since; the manifest is kept for the way back
        fitting = [one for one in found if change is None or one[1].identity.version == change.new]
        if not fitting:
            doubts.append(f"{name}: the manifest of version {change and change.new} is missing")
            continue
        digest, manifest = max(fitting, key=lambda one: one[1].identity.version)
        chosen[name] = digest
        if len(fitting) > 1:
            doubts.append(
                f"{name}: {len(fitting)} manifests could be the installed one; {manifest.identity.version} was taken"
            )
    doubts += [
        f"{name}: no manifest of it is left; install its bundle again"
        for name, change in sorted(last.items())
        if change.new is not None and name not in by_name
    ]
    return chosen, doubts
