"""Acts. A root that remembers many packages with many files, without having been filled by hundreds of installations.

The database is written by the code that writes it after a transaction, from rows as `pkg install` makes them. The files
themselves are not there: questions about the database do not look for them.
"""

import hashlib
from pathlib import Path

from intact.model.entries import Digest
from intact.model.installed import InstalledPackage, Outcome, OwnedEntry, Ownership, TransactionRecord
from intact.model.manifest import PackageIdentity, Relations
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.relations import parse_requirement
from intact.model.versions import Version
from intact.state.layout import StateLayout
from intact.state.next_generation import DatabaseChanges
from intact.state.publishing import publish, stage_database
from intact.system.linux import LinuxDisk
from intact.transaction.opening import make_state_directories

__all__ = ["make_crowd"]


def make_crowd(root: Path, packages: int, files: int) -> str:
    """Make a root with so many packages of so many files each; return the path of one of them."""
    root.mkdir()
    disk, layout = LinuxDisk(str(root)), StateLayout()
    try:
        make_state_directories(disk, layout)
        record = TransactionRecord(1, "install", "pkg install", 1, 2, Outcome.COMMITTED)
        installed = tuple(
            Ownership(_package(number, files), tuple(_entry(number, file) for file in range(files)))
            for number in range(packages)
        )
        scratch = layout.private / "crowd.db"
        stage_database(disk, layout.database, scratch, DatabaseChanges(record, (), installed))
        publish(disk, scratch, layout.database)
    finally:
        disk.close()
    return installed[packages // 2].entries[files // 2].location


def _package(number: int, files: int) -> InstalledPackage:
    return InstalledPackage(
        PackageIdentity(f"package-{number:03d}", Version(f"1.{number}-2"), "amd64"),
        Relations(
            tuple(parse_requirement(f"library-{number + one} (>= 1.{one})") for one in range(4)), (), (), ()
        ),
        summary=f"What package {number} is good for",
        license="Apache-2.0",
        installed_at=1_700_000_000,
        transaction=1,
        manifest_digest=_digest(f"manifest {number}"),
        signers=("SHA256:" + "A" * 43,),
        size=files * 6000,
        entries=files,
    )


def _entry(number: int, file: int) -> OwnedEntry:
    path = RelPath(f"usr/lib/package-{number:03d}/part{file % 37:02d}/module_{file:04d}.py")
    return OwnedEntry(
        path,
        path,
        f"package-{number:03d}",
        Kind.FILE,
        0o644,
        0,
        0,
        size=6000,
        mtime_ns=1_700_000_000_000_000_000,
        inode=number * 1000 + file,
        digest=_digest(path),
    )


def _digest(text: str) -> Digest:
    return Digest(hashlib.sha256(text.encode()).hexdigest())
