"""Pure. Is a command line so plain that it can be answered without the library that reads all others?

Loading `click`, and telling it all our options, takes longer than most answers. What is plain has no options but `--root DIR`,
`--json` and `--quiet` in front of the command, and as many words after it as the command takes; everything else, help,
completion and mistakes among it, is left to `cli.commands`, where each command is defined. That both understand the same is
held by `tests/cli/test_plain_lines.py`.
"""

from collections.abc import Mapping, Sequence

from intact.model.values import dataclass

__all__ = ["PLAIN", "PlainCommand", "PlainLine", "read_plain"]

_ANY_NUMBER = 1 << 30


@dataclass(frozen=True, slots=True)
class PlainCommand:
    """A command that may be typed plainly.

    Attributes:
        module: where `function` is, which is called with the session and the words.
        fewest: words that have to follow it.
        most: words that may follow it.
    """

    module: str
    function: str
    fewest: int = 0
    most: int = 0


PLAIN: Mapping[str, PlainCommand] = {
    "list": PlainCommand("intact.cli.answers", "list_packages"),
    "info": PlainCommand("intact.cli.answers", "tell_package", 1, 1),
    "files": PlainCommand("intact.cli.answers", "list_files", 1, 1),
    "owner": PlainCommand("intact.cli.answers", "tell_owner", 1, 1),
    "config": PlainCommand("intact.cli.answers", "list_config"),
    "history": PlainCommand("intact.cli.past", "tell_history"),
    "verify": PlainCommand("intact.cli.checking", "verify_packages", 0, _ANY_NUMBER),
    "ps": PlainCommand("intact.cli.uses", "tell_uses", 0, _ANY_NUMBER),
    "install": PlainCommand("intact.cli.installing", "install_bundles", 1, _ANY_NUMBER),
    "remove": PlainCommand("intact.cli.removing", "remove_packages", 1, _ANY_NUMBER),
    "rollback": PlainCommand("intact.cli.rolling_back", "undo_transactions"),
}


@dataclass(frozen=True, slots=True)
class PlainLine:
    """What a plain command line says."""

    root: str
    as_json: bool
    quiet: bool
    command: PlainCommand
    words: tuple[str, ...]


def read_plain(arguments: Sequence[str], environment: Mapping[str, str]) -> PlainLine | None:
    """Read a command line; None if it is not plain."""
    if "_PKG_COMPLETE" in environment:
        return None
    root, as_json, quiet = environment.get("PKG_ROOT") or "/", False, False
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        match rest:
            case ["--root", directory, *rest] if _is_word(directory):
                root = directory
            case ["--json", *rest]:
                as_json = True
            case ["--quiet" | "-q", *rest]:
                quiet = True
            case _:
                return None
    if not all(map(_is_word, rest)) or not rest or rest[0] not in PLAIN:
        return None
    command, words = PLAIN[rest[0]], tuple(rest[1:])
    return (
        PlainLine(root, as_json, quiet, command, words)
        if command.fewest <= len(words) <= command.most
        else None
    )


def _is_word(text: str) -> bool:
    return text != "" and not text.startswith("-")
