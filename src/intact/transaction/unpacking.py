"""Acts. How does the content of bundles get into staged files, on all processors?

Many small files are put there by several processes, each of which opens the frames that it needs. A child that did not
come to its end has broken nothing: what it left is taken away, and its part is done again here, where an error is told
like any other.
"""

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby

from intact.bundle.verified import VerifiedBundle
from intact.model.objects import BundleContent, NewFile
from intact.model.paths import RelPath
from intact.system.forks import FEWEST, all_in_parts
from intact.system.port import Disk

__all__ = ["Progress", "Target", "unpack"]

Progress = Callable[[int], None]
Target = tuple[RelPath, NewFile]  # location, and what it shall become
_LARGE = 1 << 20  # a file whose parts are worth telling of
_FILE = 16 << 10  # bytes that are written in the time that it takes to make a file
_NUMBER = "Q"  # inode numbers have 64 bits


def unpack(
    disk: Disk,
    bundles: Sequence[VerifiedBundle],
    targets: Iterable[Target],
    places: Mapping[RelPath, RelPath],
    progress: Progress,
) -> dict[RelPath, int]:
    """Stage files, and return the inode number of each, by location.

    Args:
        targets: files whose content is in a bundle. Several may have that of one entry: a configuration file whose new
            version lies beside it, and a further name that becomes a file of its own.
        places: where each location is staged.
        progress: called with the number of bytes staged since its last call.

    Raises:
        MachineError: the disk failed or is full.
        BundleDamaged: content is not what the manifest says.
    """
    files = sorted(targets, key=_entry)  # the order of a payload is that of its paths
    files.sort(key=_bundle)
    _check_ends(bundles, frozenset(map(_bundle, files)))
    told, size = 0, sum(new.size for _, new in files)
    weights = array(_NUMBER, (new.size + _FILE for _, new in files))
    whole = sum(weights)

    def tell_bytes(done: int) -> None:
        nonlocal told
        before, told = told, size * done // whole
        progress(told - before)

    def work(part: range, tell: Progress) -> bytes:
        some = files[part.start : part.stop]
        return array(_NUMBER, _unpacked(disk, bundles, some, places, tell)).tobytes()

    def take_away(part: range) -> None:
        for location, _ in files[part.start : part.stop]:
            if disk.observe(places[location]) is not None:
                disk.remove_file(places[location])

    is_shared = all(bundle.can_be_read_again for bundle in bundles)  # what comes through a pipe comes once
    fewest = FEWEST if is_shared else len(files) + 1
    inodes: dict[RelPath, int] = {}
    for part, numbers in all_in_parts(len(files), work, tell_bytes, fewest, weights, take_away=take_away):
        locations = (location for location, _ in files[part.start : part.stop])
        inodes.update(zip(locations, array(_NUMBER, numbers), strict=True))
    if files:
        tell_bytes(whole)
    return inodes


def _content(target: Target) -> BundleContent:
    content = target[1].content
    if not isinstance(content, BundleContent):
        raise TypeError(content)
    return content


def _entry(target: Target) -> RelPath:
    return _content(target).entry


def _bundle(target: Target) -> int:
    return _content(target).bundle


def _check_ends(bundles: Sequence[VerifiedBundle], wanted: Container[int]) -> None:
    """Make sure that those of which nothing is needed end where they should, as the others are made sure of."""
    for number, bundle in enumerate(bundles):
        if number not in wanted:
            with closing(bundle.contents(())) as contents:
                for _ in contents:
                    pass


def _unpacked(
    disk: Disk,
    bundles: Sequence[VerifiedBundle],
    files: Iterable[Target],
    places: Mapping[RelPath, RelPath],
    tell: Progress,
) -> Iterator[int]:
    """Put files into their places; yield the inode number of each."""
    done = 0
    for number, some in groupby(files, key=_bundle):
        wanted = list(some)
        needed = frozenset(map(_entry, wanted))
        with closing(bundles[number].contents(needed)) as contents:  # or threads would outlive a failure
            for (entry, chunks), (path, same) in zip(contents, groupby(wanted, key=_entry), strict=True):
                if entry.path != path:
                    raise AssertionError(f"{entry.path} comes where {path} was expected")
                (location, new), *further = same
                place = places[location]
                if new.size < _LARGE:
                    yield disk.put_file(place, chunks, new.attributes)
                else:
                    yield disk.put_file(place, _told(chunks, done, tell), new.attributes)
                done += new.size + _FILE
                tell(done)
                for other, also in further:
                    disk.copy_file(place, places[other], also.attributes)
                    yield _inode(disk, places[other])


def _told(chunks: Iterable[bytes | memoryview], done: int, tell: Progress) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        tell(done)


def _inode(disk: Disk, place: RelPath) -> int:
    seen = disk.observe(place)
    return 0 if seen is None else seen.inode
