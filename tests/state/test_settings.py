"""The settings of a root, as text."""

import pytest

from intact.model.limits import DEFAULT_LIMITS
from intact.plan.retention import RetentionPolicy
from intact.state.settings import SettingsInvalid, parse_settings

PLACE = "/etc/intact/settings.toml"


def test_nothing_said_means_the_defaults() -> None:
    assert parse_settings("", PLACE).history == RetentionPolicy(count=10, size=2 << 30)
    assert parse_settings("[history]\n", PLACE).history == RetentionPolicy()


def test_what_is_said_counts_and_the_rest_stays() -> None:
    assert parse_settings("[history]\ntransactions = 3\n", PLACE).history == RetentionPolicy(count=3)
    assert parse_settings("[history]\nsize = 5\n", PLACE).history == RetentionPolicy(size=5)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ('"7"', 7),
        ('"7 B"', 7),
        ('"1kB"', None),
        ('"2 KB"', 2000),
        ('"2 KiB"', 2048),
        ('"3MB"', 3_000_000),
        ('"500 MiB"', 500 << 20),
        ('"2 GiB"', 2 << 30),
        ('"1 TB"', 10**12),
        ('"1 TiB"', 1 << 40),
        ("-1", None),
        ("1.5", None),
        ("true", None),
        ('""', None),
        ('"much"', None),
        ('"1 PiB"', None),
        ('"-1"', None),
        ('"1  GiB"', None),
        ('" 1"', None),
        ('"٣ GiB"', None),
        ("[1]", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    settings = f"[history]\nsize = {text}\n"
    if size is None:
        with pytest.raises(SettingsInvalid) as caught:
            parse_settings(settings, PLACE)
        assert caught.value.details == (
            'history.size: has to be bytes, or text such as "500 MiB" or "2 GiB"',
        )
    else:
        assert parse_settings(settings, PLACE).history.size == size


@pytest.mark.parametrize("text", ["0", "-3", "10001", "true", '"5"', "2.0", "[]"])
def test_the_number_of_transactions_has_bounds(text: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(f"[history]\ntransactions = {text}\n", PLACE)
    assert caught.value.details == ("history.transactions: has to be a number from 1 to 10000",)


def test_all_faults_are_named_at_once_with_the_place_and_the_remedy() -> None:
    text = "colour = 1\n[history]\ntransactions = 0\nsize = 'x'\nage = 3\n[more]\n"
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text, PLACE)
    assert [one.split(":")[0] for one in caught.value.details] == [
        "colour",
        "more",
        "history.age",
        "history.transactions",
        "history.size",
    ]
    assert caught.value.path == PLACE
    assert caught.value.remedy == f"mend or remove {PLACE}"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("text", ["history = 3", "[[history]]\nsize = 1"])
def test_the_history_has_to_be_a_table(text: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text, PLACE)
    assert caught.value.details == ("history: has to be a table",)


def test_a_fault_of_the_toml_itself_names_its_line() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings("[history]\nsize = = 1\n", PLACE)
    assert "line 2" in caught.value.details[0]


def test_the_limits_of_bundles_can_be_raised_and_lowered() -> None:
    limits = parse_settings('[limits]\nentries = 2000000\ncontent = "100 GiB"\n', PLACE).limits
    assert (limits.entries, limits.content) == (2_000_000, 100 << 30)
    assert parse_settings("", PLACE).limits == DEFAULT_LIMITS
    with pytest.raises(SettingsInvalid, match="entries: has to be a number"):
        parse_settings("[limits]\nentries = 0\n", PLACE)
    with pytest.raises(
        SettingsInvalid, match=r"limits\.manifest: unknown"
    ):  # holds before anybody is trusted
        parse_settings("[limits]\nmanifest = 1\n", PLACE)


def test_what_no_parser_reads_is_told() -> None:
    for text in ("x = " + "9" * 5000, "[" * 5000, "= 1"):
        with pytest.raises(SettingsInvalid):
            parse_settings(text, PLACE)
