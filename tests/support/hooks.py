"""Hooks of test packages: shell scripts that the packages bring along."""

from intact.model.hooks import DEFAULT_SECONDS, Hook, Moment
from support.workshop import Part, file

__all__ = ["after", "before", "script"]


def script(path: str, *lines: str) -> Part:
    """A shell script of a package."""
    return file(path, "\n".join(["#!/bin/sh", *lines, ""]), 0o755)


def before(*command: str, seconds: int = DEFAULT_SECONDS) -> Hook:
    """A check."""
    return Hook(Moment.BEFORE, command, (), seconds)


def after(*command: str, undo: tuple[str, ...] = (), seconds: int = DEFAULT_SECONDS) -> Hook:
    """An action."""
    return Hook(Moment.AFTER, command, undo, seconds)
