"""Pure. Given what is wanted, owned and observed: what becomes of each path, and what stands in the way?"""

from collections.abc import Sequence

from intact.model.entries import NEW_SUFFIX
from intact.model.installed import OwnedEntry
from intact.model.objects import (
    Attributes,
    Kind,
    LiveContent,
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
from intact.plan.config import ConfigVerdict, decide_config
from intact.plan.situation import Situation, is_as_installed, is_beyond_others, same_attributes
from intact.plan.wanted import Wanted, owned_entry

__all__ = ["Decisions", "decide"]


@dataclass(slots=True)
class Decisions:
    """What was decided about all paths.

    Attributes:
        owned: what the incoming packages will own, by package.
        taken_over: locations that other packages lose, by package.
        beside: where the new version of a kept configuration file is laid, and whose it is.
        notes: what a person should know, one line each.
        problems: what stands in the way, one line each; if there are any, nothing may be done.
    """

    changes: list[Change] = field(default_factory=list)
    attributes: list[AttributeChange] = field(default_factory=list)
    owned: dict[str, list[OwnedEntry]] = field(default_factory=dict)
    taken_over: dict[str, list[RelPath]] = field(default_factory=dict)
    beside: dict[RelPath, Wanted] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def decide(situation: Situation) -> Decisions:
    """Decide about every path that is wanted or left behind."""
    decisions = Decisions()
    linked = _hardlinked_groups_to_renew(situation)
    for location in sorted(dict.fromkeys((*situation.wanted, *situation.leaving))):
        wanted = situation.wanted.get(location, ())
        if len(wanted) == 1 and _is_new_ground(situation, location):
            decisions.changes.append(Change(location, wanted[0].new, None))
        elif not wanted:
            if location not in decisions.beside:  # sorted behind its file, so that is decided by now
                _decide_departure(situation, location, decisions)
        elif _agree(location, wanted, decisions):
            _decide_arrival(situation, wanted[0], decisions, renew=location in linked)
    _settle_names_of_kept_files(situation, decisions)
    _note_ownership(situation, decisions)
    return decisions


def _is_new_ground(situation: Situation, location: RelPath) -> bool:
    """Tell whether nothing stands there, and no package has ever said anything of it: so it is for most of a new one."""
    return (
        situation.observed.get(location) is None
        and location not in situation.leaving
        and location not in situation.staying
    )


def _agree(location: RelPath, wanted: Sequence[Wanted], decisions: Decisions) -> bool:
    """Several incoming packages may share a directory, nothing else."""
    if len(wanted) == 1 or all(isinstance(one.new, NewDirectory) for one in wanted):
        return True
    names = sorted({one.package for one in wanted})
    if len(names) == 1:
        paths = " and ".join(f"/{one.entry.path}" for one in wanted)
        problem = (
            f"{paths} of {names[0]} are one place here, because of a link; replace the link by a directory"
        )
    else:
        problem = f"{' and '.join(names)} bring it; install only one of them"
    decisions.problems.append(f"/{location}: {problem}")
    return False


def _hardlinked_groups_to_renew(situation: Situation) -> set[RelPath]:
    """Find the hardlinked files of which at least one name does not stand as wanted.

    The names of one file are one inode, so they are renewed together or not at all.
    """
    groups: dict[RelPath, list[Wanted]] = {}
    for wanted in situation.wanted.values():
        for one in wanted:
            if isinstance(one.new, NewHardlink):
                groups.setdefault(one.new.target, []).append(one)
    renew: set[RelPath] = set()
    for first, others in groups.items():
        locations = [first, *(other.location for other in others)]
        seen = [situation.observed.get(location) for location in locations]
        new = _first_name(situation, first, seen[0])
        intact = new is not None and all(one is not None and _stands(one, new) for one in seen)
        if not intact or len({one.inode for one in seen if one}) != 1:
            renew.update(locations)
    return renew


def _first_name(situation: Situation, location: RelPath, seen: Observed | None) -> NewFile | None:
    """Return the file that hardlinks share, as it shall stand; None if an obstacle keeps it from coming."""
    for wanted in situation.wanted.get(location, ()):
        if isinstance(wanted.new, NewFile):
            if seen is None:
                return wanted.new
            return _with_local_attributes(situation, wanted, seen, wanted.new)
    return None


def _settle_names_of_kept_files(situation: Situation, decisions: Decisions) -> None:
    """A further name can be made only of a file that is staged, too; not of one that stays as a person left it.

    A name that stands there stays, like the file; one that is missing becomes a file of its own.
    """
    staged = {change.location for change in decisions.changes if isinstance(change.new, NewFile)}
    for change in list(decisions.changes):
        if isinstance(change.new, NewHardlink) and change.new.target not in staged:
            place = decisions.changes.index(change)
            if change.old is None and change.new.target in situation.wanted:
                own = situation.wanted[change.new.target][0].new
                decisions.changes[place] = replace(change, new=own)
                continue
            del decisions.changes[place]
            decisions.notes.append(
                f"/{change.location}: a further name of /{change.new.target}, which is kept; it stays as it is, too"
            )


def _stands(seen: Observed, new: NewObject) -> bool:
    """Tell whether an object already is what is wanted, attributes included (times and xattrs are not asked)."""
    match new:
        case NewFile(attributes, _, digest, _):
            return seen.kind is Kind.FILE and seen.digest == digest and _has(seen, attributes)
        case NewDirectory():
            return seen.kind is Kind.DIRECTORY
        case NewSymlink(target, uid, gid):
            return seen.kind is Kind.SYMLINK and (seen.target, seen.uid, seen.gid) == (target, uid, gid)
        case NewHardlink():
            return True  # its group was looked at as a whole


def _has(seen: Observed, attributes: Attributes) -> bool:
    same_xattrs = dict(seen.xattrs).get("security.capability") == dict(attributes.xattrs).get(
        "security.capability"
    )
    return same_xattrs and (seen.mode, seen.uid, seen.gid) == (
        attributes.mode,
        attributes.uid,
        attributes.gid,
    )


def _decide_arrival(situation: Situation, wanted: Wanted, decisions: Decisions, *, renew: bool) -> None:
    location = wanted.location
    seen = situation.observed.get(location)
    if _is_taken(situation, wanted, decisions):
        return
    if seen is None:
        _decide_absent(situation, wanted, decisions)
    elif isinstance(wanted.new, NewDirectory) and seen.kind is Kind.DIRECTORY:
        _decide_directory(situation, wanted.new, seen, location, decisions)
    elif wanted.is_config and seen.kind is Kind.FILE:
        _decide_config_file(situation, wanted, seen, decisions, renew=renew)
    elif wanted.is_config and seen.kind is Kind.SYMLINK and _owner_before(situation, wanted) is not None:
        _decide_linked_config(situation, wanted, seen, decisions)
    elif renew or not _stands(seen, wanted.new):
        _decide_replacement(situation, wanted, seen, decisions, renew=renew)


def _is_taken(situation: Situation, wanted: Wanted, decisions: Decisions) -> bool:
    """Tell whether a package that stays owns the path and does not give it up."""
    taken = False
    for other in situation.staying.get(wanted.location, ()):
        if other.kind is Kind.DIRECTORY and isinstance(wanted.new, NewDirectory):
            continue
        if situation.may_take_over(wanted.package, other.package):
            decisions.taken_over.setdefault(other.package, []).append(wanted.location)
            decisions.notes.append(f"/{wanted.location} moves from {other.package} to {wanted.package}")
            continue
        taken = True
        decisions.problems.append(
            f"/{wanted.location}: belongs to {other.package}; remove that package, or install a version of"
            f" {wanted.package} that replaces it"
        )
    return taken


def _owner_before(situation: Situation, wanted: Wanted) -> OwnedEntry | None:
    """Return what a leaving package, or one that gives the path up, has recorded for the location."""
    before = situation.leaving.get(wanted.location) or situation.staying.get(wanted.location)
    return before[0] if before else None


def _decide_absent(situation: Situation, wanted: Wanted, decisions: Decisions) -> None:
    before = _owner_before(situation, wanted)
    if wanted.is_config and before is not None and before.config:
        decisions.notes.append(
            f"/{wanted.location}: configuration file that was deleted here; it stays deleted"
        )
        return
    decisions.changes.append(Change(wanted.location, wanted.new, None))


def _decide_directory(
    situation: Situation, new: NewDirectory, seen: Observed, location: RelPath, decisions: Decisions
) -> None:
    """A directory that stands keeps what an administrator gave it; otherwise it follows its package."""
    before = situation.leaving.get(location, ())
    if not before or situation.staying.get(location) or _has(seen, new.attributes):
        return
    if same_attributes(before[0], seen):
        decisions.attributes.append(AttributeChange(location, new.attributes, seen))
    elif (before[0].mode, before[0].uid, before[0].gid) != (
        new.attributes.mode,
        new.attributes.uid,
        new.attributes.gid,
    ):
        decisions.notes.append(f"/{location}: mode or owner was changed here and is kept")


def _decide_config_file(
    situation: Situation, wanted: Wanted, seen: Observed, decisions: Decisions, *, renew: bool
) -> None:
    new = wanted.new
    if not isinstance(new, NewFile):
        raise AssertionError(wanted)
    before = _owner_before(situation, wanted)
    original = before.digest if before is not None and before.kind is Kind.FILE else None
    if seen.digest == new.digest and (before is not None or renew):  # nobody's work is at stake
        if renew or not _stands(seen, new):
            _decide_replacement(situation, wanted, seen, decisions, renew=renew)
        return
    verdict = decide_config(original, seen.digest, new.digest)
    if verdict is ConfigVerdict.PUT and wanted.location in situation.terrain.mount_points:
        decisions.problems.append(
            f"/{wanted.location}: is a mount point, which cannot be replaced; unmount it first"
        )
    elif verdict is ConfigVerdict.PUT:
        new = _with_local_attributes(situation, wanted, seen, new)
        decisions.changes.append(Change(wanted.location, new, seen))
    elif verdict is ConfigVerdict.KEEP_AND_LAY_BESIDE:
        _lay_beside(situation, wanted, new, decisions)


def _decide_linked_config(situation: Situation, wanted: Wanted, seen: Observed, decisions: Decisions) -> None:
    """A person keeps the file elsewhere and has put a link here: that is an edit like any other."""
    new, before = wanted.new, _owner_before(situation, wanted)
    if not isinstance(new, NewFile) or before is None:
        raise AssertionError(wanted)
    if before.kind is not Kind.FILE:  # the link came with the package, and now a file does
        _decide_replacement(situation, wanted, seen, decisions, renew=True)
    elif before.digest != new.digest:
        _lay_beside(situation, wanted, new, decisions)


def _lay_beside(situation: Situation, wanted: Wanted, new: NewFile, decisions: Decisions) -> None:
    """Keep a person's version of a configuration file, and put the new one where it can be compared."""
    beside = RelPath(wanted.location + NEW_SUFFIX)
    lying = situation.observed.get(beside)
    obstacle = _obstacle_beside(situation, beside, lying)
    if obstacle is not None:
        decisions.problems.append(
            f"/{beside}: {obstacle}, but the new version of /{wanted.location}, which was edited here, has to lie"
            " there; move one of them away first"
        )
        return
    before = situation.leaving.get(beside, ())
    is_ours = lying is not None and bool(before) and is_as_installed(before[0], lying)
    decisions.beside[beside] = wanted
    decisions.changes.append(Change(beside, new, lying, keep=lying is not None and not is_ours))
    decisions.notes.append(
        f"/{wanted.location}: configuration file edited here; it is kept, the new version is /{beside}"
    )


def _obstacle_beside(situation: Situation, beside: RelPath, lying: Observed | None) -> str | None:
    """Say what keeps the new version from lying beside the old one, if anything."""
    owners = [one.package for one in situation.staying.get(beside, ())]
    owners += [one.package for one in situation.wanted.get(beside, ())]
    if owners:
        return f"belongs to {owners[0]}"
    if beside in situation.terrain.mount_points:
        return "is a mount point"
    if lying is not None and lying.kind in {Kind.DIRECTORY, Kind.OTHER}:
        return f"is a {'directory' if lying.kind is Kind.DIRECTORY else 'device, pipe or socket'}"
    return None


def _with_local_attributes(situation: Situation, wanted: Wanted, seen: Observed, new: NewFile) -> NewFile:
    """Keep a mode or owner that an administrator has set."""
    before = _owner_before(situation, wanted)
    if before is None or before.kind is not seen.kind or same_attributes(before, seen):
        return new
    if not is_beyond_others(situation.observed, wanted.location, situation.trusted):
        return new
    attributes = replace(new.attributes, mode=seen.mode, uid=seen.uid, gid=seen.gid)
    return replace(new, attributes=attributes)


def _decide_replacement(
    situation: Situation, wanted: Wanted, seen: Observed, decisions: Decisions, *, renew: bool
) -> None:
    """Something else stands where the new object shall be."""
    location = wanted.location
    before = _owner_before(situation, wanted)
    obstacle = _obstacle(situation, location, seen, owned=before is not None)
    if obstacle is not None:
        decisions.problems.append(f"/{location}: {obstacle}")
        return
    new = wanted.new
    untouched = before is not None and is_as_installed(before, seen)
    if isinstance(new, NewFile) and seen.kind is Kind.FILE:
        if before is not None and before.kind is Kind.FILE and not same_attributes(before, seen):
            is_kept = is_beyond_others(situation.observed, location, situation.trusted)
            new = _with_local_attributes(situation, wanted, seen, new)
            decisions.notes.append(
                f"/{location}: mode or owner was changed here and is kept"
                if is_kept
                else f"/{location}: mode or owner was changed in a directory that others can change; set back"
            )
            if not renew and _stands(seen, new):
                return
        if seen.digest == new.digest:
            new = replace(new, content=LiveContent(location))
    # An unowned object that already has the wanted content is nobody's work that could get lost.
    same_content = isinstance(wanted.new, NewFile) and seen.digest == wanted.new.digest
    keep = not untouched and not same_content and seen.kind is not Kind.DIRECTORY
    if keep:
        what = "changed here since it was installed" if before is not None else "was here before any package"
        decisions.notes.append(f"/{location}: {what}; replaced, the old one is kept")
    decisions.changes.append(Change(location, new, seen, keep=keep))


def _obstacle(situation: Situation, location: RelPath, seen: Observed, *, owned: bool) -> str | None:
    """Say why the object at the location may not be replaced, if so."""
    if location in situation.terrain.mount_points:
        return "is a mount point, which cannot be replaced; unmount it first"
    if seen.kind is Kind.OTHER:
        return "a device, pipe or socket is in the way; move it away first"
    if seen.kind is Kind.DIRECTORY:
        return _directory_obstacle(situation, location)
    if owned or situation.may_overwrite(location):
        return None
    for wanted in situation.wanted[location]:
        if isinstance(wanted.new, NewFile) and wanted.new.digest == seen.digest:
            return None
        if isinstance(wanted.new, NewSymlink) and wanted.new.target == seen.target:
            return None
    return f"a {seen.kind.value} that no package owns is in the way; move it away, or allow --overwrite /{location}"


def _directory_obstacle(situation: Situation, location: RelPath) -> str | None:
    """Say what keeps a directory from being replaced by something else: anything in it that stays."""
    pending = [location]
    while pending:
        directory = pending.pop()
        if directory in situation.terrain.mount_points:
            return f"is a directory with the mount point /{directory} in it; unmount it first"
        for name in situation.terrain.listings.get(directory, ()):
            path = directory / name
            seen = situation.observed.get(path)
            owners = situation.leaving.get(path, ())
            if (
                seen is None
                or not owners
                or path in situation.staying
                or not is_as_installed(owners[0], seen)
            ):
                return f"is a directory, and /{path} in it is not part of the package; move it away first"
            if seen.kind is Kind.DIRECTORY:
                pending.append(path)
    if location not in situation.leaving:
        packages = [one.package for one in situation.staying.get(location, ())]
        whose = f"of {' and '.join(packages)}" if packages else "that no package owns"
        return f"is a directory {whose}; move it away first"
    return None


def _decide_departure(situation: Situation, location: RelPath, decisions: Decisions) -> None:
    """A leaving package had the path, and no incoming one wants it."""
    seen = situation.observed.get(location)
    if seen is None or situation.staying.get(location):
        return
    owned = situation.leaving[location][0]
    if owned.kind is Kind.DIRECTORY and seen.kind is Kind.SYMLINK:
        return  # an administrator moved the directory elsewhere
    if not is_as_installed(owned, seen):
        what = "configuration file edited here" if owned.config else "changed here since it was installed"
        decisions.notes.append(f"/{location}: {what}; it stays and belongs to no package now")
        return
    if location in situation.terrain.mount_points:
        decisions.notes.append(f"/{location}: is a mount point; it stays")
        return
    decisions.changes.append(Change(location, None, seen))


def _is_foreign_directory(situation: Situation, wanted: Wanted) -> bool:
    """A directory that was there before any package came is used, not owned: it outlives the package."""
    if not isinstance(wanted.new, NewDirectory) or _owner_before(situation, wanted) is not None:
        return False
    seen = situation.observed.get(wanted.location)
    return seen is not None and seen.kind is Kind.DIRECTORY


def _files_with_further_names(situation: Situation) -> dict[RelPath, Wanted]:
    links = [one.new for found in situation.wanted.values() for one in found]
    targets = {new.target for new in links if isinstance(new, NewHardlink)}
    return {
        target: one
        for target in targets
        for one in reversed(situation.wanted.get(target, ()))
        if isinstance(one.new, NewFile)
    }


def _note_ownership(situation: Situation, decisions: Decisions) -> None:
    files = _files_with_further_names(situation)
    for location in sorted(situation.wanted):
        for wanted in situation.wanted[location]:
            owned = decisions.owned.setdefault(wanted.package, [])
            new = wanted.new
            if isinstance(new, NewHardlink) and new.target not in files:
                continue  # its file belongs to an account that is missing: told elsewhere, and nothing is done
            if not _is_foreign_directory(situation, wanted):
                owned.append(owned_entry(wanted, files))
    for beside, wanted in decisions.beside.items():
        entry = owned_entry(replace(wanted, location=beside), {})
        decisions.owned[wanted.package].append(replace(entry, path=beside, config=False))
