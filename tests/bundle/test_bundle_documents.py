"""What the reference pages say about manifests is what the code does."""

import re
import textwrap
from pathlib import Path

import pytest
import tomli

from intact.bundle import entry_text, hook_text, manifest_text, source_manifest
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.source_manifest import read_source_manifest
from intact.bundle.tarstream import stream_length
from intact.model.entries import FileEntry
from intact.model.errors import ManifestInvalid
from intact.model.limits import DEFAULT_LIMITS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FORMAT = (REFERENCE / "bundle-format.md").read_text()
SOURCE = (REFERENCE / "manifest.md").read_text()


def toml_blocks(page: str) -> list[str]:
    """The fenced blocks of a page, and the indented ones that begin with a format."""
    fenced = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^    format = 1\n(?:(?:    .*)?\n)+", page, re.MULTILINE)
    return [*fenced, *map(textwrap.dedent, indented)]


def test_the_example_of_the_bundle_format_is_a_bundle_manifest() -> None:
    (block,) = toml_blocks(FORMAT)
    text = block.replace("…", "0" * 64).encode()
    with pytest.raises(ManifestInvalid) as caught:  # the frame's size is made up in the page
        parse_manifest(text)
    (fault,) = caught.value.details
    expected = int(fault.rpartition(" ")[2])
    manifest = parse_manifest(text.replace(b"size = 4608", b"size = %d" % expected))
    assert len(manifest.entries) == 5
    assert stream_length(one for one in manifest.entries if isinstance(one, FileEntry)) == expected


def test_the_example_of_the_source_manifest_is_one(tmp_path: Path) -> None:
    (block,) = toml_blocks(SOURCE)
    (tmp_path / "m.toml").write_text(block)
    assert read_source_manifest(tmp_path / "m.toml").manifest.identity.name == "hello"


def documented(key: str, page: str) -> bool:
    return bool(re.search(rf"`{re.escape(key)}`|^ *{re.escape(key)} = ", page, re.MULTILINE))


@pytest.mark.parametrize(
    ("page", "keys"),
    [
        (FORMAT, entry_text._FILE_KEYS | entry_text._SYMLINK_KEYS | manifest_text._FRAME_KEYS),
        (FORMAT, manifest_text._TOP_KEYS - {"package", "payload", "entries", "hook"}),
        (SOURCE, source_manifest._PACKAGE),
        (SOURCE, frozenset[str]().union(*source_manifest._KEYS.values())),
        (SOURCE, {f"[[{kind}]]" for kind in (*source_manifest._KEYS, "hook")}),
        (SOURCE, hook_text._KEYS),
    ],
)
def test_every_key_is_documented(page: str, keys: frozenset[str]) -> None:
    assert [key for key in sorted(keys) if not documented(key, page)] == []


@pytest.mark.parametrize(
    "said",
    [
        f"{DEFAULT_LIMITS.head_compressed >> 20} MiB compressed, {DEFAULT_LIMITS.manifest >> 20} MiB for the manifest",
        f"never more than {DEFAULT_LIMITS.head_ratio} bytes",
        f"at most {DEFAULT_LIMITS.signature >> 10} KiB",
        f"a window of at most {DEFAULT_LIMITS.window >> 20} MiB",
        f"frames of at most {DEFAULT_LIMITS.frame >> 20} MiB",
        f"At most {DEFAULT_LIMITS.entries:,} entries and {DEFAULT_LIMITS.content >> 30} GiB",
        f"at most {DEFAULT_LIMITS.xattrs >> 10} KiB together",
    ],
)
def test_the_documented_ceilings_are_the_real_ones(said: str) -> None:
    assert said in " ".join(FORMAT.split())


def test_the_comments_of_the_examples_are_toml() -> None:
    for path in (REFERENCE.parents[1] / "manifests").glob("*.toml"):
        table = tomli.loads(path.read_text())
        assert table["format"] == 1
        assert path.read_text().startswith("# ")
