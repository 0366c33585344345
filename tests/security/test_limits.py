"""Every ceiling of `model.limits`, and the other sizes of a manifest: the limit is let in, one more is refused."""

import io
import struct
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest
import zstandard

from intact.bundle.head import head_bytes, split_head
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.read import open_bundle
from intact.bundle.source_manifest import read_source_manifest
from intact.bundle.tarstream import TarFault
from intact.bundle.zstdframes import (
    MOST_HEADER_BYTES,
    ZSTD_MAGIC,
    FrameFault,
    GrowingFrame,
    compress_frame,
    parse_frame_header,
)
from intact.model.errors import BundleRefused, IntactError
from intact.model.limits import DEFAULT_LIMITS, Limits
from support.command_line import Desk
from support.malformed.case import FILES, STREAM, frame_row, manifest_of

TEXT = manifest_of([frame_row(b"stored", len(STREAM))]).decode()
NOISE = Random(1).randbytes(200_000)  # noqa: S311  a fixed seed
Refusal = (IntactError, TarFault, FrameFault)


def lowered(field: str, most: int) -> Limits:
    return replace(DEFAULT_LIMITS, **{field: most})


def _ratio_frame(content_beyond: int) -> bytes:
    """A frame that grows to exactly 64 times its size, and by so many bytes more."""
    size = 98_682  # 64 such blocks and the noise make 64 times 100244, the bytes of the frame
    noise = NOISE[:99_968]
    blocks = [struct.pack("<I", len(noise) << 3)[:3] + noise]
    lengths = [size] * 63 + [size + content_beyond]
    for length in lengths:
        blocks.append(struct.pack("<I", (length << 3) | 2 | int(len(blocks) == 64))[:3] + b"\0")
    content = noise + bytes(sum(lengths))
    checksum = zstandard.ZstdCompressor(write_checksum=True).compress(content)[-4:]
    header = ZSTD_MAGIC + bytes([0b1110_0100]) + struct.pack("<Q", len(content))
    return header + b"".join(blocks) + checksum


def _grow(frame: bytes) -> None:
    header = parse_frame_header(frame[:MOST_HEADER_BYTES])
    growing = GrowingFrame(header, largest_size=1 << 30, ratio=DEFAULT_LIMITS.head_ratio)
    growing.feed(frame)
    growing.content()


def _open_with_a_head(extra: int) -> None:
    """The head takes so many bytes more than are allowed; a payload follows."""
    frame = compress_frame(head_bytes(NOISE, []), 3)
    limits = lowered("head_compressed", len(frame) - extra)
    open_bundle(io.BytesIO(frame + NOISE), "b", limits).close()


def _xattrs(extra: int) -> None:
    value = f'xattrs = {{"user.x" = "{"eHh4" * 100}"}}'
    parse_manifest(
        TEXT.replace("size = 0", f"size = 0, {value}").encode(), limits=lowered("xattrs", 306 - extra)
    )


def _window(extra: int) -> None:
    header = ZSTD_MAGIC + bytes([0b1010_0100]) + struct.pack("<I", DEFAULT_LIMITS.window + extra) + bytes(9)
    parse_frame_header(header, largest_window=DEFAULT_LIMITS.window)


def _source(extra: int) -> None:
    text = '\nformat = 1\npackage = {name = "a", version = "1", architecture = "all"}\n'
    path = Path("source.toml")
    path.write_text("#" * (DEFAULT_LIMITS.source_manifest - len(text) + extra) + text)
    read_source_manifest(path, epoch=0)


def _parse(field: str, exact: int) -> Callable[[int], None]:
    def parse(extra: int) -> None:
        parse_manifest(TEXT.encode(), limits=lowered(field, exact - extra))

    return parse


CEILINGS: dict[str, Callable[[int], None]] = {
    "head_compressed": _open_with_a_head,
    "manifest": _parse("manifest", len(TEXT)),
    "head_ratio": lambda extra: _grow(_ratio_frame(extra)),
    "signatures": lambda extra: void(split_head(head_bytes(b"m", [b"s"] * (16 + extra)), DEFAULT_LIMITS)),
    "signature": lambda extra: void(split_head(head_bytes(b"m", [b"s" * (4096 + extra)]), DEFAULT_LIMITS)),
    "window": _window,
    "frame": _parse("frame", len(STREAM)),
    "entries": _parse("entries", len(FILES)),
    "content": _parse("content", sum(map(len, FILES.values()))),
    "source_manifest": _source,
    "xattrs": _xattrs,
}


def void(_found: object) -> None:
    """Take no notice."""


@pytest.mark.parametrize("field", [one.name for one in fields(Limits)])
def test_sec_11_each_ceiling_holds_at_the_limit_and_one_beyond(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    CEILINGS[field](0)
    with pytest.raises(Refusal):
        CEILINGS[field](1)


def test_sec_11_the_ceilings_before_trust_are_the_ones_that_are_documented() -> None:
    found = DEFAULT_LIMITS
    assert (found.signatures, found.signature, found.window) == (16, 4 << 10, 8 << 20)
    assert (found.head_ratio, found.manifest, found.head_compressed) == (64, 256 << 20, 96 << 20)
    assert (found.entries, found.frame, found.content) == (1_500_000, 16 << 20, 64 << 30)


def _text(old: str, new: Callable[[int], str]) -> Callable[[int], str]:
    assert old in TEXT
    return lambda count: TEXT.replace(old, new(count), 1)


def _package(line: Callable[[int], str]) -> Callable[[int], str]:
    return _text("[package]\n", lambda count: f"[package]\n{line(count)}\n")


def _hooks(body: Callable[[int], str]) -> Callable[[int], str]:
    featured = TEXT.replace("features = []", 'features = ["hooks"]')
    return lambda count: featured.replace("[payload]", f"{body(count)}\n[payload]")


def _with_size(count: int) -> str:
    """Let the second file have so many bytes, in as many frames as that needs."""
    length = len(STREAM) + count + -count % 512
    whole, rest = divmod(length, 16 << 20)
    digest = "0" * 64
    rows = [f'{{compressed = 1, size = {16 << 20}, sha256 = "{digest}"}}'] * whole
    rows += [f'{{compressed = 1, size = {rest}, sha256 = "{digest}"}}'] if rest else []
    before, _, behind = TEXT.partition("frames = [")
    return f"{before}frames = [{', '.join(rows)}]{behind.partition(']')[2]}".replace(
        "size = 0", f"size = {count}"
    )


HOOK = '[[hook]]\nwhen = "after"\ncommand = ["/bin/x"]\n'
SIZES: dict[str, tuple[int, Callable[[int], str]]] = {
    "bytes of a path": (1024, lambda count: _directory(_long_path(count))),
    "bytes of a component": (255, lambda count: _directory(f"usr/{'b' * count}")),
    "characters of a name": (128, _text('"malformed"', lambda count: f'"{"a" * count}"')),
    "characters of a version": (128, _text('"1.0"', lambda count: f'"{"1" * count}"')),
    "digits of an epoch": (9, _text('"1.0"', lambda count: f'"{"1" * count}:1"')),
    "characters of an architecture": (32, _text('"all"', lambda count: f'"{"a" * count}"')),
    "characters of a summary": (1024, _package(lambda count: f'summary = "{"ü" * count}"')),
    "characters of a license": (1024, _package(lambda count: f'license = "{"a" * count}"')),
    "seconds of creation": (8**11 - 1, _text("created = 1600000000", lambda count: f"created = {count}")),
    "bytes of a file": (8**11 - 1, _with_size),
    "number of an owner": (2**31 - 2, _text("size = 0", lambda count: f'size = 0, owner = "{count}"')),
    "characters of an owner": (32, _text("size = 0", lambda count: f'size = 0, group = "{"g" * count}"')),
    "bytes of a target": (
        4095,
        lambda count: f"{TEXT}symlinks = [{{path = 'l', target = '{'t' * count}'}}]\n",
    ),
    "characters of an attribute": (
        250,
        _text("size = 0", lambda count: f'size = 0, xattrs = {{"user.{"x" * count}" = ""}}'),
    ),
    "hooks": (32, _hooks(lambda count: HOOK * count)),
    "words of a command": (
        64,
        _hooks(lambda count: HOOK.replace('"/bin/x"', '"/bin/x"' + ', "w"' * (count - 1))),
    ),
    "bytes of a word": (4096, _hooks(lambda count: HOOK.replace('"/bin/x"', f'"/bin/x", "{"w" * count}"'))),
    "seconds of a hook": (3600, _hooks(lambda count: f"{HOOK}timeout = {count}\n")),
}


def _directory(path: str) -> str:
    return f"{TEXT}directories = [{{path = '{path}'}}]\n"


def _long_path(count: int) -> str:
    return "/".join(["d" * 200] * 5) + "/" + "f" * (count - 1005)


@pytest.mark.parametrize("what", SIZES)
def test_sec_11_each_size_of_a_manifest_holds_at_the_limit_and_one_beyond(what: str) -> None:
    most, text = SIZES[what]
    parse_manifest(text(most).encode())
    with pytest.raises(BundleRefused):
        parse_manifest(text(most + 1).encode())


def test_sec_11_an_administrator_decides_how_large_bundles_may_be(trusting: Desk) -> None:
    bundle = trusting.bundle("app", "1", {"usr/a": "a" * 100, "usr/b": "b"})
    settings = trusting.root / "etc/intact/settings.toml"
    settings.parent.mkdir(parents=True)
    for text, says in (("entries = 1", "1"), ('content = "100 B"', "100")):
        settings.write_text(f"[limits]\n{text}\n")
        refused = trusting("install", bundle)
        assert (refused.code, says in refused.err) == (3, True)
    settings.write_text('[limits]\nentries = 2\ncontent = "101 B"\n')
    trusting.good("install", bundle)
