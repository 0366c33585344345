"""Acts. How does the content of bundles get into staged files, on all processors?

Many small files are put there by several processes, each of which opens the frames that it needs. A child that did not
come to its end has broken nothing: what it left is taken away, and its part is done again here, where an error is told
like any other.
"""

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby

from intact.bundle.verified import VerifiedBundle
from intact.model.objects import NewFile
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.system.forks import FEWEST, all_in_parts
from intact.system.port import Disk

__all__ = ["Progress", "Target", "Unpacking", "unpack"]

Progress = Callable[[int], None]
Target = tuple[RelPath, RelPath, NewFile]  # location, where it is staged, and what it shall become
_LARGE = 1 << 20  # a file whose parts are worth telling of
_FILE = 16 << 10  # bytes that are written in the time that it takes to make a file
_NUMBER = "Q"  # inode numbers have 64 bits


@dataclass(frozen=True, slots=True)
class Unpacking:
    """One entry of a bundle, and where it is staged.

    Attributes:
        bundle: index of the bundle.
        targets: several for a configuration file whose new version lies beside it, and for a further name that becomes
            a file of its own.
    """

    bundle: int
    entry: RelPath
    targets: Sequence[Target]

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.targets[0][2].size


def unpack(
    disk: Disk, bundles: Sequence[VerifiedBundle], files: Sequence[Unpacking], progress: Progress
) -> dict[RelPath, int]:
    """Stage files, and return the inode number of each, by location.

    Args:
        files: in the order of the bundles, and those of one in the order of its payload.
        progress: called with the number of bytes staged since its last call.

    Raises:
        MachineError: the disk failed or is full.
        BundleDamaged: content is not what the manifest says.
    """
    _check_ends(bundles, frozenset(file.bundle for file in files))
    told, size = 0, sum(file.size for file in files)
    weights = [file.size + _FILE for file in files]
    whole = sum(weights)

    def tell_bytes(done: int) -> None:
        nonlocal told
        before, told = told, size * done // whole
        progress(told - before)

    def work(part: range, tell: Progress) -> bytes:
        return array(_NUMBER, _unpacked(disk, bundles, files[part.start : part.stop], tell)).tobytes()

    def targets(part: range) -> Iterator[Target]:
        return (target for file in files[part.start : part.stop] for target in file.targets)

    def take_away(part: range) -> None:
        for _, place, _ in targets(part):
            if disk.observe(place) is not None:
                disk.remove_file(place)

    is_shared = all(bundle.can_be_read_again for bundle in bundles)  # what comes through a pipe comes once
    fewest = FEWEST if is_shared else len(files) + 1
    inodes: dict[RelPath, int] = {}
    for part, numbers in all_in_parts(len(files), work, tell_bytes, fewest, weights, take_away=take_away):
        locations = (location for location, _, _ in targets(part))
        inodes.update(zip(locations, array(_NUMBER, numbers), strict=True))
    if files:
        tell_bytes(whole)
    return inodes


def _check_ends(bundles: Sequence[VerifiedBundle], wanted: Container[int]) -> None:
    """Make sure that those of which nothing is needed end where they should, as the others are made sure of."""
    for number, bundle in enumerate(bundles):
        if number not in wanted:
            with closing(bundle.contents(())) as contents:
                for _ in contents:
                    pass


def _unpacked(
    disk: Disk, bundles: Sequence[VerifiedBundle], files: Iterable[Unpacking], tell: Progress
) -> Iterator[int]:
    """Put files into their places; yield the inode number of each."""
    done = 0
    for number, some in groupby(files, key=lambda file: file.bundle):
        needed = {file.entry: file for file in some}
        with closing(
            bundles[number].contents(needed.keys())
        ) as contents:  # or threads would outlive a failure
            for entry, chunks in contents:
                file = needed[entry.path]
                (_, place, new), *further = file.targets
                if new.size < _LARGE:
                    yield disk.put_file(place, chunks, new.attributes)
                else:
                    yield disk.put_file(place, _told(chunks, done, tell), new.attributes)
                done += new.size + _FILE
                tell(done)
                for _, other, also in further:
                    disk.copy_file(place, other, also.attributes)
                    yield _inode(disk, other)


def _told(chunks: Iterable[bytes | memoryview], done: int, tell: Progress) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        tell(done)


def _inode(disk: Disk, place: RelPath) -> int:
    seen = disk.observe(place)
    return 0 if seen is None else seen.inode
