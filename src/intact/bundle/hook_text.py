"""Pure. How are hooks written in a manifest, source and bundle alike, and read?

[[hook]]
when = "after"
command = ["/usr/bin/systemctl", "try-restart", "web.service"]
undo = ["/usr/bin/systemctl", "stop", "web.service"]
timeout = 30
"""

from collections.abc import Sequence
from typing import Final

from intact.bundle.fields import Faults, Fields
from intact.bundle.toml_text import text_of
from intact.model.hooks import DEFAULT_SECONDS, MOST_HOOKS, MOST_SECONDS, Hook, Moment

__all__ = ["HOOKS_FEATURE", "hook_lines", "read_hooks"]

HOOKS_FEATURE: Final = "hooks"
_KEYS: Final = frozenset({"when", "command", "undo", "timeout"})
_MOMENTS: Final = (Moment.BEFORE.value, Moment.AFTER.value)


def hook_lines(hooks: Sequence[Hook]) -> list[str]:
    """Write hooks, in their order."""
    lines = []
    for one in hooks:
        lines += [
            "",
            "[[hook]]",
            f"when = {text_of(one.when.value)}",
            f"command = {_words_text(one.command)}",
        ]
        lines += [f"undo = {_words_text(one.undo)}"] if one.undo else []
        lines += [f"timeout = {one.seconds}"] if one.seconds != DEFAULT_SECONDS else []
    return lines


def _words_text(words: Sequence[str]) -> str:
    return f"[{', '.join(map(text_of, words))}]"


def read_hooks(top: Fields, faults: Faults) -> tuple[Hook, ...]:
    """Read the hooks of a manifest; what is wrong is noted, each with its place."""
    rows = top.tables("hook")
    if len(rows) > MOST_HOOKS:
        top.fault("hook", f"there are more than {MOST_HOOKS}")
        return ()
    found = []
    for number, row in enumerate(rows):
        place = f"hook[{number}]"
        fields = Fields(row, f"{place}.", faults, _KEYS)
        when = fields.text("when", _moment_of, Moment.AFTER, required=True)
        command = fields.words("command")
        undo = fields.words("undo")
        seconds = fields.number("timeout", DEFAULT_SECONDS, MOST_SECONDS)
        if not command:
            if row.get("command", []) == []:
                fields.fault("command", "must name a program")
            continue
        try:
            found.append(Hook(when, command, undo, seconds))
        except ValueError as fault:
            faults.add(place, str(fault))
    return tuple(found)


def _moment_of(text: str) -> Moment:
    if text not in _MOMENTS:
        raise ValueError(f"must be one of {', '.join(_MOMENTS)}")
    return Moment(text)
