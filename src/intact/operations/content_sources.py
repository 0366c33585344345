"""Acts. Who on this machine still has a content, known by its digest?

Asked in this order: the backups of the history, other files of the root, the bundles that the user names, and running
processes. Whatever says that it has it, only what is read decides. Content of bundles and processes is first
copied to `private/rescued/`, so that a repair is staged from the root alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from intact.bundle.verified import VerifiedBundle
from intact.model.entries import Digest, FileEntry
from intact.model.errors import IntactError, MachineError
from intact.model.objects import Kind
from intact.model.paths import RelPath
from intact.model.values import dataclass, field
from intact.operations.retained_plans import read_retained_plan
from intact.operations.root import Root
from intact.state.database import Database
from intact.system.process_content import HeldFile, copy_held, held_files, opened_held
from intact.transaction.deleting import drop_tree
from intact.transaction.replaced import ReplacedFiles

__all__ = ["FoundContent", "collect_content"]


@dataclass(slots=True)
class FoundContent:
    """Where each content can be copied from.

    Attributes:
        places: a path of the root, by digest.
        sources: who had it, for people.
    """

    places: dict[Digest, RelPath] = field(default_factory=dict)
    sources: dict[Digest, str] = field(default_factory=dict)

    def note(self, digest: Digest, place: RelPath, source: str) -> None:
        """Note a source that was read and is right."""
        self.places[digest] = place
        self.sources[digest] = source


def collect_content(
    root: Root,
    database: Database,
    needed: Mapping[Digest, int],
    bundles: Sequence[VerifiedBundle],
    *,
    copy: bool,
) -> FoundContent:
    """Look for contents, and copy to `private/rescued/` what is not in the root.

    Args:
        needed: sizes in bytes, by digest.
        copy: False for a dry run: nothing is written, and processes are only read.

    Raises:
        BundleDamaged: a named bundle is not what its manifest says.
        MachineError: the copy could not be written.
    """
    found = FoundContent()
    _from_history(root, database, needed, found)
    _from_other_files(root, database, needed, found)
    if copy:
        drop_tree(root.disk, root.layout.rescued)
        root.disk.make_directory(root.layout.rescued)
    for bundle in bundles:
        _from_bundle(root, bundle, _left(needed, found), found, copy=copy)
    _from_processes(root, _left(needed, found), found, copy=copy)
    return found


def _left(needed: Mapping[Digest, int], found: FoundContent) -> dict[Digest, int]:
    return {digest: size for digest, size in needed.items() if digest not in found.places}


def _from_history(root: Root, database: Database, needed: Mapping[Digest, int], found: FoundContent) -> None:
    for record in database.history():
        if not record.retained or not _left(needed, found):
            continue
        with suppress(IntactError):  # what of the history is damaged is no source
            plan = read_retained_plan(root, record.id)
            replaced = ReplacedFiles(root.disk, plan.steps).all().values()
            for place in (one.place for one in replaced if one.place is not None):
                seen = root.disk.observe(place)
                wanted = _left(needed, found)
                if seen is not None and seen.size in wanted.values():
                    _note_if_right(root, place, wanted, found, f"the backups of transaction {record.id}")


def _from_other_files(
    root: Root, database: Database, needed: Mapping[Digest, int], found: FoundContent
) -> None:
    for digest in _left(needed, found):
        for entry in database.holding(digest):
            seen = root.disk.observe(entry.location)
            if seen is not None and seen.kind is Kind.FILE and seen.size == entry.size:
                with suppress(MachineError):
                    _note_if_right(root, entry.location, {digest: entry.size}, found, f"/{entry.location}")
            if digest in found.places:
                break


def _note_if_right(
    root: Root, place: RelPath, wanted: Mapping[Digest, int], found: FoundContent, source: str
) -> None:
    digest = root.disk.digest(place)
    if digest in wanted:
        found.note(digest, place, source)


def _from_bundle(
    root: Root, bundle: VerifiedBundle, wanted: Mapping[Digest, int], found: FoundContent, *, copy: bool
) -> None:
    files = {
        one.digest: one
        for one in bundle.manifest.entries
        if isinstance(one, FileEntry) and one.digest in wanted
    }
    if not copy:
        for digest in files:
            found.note(digest, root.layout.rescued / digest, bundle.name)
        return
    for entry, chunks in bundle.contents({one.path for one in files.values()}):
        place = root.layout.rescued / entry.digest
        with root.disk.create_file(place) as writer:
            for chunk in chunks:
                writer.write(chunk)
        found.note(entry.digest, place, bundle.name)


def _from_processes(root: Root, wanted: dict[Digest, int], found: FoundContent, *, copy: bool) -> None:
    if not wanted:
        return
    read = set()
    try:
        held: Iterable[HeldFile] = held_files(sizes=frozenset(wanted.values()))
        for file in held:
            if file.identity in read or not wanted:
                continue
            with suppress(OSError):  # the process has ended, or we may not look
                digest = _copied(root, file, copy=copy)
                read.add(file.identity)
                if digest in wanted:
                    del wanted[digest]
                    found.note(digest, root.layout.rescued / digest, f"process {file.pid} ({file.how})")
    except OSError:  # no /proc
        return


def _copied(root: Root, file: HeldFile, *, copy: bool) -> Digest:
    """Copy what a process has under the name of its digest; return the digest."""
    with opened_held(file) as source:
        if not copy:
            return copy_held(source, len).digest
        place = root.layout.rescued / "copy"
        if root.disk.observe(place) is not None:
            root.disk.remove_file(place)
        with root.disk.create_file(place) as writer:
            digest = copy_held(source, writer.write).digest
        target = root.layout.rescued / digest
        if root.disk.observe(target) is None:
            root.disk.move_new(place, target)
        return digest
