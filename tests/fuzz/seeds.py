"""What the generators start from: one valid input, or some, for every parser."""

from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

from intact.bundle.build import build_bundle
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.read import open_bundle
from intact.bundle.zstdframes import padding_frame
from intact.model.entries import DirectoryEntry, Entry, HardlinkEntry, SymlinkEntry
from intact.model.hooks import Hook, Moment
from intact.model.manifest import Relations
from intact.model.paths import RelPath
from intact.model.relations import parse_requirement
from intact.model.versions import Version
from intact.trust.sshsig import TRUST_NAMESPACE
from intact.trust.store import Threshold, TrustEntry, TrustStore
from intact.trust.store_text import store_text
from support.bundle_parts import fixed_key, make_source
from support.scenarios import FIRST, SECOND
from support.security_token import SecurityToken
from support.workshop import Workshop

__all__ = [
    "KEY",
    "SET",
    "STORE",
    "bundle",
    "manifests",
    "padded_bundle",
    "scratch",
    "source_manifests",
    "state",
    "trust_store",
    "update",
    "update_signature",
]

KEY = fixed_key(1)
SET = TrustStore((TrustEntry(KEY.public, key_set="example.org"),))
_SOURCE = b"""format = 1
[package]
name = "app"
version = "1:2.0-1"
architecture = "all"
summary = "A summary"
expires = "2099-12-31"
requires = ["libc6 (>= 2)"]
[[hook]]
when = "after"
command = ["/bin/true", "x"]
timeout = 5
[[file]]
source = "tree/inner/file"
path = "usr/bin/app"
mode = "0755"
[[tree]]
source = "tree"
path = "usr/share/app"
exclude = ["*.o"]
config = ["etc/*"]
[[directory]]
path = "var/lib/app"
mode = "0700"
[[symlink]]
path = "usr/bin/link"
target = "app"
[[hardlink]]
path = "usr/bin/same"
target = "usr/bin/app"
"""
STORE = TrustStore(
    (
        TrustEntry(KEY.public, roles=("privileged", "hooks"), key_set="example.org"),
        TrustEntry(SecurityToken().public, ("a-*",), not_before=5, not_after=4_000_000_000),
    ),
    (Threshold(("kernel*",), 2),),
)


@cache
def scratch() -> Path:
    """A directory in memory for parsers that take a file; it is left to the system."""
    return Path(mkdtemp(prefix="intact-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


@cache
def bundle() -> bytes:
    """A small signed bundle with an entry of each kind."""
    others: list[Entry] = [
        DirectoryEntry(RelPath("usr/lib/app"), 0o755, "root", "root"),
        SymlinkEntry(RelPath("usr/lib/app/link"), "../hello", "root", "root"),
        HardlinkEntry(RelPath("usr/lib/app/same"), RelPath("usr/lib/hello")),
    ]
    files = {"usr/lib/hello": b"hello\n" * 40, "etc/hello.conf": b"a = 1\n", "usr/lib/" + "long" * 40: b"x"}
    place = build_bundle(make_source(files, others), scratch(), signers=[KEY.sign]).path
    return place.read_bytes()


@cache
def padded_bundle() -> bytes:
    """The same with padding behind its head, as a large one has."""
    made = bundle()
    with open_bundle(BytesIO(made), "seed") as opened:
        behind = opened.head_length
    return made[:behind] + padding_frame(300) + made[behind:]


@cache
def manifests() -> tuple[bytes, ...]:
    """Bundle manifests."""
    with open_bundle(BytesIO(bundle()), "seed") as opened:
        plain = opened.manifest_bytes
    hook = Hook(Moment.AFTER, ("/bin/true", "a b"), ("/bin/false",), 5)
    more = replace(
        parse_manifest(plain),
        hooks=(hook,),
        requires_features=("hooks",),
        expires=2_000_000_000,
        minimum_secure=Version("0.5"),
        relations=Relations(requires=(parse_requirement("libc6 (>= 2) | musl"),)),
    )
    return (plain, render_manifest(more))


def source_manifests() -> tuple[bytes, ...]:
    """One with every kind of table."""
    (scratch() / "tree/inner").mkdir(parents=True, exist_ok=True)
    (scratch() / "tree/inner/file").write_text("x")
    return (_SOURCE,)


def update() -> bytes:
    """A trust update."""
    line = KEY.public.line
    return (
        f'format = 1\nset = "example.org"\nversion = 2\n[[key]]\npublic_key = "{line}"\npackages = ["*"]\n'
        f'roles = ["privileged"]\nnot_after = 99\n'
    ).encode()


def update_signature(text: bytes) -> bytes:
    """By the key of the seeds."""
    return KEY.sign(text, TRUST_NAMESPACE)


@cache
def state() -> dict[str, bytes]:
    """What a root with two transactions has written: journals, plans, openings, the database."""
    workshop = Workshop(scratch() / "workshop")
    workshop.install(FIRST)
    workshop.install(SECOND)
    home = workshop.path / "var/lib/intact"
    last = home / "private/transactions/2"
    return {
        "database": (home / "installed.db").read_bytes(),
        **{name: (last / name).read_bytes() for name in ("journal", "plan.json", "opening.json")},
    }


def trust_store() -> bytes:
    """A trust store with all that one can have."""
    return store_text(STORE)
