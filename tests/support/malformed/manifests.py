"""Malformed manifests, each signed by somebody whom the root trusts: what is parsed must still be ruled."""

import hashlib

from intact.bundle.zstdframes import compress_frame
from support.malformed.case import STREAM, Case, frame_row, head_of, manifest_of

__all__ = ["manifest_cases"]

_PAYLOAD = compress_frame(STREAM, 3)
_TEXT = manifest_of([frame_row(_PAYLOAD, len(STREAM))]).decode()
_DIGEST = "0" * 64
_NOISE = "".join(hashlib.sha256(bytes([one % 256, one >> 8])).hexdigest() for one in range(1 << 14)).upper()
_PATH = '"usr/share/m/b"'


def manifest_cases() -> list[Case]:
    """Return all of them."""
    return [
        *_texts(),
        *_schemas(),
        *_packages(),
        *_paths(),
        *_entries(),
        *_rights(),
        *_links(),
        *_hooks(),
        *_reserved(),
    ]


def _signed(text: str | bytes) -> bytes:
    stored = text if isinstance(text, bytes) else text.encode()
    return head_of(stored) + _PAYLOAD


def _case(kind: str, name: str, text: str | bytes, said: str) -> Case:
    return Case(f"manifest-{name}", kind, _signed(text), said)


def _with(old: str, new: str) -> str:
    assert _TEXT.count(old) == 1, old
    return _TEXT.replace(old, new)


def _top(lines: str) -> str:
    return lines + "\n" + _TEXT


def _package(lines: str) -> str:
    return _with("[package]\n", f"[package]\n{lines}\n")


def _path(toml: str) -> str:
    """Give the second file another path, written as TOML."""
    return _with(f"path = {_PATH}", f"path = {toml}")


def _row(keys: str) -> str:
    """Give the second file more keys."""
    before, bracket, behind = _TEXT.rpartition("},\n")
    return f"{before}, {keys}{bracket}{behind}"


def _list(lines: str) -> str:
    """Add a list of entries."""
    return _TEXT + lines + "\n"


def _texts() -> list[Case]:
    bad = "is not TOML"
    rows: list[tuple[str, str | bytes, str]] = [
        ("empty", "", "is missing"),
        ("blank", " \n", "is missing"),
        ("not-toml", "format 1", bad),
        ("json", '{"format": 1}', bad),
        ("zeros", bytes(100), bad),
        ("nul", _TEXT.replace("malformed", "mal\0formed"), bad),
        ("not-utf-8", _TEXT.encode().replace(b"malformed", b"mal\xff"), "is not UTF-8"),
        ("overlong-utf-8", _TEXT.encode().replace(b"malformed", b"mal\xc0\xaf"), "is not UTF-8"),
        ("surrogate-utf-8", _TEXT.encode().replace(b"malformed", b"mal\xed\xa0\x80"), "is not UTF-8"),
        ("utf-16", _TEXT.encode("utf-16"), "is not UTF-8"),
        ("byte-order-mark", "\ufeff" + _TEXT, bad),
        ("surrogate-escape", _package('summary = "\\ud800"'), bad),
        ("code-point-beyond", _package('summary = "\\U00110000"'), bad),
        ("escape-unknown", _package('summary = "\\q"'), bad),
        ("control-character", _package('summary = "\x07"'), bad),
        ("lone-return", _TEXT.replace("\n", "\r"), bad),
        ("string-open", _package('summary = "'), bad),
        ("key-twice", _top("format = 1"), bad),
        ("table-twice", _TEXT + "[package]\n", bad),
        ("table-over-a-value", _TEXT + "[format]\n", bad),
        ("table-in-a-value", _TEXT + "[package.name]\n", bad),
        ("list-of-tables-over-a-list", _TEXT + "[[entries.files]]\n", bad),
        ("inline-table-extended", _TEXT + "[entries.files.x]\n", bad),
        ("nested-lists", _top("x = " + "[" * 20_000), bad),
        ("nested-lists-closed", _top("x = " + "[" * 5_000 + "]" * 5_000), bad),
        ("nested-tables", _top("x = " + "{a = " * 5_000 + "1" + "}" * 5_000), bad),
        ("dotted-key", _TEXT + "[" + ".".join(["a"] * 5_000) + "]\n", "nested too deeply"),
        ("decimal-of-5000-digits", _with("= 1600000000", "= " + "9" * 5_000), bad),
        ("decimal-with-zero", _with("= 1600000000", "= 01"), bad),
        ("decimal-with-underscores", _with("= 1600000000", "= 1__6"), bad),
        ("decimal-full-width", _with("= 1600000000", "= \uff11"), bad),
        ("cut", _TEXT[:-3], bad),
        ("date-impossible", _package("summary = 2024-13-45"), bad),
    ]
    return [_case("sec_35", name, text, said) for name, text, said in rows]


def _schemas() -> list[Case]:
    newer = "made for a newer pkg"
    rows = [
        ("format-missing", _with("format = 1\n", ""), "format: is missing"),
        ("format-0", _with("format = 1", "format = 0"), newer),
        ("format-2", _with("format = 1", "format = 2"), newer),
        ("format-negative", _with("format = 1", "format = -1"), newer),
        ("format-hex-of-5000-digits", _with("format = 1", "format = 0x1" + "0" * 5_000), newer),
        ("format-2-and-nonsense", "format = 2\nx = [1]\n", newer),
        ("format-bool", _with("format = 1", "format = true"), "format: must be a whole number"),
        ("format-text", _with("format = 1", 'format = "1"'), "format: must be a whole number"),
        ("format-float", _with("format = 1", "format = 1.0"), "format: must be a whole number"),
        ("format-date", _with("format = 1", "format = 1979-05-27"), "not a date or time"),
        ("format-list", _with("format = 1", "format = [1]"), "format: must be a whole number"),
        ("feature-unknown", _with("features = []", 'features = ["teleport"]'), newer),
        ("feature-escape", _with("features = []", 'features = ["\\u001b[2J"]'), newer),
        ("features-numbers", _with("features = []", "features = [1]"), "must be a string"),
        ("features-text", _with("features = []", 'features = "hooks"'), "must be a list"),
        ("features-twice", _with("features = []", 'features = ["hooks", "hooks"]'), "said twice"),
        ("top-key-unknown", _top("colour = 1"), "colour: unknown key"),
        ("top-key-misspelt", _top("formats = 1"), "did you mean format?"),
        ("top-key-bidi", _top('"\\u202eabc" = 1'), "unknown key"),
        ("top-key-escape", _top('"\\u001b[2J" = 1'), "unknown key"),
        ("top-key-empty", _top('"" = 1'), "unknown key"),
        ("package-missing", "format = 1\n[payload]\nframes = []\n[entries]\n", "package: the table is missing"),
        ("package-list", "package = []\nformat = 1\n[payload]\nframes = []\n", "package: must be a table"),
        ("package-key-unknown", _package("colour = 1"), "package.colour: unknown key"),
        ("payload-missing", _TEXT.replace("[payload]", "[load]"), "payload: the table is missing"),
        ("payload-key-unknown", _with("[payload]", "[payload]\nx = 1"), "payload.x: unknown key"),
        ("frames-text", "payload.frames = 'x'\n" + _TEXT.split("[payload]")[0], "payload.frames: must be a list"),
        ("frame-number", _with("frames = [", "frames = [ 1,"), "must be a table"),
        ("frame-key-unknown", _with("frames = [\n  {", "frames = [\n  {x = 1, "), "frames[0].x: unknown key"),
        ("frame-without-digest", _with("frames = [", "frames = [ {compressed = 1, size = 1},"), "sha256: is missing"),
        ("frame-size-negative", _with(f"size = {len(STREAM)}", "size = -1"), "out of range"),
        ("frame-size-bool", _with(f"size = {len(STREAM)}", "size = true"), "must be a whole number"),
        ("frame-size-float", _with(f"size = {len(STREAM)}", "size = 1e3"), "must be a whole number"),
        ("frame-size-infinite", _with(f"size = {len(STREAM)}", "size = inf"), "must be a whole number"),
        ("frame-size-hex-huge", _with(f"size = {len(STREAM)}", "size = 0x" + "f" * 5000), "out of range"),
        ("entries-list", _TEXT.replace("[entries]\n", "").replace("files = [", "entries = ["), "unknown key"),
        ("entries-kind-unknown", _list("devices = [{path = 'dev/null', major = 1}]"), "devices: unknown key"),
        ("entries-fifos", _list("fifos = [{path = 'x'}]"), "fifos: unknown key"),
        ("entries-scripts", _list("scripts = ['rm -rf /']"), "scripts: unknown key"),
        ("directories-table", _list("directories = {path = 'x'}"), "must be a list"),
        ("directories-numbers", _list("directories = [1, 2]"), "must be a table"),
        ("directory-empty", _list("directories = [{}]"), "path: is missing"),
        ("entry-nested", _list("directories = [[{path = 'x'}]]"), "must be a table"),
        ("file-key-unknown", _row("setuid = true"), "files[1].setuid: unknown key"),
        ("file-key-uid", _row("uid = 0"), "files[1].uid: unknown key"),
        ("file-key-target", _row('target = "x"'), "files[1].target: unknown key"),
        ("file-config-number", _row("config = 1"), "files[1].config: must be true or false"),
        ("file-config-text", _row('config = "true"'), "files[1].config: must be true or false"),
        ("file-mtime-negative", _row("mtime = -1"), "files[1].mtime: is out of range"),
        ("file-mtime-too-late", _row(f"mtime = {8**11}"), "files[1].mtime: is out of range"),
        ("file-mtime-date", _row("mtime = 1979-05-27T07:32:00Z"), "not a date or time"),
        ("file-mtime-time", _row("mtime = 07:32:00"), "not a date or time"),
        ("file-mtime-not-a-number", _row("mtime = nan"), "must be a whole number"),
        ("file-size-missing", _with("size = 0, ", ""), "files[1].size: is missing"),
        ("file-size-8-gib", _with("size = 0,", f"size = {8**11},"), "files[1].size: is out of range"),
        ("file-size-2-to-the-63", _with("size = 0,", f"size = {2**63},"), "out of range"),
        ("file-size-text", _with("size = 0,", 'size = "0",'), "must be a whole number"),
        ("file-digest-short", _list("[[x]]").replace(_digest(), _digest()[:-1]), "not a SHA-256"),
        ("file-digest-capitals", _TEXT.replace(_digest(), _digest().upper()), "not a SHA-256"),
        ("file-digest-sha512", _TEXT.replace(_digest(), "0" * 128), "not a SHA-256"),
        ("file-digest-newline", _TEXT.replace(_digest(), _digest() + "\\n"), "not a SHA-256"),
        ("file-digest-number", _TEXT.replace(f'"{_digest()}"', "0"), "must be a string"),
        ("two-hundred-and-one-faults", _list("directories = [" + "1," * 300 + "]"), "more"),
    ]
    return [_case("sec_36", name, text, said) for name, text, said in rows]


def _digest() -> str:
    return _TEXT.rpartition('sha256 = "')[2][:64]


def _packages() -> list[Case]:
    name, version, arch = '"malformed"', '"1.0"', '"all"'
    rows = [
        ("name-missing", _with(f"name = {name}\n", ""), "package.name: is missing"),
        ("name-empty", _with(name, '""'), "is not a package name"),
        ("name-capital", _with(name, '"Malformed"'), "is not a package name"),
        ("name-slash", _with(name, '"../../x"'), "is not a package name"),
        ("name-newline", _with(name, '"a\\nb"'), "is not a package name"),
        ("name-newline-behind", _with(name, '"a\\n"'), "is not a package name"),
        ("name-dash-first", _with(name, '"-rf"'), "is not a package name"),
        ("name-homoglyph", _with(name, '"m\u0430lformed"'), "is not a package name"),
        ("name-of-129", _with(name, f'"{"a" * 129}"'), "is not a package name"),
        ("name-of-a-mebibyte", _with(name, f'"{_NOISE}"'), "is not a package name"),
        ("name-number", _with(name, "7"), "must be a string"),
        ("version-missing", _with(f"version = {version}\n", ""), "package.version: is missing"),
        ("version-empty", _with(version, '""'), "version is empty"),
        ("version-float", _with(version, "1.0"), "must be a string"),
        ("version-blank", _with(version, '"1 0"'), "is not a version"),
        ("version-slash", _with(version, '"1/../.."'), "is not a version"),
        ("version-newline", _with(version, '"1.0\\n"'), "is not a version"),
        ("version-epoch-empty", _with(version, '":1"'), "is not a version"),
        ("version-epoch-negative", _with(version, '"-1:1"'), "is not a version"),
        ("version-epoch-letter", _with(version, '"a:1"'), "is not a version"),
        ("version-epoch-too-long", _with(version, '"1234567890:1"'), "is not a version"),
        ("version-revision-empty", _with(version, '"1.0-"'), "empty revision"),
        ("version-revision-colon", _with(version, '"1:1-1:1"'), "is not a version"),
        ("version-tilde-first", _with(version, '"~1"'), "is not a version"),
        ("version-full-width", _with(version, '"\uff11"'), "is not a version"),
        ("version-of-129", _with(version, f'"{"1" * 129}"'), "longer than 128"),
        ("architecture-missing", _with(f"architecture = {arch}\n", ""), "architecture: is missing"),
        ("architecture-slash", _with(arch, '"amd64/x"'), "is not an architecture"),
        ("architecture-list", _with(arch, '["all"]'), "must be a string"),
        ("created-missing", _with("created = 1600000000\n", ""), "created: is missing"),
        ("created-negative", _with("= 1600000000", "= -1"), "out of range"),
        ("created-too-late", _with("= 1600000000", f"= {8**11}"), "out of range"),
        ("created-date", _with("= 1600000000", "= 2020-09-13T12:26:40Z"), "not a date or time"),
        ("created-float", _with("= 1600000000", "= 1.6e9"), "must be a whole number"),
        ("created-bool", _with("= 1600000000", "= true"), "must be a whole number"),
        ("summary-newline", _package('summary = "a\\nb"'), "unprintable character U+000A"),
        ("summary-escape", _package('summary = "\\u001b[2J"'), "unprintable character U+001B"),
        ("summary-bidi", _package('summary = "\u202eabc"'), "unprintable character U+202E"),
        ("summary-of-1025", _package(f'summary = "{"a" * 1025}"'), "longer than 1024"),
        ("license-nul", _package('license = "\\u0000"'), "unprintable character U+0000"),
        ("minimum-secure-number", _package("minimum_secure = 1"), "must be a string"),
        ("minimum-secure-list", _package('minimum_secure = ["1"]'), "must be a string"),
        ("minimum-secure-nonsense", _package('minimum_secure = "one two"'), "is not a version"),
        ("minimum-secure-above", _package('minimum_secure = "2.0"'), "is above the version"),
        ("expires-text", _package('expires = "never"'), "must be a whole number"),
        ("expires-date", _package("expires = 2040-01-01T00:00:00Z"), "not a date or time"),
        ("expires-negative", _package("expires = -1"), "out of range"),
        ("expires-float", _package("expires = 2e9"), "must be a whole number"),
        ("expires-beyond", _package(f"expires = {2**63}"), "out of range"),
        ("expired", _package("expires = 1600000001"), "has expired"),
        ("upgrade-from-number", _package("upgrade_from = 1"), "must be a string"),
        ("requires-text", _package('requires = "libc6"'), "must be a list"),
        ("requires-number", _package("requires = [1]"), "must be a string"),
        ("requires-empty", _package('requires = [""]'), "is not a relation"),
        ("requires-twice", _package('requires = ["a", "a"]'), "said twice"),
        ("requires-open", _package('requires = ["a (>= 1"]'), "is not a relation"),
        ("requires-no-version", _package('requires = ["a (>= )"]'), "is not a relation"),
        ("requires-comparison", _package('requires = ["a (!= 1)"]'), "is not a relation"),
        ("requires-bad-version", _package('requires = ["a (>= 1_0)"]'), "is not a version"),
        ("requires-bar-at-the-end", _package('requires = ["a |"]'), "is not a relation"),
        ("requires-of-100000-blanks", _package(f'requires = ["a{" " * 100_000}x"]'), "is not a relation"),
        ("provides-range", _package('provides = ["a (>= 1)"]'), "provides no definite version"),
        ("conflicts-table", _package("conflicts = {a = 1}"), "must be a list"),
    ]
    return [_case("sec_36", name, text, said) for name, text, said in rows]


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
    return [_case("sec_1", name, _path(toml), said) for name, toml, said in rows]


def _entries() -> list[Case]:
    directories = "directories = [{path = 'usr/d'}, {path = 'usr/d'}]"
    rows = [
        ("file-twice", _path('"usr/share/m/a"'), "is already at files[0]"),
        ("directory-twice", _list(directories), "is already at directories[0]"),
        ("file-and-directory", _list("directories = [{path = 'usr/share/m/a'}]"), "is already at directories[0]"),
        ("file-and-link", _list(f"symlinks = [{{path = {_PATH}, target = 'a'}}]"), "is already at files[1]"),
        ("file-and-hardlink", _list(f"hardlinks = [{{path = {_PATH}, target = 'usr/share/m/a'}}]"), "is already at"),
        ("file-in-a-file", _path('"usr/share/m/a/b"'), "lies inside usr/share/m/a, which is no directory"),
        ("file-deep-in-a-file", _path('"usr/share/m/a/b/c/d"'), "which is no directory"),
        ("directory-in-a-file", _list("directories = [{path = 'usr/share/m/a/d'}]"), "which is no directory"),
        ("link-in-a-file", _list("symlinks = [{path = 'usr/share/m/a/l', target = 'x'}]"), "which is no directory"),
        ("file-in-a-hardlink", _path("'usr/h/b'") + "hardlinks = [{path = 'usr/h', target = 'usr/share/m/a'}]\n", "no directory"),
    ]
    cases = [_case("sec_6", name, text, said) for name, text, said in rows]
    hardlinks = [
        ("hardlink-to-nothing", "path = 'h', target = 'usr/x'", "is not a file of this manifest"),
        ("hardlink-to-passwd", "path = 'h', target = 'etc/passwd'", "is not a file of this manifest"),
        ("hardlink-absolute", "path = 'h', target = '/etc/passwd'", "the path is absolute"),
        ("hardlink-upwards", "path = 'h', target = '../etc/passwd'", "a component '..'"),
        ("hardlink-to-itself", "path = 'h', target = 'h'", "is not a file of this manifest"),
        ("hardlink-without-target", "path = 'h'", "target: is missing"),
        ("hardlink-with-mode", f"path = 'h', target = {_PATH}, mode = '4755'", "mode: unknown key"),
    ]
    return cases + [
        _case("sec_5", name, _list(f"hardlinks = [{{{row}}}]"), said) for name, row, said in hardlinks
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
        *[_case("sec_22", f"mode-{name}", _row(f"mode = {toml}"), said) for name, (toml, said) in modes.items()],
        *[_case("sec_22", f"owner-{name}", _row(f"owner = {toml}"), said) for name, (toml, said) in owners.items()],
        *[_case("sec_22", f"xattr-{name}", _row(f"xattrs = {toml}"), said) for name, (toml, said) in xattrs.items()],
        _case("sec_22", "group-minus-1", _row('group = "4294967295"'), "files[1].group"),
        _case("sec_22", "link-owner", _list("symlinks = [{path = 'l', target = 'x', owner = '-1'}]"), "symlinks[0].owner"),
        _case("sec_22", "link-mode", _list("symlinks = [{path = 'l', target = 'x', mode = '0777'}]"), "mode: unknown key"),
        _case("sec_22", "directory-set-id", _list("directories = [{path = 'd', mode = '7777777'}]"), "is not a mode"),
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
    cases = [_case("sec_3", name, _list(f"symlinks = [{{{row}}}]"), said) for name, row, said in links]
    through = "symlinks = [{path = 'l', target = 'm'}, {path = 'l/x', target = 'y'}]"
    directory = "symlinks = [{path = 'l', target = '/'}]\ndirectories = [{path = 'l/etc'}]"
    return [
        *cases,
        _case("sec_3", "link-through-a-link", _list(through), "lies inside l, which is no directory"),
        _case("sec_3", "directory-through-a-link", _list(directory), "lies inside l, which is no directory"),
    ]


def _hooks() -> list[Case]:
    command = 'when = "after"\ncommand = ["/bin/true"]'
    rows = [
        ("without-feature", f"[[hook]]\n{command}", "has to name hooks"),
        ("table", f"[hook]\n{command}", "hook: must be a list"),
        ("key-unknown", f"[[hook]]\n{command}\nshell = true", "unknown key"),
        ("when-missing", '[[hook]]\ncommand = ["/bin/true"]', "when: is missing"),
        ("when-unknown", '[[hook]]\nwhen = "always"\ncommand = ["/bin/true"]', "must be one of"),
        ("when-undo", '[[hook]]\nwhen = "undo"\ncommand = ["/bin/true"]', "must be one of"),
        ("command-missing", '[[hook]]\nwhen = "after"', "must name a program"),
        ("command-empty", '[[hook]]\nwhen = "after"\ncommand = []', "must name a program"),
        ("command-text", '[[hook]]\nwhen = "after"\ncommand = "/bin/true"', "must be a list"),
        ("command-number", '[[hook]]\nwhen = "after"\ncommand = ["/bin/true", 1]', "list of strings"),
        ("command-relative", '[[hook]]\nwhen = "after"\ncommand = ["true"]', "absolute path"),
        ("command-upwards", '[[hook]]\nwhen = "after"\ncommand = ["/../bin/true"]', "a component '..'"),
        ("command-nul", '[[hook]]\nwhen = "after"\ncommand = ["/bin/true", "a\\u0000"]', "a word with a NUL"),
        ("command-word-of-4097", f'[[hook]]\nwhen = "after"\ncommand = ["/x", "{"a" * 4097}"]', "longer than 4096"),
        ("command-of-65-words", '[[hook]]\nwhen = "after"\ncommand = ["/x"' + ', "a"' * 64 + "]", "more than 64 words"),
        ("undo-of-a-check", '[[hook]]\nwhen = "before"\ncommand = ["/x"]\nundo = ["/y"]', "nothing to undo"),
        ("undo-relative", f'[[hook]]\n{command}\nundo = ["x"]', "absolute path"),
        ("timeout-0", f"[[hook]]\n{command}\ntimeout = 0", "1 to 3600 seconds"),
        ("timeout-3601", f"[[hook]]\n{command}\ntimeout = 3601", "out of range"),
        ("timeout-float", f"[[hook]]\n{command}\ntimeout = 1.5", "must be a whole number"),
        ("timeout-infinite", f"[[hook]]\n{command}\ntimeout = inf", "must be a whole number"),
        ("of-33", f"[[hook]]\n{command}\n" * 33, "more than 32"),
    ]
    featured = _with("features = []", 'features = ["hooks"]')
    return [
        _case(
            "sec_36",
            f"hook-{name}",
            (_TEXT if name == "without-feature" else featured).replace("[payload]", f"{hook}\n\n[payload]"),
            said,
        )
        for name, hook, said in rows
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
    return [_case("sec_19", name, _path(toml), said) for name, toml, said in rows]
