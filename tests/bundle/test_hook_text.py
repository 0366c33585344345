"""Hooks as they are written in manifests."""

from dataclasses import replace
from pathlib import Path

import pytest

from intact.bundle.manifest_text import FEATURES, parse_manifest, render_manifest
from intact.bundle.source_manifest import read_source_manifest
from intact.model.errors import ManifestInvalid
from intact.model.hooks import Hook, Moment
from support.hooks import after, before
from support.workshop import Package, file

HOOKS = (
    before("/usr/bin/check"),
    after("/usr/bin/say", "a", "a", 'quoted " and \\ and \t', undo=("/bin/true",), seconds=7),
    after("/usr/bin/say"),
)


def text_with(*hooks: Hook) -> bytes:
    manifest = Package("tool", "1", file("usr/bin/tool", "x"), hooks=hooks).source.manifest
    return render_manifest(replace(manifest, frames=()))


def hooks_in(text: str) -> tuple[Hook, ...]:
    with_frames = text.replace(
        "frames = [\n", 'frames = [\n  {compressed = 20, size = 2048, sha256 = "' + "a" * 64 + '"},\n'
    )
    return parse_manifest(with_frames.encode()).hooks


def test_what_is_written_is_read_again() -> None:
    assert hooks_in(text_with(*HOOKS).decode()) == HOOKS


def test_a_manifest_without_hooks_is_as_it_was() -> None:
    assert b"hook" not in text_with()
    assert {"hooks"} == FEATURES


def test_a_reader_that_knows_no_hooks_is_told_by_the_feature() -> None:
    text = text_with(*HOOKS).decode()
    assert 'requires_features = ["hooks"]' in text
    with pytest.raises(ManifestInvalid) as caught:
        hooks_in(text.replace('requires_features = ["hooks"]', "requires_features = []"))
    assert caught.value.details == ("requires_features: has to name hooks, because there are hooks",)


FAULTS = {
    'when = "later"\ncommand = ["/a"]': "hook[0].when: must be one of before, after",
    'command = ["/a"]': "hook[0].when: is missing",
    'when = "undo"\ncommand = ["/a"]': "hook[0].when: must be one of before, after",
    'when = "after"': "hook[0].command: must name a program",
    'when = "after"\ncommand = []': "hook[0].command: must name a program",
    'when = "after"\ncommand = "/a b"': "hook[0].command: must be a list, not a string",
    'when = "after"\ncommand = ["/a", 1]': "hook[0].command: must be a list of strings",
    'when = "after"\ncommand = ["a"]': "hook[0]: must begin with the absolute path of a program, not 'a'",
    'when = "after"\ncommand = ["/../a"]': "hook[0]: the path has a component",
    'when = "after"\ncommand = ["/a", "\\u0000"]': "hook[0]: has a word with a NUL",
    'when = "before"\ncommand = ["/a"]\nundo = ["/b"]': "hook[0]: a check changes nothing, so there is nothing to undo",
    'when = "after"\ncommand = ["/a"]\ntimeout = 0': "hook[0]: may take 1 to 3600 seconds",
    'when = "after"\ncommand = ["/a"]\ntimeout = 3601': "hook[0].timeout: is out of range (0 to 3600)",
    'when = "after"\ncommand = ["/a"]\nshell = true': "hook[0].shell: unknown key",
}


@pytest.mark.parametrize(("lines", "fault"), FAULTS.items(), ids=FAULTS.values())
def test_a_hook_with_one_thing_wrong_is_refused_with_its_place(
    lines: str, fault: str, fast_path: Path
) -> None:
    manifest = fast_path / "tool.toml"
    manifest.write_text(
        f'format = 1\n[package]\nname = "t"\nversion = "1"\narchitecture = "all"\n[[hook]]\n{lines}\n'
    )
    with pytest.raises(ManifestInvalid) as caught:
        read_source_manifest(manifest)
    (told,) = caught.value.details
    assert told.startswith(fault)


def test_there_is_a_limit(fast_path: Path) -> None:
    manifest = fast_path / "tool.toml"
    one = '[[hook]]\nwhen = "after"\ncommand = ["/a"]\n'
    head = 'format = 1\n[package]\nname = "t"\nversion = "1"\narchitecture = "all"\n'
    manifest.write_text(head + one * 32)
    assert len(read_source_manifest(manifest).manifest.hooks) == 32
    manifest.write_text(head + one * 33)
    with pytest.raises(ManifestInvalid, match="1 fault") as caught:
        read_source_manifest(manifest)
    assert caught.value.details == ("hook: there are more than 32",)


def test_a_source_manifest_says_the_same(fast_path: Path) -> None:
    manifest = fast_path / "tool.toml"
    manifest.write_text(
        'format = 1\n[package]\nname = "t"\nversion = "1"\narchitecture = "all"\n'
        '[[hook]]\nwhen = "after"\ncommand = ["/a", "b"]\nundo = ["/c"]\ntimeout = 9\n'
    )
    read = read_source_manifest(manifest).manifest
    assert read.hooks == (Hook(Moment.AFTER, ("/a", "b"), ("/c",), 9),)
    assert read.requires_features == ("hooks",)
