"""Hundreds of malformed bundles, most of them signed by a trusted key: each is refused, and leaves no trace.

For each: the exit code, one error that a terminal can show and that names the very fault, nothing changed in the root
and in the state directory, and a bounded peak of memory. The first case of each requirement goes through the program
that people start; the others through processes that were forked when its modules were loaded.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from support.malformed import Case, all_cases, good_bundle
from support.malformed.case import FILES, LONG_FILES, STREAM, bundle_of, stream_of
from support.measured import measuring
from support.target import Target, fast_folder

CEILING = 96 << 10
"""KiB of memory at the peak of a command. It has about 32 MiB when its modules are loaded."""
SECONDS = 10
"""Of processor time: far above what any takes (most: 0.03 s), far below a hang."""

CASES = all_cases()
FIRST = {
    next(found).name for _, found in groupby(sorted(CASES, key=lambda one: one.kind), lambda one: one.kind)
}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def target(place: Path) -> Iterator[Target]:
    (place / "many").mkdir()
    with measuring(place / "many") as server:
        made = Target(place / "many", server)
        made.put(bundle_of(stream_of({"etc/here": b"1"}) + bytes(1024), files={"etc/here": b"1"}))
        assert server.run("--root", "root", "install", "bundle.tar.zst").code == 0
        made.original = made.described()
        yield made


def refuse(target: Target, case: Case) -> None:
    """Hold one case against all that was promised."""
    target.put(case.content)
    found = target.server.run("--root", "root", "install", "bundle.tar.zst", real=case.name in FIRST)
    assert (found.code, found.out) == (case.code, ""), found
    lines = found.err.splitlines()
    assert [number for number, line in enumerate(lines) if line.startswith("pkg: ")] == [0], found.err
    assert case.said in found.err
    assert "Traceback" not in found.err
    assert all(line.isprintable() for line in lines), lines
    assert "  now: the root is as it was" in lines
    assert len(found.err) < 100_000
    assert found.peak <= CEILING, f"{found.peak} KiB"
    assert found.seconds <= SECONDS
    assert target.described() == target.original


def of(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test once for each case of this requirement."""
    chosen = [pytest.param(case, id=case.name) for case in CASES if case.kind == kind]
    assert chosen
    return pytest.mark.parametrize("case", chosen)


@of("sec_1")
def test_sec_1_a_name_that_is_no_path_is_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_2")
def test_sec_2_bytes_behind_a_nul_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_3")
def test_sec_3_a_link_that_is_a_parent_or_has_no_sound_target_is_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_5")
def test_sec_5_links_in_the_archive_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_6")
def test_sec_6_two_entries_at_one_place_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_7")
def test_sec_7_extensions_of_tar_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_8")
def test_sec_8_odd_numbers_and_odd_padding_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_9")
def test_sec_9_members_that_are_not_those_of_the_manifest_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_10")
def test_sec_10_devices_pipes_and_unknown_types_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_12")
def test_sec_12_frames_other_than_ours_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_13")
def test_sec_13_bombs_are_refused_in_bounded_memory(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_19")
def test_sec_19_places_that_are_no_package_s_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_22")
def test_sec_22_odd_modes_owners_and_attributes_are_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_27")
def test_sec_27_what_nobody_vouches_for_is_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_35")
def test_sec_35_a_manifest_that_cannot_be_parsed_is_refused(target: Target, case: Case) -> None:
    refuse(target, case)


@of("sec_36")
def test_sec_36_a_manifest_outside_the_schema_is_refused(target: Target, case: Case) -> None:
    refuse(target, case)


# --- the corpus itself ------------------------------------------------------------------------------------
GOOD = {
    "whole": (good_bundle(), FILES),
    "cut-into-frames": (bundle_of(cuts=(1, 511, 513, 4096)), FILES),
    "long-name": (bundle_of(stream_of(LONG_FILES) + bytes(1024), files=LONG_FILES), LONG_FILES),
}


@pytest.mark.parametrize("name", GOOD)
def test_sec_9_without_its_fault_the_bundle_is_installed(place: Path, name: str) -> None:
    (place / name).mkdir()
    content, files = GOOD[name]
    with measuring(place / name) as server:
        target = Target(place / name, server)
        target.put(content)
        found = server.run("--root", "root", "install", "bundle.tar.zst")
    assert found.code == 0, found
    assert {path: (target.root / path).read_bytes() for path in files} == files


def test_sec_12_there_are_hundreds_of_cases_and_no_two_alike(tmp_path: Path) -> None:
    assert len(CASES) >= 200
    assert len({case.content for case in CASES}) >= len(CASES) - 10
    assert STREAM not in {case.content for case in CASES}
    script = Path(__file__).parent.parent / "malformed_corpus.py"
    subprocess.run([sys.executable, script, tmp_path / "corpus"], check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in (tmp_path / "corpus").glob("*.tar.zst")}
    assert written == {f"{case.name}.tar.zst": case.content for case in CASES}
