"""Pure. How is a bundle manifest written as TOML, and which TOML is one?

The writer is deterministic: equal manifests give equal bytes, one line per entry, defaults left out. The
reader is closed: what it does not know, it refuses, with all faults at once.
"""

from typing import Final

from intact.bundle.canonical_entries import ListedEntries, canonical_entries, split_canonical
from intact.bundle.entry_text import entry_lines, read_entries
from intact.bundle.fields import Faults, Fields, parse_toml, shortened
from intact.bundle.hook_text import HOOKS_FEATURE, hook_lines, read_hooks
from intact.bundle.tarstream import LARGEST_NUMBER, stream_length
from intact.bundle.toml_text import text_list_of, text_of
from intact.bundle.values import architecture_of, digest_of, line_of, name_of, provided_of
from intact.bundle.zstdframes import compress_bound
from intact.model.entries import Digest, Entry, FileEntry
from intact.model.errors import FeatureUnknown, ManifestInvalid
from intact.model.limits import DEFAULT_LIMITS, Limits
from intact.model.manifest import FORMAT, Frame, Manifest, PackageIdentity, Relations
from intact.model.relations import parse_relation, parse_requirement
from intact.model.times import LATEST
from intact.model.values import replace
from intact.model.versions import Version

__all__ = [
    "FEATURES",
    "parse_manifest",
    "read_floor",
    "read_identity",
    "read_relations",
    "read_version",
    "render_manifest",
]

FEATURES: Final = frozenset({HOOKS_FEATURE})
"""Features of bundles beyond format 1 that this version understands."""

_NO_DIGEST = Digest("0" * 64)
_NO_VERSION = Version("0")
_TOP_KEYS = frozenset({"format", "requires_features", "package", "hook", "payload", "entries"})
_PACKAGE_KEYS = frozenset(
    {
        "name",
        "version",
        "architecture",
        "summary",
        "license",
        "created",
        "upgrade_from",
        "minimum_secure",
        "expires",
        "requires",
        "conflicts",
        "provides",
        "replaces",
    }
)
_FRAME_KEYS = frozenset({"compressed", "size", "sha256"})
_REMEDY = "the publisher has to build the bundle again; nothing of it was used"


# --- writing ---------------------------------------------------------------------------------------------
def render_manifest(manifest: Manifest) -> bytes:
    """Write the manifest as TOML, entries and frames in the order that they have."""
    identity, relations = manifest.identity, manifest.relations
    lines = [
        f"format = {FORMAT}",
        f"requires_features = {text_list_of(manifest.requires_features)}",
        "",
        "[package]",
        f"name = {text_of(identity.name)}",
        f"version = {text_of(str(identity.version))}",
        f"architecture = {text_of(identity.architecture)}",
    ]
    lines += [f"summary = {text_of(manifest.summary)}"] if manifest.summary else []
    lines += [f"license = {text_of(manifest.license)}"] if manifest.license else []
    lines.append(f"created = {manifest.created}")
    if manifest.upgrade_from is not None:
        lines.append(f"upgrade_from = {text_of(str(manifest.upgrade_from))}")
    if manifest.minimum_secure is not None:
        lines.append(f"minimum_secure = {text_of(str(manifest.minimum_secure))}")
    lines += [f"expires = {manifest.expires}"] if manifest.expires is not None else []
    for key, wishes in (
        ("requires", relations.requires),
        ("conflicts", relations.conflicts),
        ("provides", relations.provides),
        ("replaces", relations.replaces),
    ):
        lines += [f"{key} = {text_list_of(map(str, wishes))}"] if wishes else []
    lines += hook_lines(manifest.hooks)
    lines += ["", "[payload]", "frames = ["]
    lines += [
        f'  {{compressed = {frame.compressed}, size = {frame.size}, sha256 = "{frame.digest}"}},'
        for frame in manifest.frames
    ]
    lines += ["]", "", "[entries]"]
    lines += entry_lines(manifest)
    lines.append("")
    return "\n".join(lines).encode()


# --- reading ---------------------------------------------------------------------------------------------
def parse_manifest(
    text: bytes,
    name: str = ".intact/manifest.toml",
    limits: Limits = DEFAULT_LIMITS,
    *,
    stream: int | None = None,
) -> Manifest:
    """Read the manifest of a bundle.

    Args:
        name: what the errors call it.
        stream: bytes of the payload's stream, where the entries are not all of them (`bundle.difference`).

    Raises:
        FeatureUnknown: another format, or a feature that we do not have; checked before all else.
        ManifestInvalid: everything else that is wrong, all of it.
    """
    if len(text) > limits.manifest:
        raise ManifestInvalid(
            f"the manifest is longer than {limits.manifest} bytes", path=name, remedy=_REMEDY
        )
    table, listed = _read_quickly(text, name) or (parse_toml(text, name), None)
    _refuse_newer(table, name)
    faults = Faults()
    top = Fields(table, "", faults, _TOP_KEYS)
    top.number("format", FORMAT, FORMAT, required=True)
    features = top.texts("requires_features", name_of)
    package = Fields(top.table_of("package", required=True), "package.", faults, _PACKAGE_KEYS)
    manifest = Manifest(
        identity=read_identity(package),
        summary=package.text("summary", line_of, ""),
        license=package.text("license", line_of, ""),
        relations=read_relations(package),
        upgrade_from=read_version(package, "upgrade_from"),
        minimum_secure=read_floor(package),
        expires=package.number("expires", 0, LATEST) if "expires" in package.table else None,
        created=package.number("created", 0, LARGEST_NUMBER, required=True),
        requires_features=features,
        hooks=read_hooks(top, faults),
    )
    if manifest.hooks and HOOKS_FEATURE not in features:
        top.fault("requires_features", f"has to name {HOOKS_FEATURE}, because there are hooks")
    entries = read_entries(top, manifest.created, faults, limits, listed)
    frames = _read_frames(top, entries, faults, limits, stream)
    faults.refuse_if_any(name, _REMEDY)
    return replace(manifest, entries=entries, frames=frames)


def _read_quickly(text: bytes, name: str) -> tuple[dict[str, object], ListedEntries] | None:
    """Read a manifest that is written as `render_manifest` does it; None for any other, whatever is wrong with it."""
    parts = split_canonical(text)
    if parts is None:
        return None
    try:
        table = parse_toml(parts[0], name)
    except ManifestInvalid:
        return None
    package = table.get("package")
    created = package.get("created") if isinstance(package, dict) else None
    if type(created) is not int or not 0 <= created <= LARGEST_NUMBER or "entries" in table:
        return None
    listed = canonical_entries(parts[1], created)
    return None if listed is None else (table, listed)


def read_identity(package: Fields) -> PackageIdentity:
    """Read what a package is called from its table."""
    return PackageIdentity(
        package.text("name", name_of, "", required=True),
        package.text("version", Version, _NO_VERSION, required=True),
        package.text("architecture", architecture_of, "", required=True),
    )


def read_version(package: Fields, key: str) -> Version | None:
    """Read a version that may be left out."""
    return package.text(key, Version, _NO_VERSION) if key in package.table else None


def read_floor(package: Fields) -> Version | None:
    """Read the oldest version that is secure; a package cannot forbid itself."""
    floor = read_version(package, "minimum_secure")
    version = package.table.get("version")
    if floor is not None and isinstance(version, str) and _is_older(version, floor):
        package.fault("minimum_secure", "is above the version of the package itself")
    return floor


def _is_older(version: str, floor: Version) -> bool:
    try:
        return Version(version) < floor
    except ValueError:  # has been noted
        return False


def read_relations(package: Fields) -> Relations:
    """Read what a package demands of others from its table."""
    return Relations(
        requires=package.texts("requires", parse_requirement),
        conflicts=package.texts("conflicts", parse_relation),
        provides=package.texts("provides", provided_of),
        replaces=package.texts("replaces", parse_relation),
    )


def _refuse_newer(table: dict[str, object], name: str) -> None:
    found = table.get("format")
    if type(found) is int and found != FORMAT:
        # Python writes no whole number of more than 4300 digits, but reads it if it is hexadecimal.
        shown = str(found) if abs(found) <= LARGEST_NUMBER else "with a number beyond reason"
        what = f"it has format {shown}; this version reads format {FORMAT}"
    else:
        features = table.get("requires_features")
        wanted = features if isinstance(features, list) else []
        unknown = sorted({item for item in wanted if isinstance(item, str)} - FEATURES)
        if not unknown:
            return
        what = shortened(f"it needs what this version does not have: {', '.join(map(ascii, unknown))}")
    raise FeatureUnknown(
        f"the bundle is made for a newer pkg: {what}", path=name, remedy="upgrade pkg, then try again"
    )


def _read_frames(
    top: Fields, entries: tuple[Entry, ...], faults: Faults, limits: Limits, stream: int | None
) -> tuple[Frame, ...]:
    payload = Fields(top.table_of("payload", required=True), "payload.", faults, {"frames"})
    frames = []
    for index, row in enumerate(payload.tables("frames")):
        fields = Fields(row, f"payload.frames[{index}].", faults, _FRAME_KEYS)
        size = fields.number("size", 0, limits.frame, required=True)
        compressed = fields.number("compressed", 0, compress_bound(limits.frame), required=True)
        digest = fields.text("sha256", digest_of, _NO_DIGEST, required=True)
        if row.get("size") == 0:
            fields.fault("size", "no frame is empty")
        if compressed > compress_bound(size):
            fields.fault("compressed", "is more than any compressor makes of that size")
        frames.append(Frame(compressed, size, digest))
    files = (entry for entry in entries if isinstance(entry, FileEntry))
    expected = stream_length(files) if stream is None else stream
    actual = sum(frame.size for frame in frames)
    if actual != expected and not faults:
        payload.fault("frames", f"they add up to {actual} bytes; the files make a stream of {expected}")
    return tuple(frames)
