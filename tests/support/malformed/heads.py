"""Malformed heads: frame 0 in order as a zstd frame, but not one manifest and the signatures of it."""

import base64

from intact.bundle.head import MANIFEST_NAME, head_bytes
from intact.bundle.tarstream import member_header, padding
from intact.bundle.zstdframes import compress_frame
from intact.trust.sshsig import TRUST_NAMESPACE
from support.bundle_parts import fixed_key
from support.malformed.case import KEY, STREAM, Case, frame_row, head_of, manifest_of, named

__all__ = ["head_cases"]


def head_cases() -> list[Case]:
    """Return all of them."""
    return [*_structures(), *_signatures()]


def _member(name: str, content: bytes, mode: int = 0o644, mtime: int = 0) -> bytes:
    return member_header(name, len(content), mode, mtime) + content + bytes(padding(len(content)))


def _structures() -> list[Case]:
    payload = compress_frame(STREAM, 3)
    text = manifest_of([frame_row(payload, len(STREAM))])
    armor = KEY.sign(text)
    right = head_bytes(text, [armor])
    manifest, signature = _member(MANIFEST_NAME, text), _member(f"{MANIFEST_NAME}.sig", armor)
    second = len(manifest)
    changed = {
        "name": (0, b"/"),
        "byte-behind-the-name": (60, b"x"),
        "mode": (103, b"7"),
        "set-id": (102, b"4"),
        "user": (114, b"1"),
        "time": (146, b"1"),
        "checksum": (150, b"7"),
        "typeflag-link": (156, b"2"),
        "typeflag-nul": (156, b"\0"),
        "link-name": (157, b"x"),
        "magic": (257, b"U"),
        "version": (263, b" "),
        "owner-name": (265, b"R"),
        "device": (335, b"1"),
        "prefix": (345, b"x"),
        "tail": (511, b"x"),
    }
    rows = [
        (
            f"header-{name}-of-{who}",
            right[: at + start] + new + right[at + start + len(new) :],
            f"not the header of .intact/manifest.toml{'.sig' if start else ''}",
        )
        for name, (at, new) in changed.items()
        for who, start in (("manifest", 0), ("signature", second))
    ]
    sizes = {
        "size-with-blanks": b"       1234\0",
        "size-with-sign": b"-0000000001\0",
        "size-with-underscore": b"0000_001234\0",
        "size-without-nul": b"000000012345",
        "size-base-256": b"\x80\0\0\0\0\0\0\0\0\0\2\0",
        "size-empty": bytes(12),
    }
    rows += [
        (name, right[:124] + field + right[136:], "not eleven octal digits") for name, field in sizes.items()
    ]
    rows += [
        ("size-one-more", _resized(right, len(text) + 1), "not the header"),
        ("size-of-8-gib", _resized(right, 8**11 - 1), "is the most"),
        ("size-beyond-the-frame", _sized(right, len(text) + 100_000), "cut off"),
        ("no-manifest", signature, "not the header of .intact/manifest.toml"),
        ("signature-first", signature + manifest, "not the header"),
        ("manifest-twice", manifest + manifest + signature, "not the header of .intact/manifest.toml.sig"),
        ("signature-twice", right + signature, "not the header of .intact/manifest.toml.2.sig"),
        ("signature-numbered-1", manifest + _member(f"{MANIFEST_NAME}.1.sig", armor), "not the header"),
        ("signature-numbered-2", manifest + _member(f"{MANIFEST_NAME}.2.sig", armor), "not the header"),
        ("signature-3-without-2", right + _member(f"{MANIFEST_NAME}.3.sig", armor), "not the header"),
        ("file-among-the-signatures", right + _member("etc/passwd", b"x"), "not the header"),
        ("end-marker", right + bytes(1024), "not eleven octal digits"),
        ("byte-behind", right + b"\0", "cut off"),
        ("padding-of-the-manifest", right[: second - 1] + b"x" + right[second:], "hidden behind"),
        ("padding-of-the-signature", right[:-1] + b"x", "hidden behind"),
        ("manifest-cut", right[:600], "cut off"),
        ("padding-cut", right[:-1], "cut off"),
        ("other-name", _member("manifest.toml", text) + signature, "not the header"),
        ("name-in-capitals", _member(".INTACT/MANIFEST.TOML", text) + signature, "not the header"),
        ("name-with-dot", _member(f"./{MANIFEST_NAME}", text) + signature, "not the header"),
        ("manifest-executable", _member(MANIFEST_NAME, text, 0o755) + signature, "not the header"),
        ("manifest-with-time", _member(MANIFEST_NAME, text, mtime=1) + signature, "not the header"),
        ("long-name", _member("é" * 120, text) + signature, "not the header"),
        ("empty-manifest-header", bytes(512) + right, "not eleven octal digits"),
    ]
    return named(
        "sec_7", "head", [(name, compress_frame(head, 3) + payload, said) for name, head, said in rows]
    )


def _resized(head: bytes, size: int) -> bytes:
    return head[:124] + b"%011o\0" % size + head[136:]


def _sized(head: bytes, size: int) -> bytes:
    """Give the manifest's header another size, and the checksum that belongs to it."""
    return member_header(MANIFEST_NAME, size, 0o644, 0) + head[512:]


def _signatures() -> list[Case]:
    payload = compress_frame(STREAM, 3)
    text = manifest_of([frame_row(payload, len(STREAM))])
    right = KEY.sign(text)
    raw = base64.b64decode(b"".join(right.split(b"\n")[1:-2]))
    signatures = {
        "none": ([], "not signed"),
        "empty": ([b""], "signature"),
        "of-a-stranger": ([fixed_key(8).sign(text)], "this root does not know"),
        "of-sixteen-strangers": (
            [fixed_key(20 + one).sign(text) for one in range(16)],
            "this root does not know",
        ),
        "over-another-manifest": ([KEY.sign(text + b"\n")], "signature"),
        "over-nothing": ([KEY.sign(b"")], "signature"),
        "of-another-namespace": ([KEY.sign(text, b"file")], "signature"),
        "of-the-trust-namespace": ([KEY.sign(text, TRUST_NAMESPACE)], "signature"),
        "no-armor": ([raw], "signature"),
        "armor-without-end": ([right.split(b"-----END")[0]], "signature"),
        "armor-with-text-before": ([b"x\n" + right], "signature"),
        "armor-with-text-behind": ([right + b"x\n"], "signature"),
        "armor-twice": ([right + right], "signature"),
        "armor-with-dos-lines": ([right.replace(b"\n", b"\r\n")], "signature"),
        "armor-with-nul": ([right.replace(b"\n", b"\0\n", 2)], "signature"),
        "armor-not-base64": ([right.replace(b"U1NIU0lH", b"!!!!!!!!")], "signature"),
        "armor-cut": ([_armored(raw[:-1])], "signature"),
        "armor-longer": ([_armored(raw + b"\0")], "signature"),
        "other-magic": ([_armored(b"SSHSIX" + raw[6:])], "signature"),
        "other-version": ([_armored(raw[:6] + b"\0\0\0\2" + raw[10:])], "signature"),
        "length-beyond-all": ([_armored(raw[:10] + b"\xff\xff\xff\xff" + raw[14:])], "signature"),
        "of-all-zeros": ([_armored(raw[:-64] + bytes(64))], "signature"),
        "of-small-order": ([_armored(raw[:-64] + b"\1" + bytes(63))], "signature"),
        "with-a-flipped-bit": ([_armored(raw[:-1] + bytes([raw[-1] ^ 1]))], "signature"),
        "control-characters": ([b"\x1b[2J\x07" + right], "signature"),
        "of-4097-bytes": ([right + b"x" * (4097 - len(right))], "4096 is the most"),
        "one-of-seventeen": ([right] * 17, "more than 16 signatures"),
    }
    rows = [(name, head_of(text, armors) + payload, said) for name, (armors, said) in signatures.items()]
    unsigned = b"this is [ no TOML, and must not be read"
    rows += [
        ("none-and-no-toml", head_of(unsigned, []), "not signed"),
        (
            "of-a-stranger-and-no-toml",
            head_of(unsigned, [fixed_key(8).sign(unsigned)]),
            "this root does not know",
        ),
    ]
    return named("sec_27", "signature", rows)


def _armored(raw: bytes) -> bytes:
    """Write the armor as ssh-keygen does: lines of 70 characters."""
    encoded = base64.b64encode(raw)
    lines = [encoded[at : at + 70] for at in range(0, len(encoded), 70)]
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""])
