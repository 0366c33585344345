"""Pure. Which changes bring a root back to what it was before some transactions?

Each transaction's steps say what stood at a path before and what they put there. Of several transactions the
oldest knows what stood there first, the newest what should stand there now. Where something else stands now,
somebody has edited it since, and that stays.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from intact.model.actions import Action, Create, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.entries import NEW_SUFFIX, Digest
from intact.model.exhaustive import assert_never
from intact.model.objects import (
    Attributes,
    Backup,
    Kind,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import RelPath
from intact.model.values import dataclass, field, replace
from intact.plan.change import AttributeChange, Change
from intact.plan.situation import is_beyond_others

__all__ = ["Image", "Reversal", "images_of", "merge_images", "reverse"]

_WORDS = {**{kind: kind.value for kind in Kind}, Kind.OTHER: "device, pipe or socket"}


@dataclass(frozen=True, slots=True)
class Image:
    """One path before and after.

    Attributes:
        before: what stood there; None for nothing.
        backup: where it lies now, if it is a file or link that was moved away.
        after: what was put there; None for nothing. Once merged, a further name is the file that it shares.
    """

    location: RelPath
    before: Observed | None
    backup: RelPath | None
    after: NewObject | None


@dataclass(slots=True)
class Reversal:
    """What was decided; the fields are those of `plan.changes.Decisions`."""

    changes: list[Change] = field(default_factory=list)
    attributes: list[AttributeChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def images_of(action: Action, slot: RelPath) -> list[Image]:
    """Say what an action did to each path; `slot` is where its old object lies."""
    match action:
        case Create(path, _, new, below):
            return [Image(path, None, None, new), *(Image(node.path, None, None, node.new) for node in below)]
        case Replace(path, _, new, old, below, was_below, _):
            arrived = {node.path: node.new for node in below}
            images = [Image(path, old, slot, new)]
            images += [
                Image(node.path, node.old, node.path.moved(path, slot), arrived.pop(node.path, None))
                for node in was_below
            ]
            return images + [Image(at, None, None, new) for at, new in arrived.items()]
        case Remove(path, _, old, was_below):
            inside = [Image(node.path, node.old, node.path.moved(path, slot), None) for node in was_below]
            return [Image(path, old, slot, None), *inside]
        case RemoveDirectory(path, old):
            return [Image(path, old, None, None)]
        case SetAttributes(path, new, old):
            return [Image(path, old, None, NewDirectory(new))]
        case _:
            assert_never(action)


def merge_images(oldest_first: Iterable[Sequence[Image]]) -> dict[RelPath, Image]:
    """Join the images of several transactions: before from the oldest, after from the newest."""
    merged: dict[RelPath, Image] = {}
    for images in oldest_first:
        put = {image.location: image.after for image in images}
        for image in images:
            # A later transaction may take the file away and leave its further name, so look now.
            after = put.get(image.after.target) if isinstance(image.after, NewHardlink) else image.after
            first = merged.get(image.location, image)
            merged[image.location] = replace(first, after=after)
    return merged


def reverse(
    images: Mapping[RelPath, Image],
    observed: Mapping[RelPath, Observed | None],
    is_config: frozenset[RelPath],
    directories: Mapping[RelPath, Attributes] | None = None,
    trusted: Collection[int] = frozenset({0}),
) -> Reversal:
    """Decide what becomes of each path.

    Args:
        images: by location, merged.
        observed: what stands there now, files with their digest, and in the directories above.
        is_config: locations of configuration files.
        directories: those of the packages that come back, to be made anew where somebody has deleted them.
        trusted: users whose directories nobody else can change.
    """
    reversal = Reversal()
    laid: set[RelPath] = set()
    for location in sorted(images):
        image, seen = images[location], observed.get(location)
        untouched = _stands_after(image, seen)
        if location in laid:  # sorted behind its configuration file, which decided
            continue
        if image.before is None:
            _take_away(image, seen, reversal, untouched=untouched)
        elif seen is not None and _is_before(image.before, seen):
            _restore_attributes(image, image.before, seen, reversal)
        elif untouched or (seen is None and location not in is_config):
            new = _restored(image)
            if is_beyond_others(observed, location, trusted):
                new = _with_local_attributes(new, image, seen)
            reversal.changes.append(Change(location, new, seen))
        elif location in is_config and image.before.kind is Kind.FILE and seen is not None:
            laid.add(_lay_beside(image, images, observed, reversal))
        else:
            _keep_edit(image, seen, reversal)
    _insist_on_directories(observed, directories or {}, reversal)
    _share_inodes(reversal, images)
    return reversal


def _insist_on_directories(
    observed: Mapping[RelPath, Observed | None],
    directories: Mapping[RelPath, Attributes],
    reversal: Reversal,
) -> None:
    """What comes back needs its directory, which somebody may have deleted since, or replaced."""
    coming = {change.location for change in reversal.changes if change.new is not None}
    refused: set[RelPath] = set()
    for above in sorted({above for location in coming for above in location.ancestors} - coming):
        seen = observed.get(above)
        if above not in observed or (seen is not None and seen.kind is Kind.DIRECTORY):
            continue
        if not refused.isdisjoint(above.ancestors):
            continue
        if seen is not None:
            refused.add(above)
            reversal.problems.append(
                f"/{above}: was a directory, and now a {_WORDS[seen.kind]} is in its place; move it away first"
            )
        elif above in directories:
            reversal.changes.append(Change(above, NewDirectory(directories[above]), None))
        else:
            refused.add(above)
            reversal.problems.append(f"/{above}: the directory is gone; make it again first")


def _with_local_attributes(new: NewObject, image: Image, seen: Observed | None) -> NewObject:
    """Keep a mode or owner that an administrator has set since."""
    after = image.after
    if seen is None or not isinstance(new, NewFile) or not isinstance(after, NewFile):
        return new
    given = after.attributes
    if (seen.mode, seen.uid, seen.gid) == (given.mode, given.uid, given.gid):
        return new
    return replace(new, attributes=replace(new.attributes, mode=seen.mode, uid=seen.uid, gid=seen.gid))


def _stands_after(image: Image, seen: Observed | None) -> bool:
    """Tell whether what stands there is what the newest transaction left."""
    after = image.after
    match after:
        case None:
            return seen is None
        case NewFile(_, _, digest, _):
            return seen is not None and seen.kind is Kind.FILE and seen.digest == digest
        case NewDirectory():
            return seen is not None and seen.kind is Kind.DIRECTORY
        case NewSymlink(target, _, _):
            return seen is not None and seen.kind is Kind.SYMLINK and seen.target == target
        case NewHardlink():
            raise AssertionError(image)
        case _:
            assert_never(after)


def _is_before(before: Observed, seen: Observed) -> bool:
    """Tell whether the object that shall be restored already stands there."""
    if before.kind is not seen.kind:
        return False
    if before.kind is Kind.FILE:
        same = (before.mode, before.uid, before.gid) == (seen.mode, seen.uid, seen.gid)
        if before.inode != seen.inode and max(before.links, seen.links) > 1:
            return False  # the content may be the same, but its names are others
        return same and before.digest is not None and before.digest == seen.digest
    return before.kind is not Kind.SYMLINK or before.target == seen.target


def _take_away(image: Image, seen: Observed | None, reversal: Reversal, *, untouched: bool) -> None:
    if seen is None:
        return
    if untouched:
        reversal.changes.append(Change(image.location, None, seen))
    else:
        reversal.notes.append(f"/{image.location}: edited since; it stays and belongs to no package now")


def _restore_attributes(image: Image, before: Observed, seen: Observed, reversal: Reversal) -> None:
    """A directory that stays gets back the attributes that a transaction changed, if nobody else did since."""
    if before.kind is not Kind.DIRECTORY or not isinstance(image.after, NewDirectory):
        return
    if (before.mode, before.uid, before.gid, before.xattrs) == (seen.mode, seen.uid, seen.gid, seen.xattrs):
        return
    changed = image.after.attributes
    if (seen.mode, seen.uid, seen.gid) == (changed.mode, changed.uid, changed.gid):
        old = Attributes(before.mode, before.uid, before.gid, None, before.xattrs)
        reversal.attributes.append(AttributeChange(image.location, old, seen))
    else:
        reversal.notes.append(f"/{image.location}: mode or owner was changed since and is kept")


def _restored(image: Image) -> NewObject:
    """Describe the old object as a new one."""
    before = image.before
    if before is None:
        raise AssertionError(image)
    attributes = Attributes(before.mode, before.uid, before.gid, before.mtime_ns, before.xattrs)
    match before.kind:
        case Kind.FILE:
            if image.backup is None or before.digest is None:
                raise AssertionError(image)
            return NewFile(attributes, before.size, before.digest, Backup(image.backup))
        case Kind.DIRECTORY:
            return NewDirectory(replace(attributes, mtime_ns=None))
        case Kind.SYMLINK:
            return NewSymlink(before.target, before.uid, before.gid)
        case Kind.OTHER:
            raise AssertionError(image)
        case _:
            assert_never(before.kind)


def _keep_edit(image: Image, seen: Observed | None, reversal: Reversal) -> None:
    """Somebody changed the path since: that stays."""
    if seen is None:
        reversal.notes.append(f"/{image.location}: deleted since; it stays deleted")
    else:
        reversal.notes.append(f"/{image.location}: edited since; it is kept")


def _lay_beside(
    image: Image,
    images: Mapping[RelPath, Image],
    observed: Mapping[RelPath, Observed | None],
    reversal: Reversal,
) -> RelPath:
    """A configuration file that was edited since stays; its version from before is laid beside it."""
    place = RelPath(image.location + NEW_SUFFIX)
    lying = observed.get(place)
    if lying is not None and lying.kind in {Kind.DIRECTORY, Kind.OTHER}:
        reversal.problems.append(
            f"/{place}: a {_WORDS[lying.kind]} is in the way of the version from before of /{image.location},"
            " which was edited since; move it away first"
        )
        return place
    is_ours = place in images and _stands_after(images[place], lying)
    reversal.changes.append(Change(place, _restored(image), lying, keep=lying is not None and not is_ours))
    reversal.notes.append(f"/{image.location}: edited since; it is kept, the version from before is /{place}")
    return place


def _share_inodes(reversal: Reversal, images: Mapping[RelPath, Image]) -> None:
    """Names that were one file before shall be one file again."""
    first_of: dict[tuple[int, Digest | None, int, int, int], RelPath] = {}
    for number, change in enumerate(reversal.changes):
        image = images.get(change.location)
        before = image.before if image is not None else None
        if before is None or before.links < 2 or not isinstance(change.new, NewFile):
            continue
        # Another filesystem may use the same number, and so may a later file on this one.
        same = (before.inode, before.digest, before.mode, before.uid, before.gid)
        first = first_of.setdefault(same, change.location)
        if first != change.location:
            reversal.changes[number] = replace(change, new=NewHardlink(first))
