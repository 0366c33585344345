"""The benchmark measures what it says: the same payloads everywhere, ratios round by round, and real processes."""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from bench.cases import CASES, OURS, REFERENCE, Case, Sample, judge
from bench.chains import CHAINS
from bench.crowd import make_crowd
from bench.measure import CommandFailed, Meter
from bench.payloads import Sizes, make_tree
from bench.report import Circumstances, as_json, as_svg, as_tables
from bench.scaling import STEPS, Point
from bench.scaling_report import growth, scaling_json, scaling_svg, scaling_tables

_TINY = Sizes(files=200, large=2)
_AROUND = Circumstances("0", "6", "3", 2, 1, 3, 200, 2, 0.0)
_CASE = Case("x", "x", "S", "r", 1.0, 0.5)


def _digests(top: Path) -> dict[str, str]:
    return {
        str(path.relative_to(top)): sha256(path.read_bytes()).hexdigest()
        for path in top.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["M", "L"])
def test_a_payload_has_the_same_bytes_every_time(name: str, tmp_path: Path) -> None:
    make_tree(name, "1", tmp_path / "one", _TINY)
    make_tree(name, "1", tmp_path / "two", _TINY)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two") != {}


def test_the_second_version_of_m_has_one_file_of_a_hundred_changed(tmp_path: Path) -> None:
    make_tree("M", "1", tmp_path / "1", _TINY)
    make_tree("M", "2", tmp_path / "2", _TINY, tmp_path / "1")
    old, new = _digests(tmp_path / "1"), _digests(tmp_path / "2")
    assert (len(old.keys() - new.keys()), len(new.keys() - old.keys())) == (10, 10)
    assert sum(old[path] != new[path] for path in old.keys() & new.keys()) == 2


def test_the_second_version_of_l_has_one_file_of_eight_changed(tmp_path: Path) -> None:
    sizes = Sizes(files=0, large=512)
    make_tree("L", "1", tmp_path / "1", sizes)
    make_tree("L", "2", tmp_path / "2", sizes, tmp_path / "1")
    old, new = _digests(tmp_path / "1"), _digests(tmp_path / "2")
    assert len(old) == 8
    assert [path for path in old if old[path] != new[path]] == ["opt/large/data/index.db"]
    assert sum(path.stat().st_size for path in (tmp_path / "1").rglob("*") if path.is_file()) == 512 << 20


def test_ratios_are_taken_round_by_round() -> None:
    samples = {
        OURS: [Sample(1.0), Sample(20.0), Sample(3.0)],
        REFERENCE: [Sample(2.0), Sample(10.0), Sample(2.0)],
    }
    assert judge(_CASE, samples).ratio == 1.5


@pytest.mark.parametrize(("ours", "reached"), [(1.5, True), (1.6, False)])
def test_the_allowance_counts_in_seconds(ours: float, reached: bool) -> None:  # noqa: FBT001  pytest names it
    assert judge(_CASE, {OURS: [Sample(ours)], REFERENCE: [Sample(1.0)]}).reached is reached


def test_every_case_belongs_to_a_chain() -> None:
    assert {case.chain for case in CASES} == set(CHAINS)


def test_a_failing_command_is_no_figure(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    with pytest.raises(CommandFailed, match="exit 3: so it is"):
        meter.run("x", OURS, ["sh", "-c", "echo so it is >&2; exit 3"])
    assert meter.samples == {}


def test_the_memory_of_a_command_is_its_own(tmp_path: Path) -> None:
    ballast = bytearray(200 << 20)
    meter = Meter(tmp_path)
    small = meter.run("x", OURS, [sys.executable, "-I", "-S", "-c", "pass"])
    large = meter.run("x", OURS, [sys.executable, "-I", "-S", "-c", "bytearray(100 << 20)"])
    assert small.memory < 50
    assert 100 < large.memory < 150
    assert ballast


def test_a_crowded_root_answers_as_a_real_one(tmp_path: Path) -> None:
    path = make_crowd(tmp_path / "crowd", 3, 10)
    meter = Meter(tmp_path)
    pkg: list[str | Path] = [
        sys.executable,
        "-I",
        "-c",
        "from intact.cli.main import main; main()",
        "--root",
        tmp_path / "crowd",
    ]
    assert meter.run("owner", OURS, [*pkg, "owner", f"/{path}"]).seconds > 0
    with pytest.raises(CommandFailed, match="exit 1"):
        meter.run("owner", OURS, [*pkg, "owner", "/nobody"])


def test_the_report_says_of_each_row_whether_it_was_reached() -> None:
    samples = {
        "list": {OURS: [Sample(9.0, memory=20)], REFERENCE: [Sample(1.0)]},
        "verify-L": {OURS: [Sample(0.5)], REFERENCE: [Sample(1.0)], "dpkg": [Sample(2.0)]},
    }
    tables = as_tables(samples, {"install-M": [{"all": 1.0}]}, _AROUND)
    assert [len(table.rows) for table in tables] == [3, 1, 1]
    picture, document = as_svg(samples, _AROUND), as_json(samples, {}, _AROUND)
    assert "list" in picture
    assert '"reached": true' in document
    assert '"reached": false' in document


def _points(*seconds: float) -> list[Point]:
    sizes = (1_000, 10_000, 100_000)
    return [Point(size, dict.fromkeys(STEPS, Sample(one))) for size, one in zip(sizes, seconds, strict=False)]


def test_growth_is_one_where_cost_grows_with_the_size_and_two_where_it_grows_with_its_square() -> None:
    assert growth(_points(0.1, 1.0, 10.0), "install") == pytest.approx(1.0)
    assert growth(_points(0.1, 1.0, 100.0), "install") == pytest.approx(2.0)
    assert growth(_points(0.1, 1.0, 1.0), "install") == pytest.approx(0.0)
    assert growth(_points(0.1), "install") == 0.0


def test_curves_and_tables_have_every_step() -> None:
    found = {"files": _points(0.1, 1.0)}
    picture, (table,) = scaling_svg(found), scaling_tables(found)
    assert picture.count("<polyline") == len(STEPS)
    assert [column.header for column in table.columns] == ["files", *STEPS]
    assert len(json.loads(scaling_json(found))["files"]) == 2
