"""Malformed archives: members that are signed, digests and all, and are not those that the manifest demands."""

from intact.bundle.tarstream import LARGEST_NUMBER, member_header, padding
from support.bundle_parts import MTIME
from support.malformed.case import FILES, LONG_FILES, STREAM, Case, bundle_of, named, stream_of

__all__ = ["member_cases"]

_A, _B = FILES
_RIGHT = member_header(_A, 3000, 0o644, MTIME)
_SECOND, _END = 3584, 4096
_FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "kind": (156, 1),
    "link": (157, 100),
    "magic": (257, 6),
    "version": (263, 2),
    "uname": (265, 32),
    "gname": (297, 32),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
    "tail": (500, 12),
}


def member_cases() -> list[Case]:
    """Return all of them."""
    found = []
    for kind, prefix, members in (
        ("sec_1", "name", _names()),
        ("sec_2", "behind-nul", _behind_nul()),
        ("sec_5", "link", _links()),
        ("sec_7", "extension", _extensions()),
        ("sec_8", "number", _numbers()),
        ("sec_10", "type", _types()),
    ):
        found += named(kind, prefix, _placed(members))
    return [*found, *_long_names(), *_paddings(), *_lists()]


def _header(**fields: bytes) -> bytes:
    """Return the header of the first file with other fields, and the checksum that belongs to them."""
    block = bytearray(_RIGHT)
    for name, content in fields.items():
        at, length = _FIELDS[name]
        assert len(content) <= length, name
        block[at : at + length] = content.ljust(length, b"\0")
    if "checksum" not in fields:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _member(header: bytes, content: bytes) -> bytes:
    """Give a header the size of this content."""
    return _with_size(header, len(content)) + content + bytes(padding(len(content)))


def _with_size(header: bytes, size: int) -> bytes:
    block = header[:124] + b"%011o\0" % size + header[136:148] + b" " * 8 + header[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _fitted(stream: bytes) -> bytes:
    """Give it the length that the manifest demands, or it would be refused for that alone."""
    return stream[: len(STREAM)].ljust(len(STREAM), b"\0")


def _placed(members: dict[str, bytes]) -> list[tuple[str, bytes, str]]:
    """Put each member in the place of the first one, and behind the last one."""
    rows = []
    for name, member in members.items():
        first = bundle_of(_fitted(member + STREAM[512:]))
        rows.append((f"{name}-first", first, f"archive header of {_A}"))
        rows.append((f"{name}-behind", bundle_of(_fitted(STREAM[:_END] + member)), "does not end with zeros"))
    return rows


def _names() -> dict[str, bytes]:
    names = {
        "dot-dot": b"../etc/passwd",
        "dot-dot-inside": b"usr/../../etc/passwd",
        "dot-dot-at-the-end": b"usr/share/m/..",
        "dot-dot-alone": b"..",
        "absolute": b"/usr/share/m/a",
        "two-slashes": b"//usr/share/m/a",
        "empty-component": b"usr//share/m/a",
        "dot-component": b"./usr/share/m/a",
        "slash-behind": b"usr/share/m/a/",
        "empty": b"",
        "backslashes": b"usr\\share\\m\\a",
        "drive-letter": b"C:usr/share/m/a",
        "newline": b"usr/share/m/a\n",
        "escape": b"usr/share/m/\x1b[2J",
        "not-utf-8": b"usr/share/m/\xff\xfe",
        "overlong-utf-8": b"usr/share/m/\xc0\xae\xc0\xae/a",
        "bidi": "usr/share/m/\u202ea".encode(),
        "zero-width": "usr/share/m/a\u200b".encode(),
        "capital": b"usr/share/m/A",
        "without-nul": b"a" * 100,
        "the-manifest": b".intact/manifest.toml",
        "the-state": b"var/lib/intact/db.sqlite",
    }
    members = {name: _header(name=text) for name, text in names.items()}
    members["prefix-dot-dot"] = _header(prefix=b"../..")
    members["prefix-absolute"] = _header(prefix=b"/etc")
    members["prefix-for-nothing"] = _header(name=b"share/m/a", prefix=b"usr")
    return members


def _behind_nul() -> dict[str, bytes]:
    return {
        "name": _header(name=_A.encode() + b"\0../../etc/passwd"),
        "name-last-byte": _header(name=_A.encode().ljust(99, b"\0") + b"x"),
        "link": _header(link=b"\0/etc/passwd"),
        "magic": _header(magic=b"ustar\1"),
        "uname": _header(uname=b"root\0x"),
        "gname": _header(gname=b"root\0x"),
        "prefix": _header(prefix=b"\0etc"),
        "mode": _header(mode=b"000644\0x"),
        "size": _header(size=b"0000005670\0x"),
        "checksum": _header(checksum=_RIGHT[148:155] + b"x"),
        "tail": _header(tail=b"\0x"),
    }


def _links() -> dict[str, bytes]:
    return {
        "hard-to-a-file-of-its-own": _header(kind=b"1", link=_B.encode()),
        "hard-to-itself": _header(kind=b"1", link=_A.encode()),
        "hard-to-passwd": _header(kind=b"1", link=b"/etc/passwd"),
        "hard-upwards": _header(kind=b"1", link=b"../../../etc/passwd", size=b"00000000000\0"),
        "hard-with-content": _header(kind=b"1", link=b"etc/shadow"),
        "symbolic-to-root": _header(kind=b"2", link=b"/"),
        "symbolic-upwards": _header(kind=b"2", link=b"../../../../etc"),
        "symbolic-to-itself": _header(kind=b"2", link=_A.encode()),
        "symbolic-empty": _header(kind=b"2"),
        "file-with-a-link": _header(link=b"etc/passwd"),
    }


def _record(key: str, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    return b"%d %s=%s\n" % (rest + len(str(length)), key.encode(), value)


def _extensions() -> dict[str, bytes]:
    pax = _header(name=b"././@PaxHeader", kind=b"x", mtime=b"00000000000\0")
    records = {
        "path": b"../../etc/passwd",
        "linkpath": b"/etc/passwd",
        "size": b"99999999999",
        "uid": b"0",
        "gid": b"-1",
        "mtime": b"1e400",
        "hdrcharset": b"BINARY",
        "comment": b"hello",
        "GNU.sparse.major": b"1",
        "GNU.sparse.realsize": b"1099511627776",
        "SCHILY.xattr.security.capability": b"\1\0\0\2\xff\xff\xff\xff",
        "SCHILY.acl.access": b"user::rwx",
        "LIBARCHIVE.xattr.user.x": b"eA==",
    }
    members = {
        f"pax-{key.lower()}": _member(pax, _record(key, value)) + _RIGHT for key, value in records.items()
    }
    bad = {
        "pax-length-zero": b"0 path=x\n",
        "pax-length-negative": b"-9 path=x\n",
        "pax-length-too-long": b"999 path=x\n",
        "pax-length-beyond-all": b"9" * 400 + b" path=x\n",
        "pax-without-equals": b"9 pathxx\n",
        "pax-without-newline": b"9 path=xx",
        "pax-empty": b"",
        "pax-twice-the-key": _record("path", b"x") * 2,
        "pax-nul": _record("path", b"usr\0x"),
    }
    members |= {name: _member(pax, record) + _RIGHT for name, record in bad.items()}
    members["pax-twice"] = _member(pax, _record("path", _A.encode())) * 2 + _RIGHT
    members["pax-that-changes-nothing"] = _member(pax, _record("path", _A.encode())) + _RIGHT
    members["pax-at-the-end"] = _member(pax, _record("path", b"x"))
    for kind, what in (
        (b"g", "pax-global"),
        (b"X", "solaris"),
        (b"L", "gnu-long-name"),
        (b"K", "gnu-long-link"),
        (b"S", "gnu-sparse"),
        (b"V", "gnu-volume"),
        (b"M", "gnu-continued"),
        (b"D", "gnu-directory-dump"),
        (b"N", "gnu-old-names"),
        (b"A", "solaris-acl"),
        (b"E", "solaris-extended"),
    ):
        members[what] = _member(_header(kind=kind, name=b"././@LongLink"), b"../../etc/passwd\0") + _RIGHT
    members["magic-gnu"] = _header(magic=b"ustar ", version=b" \0")
    members["magic-v7"] = _header(magic=b"", version=b"")
    members["version-blank"] = _header(version=b"")
    members["star-tail"] = _header(tail=b"\0\0\0\0\0\0\0\0tar\0")
    return members


def _numbers() -> dict[str, bytes]:
    return {
        "size-blank": _header(size=b""),
        "size-with-blanks": _header(size=b"      5670 "),
        "size-without-nul": _header(size=b"000000005670"),
        "size-with-plus": _header(size=b"+0000005670\0"),
        "size-negative": _header(size=b"-0000005670\0"),
        "size-with-underscore": _header(size=b"000_0005670\0"),
        "size-in-hex": _header(size=b"0x000000bb8\0"),
        "size-with-digit-8": _header(size=b"00000005678\0"),
        "size-base-256": _header(size=b"\x80" + (3000).to_bytes(11, "big")),
        "size-base-256-negative": _header(size=b"\xff" * 12),
        "size-base-256-huge": _header(size=b"\x80" + b"\xff" * 11),
        "size-one-more": _header(size=b"%011o\0" % 3001),
        "size-one-less": _header(size=b"%011o\0" % 2999),
        "size-zero": _header(size=b"%011o\0" % 0),
        "size-8-gib": _header(size=b"%011o\0" % LARGEST_NUMBER),
        "mode-set-id": _header(mode=b"0004755\0"),
        "mode-sticky": _header(mode=b"0001644\0"),
        "mode-of-a-file": _header(mode=b"0100644"),
        "mode-executable": _header(mode=b"0000755\0"),
        "mode-empty": _header(mode=b""),
        "uid-one": _header(uid=b"0000001\0"),
        "uid-minus-one": _header(uid=b"\xff" * 8),
        "gid-one": _header(gid=b"0000001\0"),
        "mtime-negative": _header(mtime=b"\xff" * 12),
        "mtime-other": _header(mtime=b"%011o\0" % (MTIME + 1)),
        "checksum-other": _header(checksum=b"000000\0 "),
        "checksum-empty": _header(checksum=b""),
        "checksum-other-form": _header(checksum=_RIGHT[148:154] + b" \0"),
        "all-bytes-255": b"\xff" * 512,
        "one-byte": _RIGHT[:511] + b"\1",
    }


def _types() -> dict[str, bytes]:
    kinds = {
        "nul": b"\0",
        "character-device": b"3",
        "block-device": b"4",
        "directory": b"5",
        "fifo": b"6",
        "contiguous": b"7",
        "eight": b"8",
        "blank": b" ",
        "lower-case": b"z",
        "high-bit": b"\xb0",
    }
    members = {name: _header(kind=kind) for name, kind in kinds.items()}
    members["device-numbers"] = _header(
        kind=b"3", major=b"0000001\0", minor=b"0000003\0", size=b"%011o\0" % 0
    )
    members["file-with-device-numbers"] = _header(major=b"0000001\0", minor=b"0000003\0")
    members["directory-with-slash"] = _header(kind=b"0", name=b"usr/share/m/a/")
    return members


def _long_names() -> list[Case]:
    """A name that needs a pax record, and other records than that one."""
    stream = stream_of(LONG_FILES) + bytes(1024)
    (path,) = LONG_FILES
    record = _record("path", path.encode())
    assert stream[512:].startswith(record)

    def with_record(other: bytes, header: bytes = stream[:512]) -> bytes:
        changed = _with_size(header, len(other)) + other.ljust(512, b"\0") + stream[1024:]
        return bundle_of(changed, files=LONG_FILES)

    said = f"archive header of {path}"
    rows = [
        ("other-path", with_record(record.replace(b"usr", b"etc")), said),
        ("upwards", with_record(record.replace(b"usr/share", b"../../etc")), said),
        ("further-key", with_record(record + _record("size", b"1")), said),
        ("key-before", with_record(_record("uid", b"0") + record), said),
        ("key-twice", with_record(record * 2), said),
        ("length-with-zero", with_record(b"0" + record), said),
        ("length-too-short", with_record(b"9" + record[2:]), said),
        ("byte-behind-the-record", bundle_of(stream[:1023] + b"x" + stream[1024:], files=LONG_FILES), said),
        ("global", with_record(record, stream[:156] + b"g" + stream[157:512]), said),
        ("without", bundle_of((stream[1024:]).ljust(len(stream), b"\0"), files=LONG_FILES), said),
        ("other-short-name", bundle_of(stream[:1024] + b"x" + stream[1025:], files=LONG_FILES), said),
    ]
    return named("sec_7", "long-name", rows)


def _paddings() -> list[Case]:
    """What is not content: padding, and the end."""
    rows = [
        ("first-byte-of-padding", _changed(3512, b"x"), f"hidden behind {_A}"),
        ("last-byte-of-padding", _changed(3583, b"x"), f"hidden behind {_A}"),
        ("first-byte-of-the-end", _changed(_END, b"\1"), "does not end with zeros"),
        ("last-byte-of-the-end", _changed(5119, b"\1"), "does not end with zeros"),
        ("member-behind-one-end-block", _changed(_END + 512, _RIGHT), "does not end with zeros"),
        ("no-end", bundle_of(STREAM[:_END]), "add up to 4096 bytes"),
        ("one-end-block", bundle_of(STREAM[:-512]), "add up to 4608 bytes"),
        ("three-end-blocks", bundle_of(STREAM + bytes(512)), "add up to 5632 bytes"),
        ("end-of-10-kib", bundle_of(STREAM.ljust(10240, b"\0")), "add up to 10240 bytes"),
        ("archive-twice", bundle_of(STREAM * 2), "add up to 10240 bytes"),
        ("member-behind-the-end", bundle_of(STREAM + _RIGHT + STREAM[512:]), "add up to 10240 bytes"),
        ("end-in-front", bundle_of(_fitted(bytes(1024) + STREAM)), "archive header"),
        ("byte-in-front", bundle_of(_fitted(b"\0" + STREAM)), "archive header"),
        ("only-zeros", bundle_of(bytes(len(STREAM))), "archive header"),
    ]
    return named("sec_8", "padding", rows)


def _changed(at: int, new: bytes) -> bytes:
    return bundle_of(STREAM[:at] + new + STREAM[at + len(new) :])


def _lists() -> list[Case]:
    """Members that are not those of the manifest."""
    first, second = STREAM[:_SECOND], STREAM[_SECOND:_END]
    other = stream_of({"usr/share/m/c": b"x"})
    rows = [
        ("other-order", bundle_of(_fitted(second + first)), f"archive header of {_A}"),
        ("first-missing", bundle_of(_fitted(second)), f"archive header of {_A}"),
        ("second-missing", bundle_of(_fitted(first)), f"archive header of {_B}"),
        ("first-twice", bundle_of(_fitted(first + _RIGHT)), f"archive header of {_B}"),
        ("second-twice", bundle_of(_fitted(first + second * 2)), "does not end with zeros"),
        ("other-in-front", bundle_of(_fitted(other + first + second)), f"archive header of {_A}"),
        ("other-between", bundle_of(_fitted(first + other[:512] + second)), f"archive header of {_B}"),
        ("other-behind", bundle_of(_fitted(first + second + other)), "does not end with zeros"),
        ("not-in-the-manifest", bundle_of(STREAM, files={_A: FILES[_A]}), "add up to 5120 bytes"),
        ("not-in-the-payload", bundle_of(STREAM, files={**FILES, "usr/share/m/c": b""}), "add up to 5120"),
        ("no-member-for-no-file", bundle_of(STREAM, files={}), "add up to 5120 bytes"),
        (
            "in-place-of-another",
            bundle_of(STREAM, files={_A: FILES[_A], "usr/share/m/c": b""}),
            "header of usr/share/m/c",
        ),
        ("content-first-byte", _changed(512, b"y"), f"content of {_A} does not have the digest"),
        ("content-last-byte", _changed(3511, b"y"), f"content of {_A} does not have the digest"),
        ("content-of-zeros", _changed(512, bytes(3000)), f"content of {_A} does not have the digest"),
        ("size-of-another", bundle_of(STREAM, files={_A: b"x" * 3001, _B: b""}), f"archive header of {_A}"),
        (
            "content-of-an-empty-file",
            bundle_of(_fitted(first + _member(second, b"x"))),
            f"archive header of {_B}",
        ),
    ]
    return named("sec_9", "list", rows)
