"""Malformed entries of signed manifests: paths, owners, modes, attributes, links, and what cannot stand together."""

from support.malformed.case import Case
from support.malformed.texts import PATH, case_of, with_list, with_path, with_row

__all__ = ["entry_cases"]


def entry_cases() -> list[Case]:
    """Return all of them."""
    return [*_paths(), *_entries(), *_rights(), *_links(), *_reserved()]


def _paths() -> list[Case]:
    rows = [
        ("path-empty", '""', "the path is empty"),
        ("path-absolute", '"/etc/passwd"', "the path is absolute"),
        ("path-two-slashes", '"//etc"', "the path is absolute"),
        ("path-dot-dot", '"../etc/passwd"', "a component '..'"),
        ("path-dot-dot-inside", '"usr/../../etc"', "a component '..'"),
        ("path-dot-dot-at-the-end", '"usr/.."', "a component '..'"),
        ("path-dot", '"."', "a component '.'"),
        ("path-dot-inside", '"usr/./a"', "a component '.'"),
        ("path-slash-behind", '"usr/a/"', "a component ''"),
        ("path-empty-component", '"usr//a"', "a component ''"),
        ("path-nul", '"usr\\u0000a"', "unprintable character U+0000"),
        ("path-newline", '"usr/a\\nb"', "unprintable character U+000A"),
        ("path-escape", '"usr/\\u001b[2J"', "unprintable character U+001B"),
        ("path-delete", '"usr/\\u007f"', "unprintable character U+007F"),
        ("path-c1", '"usr/\\u009b2J"', "unprintable character U+009B"),
        ("path-bidi", '"usr/\\u202etxt.exe"', "unprintable character U+202E"),
        ("path-zero-width", '"usr/a\\u200bb"', "unprintable character U+200B"),
        ("path-line-separator", '"usr/a\\u2028b"', "unprintable character U+2028"),
        ("path-private-use", '"usr/\\ue000"', "unprintable character U+E000"),
        ("path-unassigned", '"usr/\\U000E0FFF"', "unprintable character"),
        ("path-decomposed", '"usr/a\\u0301"', "normal form C"),
        ("path-compatibility", '"usr/\\u212b"', "normal form C"),
        ("path-of-1025", f'"{"a/" * 512}a"', "longer than 1024 bytes"),
        ("path-component-of-256", f'"{"a" * 256}"', "longer than 255 bytes"),
        ("path-component-of-256-bytes", f'"{"ü" * 128}"', "longer than 255 bytes"),
        ("path-of-combining-marks", '"usr/a' + "\u0301\u0316" * 200_000 + '"', "normal form C"),
        ("path-number", "1", "must be a string"),
        ("path-list", '["usr", "a"]', "must be a string"),
        ("path-staging", '"usr/.intact/a"', ".intact is reserved"),
    ]
    return [case_of("sec_1", name, with_path(toml), said) for name, toml, said in rows]


def _entries() -> list[Case]:
    directories = "directories = [{path = 'usr/d'}, {path = 'usr/d'}]"
    rows = [
        ("file-twice", with_path('"usr/share/m/a"'), "is already at files[0]"),
        ("directory-twice", with_list(directories), "is already at directories[0]"),
        (
            "file-and-directory",
            with_list("directories = [{path = 'usr/share/m/a'}]"),
            "is already at directories[0]",
        ),
        (
            "file-and-link",
            with_list(f"symlinks = [{{path = {PATH}, target = 'a'}}]"),
            "is already at files[1]",
        ),
        (
            "file-and-hardlink",
            with_list(f"hardlinks = [{{path = {PATH}, target = 'usr/share/m/a'}}]"),
            "is already at",
        ),
        (
            "file-in-a-file",
            with_path('"usr/share/m/a/b"'),
            "lies inside usr/share/m/a, which is no directory",
        ),
        ("file-deep-in-a-file", with_path('"usr/share/m/a/b/c/d"'), "which is no directory"),
        (
            "directory-in-a-file",
            with_list("directories = [{path = 'usr/share/m/a/d'}]"),
            "which is no directory",
        ),
        (
            "link-in-a-file",
            with_list("symlinks = [{path = 'usr/share/m/a/l', target = 'x'}]"),
            "which is no directory",
        ),
        (
            "file-in-a-hardlink",
            with_path("'usr/h/b'") + "hardlinks = [{path = 'usr/h', target = 'usr/share/m/a'}]\n",
            "no directory",
        ),
    ]
    cases = [case_of("sec_6", name, text, said) for name, text, said in rows]
    hardlinks = [
        ("hardlink-to-nothing", "path = 'h', target = 'usr/x'", "is not a file of this manifest"),
        ("hardlink-to-passwd", "path = 'h', target = 'etc/passwd'", "is not a file of this manifest"),
        ("hardlink-absolute", "path = 'h', target = '/etc/passwd'", "the path is absolute"),
        ("hardlink-upwards", "path = 'h', target = '../etc/passwd'", "a component '..'"),
        ("hardlink-to-itself", "path = 'h', target = 'h'", "is not a file of this manifest"),
        ("hardlink-without-target", "path = 'h'", "target: is missing"),
        ("hardlink-with-mode", f"path = 'h', target = {PATH}, mode = '4755'", "mode: unknown key"),
    ]
    return cases + [
        case_of("sec_5", name, with_list(f"hardlinks = [{{{row}}}]"), said) for name, row, said in hardlinks
    ]


def _rights() -> list[Case]:
    modes = {
        "number": ("644", "must be a string"),
        "octal-number": ("0o644", "must be a string"),
        "three-digits": ('"644"', "is not a mode"),
        "five-digits": ('"04755"', "is not a mode"),
        "file-type": ('"100644"', "is not a mode"),
        "digit-8": ('"0688"', "is not a mode"),
        "prefix": ('"0o64"', "is not a mode"),
        "symbolic": ('"u=rw"', "is not a mode"),
        "blank": ('" 644"', "is not a mode"),
        "newline": ('"0644\\n"', "is not a mode"),
        "full-width": ('"\uff10644"', "is not a mode"),
        "empty": ('""', "is not a mode"),
    }
    owners = {
        "minus-1": ('"-1"', "is not the name of a user"),
        "of-all-ones": ('"4294967295"', "is out of range"),
        "beyond-31-bits": ('"2147483647"', "is out of range"),
        "of-16-bits": ("65535", "must be a string"),
        "beyond": ('"99999999999"', "is not the name of a user"),
        "with-zero": ('"00"', "is not the name of a user"),
        "number": ("0", "must be a string"),
        "empty": ('""', "is not the name of a user"),
        "colon": ('"root:root"', "is not the name of a user"),
        "newline": ('"root\\n"', "is not the name of a user"),
        "slash": ('"../root"', "is not the name of a user"),
        "too-long": (f'"{"a" * 33}"', "is not the name of a user"),
    }
    xattrs = {
        "trusted": ('{"trusted.overlay.opaque" = "eQ=="}', "are installed"),
        "selinux": ('{"security.selinux" = "eQ=="}', "are installed"),
        "ima": ('{"security.ima" = "eQ=="}', "are installed"),
        "acl": ('{"system.posix_acl_access" = "eQ=="}', "are installed"),
        "user-empty": ('{"user." = "eQ=="}', "are installed"),
        "user-blank": ('{"user. x" = "eQ=="}', "are installed"),
        "user-too-long": (f'{{"user.{"x" * 251}" = "eQ=="}}', "are installed"),
        "capability-in-capitals": ('{"Security.capability" = "eQ=="}', "are installed"),
        "escape": ('{"user.\\u001b[2J" = "eQ=="}', "are installed"),
        "no-name": ('{"" = "eQ=="}', "are installed"),
        "not-base64": ('{"user.x" = "%%%%"}', "is not base64"),
        "not-canonical": ('{"user.x" = "eR=="}', "is not canonical base64"),
        "not-padded": ('{"user.x" = "eQ"}', "is not base64"),
        "newline": ('{"user.x" = "eQ==\\n"}', "is not base64"),
        "not-ascii": ('{"user.x" = "ü==="}', "is not base64"),
        "number": ('{"user.x" = 1}', "must be a string of base64"),
        "list": ('["user.x"]', "must be a table"),
        "beyond-64-kib": (f'{{"user.x" = "{"eHh4" * 22_000}"}}', "longer than 65536 bytes"),
    }
    return [
        *[
            case_of("sec_22", f"mode-{name}", with_row(f"mode = {toml}"), said)
            for name, (toml, said) in modes.items()
        ],
        *[
            case_of("sec_22", f"owner-{name}", with_row(f"owner = {toml}"), said)
            for name, (toml, said) in owners.items()
        ],
        *[
            case_of("sec_22", f"xattr-{name}", with_row(f"xattrs = {toml}"), said)
            for name, (toml, said) in xattrs.items()
        ],
        case_of("sec_22", "group-minus-1", with_row('group = "4294967295"'), "files[1].group"),
        case_of(
            "sec_22",
            "link-owner",
            with_list("symlinks = [{path = 'l', target = 'x', owner = '-1'}]"),
            "symlinks[0].owner",
        ),
        case_of(
            "sec_22",
            "link-mode",
            with_list("symlinks = [{path = 'l', target = 'x', mode = '0777'}]"),
            "mode: unknown key",
        ),
        case_of(
            "sec_22",
            "directory-set-id",
            with_list("directories = [{path = 'd', mode = '7777777'}]"),
            "is not a mode",
        ),
    ]


def _links() -> list[Case]:
    links = [
        ("target-missing", "path = 'l'", "target: is missing"),
        ("target-empty", "path = 'l', target = ''", "the target is empty"),
        ("target-number", "path = 'l', target = 1", "must be a string"),
        ("target-nul", 'path = "l", target = "a\\u0000b"', "unprintable character U+0000"),
        ("target-newline", 'path = "l", target = "a\\nb"', "unprintable character U+000A"),
        ("target-escape", 'path = "l", target = "\\u001b[2J"', "unprintable character U+001B"),
        ("target-bidi", 'path = "l", target = "\\u202ea"', "unprintable character U+202E"),
        ("target-of-4096", f"path = 'l', target = '{'a' * 4096}'", "longer than 4095 bytes"),
        ("link-over-usr", "path = 'usr', target = '/tmp'", "lies inside usr, which is no directory"),
        ("link-over-a-parent", "path = 'usr/share/m', target = '../../etc'", "which is no directory"),
        ("link-over-share", "path = 'usr/share', target = '/'", "which is no directory"),
    ]
    cases = [case_of("sec_3", name, with_list(f"symlinks = [{{{row}}}]"), said) for name, row, said in links]
    through = "symlinks = [{path = 'l', target = 'm'}, {path = 'l/x', target = 'y'}]"
    directory = "symlinks = [{path = 'l', target = '/'}]\ndirectories = [{path = 'l/etc'}]"
    return [
        *cases,
        case_of("sec_3", "link-through-a-link", with_list(through), "lies inside l, which is no directory"),
        case_of(
            "sec_3", "directory-through-a-link", with_list(directory), "lies inside l, which is no directory"
        ),
    ]


def _reserved() -> list[Case]:
    """Places that are no place for a package."""
    state, volatile = "where pkg keeps its own state", "does not outlive a reboot"
    rows = [
        ("the-state", '"var/lib/intact/private/x"', state),
        ("the-state-itself", '"var/lib/intact"', state),
        ("the-trust-store", '"var/lib/intact/trust.toml"', state),
        ("proc", '"proc/sys/kernel/core_pattern"', volatile),
        ("sys", '"sys/x"', volatile),
        ("dev", '"dev/null"', volatile),
        ("run", '"run/x"', volatile),
        ("proc-itself", '"proc"', volatile),
    ]
    return [case_of("sec_19", name, with_path(toml), said) for name, toml, said in rows]
