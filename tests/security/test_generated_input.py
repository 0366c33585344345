"""Every parser, with input that is almost right: it is accepted or refused, and nothing else happens.

This is a first look at each; `scripts/fuzz` goes on for as long as one likes, steered by what the parsers do.
"""

from itertools import islice

import pytest

from fuzz import targets
from fuzz.mutate import mutants
from fuzz.targets import TARGETS, Target
from intact.model.versions import Version

_INPUTS = 300


@pytest.mark.parametrize("name", TARGETS)
def test_sec_35_nothing_but_our_own_errors_comes_out(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    assert [one for one in seeds if not target.run(one)] == []
    accepted = sum(target.run(one) for one in islice(mutants(seeds, target.words, 1), _INPUTS))
    assert accepted < _INPUTS  # some of them were refused, so the inputs are not all alike


def test_sec_35_the_inputs_are_the_same_for_the_same_seed() -> None:
    first, again, other = (list(islice(mutants([b"a" * 50], [b"x"], seed), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_sec_35_a_parser_that_raises_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(text: str) -> Version:
        return {"1:2.0~rc1-3": Version("1")}[text]

    monkeypatch.setattr(targets, "Version", careless)
    words: Target = TARGETS["words"]
    inputs = list(islice(mutants(words.seeds(), words.words, 1), _INPUTS))
    with pytest.raises(KeyError):
        assert [words.run(one) for one in inputs]


def test_sec_35_a_value_that_is_not_read_back_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "render_manifest", lambda _manifest: TARGETS["manifest"].seeds()[1])
    with pytest.raises(AssertionError):
        TARGETS["manifest"].run(TARGETS["manifest"].seeds()[0])
