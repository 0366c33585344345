"""Acts. What is installed, what does it own, and whose is a path? Works for every user and never waits."""

from typing import Any

from intact.cli.session import Session, root_path
from intact.cli.words import shown, size_text, time_text
from intact.model.installed import InstalledPackage, OwnedEntry
from intact.operations.asking import config_cases, installed_package, owners_of

__all__ = ["list_config", "list_files", "list_packages", "tell_owner", "tell_package"]


def _package_document(package: InstalledPackage) -> dict[str, Any]:
    relations = package.relations
    return {
        "name": package.identity.name,
        "version": str(package.identity.version),
        "architecture": package.identity.architecture,
        "summary": package.summary,
        "license": package.license,
        "requires": [str(one) for one in relations.requires],
        "conflicts": [str(one) for one in relations.conflicts],
        "provides": [str(one) for one in relations.provides],
        "replaces": [str(one) for one in relations.replaces],
        "installed_at": package.installed_at,
        "transaction": package.transaction,
        "manifest_sha256": package.manifest_digest,
        "signers": list(package.signers),
        "size": package.size,
        "entries": package.entries,
    }


def list_packages(session: Session) -> int:
    """List the installed packages."""
    with session.root() as root, root.database() as database:
        packages = database.packages()
    lines = [
        f"{shown(one.identity.name)} {one.identity.version} {shown(one.identity.architecture)}"
        + ("" if one.signers else "  (unsigned)")
        for one in packages
    ]
    documents = [_package_document(one) for one in packages] if session.screen.as_json else []
    session.screen.result({"packages": documents}, lines)
    return 0


def tell_package(session: Session, name: str) -> int:
    """Show one installed package."""
    with session.root() as root:
        package = installed_package(root, name)
    document = _package_document(package)
    lines = [
        f"{key.replace('_', ' ') + ':':17}{shown(', '.join(value) if isinstance(value, list) else value)}"
        for key, value in document.items()
        if value not in ("", [])
    ]
    lines = [
        f"{'installed at:':17}{time_text(package.installed_at)}" if one.startswith("installed at:") else one
        for one in lines
    ]
    lines = [f"{'size:':17}{size_text(package.size)}" if one.startswith("size:") else one for one in lines]
    if not package.signers:
        lines.append(f"{'signers:':17}none: it was let in unsigned")
    session.screen.result(document, lines)
    return 0


def _entry_document(entry: OwnedEntry) -> dict[str, Any]:
    return {
        "path": f"/{entry.location}",
        "package": entry.package,
        "kind": entry.kind.value,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "sha256": entry.digest,
        "target": entry.target or None,
        "config": entry.config,
    }


def list_files(session: Session, name: str) -> int:
    """List what a package owns."""
    with session.root() as root, root.database() as database:
        installed_package(root, name)
        entries = database.entries(name)
    documents = [_entry_document(one) for one in entries] if session.screen.as_json else []
    session.screen.result({"files": documents}, [f"/{shown(one.location)}" for one in entries])
    return 0


def tell_owner(session: Session, path: str) -> int:
    """Tell which package a path belongs to."""
    with session.root() as root:
        entries = owners_of(root, root_path(path, root))
    session.screen.result(
        {"owners": [_entry_document(one) for one in entries]},
        [f"/{shown(one.location)}: {shown(one.package)}" for one in entries]
        or [f"{shown(path)}: no package owns it"],
    )
    return 0 if entries else 1


def list_config(session: Session) -> int:
    """List edited configuration files, and new versions that lie beside them."""
    with session.root() as root:
        cases = config_cases(root)
    lines = []
    for one in cases:
        beside = f"; the new version is {shown(one.beside)}" if one.beside else ""
        lines.append(f"{shown(one.path)} ({shown(one.package)}): {one.state}{beside}")
    rows = [
        {"path": one.path, "package": one.package, "state": one.state, "beside": one.beside} for one in cases
    ]
    session.screen.result({"config": rows}, lines)
    return 0
