"""Each text of a manifest is one value, or refused with a reason that names it."""

from collections.abc import Callable

import pytest

from intact.bundle.values import (
    architecture_of,
    attribute_name_of,
    bytes_of,
    digest_of,
    line_of,
    mode_of,
    name_of,
    owner_of,
    path_of,
    provided_of,
    target_of,
)

ACCEPTED: list[tuple[Callable[[str], object], list[str]]] = [
    (
        path_of,
        [
            "a",
            "usr/lib/systemd/system/system-systemd\\x2dcryptsetup.slice",
            "usr/share/terminfo/N/NCR260VT300WPP",
            "usr/share/ca-certificates/mozilla/NetLock_Arany_=Class_Gold=_Főtanúsítvány.crt",
            "etc/...",
            "a/.intactly",
            "a b/ c",
            "-rf",
            "x" * 255,
            "/".join(["x" * 204] * 5),
        ],
    ),
    (mode_of, ["0000", "0644", "4755", "7777"]),
    (owner_of, ["root", "_apt", "Debian-exim", "systemd-network", "machine$", "0", "1000", "2147483646"]),
    (name_of, ["a", "0ad", "g++-12", "libstdc++6", "x.y_z", "a" * 128]),
    (architecture_of, ["all", "amd64", "kfreebsd-amd64", "x86_64"]),
    (line_of, ["", "plain", "日本語 ünïcödé 🎉", "x" * 1024]),
    (target_of, ["a", "/etc/alternatives/x", "../../..", ".", "a//b/", "with space", "é" * 2047]),
    (attribute_name_of, ["security.capability", "user.x", "user.xdg.origin.url"]),
    (digest_of, ["0" * 64, "0123456789abcdef" * 4]),
    (provided_of, ["mta", "waiter (= 2.1)"]),
]
REFUSED: list[tuple[Callable[[str], object], dict[str, str]]] = [
    (
        path_of,
        {
            "": "empty",
            "/a": "absolute",
            "a/": "component ''",
            "a//b": "component ''",
            "./a": "component '.'",
            "a/./b": "component '.'",
            "..": "component '..'",
            "a/..": "component '..'",
            "a\0": "U+0000",
            "a\nb": "U+000A",
            "a\x7fb": "U+007F",
            "a\x85b": "U+0085",
            "a\u200bb": "U+200B",
            "a\u202eb": "U+202E",
            "a\u2028b": "U+2028",
            "a\ue000b": "U+E000",
            "a\udcffb": "UTF-8",
            "e\u0301": "normal form C",
            "x" * 256: "longer than 255",
            "é" * 128: "longer than 255",
            "/".join(["x" * 205] * 5): "longer than 1024",
            ".intact": "reserved",
            "a/.intact": "reserved",
            ".intact/manifest.toml": "reserved",
        },
    ),
    (
        mode_of,
        {
            "": "mode",
            "644": "mode",
            "00644": "mode",
            "0o644": "mode",
            "0648": "mode",
            "٠٦٤٤": "mode",
            "0644\n": "mode",
        },
    ),
    (
        owner_of,
        {
            "": "name",
            "a b": "name",
            "-x": "name",
            "a:b": "name",
            "ä": "name",
            "00": "name",
            "-1": "name",
            "x" * 33: "name",
            "root\n": "name",
            "2147483647": "out of range",
            "4294967295": "out of range",
            "9999999999": "out of range",
            "99999999999": "name",
        },
    ),
    (
        name_of,
        {
            "": "name",
            "A": "name",
            "-a": "name",
            "a/b": "name",
            "a b": "name",
            "a" * 129: "name",
            "a\n": "name",
        },
    ),
    (
        architecture_of,
        {"": "architecture", "AMD64": "architecture", "a/b": "architecture", "a" * 33: "architecture"},
    ),
    (line_of, {"a\nb": "U+000A", "\x1b[31m": "U+001B", "\u2066x": "U+2066", "x" * 1025: "longer"}),
    (target_of, {"": "empty", "a\0b": "U+0000", "a\udcff": "U+DCFF", "é" * 2048: "longer than 4095"}),
    (
        attribute_name_of,
        {
            "": "only",
            "user.": "only",
            "user.ä": "only",
            "user.a b": "only",
            "trusted.overlay.opaque": "only",
            "security.selinux": "only",
            "system.posix_acl_access": "only",
            "security.capability\n": "only",
        },
    ),
    (
        digest_of,
        {"": "SHA-256", "0" * 63: "SHA-256", "0" * 65: "SHA-256", "A" * 64: "SHA-256", "g" * 64: "SHA-256"},
    ),
    (
        provided_of,
        {"a (>= 1)": "no definite", "a (<< 1)": "no definite", "a | b": "relation", "": "relation"},
    ),
    (bytes_of, {"%": "base64", "QQ": "base64", "QQ==\n": "base64", "QR==": "canonical"}),
]


@pytest.mark.parametrize(
    ("convert", "text"),
    [(convert, text) for convert, texts in ACCEPTED for text in texts],
    ids=lambda one: one.__name__ if callable(one) else ascii(one)[:30],
)
def test_what_real_packages_have_is_accepted(convert: Callable[[str], object], text: str) -> None:
    value = convert(text)
    assert str(value) == text or value == int(text, 8)


@pytest.mark.parametrize(
    ("convert", "text", "reason"),
    [(convert, text, reason) for convert, texts in REFUSED for text, reason in texts.items()],
    ids=lambda one: one.__name__ if callable(one) else ascii(one)[:30],
)
def test_anything_else_is_refused_with_its_reason(
    convert: Callable[[str], object], text: str, reason: str
) -> None:
    with pytest.raises(ValueError) as caught:
        convert(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("", b""), ("AA==", b"\0"), ("AQAAAg==", b"\1\0\0\2")])
def test_base64_is_read(text: str, value: bytes) -> None:
    assert bytes_of(text) == value
