"""Malformed manifests, each signed by somebody whom the root trusts: what is parsed must still be ruled."""

from support.malformed.case import STREAM, Case
from support.malformed.texts import (
    NOISE,
    TEXT,
    case_of,
    replaced,
    with_list,
    with_package,
    with_row,
    with_top,
)

__all__ = ["manifest_cases"]


def manifest_cases() -> list[Case]:
    """Return all of them but those of single entries."""
    return [*_texts(), *_schemas(), *_packages(), *_hooks()]


def _texts() -> list[Case]:
    bad = "is not TOML"
    rows: list[tuple[str, str | bytes, str]] = [
        ("empty", "", "is missing"),
        ("blank", " \n", "is missing"),
        ("not-toml", "format 1", bad),
        ("json", '{"format": 1}', bad),
        ("zeros", bytes(100), bad),
        ("nul", TEXT.replace("malformed", "mal\0formed"), bad),
        ("not-utf-8", TEXT.encode().replace(b"malformed", b"mal\xff"), "is not UTF-8"),
        ("overlong-utf-8", TEXT.encode().replace(b"malformed", b"mal\xc0\xaf"), "is not UTF-8"),
        ("surrogate-utf-8", TEXT.encode().replace(b"malformed", b"mal\xed\xa0\x80"), "is not UTF-8"),
        ("utf-16", TEXT.encode("utf-16"), "is not UTF-8"),
        ("byte-order-mark", "\ufeff" + TEXT, bad),
        ("surrogate-escape", with_package('summary = "\\ud800"'), bad),
        ("code-point-beyond", with_package('summary = "\\U00110000"'), bad),
        ("escape-unknown", with_package('summary = "\\q"'), bad),
        ("control-character", with_package('summary = "\x07"'), bad),
        ("lone-return", TEXT.replace("\n", "\r"), bad),
        ("string-open", with_package('summary = "'), bad),
        ("key-twice", with_top("format = 1"), bad),
        ("table-twice", TEXT + "[package]\n", bad),
        ("table-over-a-value", TEXT + "[format]\n", bad),
        ("table-in-a-value", TEXT + "[package.name]\n", bad),
        ("list-of-tables-over-a-list", TEXT + "[[entries.files]]\n", bad),
        ("inline-table-extended", TEXT + "[entries.files.x]\n", bad),
        ("nested-lists", with_top("x = " + "[" * 20_000), bad),
        ("nested-lists-closed", with_top("x = " + "[" * 5_000 + "]" * 5_000), bad),
        ("nested-tables", with_top("x = " + "{a = " * 5_000 + "1" + "}" * 5_000), bad),
        ("dotted-key", TEXT + "[" + ".".join(["a"] * 5_000) + "]\n", "nested too deeply"),
        ("decimal-of-5000-digits", replaced("= 1600000000", "= " + "9" * 5_000), bad),
        ("decimal-with-zero", replaced("= 1600000000", "= 01"), bad),
        ("decimal-with-underscores", replaced("= 1600000000", "= 1__6"), bad),
        ("decimal-full-width", replaced("= 1600000000", "= \uff11"), bad),
        ("cut", TEXT[:-3], bad),
        ("date-impossible", with_package("summary = 2024-13-45"), bad),
    ]
    return [case_of("sec_35", name, text, said) for name, text, said in rows]


def _schemas() -> list[Case]:
    newer = "made for a newer pkg"
    rows = [
        ("format-missing", replaced("format = 1\n", ""), "format: is missing"),
        ("format-0", replaced("format = 1", "format = 0"), newer),
        ("format-2", replaced("format = 1", "format = 2"), newer),
        ("format-negative", replaced("format = 1", "format = -1"), newer),
        ("format-hex-of-5000-digits", replaced("format = 1", "format = 0x1" + "0" * 5_000), newer),
        ("format-2-and-nonsense", "format = 2\nx = [1]\n", newer),
        ("format-bool", replaced("format = 1", "format = true"), "format: must be a whole number"),
        ("format-text", replaced("format = 1", 'format = "1"'), "format: must be a whole number"),
        ("format-float", replaced("format = 1", "format = 1.0"), "format: must be a whole number"),
        ("format-date", replaced("format = 1", "format = 1979-05-27"), "not a date or time"),
        ("format-list", replaced("format = 1", "format = [1]"), "format: must be a whole number"),
        ("feature-unknown", replaced("features = []", 'features = ["teleport"]'), newer),
        ("feature-escape", replaced("features = []", 'features = ["\\u001b[2J"]'), newer),
        ("features-numbers", replaced("features = []", "features = [1]"), "must be a string"),
        ("features-text", replaced("features = []", 'features = "hooks"'), "must be a list"),
        ("features-twice", replaced("features = []", 'features = ["hooks", "hooks"]'), "said twice"),
        ("top-key-unknown", with_top("colour = 1"), "colour: unknown key"),
        ("top-key-misspelt", with_top("formats = 1"), "did you mean format?"),
        ("top-key-bidi", with_top('"\\u202eabc" = 1'), "unknown key"),
        ("top-key-escape", with_top('"\\u001b[2J" = 1'), "unknown key"),
        ("top-key-empty", with_top('"" = 1'), "unknown key"),
        (
            "package-missing",
            "format = 1\n[payload]\nframes = []\n[entries]\n",
            "package: the table is missing",
        ),
        ("package-list", "package = []\nformat = 1\n[payload]\nframes = []\n", "package: must be a table"),
        ("package-key-unknown", with_package("colour = 1"), "package.colour: unknown key"),
        ("payload-missing", TEXT.replace("[payload]", "[load]"), "payload: the table is missing"),
        ("payload-key-unknown", replaced("[payload]", "[payload]\nx = 1"), "payload.x: unknown key"),
        (
            "frames-text",
            "payload.frames = 'x'\n" + TEXT.split("[payload]")[0],
            "payload.frames: must be a list",
        ),
        ("frame-number", replaced("frames = [", "frames = [ 1,"), "must be a table"),
        (
            "frame-key-unknown",
            replaced("frames = [\n  {", "frames = [\n  {x = 1, "),
            "frames[0].x: unknown key",
        ),
        (
            "frame-without-digest",
            replaced("frames = [", "frames = [ {compressed = 1, size = 1},"),
            "sha256: is missing",
        ),
        ("frame-size-negative", replaced(f"size = {len(STREAM)}", "size = -1"), "out of range"),
        ("frame-size-bool", replaced(f"size = {len(STREAM)}", "size = true"), "must be a whole number"),
        ("frame-size-float", replaced(f"size = {len(STREAM)}", "size = 1e3"), "must be a whole number"),
        ("frame-size-infinite", replaced(f"size = {len(STREAM)}", "size = inf"), "must be a whole number"),
        ("frame-size-hex-huge", replaced(f"size = {len(STREAM)}", "size = 0x" + "f" * 5000), "out of range"),
        ("entries-list", TEXT.replace("[entries]\n", "").replace("files = [", "entries = ["), "unknown key"),
        (
            "entries-kind-unknown",
            with_list("devices = [{path = 'dev/null', major = 1}]"),
            "devices: unknown key",
        ),
        ("entries-fifos", with_list("fifos = [{path = 'x'}]"), "fifos: unknown key"),
        ("entries-scripts", with_list("scripts = ['rm -rf /']"), "scripts: unknown key"),
        ("directories-table", with_list("directories = {path = 'x'}"), "must be a list"),
        ("directories-numbers", with_list("directories = [1, 2]"), "must be a table"),
        ("directory-empty", with_list("directories = [{}]"), "path: is missing"),
        ("entry-nested", with_list("directories = [[{path = 'x'}]]"), "must be a table"),
        ("file-key-unknown", with_row("setuid = true"), "files[1].setuid: unknown key"),
        ("file-key-uid", with_row("uid = 0"), "files[1].uid: unknown key"),
        ("file-key-target", with_row('target = "x"'), "files[1].target: unknown key"),
        ("file-config-number", with_row("config = 1"), "files[1].config: must be true or false"),
        ("file-config-text", with_row('config = "true"'), "files[1].config: must be true or false"),
        ("file-mtime-negative", with_row("mtime = -1"), "files[1].mtime: is out of range"),
        ("file-mtime-too-late", with_row(f"mtime = {8**11}"), "files[1].mtime: is out of range"),
        ("file-mtime-date", with_row("mtime = 1979-05-27T07:32:00Z"), "not a date or time"),
        ("file-mtime-time", with_row("mtime = 07:32:00"), "not a date or time"),
        ("file-mtime-not-a-number", with_row("mtime = nan"), "must be a whole number"),
        ("file-size-missing", replaced("size = 0, ", ""), "files[1].size: is missing"),
        ("file-size-8-gib", replaced("size = 0,", f"size = {8**11},"), "files[1].size: is out of range"),
        ("file-size-2-to-the-63", replaced("size = 0,", f"size = {2**63},"), "out of range"),
        ("file-size-text", replaced("size = 0,", 'size = "0",'), "must be a whole number"),
        ("file-digest-short", with_list("[[x]]").replace(_digest(), _digest()[:-1]), "not a SHA-256"),
        ("file-digest-capitals", TEXT.replace(_digest(), _digest().upper()), "not a SHA-256"),
        ("file-digest-sha512", TEXT.replace(_digest(), "0" * 128), "not a SHA-256"),
        ("file-digest-newline", TEXT.replace(_digest(), _digest() + "\\n"), "not a SHA-256"),
        ("file-digest-number", TEXT.replace(f'"{_digest()}"', "0"), "must be a string"),
        ("two-hundred-and-one-faults", with_list("directories = [" + "1," * 300 + "]"), "more"),
    ]
    return [case_of("sec_36", name, text, said) for name, text, said in rows]


def _digest() -> str:
    return TEXT.rpartition('sha256 = "')[2][:64]


def _packages() -> list[Case]:
    name, version, arch = '"malformed"', '"1.0"', '"all"'
    rows = [
        ("name-missing", replaced(f"name = {name}\n", ""), "package.name: is missing"),
        ("name-empty", replaced(name, '""'), "is not a package name"),
        ("name-capital", replaced(name, '"Malformed"'), "is not a package name"),
        ("name-slash", replaced(name, '"../../x"'), "is not a package name"),
        ("name-newline", replaced(name, '"a\\nb"'), "is not a package name"),
        ("name-newline-behind", replaced(name, '"a\\n"'), "is not a package name"),
        ("name-dash-first", replaced(name, '"-rf"'), "is not a package name"),
        ("name-homoglyph", replaced(name, '"m\u0430lformed"'), "is not a package name"),
        ("name-of-129", replaced(name, f'"{"a" * 129}"'), "is not a package name"),
        ("name-of-a-mebibyte", replaced(name, f'"{NOISE}"'), "is not a package name"),
        ("name-number", replaced(name, "7"), "must be a string"),
        ("version-missing", replaced(f"version = {version}\n", ""), "package.version: is missing"),
        ("version-empty", replaced(version, '""'), "version is empty"),
        ("version-float", replaced(version, "1.0"), "must be a string"),
        ("version-blank", replaced(version, '"1 0"'), "is not a version"),
        ("version-slash", replaced(version, '"1/../.."'), "is not a version"),
        ("version-newline", replaced(version, '"1.0\\n"'), "is not a version"),
        ("version-epoch-empty", replaced(version, '":1"'), "is not a version"),
        ("version-epoch-negative", replaced(version, '"-1:1"'), "is not a version"),
        ("version-epoch-letter", replaced(version, '"a:1"'), "is not a version"),
        ("version-epoch-too-long", replaced(version, '"1234567890:1"'), "is not a version"),
        ("version-revision-empty", replaced(version, '"1.0-"'), "empty revision"),
        ("version-revision-colon", replaced(version, '"1:1-1:1"'), "is not a version"),
        ("version-tilde-first", replaced(version, '"~1"'), "is not a version"),
        ("version-full-width", replaced(version, '"\uff11"'), "is not a version"),
        ("version-of-129", replaced(version, f'"{"1" * 129}"'), "longer than 128"),
        ("architecture-missing", replaced(f"architecture = {arch}\n", ""), "architecture: is missing"),
        ("architecture-slash", replaced(arch, '"amd64/x"'), "is not an architecture"),
        ("architecture-list", replaced(arch, '["all"]'), "must be a string"),
        ("created-missing", replaced("created = 1600000000\n", ""), "created: is missing"),
        ("created-negative", replaced("= 1600000000", "= -1"), "out of range"),
        ("created-too-late", replaced("= 1600000000", f"= {8**11}"), "out of range"),
        ("created-date", replaced("= 1600000000", "= 2020-09-13T12:26:40Z"), "not a date or time"),
        ("created-float", replaced("= 1600000000", "= 1.6e9"), "must be a whole number"),
        ("created-bool", replaced("= 1600000000", "= true"), "must be a whole number"),
        ("summary-newline", with_package('summary = "a\\nb"'), "unprintable character U+000A"),
        ("summary-escape", with_package('summary = "\\u001b[2J"'), "unprintable character U+001B"),
        ("summary-bidi", with_package('summary = "\u202eabc"'), "unprintable character U+202E"),
        ("summary-of-1025", with_package(f'summary = "{"a" * 1025}"'), "longer than 1024"),
        ("license-nul", with_package('license = "\\u0000"'), "unprintable character U+0000"),
        ("minimum-secure-number", with_package("minimum_secure = 1"), "must be a string"),
        ("minimum-secure-list", with_package('minimum_secure = ["1"]'), "must be a string"),
        ("minimum-secure-nonsense", with_package('minimum_secure = "one two"'), "is not a version"),
        ("minimum-secure-above", with_package('minimum_secure = "2.0"'), "is above the version"),
        ("expires-text", with_package('expires = "never"'), "must be a whole number"),
        ("expires-date", with_package("expires = 2040-01-01T00:00:00Z"), "not a date or time"),
        ("expires-negative", with_package("expires = -1"), "out of range"),
        ("expires-float", with_package("expires = 2e9"), "must be a whole number"),
        ("expires-beyond", with_package(f"expires = {2**63}"), "out of range"),
        ("expired", with_package("expires = 1600000001"), "has expired"),
        ("upgrade-from-number", with_package("upgrade_from = 1"), "must be a string"),
        ("requires-text", with_package('requires = "libc6"'), "must be a list"),
        ("requires-number", with_package("requires = [1]"), "must be a string"),
        ("requires-empty", with_package('requires = [""]'), "is not a relation"),
        ("requires-twice", with_package('requires = ["a", "a"]'), "said twice"),
        ("requires-open", with_package('requires = ["a (>= 1"]'), "is not a relation"),
        ("requires-no-version", with_package('requires = ["a (>= )"]'), "is not a relation"),
        ("requires-comparison", with_package('requires = ["a (!= 1)"]'), "is not a relation"),
        ("requires-bad-version", with_package('requires = ["a (>= 1_0)"]'), "is not a version"),
        ("requires-bar-at-the-end", with_package('requires = ["a |"]'), "is not a relation"),
        ("requires-of-100000-blanks", with_package(f'requires = ["a{" " * 100_000}x"]'), "is not a relation"),
        ("provides-range", with_package('provides = ["a (>= 1)"]'), "provides no definite version"),
        ("conflicts-table", with_package("conflicts = {a = 1}"), "must be a list"),
    ]
    return [case_of("sec_36", name, text, said) for name, text, said in rows]


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
        (
            "command-word-of-4097",
            f'[[hook]]\nwhen = "after"\ncommand = ["/x", "{"a" * 4097}"]',
            "longer than 4096",
        ),
        (
            "command-of-65-words",
            '[[hook]]\nwhen = "after"\ncommand = ["/x"' + ', "a"' * 64 + "]",
            "more than 64 words",
        ),
        ("undo-of-a-check", '[[hook]]\nwhen = "before"\ncommand = ["/x"]\nundo = ["/y"]', "nothing to undo"),
        ("undo-relative", f'[[hook]]\n{command}\nundo = ["x"]', "absolute path"),
        ("timeout-0", f"[[hook]]\n{command}\ntimeout = 0", "1 to 3600 seconds"),
        ("timeout-3601", f"[[hook]]\n{command}\ntimeout = 3601", "out of range"),
        ("timeout-float", f"[[hook]]\n{command}\ntimeout = 1.5", "must be a whole number"),
        ("timeout-infinite", f"[[hook]]\n{command}\ntimeout = inf", "must be a whole number"),
        ("of-33", f"[[hook]]\n{command}\n" * 33, "more than 32"),
    ]
    featured = replaced("features = []", 'features = ["hooks"]')
    return [
        case_of(
            "sec_36",
            f"hook-{name}",
            (TEXT if name == "without-feature" else featured).replace("[payload]", f"{hook}\n\n[payload]"),
            said,
        )
        for name, hook, said in rows
    ]
