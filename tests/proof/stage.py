"""Acts. A story, played once without harm: what it starts from, and what it may end in."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from proof.examine import Expectation, Picture, take_picture
from proof.stories import STORIES, Story, bundles_of, on
from proof.supervise import Ended, run_pkg
from support.layers import LayeredWorkshop
from support.workshop import Workshop

__all__ = ["Stage", "WrongEnd", "set_stage"]


class WrongEnd(Exception):
    """A story that nobody harmed did not end as it should."""


@dataclass(frozen=True)
class Stage:
    """A story that is ready to be played with harm.

    Attributes:
        template: the beginning; it is copied for each try.
        expected: what the root may look like afterwards.
        may_blink: the filesystem cannot exchange directories (see `examine.half_done`).
        user: who owns the root and plays the story; None for the superuser.
    """

    name: str
    story: Story
    template: Workshop
    expected: Expectation
    place: Path
    may_blink: bool = False
    user: int | None = None

    def command(self, workshop: Workshop) -> list[str]:
        """Return the command line that is interrupted."""
        return on(workshop, self.story.command)

    def copy(self, name: str) -> Workshop:
        """Copy the beginning."""
        return self.template.copy(name)

    def run(self, arguments: list[str]) -> Ended:
        """Run a command line as the one who plays the story."""
        return run_pkg(arguments, self.place, self.user)


def set_stage(
    name: str, place: Path, *, may_blink: bool = False, layered: bool = False, user: int | None = None
) -> Stage:
    """Play a story without harm, in `place` on the filesystem that it is about.

    Args:
        layered: the beginning becomes the lower layer of an overlay.
        user: whom the root belongs to, and who plays; None for the superuser.

    Raises:
        WrongEnd: a command did not end as it should.
    """
    story = STORIES[name]
    shutil.rmtree(place / name, ignore_errors=True)
    template = Workshop(place / name / "template")
    template.write("usr/share/somebody", "not ours")
    if story.needs_shell:
        template.give_shell()
    for package in bundles_of(story):
        template.bundle(package)
    _give(template, user)
    for words in story.before:
        _insist(run_pkg(on(template, words), place, user), words)
    story.edits(template)
    _give(template, user)
    if layered:
        template = LayeredWorkshop(template)
    old = take_picture(template)
    whole = template.copy("whole")
    _insist(run_pkg(on(whole, story.command), place, user), story.command, story.ends)
    expected = Expectation(old, take_picture(whole), _between(template, story, place), links=not layered)
    return Stage(name, story, template, expected, place / name, may_blink, user)


def _give(workshop: Workshop, user: int | None) -> None:
    if user is not None:
        command = ["chown", "--recursive", "--no-dereference", f"{user}:{user}", str(workshop.path)]
        subprocess.run(command, check=True)


def _between(template: Workshop, story: Story, place: Path) -> Picture | None:
    """Describe where a command was that is rolled back by itself because a hook says no."""
    if not story.ends:
        return None
    there = template.copy("there")
    _insist(run_pkg([*on(there, story.command), "--no-hooks"], place), story.command)
    picture = take_picture(there)
    there.discard()
    return picture


def _insist(ended: Ended, words: tuple[str, ...], code: int = 0) -> None:
    if ended.code != code:
        raise WrongEnd(f"undisturbed, `pkg {' '.join(words)}` ended with {ended.code}: {ended.said.strip()}")
