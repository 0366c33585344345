"""Which texts are versions, which are not, and what is said about those?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intact.model.versions import MAX_LENGTH, Version, VersionFault, version_fault

VERSIONS = [
    "0",
    "1",
    "1.0",
    "2.36-9+deb12u7",
    "1:2.3.4-5",
    "0:1",
    "999999999:1",
    "20240101",
    "1.0~rc1",
    "1.0~~",
    "1.0+git20240101.abcdef",
    "1-2-3-4",
    "1.0-0.1+b1",
    "a",
    "r1234",
    "v1.2",
    "1:2:3",
    "1:2:3-4",
    "1:2:-3",
    "1.",
    "1+",
    "1..2",
    "1.0.Z",
    "1.0-~1",
]

NO_VERSIONS = [
    pytest.param("", "empty", id="nothing"),
    pytest.param(" ", "is not a version", id="a blank"),
    pytest.param("1 0", "is not a version", id="a blank inside"),
    pytest.param(" 1", "is not a version", id="a blank before"),
    pytest.param("1 ", "is not a version", id="a blank after"),
    pytest.param("1\n", "is not a version", id="a line end after"),
    pytest.param("1\x00", "is not a version", id="a NUL"),
    pytest.param("1\x1b[2J", "is not a version", id="an escape"),
    pytest.param("1/2", "is not a version", id="a slash: it is part of the bundle's file name"),
    pytest.param("../1", "is not a version", id="a way up"),
    pytest.param(".1", "is not a version", id="a dot first"),
    pytest.param("-1", "is not a version", id="a hyphen first"),
    pytest.param("~1", "is not a version", id="a tilde first"),
    pytest.param("+1", "is not a version", id="a plus first"),
    pytest.param("1_0", "is not a version", id="an underscore"),
    pytest.param("1,0", "is not a version", id="a comma"),
    pytest.param("1*", "is not a version", id="a star"),
    pytest.param("1(2)", "is not a version", id="parentheses"),
    pytest.param("1²", "is not a version", id="a superscript digit"),
    pytest.param("\u0661", "is not a version", id="an Arabic digit"),
    pytest.param("\uff11", "is not a version", id="a wide digit"),
    pytest.param("1é", "is not a version", id="a letter beyond ASCII"),
    pytest.param("1.0-", "empty revision", id="an empty revision"),
    pytest.param("1-2-", "empty revision", id="an empty revision after another"),
    pytest.param("1:-1", "is not a version", id="an empty upstream version"),
    pytest.param("1:", "is not a version", id="nothing after the epoch"),
    pytest.param(":1", "is not a version", id="an empty epoch"),
    pytest.param("a:1", "is not a version", id="a letter as epoch"),
    pytest.param("1.0:2", "is not a version", id="a version as epoch"),
    pytest.param("1-2:3", "is not a version", id="a colon after the revision"),
    pytest.param("1:2-3:4", "is not a version", id="a colon in the revision"),
    pytest.param("1::2", "is not a version", id="two colons in a row"),
    pytest.param("1:.2", "is not a version", id="a dot after the epoch"),
    pytest.param("1:~2", "is not a version", id="a tilde after the epoch"),
    pytest.param("1234567890:1", "is not a version", id="an epoch of ten digits"),
    pytest.param("9999999999999999999999:1", "is not a version", id="an endless epoch"),
]


@pytest.mark.parametrize("text", VERSIONS)
def test_a_version_keeps_its_text(text: str) -> None:
    assert version_fault(text) is None
    assert str(Version(text)) == text
    assert repr(Version(text)) == f"Version({text!r})"


@pytest.mark.parametrize(("text", "reason"), NO_VERSIONS)
def test_what_is_no_version_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(VersionFault, match=reason):
        Version(text)
    assert reason in (version_fault(text) or "")


@pytest.mark.parametrize("text", ["1 0", "1_0", "a:1", "1.0-"])
def test_the_reason_quotes_the_text_that_was_written(text: str) -> None:
    assert repr(text) in (version_fault(text) or "")


def test_the_form_is_shown_to_who_got_it_wrong() -> None:
    assert "[epoch:]upstream[-revision]" in (version_fault("one two") or "")


def test_the_longest_version_is_one_and_a_longer_one_is_not() -> None:
    assert version_fault("1" * MAX_LENGTH) is None
    assert version_fault("1" * (MAX_LENGTH + 1)) == f"the version is longer than {MAX_LENGTH} characters"


def test_an_overlong_version_is_not_repeated_in_the_reason() -> None:
    assert len(version_fault("9" * 1_000_000) or "") < 100


def test_the_longest_version_fits_a_file_name_beside_the_longest_name() -> None:
    assert len("n" * 64 + "-" + "1" * MAX_LENGTH + "-riscv64.tar.zst") <= 255


@given(st.text(max_size=40))
def test_any_text_is_a_version_or_a_fault_and_nothing_else(text: str) -> None:
    fault = version_fault(text)
    if fault is None:
        assert str(Version(text)) == text
    else:
        with pytest.raises(VersionFault):
            Version(text)


@given(st.text("0123456789:.-~+aZ", max_size=12))
def test_any_text_of_the_right_letters_is_a_version_or_a_fault(text: str) -> None:
    fault = version_fault(text)
    if fault is None:
        assert Version(text) == Version(text)
    else:
        with pytest.raises(VersionFault):
            Version(text)
