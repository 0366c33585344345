"""Every parser, with the errors that it may raise; whatever else comes out is a finding."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from types import SimpleNamespace
from typing import Any, cast

from fuzz import seeds
from intact.bundle.build import head_frame
from intact.bundle.canonical_entries import split_canonical
from intact.bundle.deb import read_deb
from intact.bundle.head import split_head
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.read import open_bundle
from intact.bundle.reading import Reading, read_manifest, read_whole
from intact.bundle.source_manifest import read_source_manifest
from intact.bundle.tarstream import TarFault
from intact.bundle.verified import verify
from intact.bundle.zstdframes import (
    LARGEST_WINDOW,
    FrameFault,
    GrowingFrame,
    compress_frame,
    decompress_frame,
    parse_frame_header,
)
from intact.model.entries import Digest, Entry, FileEntry
from intact.model.errors import IntactError
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import Frame, Manifest
from intact.model.objects import Kind
from intact.model.paths import PathFault, RelPath
from intact.model.relations import RelationFault, parse_relation, parse_requirement
from intact.model.times import parse_time, utc_text
from intact.model.versions import Version
from intact.state.database import Database
from intact.state.layout import StateLayout
from intact.state.settings import parse_settings
from intact.system.port import Disk
from intact.transaction.journal import BLOCK, Journal
from intact.transaction.opening import read_opening
from intact.transaction.plan_text import parse_plan, plan_text
from intact.trust.keys import KeyFault, parse_public_key
from intact.trust.sshsig import is_valid, parse_signature
from intact.trust.store_text import parse_store, store_text
from intact.trust.update import apply_update
from intact.trust.wire import SignatureFault
from support.debian import deb, file, symlink
from support.security_token import SecurityToken

__all__ = ["TARGETS", "Target"]

_LIMITS = replace(DEFAULT_LIMITS, head_compressed=1 << 20, manifest=4 << 20, content=64 << 20, entries=5000)
_NOW = 1_700_000_000


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        run: gives it an input; returns True if that was accepted; raises only for a finding.
        seeds: valid inputs.
        words: what its language is made of.
    """

    run: Callable[[bytes], bool]
    seeds: Callable[[], tuple[bytes, ...]]
    words: tuple[bytes, ...] = ()


def _frame(data: bytes) -> bool:
    try:
        header = parse_frame_header(data[:18], largest_window=LARGEST_WINDOW)
        frame = GrowingFrame(header, largest_size=4 << 20, ratio=64)
        frame.feed(data)
        content = frame.content()
        assert len(content) == header.content_size
        assert decompress_frame(data[: len(data) - len(frame.unused)], len(content)) == content
    except FrameFault:
        return False
    return True


def _head(data: bytes) -> bool:
    try:
        split_head(data, _LIMITS)
    except TarFault:
        return False
    return True


def _bundle(data: bytes) -> bool:
    try:
        with open_bundle(BytesIO(data), "generated", _LIMITS) as opened:
            verify(opened, seeds.STORE, now=_NOW, allow_unsigned=True).check_payload()
    except IntactError:
        return False
    return True


def _signed(manifest: bytes, payload: bytes) -> bool:
    """Give the reader a bundle whose signature is right, so that it looks at what comes after."""
    return _bundle(head_frame(manifest, [seeds.KEY.sign(manifest)]) + payload)


def _payload_of(bundle: bytes) -> bytes:
    with open_bundle(BytesIO(bundle), "seed") as opened:
        return bundle[opened.head_length :]


def _signed_manifest(data: bytes) -> bool:
    return _signed(data, _payload_of(seeds.bundle())) if data else False


def _signed_payload(data: bytes) -> bool:
    """The frames are right, and the archive in them is anything."""
    stored = compress_frame(data, 1) if data else b""
    manifest = parse_manifest(seeds.manifests()[0])
    frame = Frame(len(stored), len(data), Digest(hashlib.sha256(stored).hexdigest()))
    return _signed(render_manifest(replace(manifest, frames=(frame,))), stored)


def _payload_seed() -> tuple[bytes, ...]:
    import zstandard  # noqa: PLC0415

    return (zstandard.ZstdDecompressor().decompress(_payload_of(seeds.bundle())),)


def _manifest(data: bytes) -> bool:
    try:
        manifest = parse_manifest(data, "generated", _LIMITS)
    except IntactError:
        return False
    assert parse_manifest(render_manifest(manifest)) == manifest
    return True


def _read(text: bytes) -> Manifest | type[IntactError]:
    try:
        return parse_manifest(text, "generated", _LIMITS)
    except IntactError as error:
        return type(error)


def _quick_manifest(data: bytes) -> bool:
    """What is read line by line is what any reader of TOML finds."""
    quick = _read(data)
    parts = split_canonical(data)
    if parts is None or isinstance(quick, type):
        return False
    plain = parts[0] + b"[ entries ]\n" + parts[1]  # the same to TOML, and no line of ours
    assert split_canonical(plain) is None or b"\n[entries]\n" in parts[1]
    assert _read(plain) == quick
    return True


def _changed_manifest(data: bytes) -> bool:
    """What is read of a manifest that is compared with the one before is in the whole, and the rest was there before."""
    base = seeds.manifests()[0]
    reading = Reading(_LIMITS, lambda _name: base)
    try:
        read = read_manifest(data, "generated", reading)
    except IntactError:
        assert isinstance(_read(data), type)
        return False
    whole = read_whole(data, "generated", _LIMITS)
    if read.base is None:
        assert read == whole
        return True
    assert replace(read.manifest, entries=()) == replace(whole.manifest, entries=())
    assert (read.entries, read.size) == (whole.entries, whole.size)
    known, entries = set(read.manifest.entries), {one.path: one for one in whole.manifest.entries}
    before = {one.path: one for one in parse_manifest(base).entries}
    assert known <= set(entries.values())
    for path, entry in entries.items():
        assert entry in known or _without_time(entry) == _without_time(before[path])
    assert before.keys() - entries.keys() <= set(read.gone)
    spans = {span.entry.path: span for span in whole.spans()}
    assert all(spans[span.entry.path] == span for span in read.spans())
    return True


def _without_time(entry: Entry) -> Entry:
    return replace(entry, mtime=0) if isinstance(entry, FileEntry) else entry


def _source_manifest(data: bytes) -> bool:
    place = seeds.scratch() / "source.toml"
    place.write_bytes(data)
    try:
        read_source_manifest(place, epoch=0)
    except IntactError:
        return False
    return True


def _signature(data: bytes) -> bool:
    try:
        signature = parse_signature(data)
    except SignatureFault:
        return False
    is_valid(signature, b"message")
    return True


def _public_key(data: bytes) -> bool:
    try:
        key = parse_public_key(data.decode("utf-8", "replace"))
    except KeyFault:
        return False
    assert parse_public_key(key.line).blob == key.blob
    assert key.listing
    return True


def _trust_store(data: bytes) -> bool:
    try:
        store = parse_store(data)
    except IntactError:
        return False
    assert parse_store(store_text(store)) == store
    return True


def _trust_update(data: bytes) -> bool:
    try:
        after = apply_update(seeds.SET, data, [seeds.update_signature(data)], now=_NOW, name="generated")
    except IntactError:
        return False
    assert parse_store(store_text(after)) == after
    return True


def _plan(data: bytes) -> bool:
    try:
        plan = parse_plan(data, "generated")
    except IntactError:
        return False
    assert parse_plan(plan_text(plan), "again") == plan
    return True


def _disk_with(data: bytes) -> Disk:
    """A disk whose every file holds the input."""
    return cast(
        "Disk",
        SimpleNamespace(observe=lambda _path: SimpleNamespace(kind=Kind.FILE), read_file=lambda _path: data),
    )


def _journal(data: bytes) -> bool:
    try:
        return Journal.load(_disk_with(data), RelPath("journal"), 2) is not None
    except IntactError:
        return False


def _journal_record(data: bytes) -> bool:
    """A first record whose digest is right, so that what it says is looked at."""
    magic = seeds.state()["journal"].split(b" ")[0]
    text = data[:400].rstrip(b" \n")
    start = magic + b" " + hashlib.sha256(text).hexdigest().encode() + b" " + text
    return _journal(start.ljust(BLOCK - 1) + b"\n" + bytes(BLOCK * 15))


def _first_record() -> tuple[bytes, ...]:
    return (seeds.state()["journal"][:BLOCK].split(b" ", 2)[2].rstrip(b" \n"),)


def _opening(data: bytes) -> bool:
    places = StateLayout(RelPath("state"), RelPath("")).transaction(1)
    try:
        read_opening(_disk_with(data), places, Digest(hashlib.sha256(data).hexdigest()))
    except IntactError:
        return False
    return True


def _settings(data: bytes) -> bool:
    try:
        parse_settings(data.decode("utf-8", "replace"), "generated")
    except IntactError:
        return False
    return True


def _words(data: bytes) -> bool:
    text = data.decode("utf-8", "surrogateescape")
    accepted = 0
    readers: tuple[tuple[Callable[[str], Any], type[Exception]], ...] = (
        (Version, ValueError),
        (RelPath.parse, PathFault),
        (parse_relation, RelationFault),
        (parse_requirement, RelationFault),
        (lambda one: utc_text(parse_time(one, end=True)), ValueError),
    )
    for read, fault in readers:
        try:
            value = read(text)
        except fault:
            continue
        accepted += 1
        assert value == read(str(value)) or read is readers[-1][0]
    return accepted > 0


def _deb(data: bytes) -> bool:
    place = seeds.scratch() / "generated.deb"
    place.write_bytes(data)
    try:
        with read_deb(place) as source:
            for entry in source.manifest.entries[:50]:
                assert entry.path
    except IntactError:
        return False
    return True


def _database(data: bytes) -> bool:
    place = seeds.scratch() / "generated.db"
    place.write_bytes(data)
    try:
        with Database.open(place) as database:
            names = [one.identity.name for one in database.packages()]
            database.history()
            database.seen("a")
            for name in names[:5]:
                database.entries(name)
    except IntactError:
        return False
    return True


_TOML = (
    b"[[",
    b"]]",
    b" = ",
    b"\n[",
    b'"""',
    b"'''",
    b"0x",
    b"1e9",
    b"inf",
    b"1979-05-27",
    b"{",
    b"}",
    b"\\u0000",
)
_MANIFEST = (
    b"[package]",
    b"[entries]",
    b"[payload]",
    b"frames",
    b"sha256",
    b"/../",
    b"0000",
    b"4755",
    b"root",
    b"requires",
)
_ROWS = (
    b"\n[entries]\n",
    b"directories = [\n",
    b"files = [\n",
    b"hardlinks = [\n",
    b"symlinks = [\n",
    b'  {path = "',
    b'"},\n',
    b'", mtime = ',
    b'", owner = "',
    b'", mode = "',
    b", config = true",
    b"]\n",
)

TARGETS: dict[str, Target] = {
    "frame": Target(
        _frame, lambda: (compress_frame(b"hello" * 50, 3),), (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")
    ),
    "head": Target(_head, lambda: (_head_seed(),), (b".intact/manifest.toml", b"ustar\x0000")),
    "bundle": Target(
        _bundle,
        lambda: (seeds.bundle(), seeds.padded_bundle()),
        (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"),
    ),
    "signed manifest": Target(_signed_manifest, seeds.manifests, (*_TOML, *_MANIFEST)),
    "signed payload": Target(_signed_payload, _payload_seed, (b"ustar\x0000", b"././@PaxHeader", b"path=")),
    "manifest": Target(_manifest, seeds.manifests, (*_TOML, *_MANIFEST)),
    "quick manifest": Target(_quick_manifest, seeds.manifests, (*_ROWS, *_TOML, *_MANIFEST)),
    "changed manifest": Target(_changed_manifest, seeds.manifests, (*_ROWS, *_TOML, *_MANIFEST)),
    "source manifest": Target(
        _source_manifest, seeds.source_manifests, (*_TOML, b"[[file]]", b"[[tree]]", b"**", b"../")
    ),
    "signature": Target(
        _signature,
        lambda: (seeds.KEY.sign(b"message"), SecurityToken().sign(b"message")),
        (b"-----BEGIN SSH SIGNATURE-----",),
    ),
    "public key": Target(
        _public_key,
        lambda: (seeds.KEY.public.line.encode(), SecurityToken().public.line.encode()),
        (b"ssh-ed25519 ", b"AAAA"),
    ),
    "trust store": Target(
        _trust_store, lambda: (seeds.trust_store(),), (*_TOML, b"[[key]]", b"[[threshold]]")
    ),
    "trust update": Target(_trust_update, lambda: (seeds.update(),), (*_TOML, b"[[key]]", b"version")),
    "plan": Target(
        _plan,
        lambda: (seeds.state()["plan.json"],),
        (b'"Create"', b'"Replace"', b'"Remove"', b"null", b"1e99", b"[[", b"-1"),
    ),
    "journal": Target(_journal, lambda: (seeds.state()["journal"],), (b"COMMITTED", b"STAGED", bytes(512))),
    "journal record": Target(_journal_record, _first_record, (b"null", b"1e99", b'"OPEN"', b'"number":0')),
    "opening": Target(
        _opening,
        lambda: (seeds.state()["opening.json"],),
        (b"null", b"../", b"[", b"1e99"),
    ),
    "settings": Target(_settings, lambda: (b'[history]\ntransactions = 5\nsize = "1 GiB"\n',), _TOML),
    "words": Target(
        _words,
        lambda: (b"1:2.0~rc1-3", b"usr/lib/x", b"libc6 (>= 2.36) | musl", b"2027-12-31"),
        (b"~", b":", b"<<", b"\xff"),
    ),
    "deb": Target(
        _deb,
        lambda: (deb([file("./usr/bin/x", b"x"), symlink("./usr/y", "x")]),),
        (b"`\n", b"control.tar.zst", b"data.tar.xz", b"ustar"),
    ),
    "database": Target(
        _database, lambda: (seeds.state()["database"],), (b"SQLite format 3\0", b"CREATE TRIGGER")
    ),
}


def _head_seed() -> bytes:
    from intact.bundle.head import head_bytes  # noqa: PLC0415

    manifest = seeds.manifests()[0]
    return head_bytes(manifest, [seeds.KEY.sign(manifest)])
