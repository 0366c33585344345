"""Our value classes are what `dataclasses` would have made of them."""

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from intact.model import values

SOURCE = Path(values.__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if "import dataclass" in path.read_text() or ", dataclass" in path.read_text()
)


@pytest.fixture
def by_the_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let modules that are loaded meanwhile take the names from `dataclasses`, and forget those modules afterwards."""
    before = dict(sys.modules)
    for name in [one for one in sys.modules if one.split(".")[0] == "intact"]:
        del sys.modules[name]
    monkeypatch.setitem(sys.modules, "intact.model.values", dataclasses)
    yield
    sys.modules.clear()
    sys.modules.update(before)


def _classes(module: ModuleType) -> dict[str, Any]:
    return {
        name: one
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__ == module.__name__ and dataclasses.is_dataclass(one)
    }


def _told(one: Any) -> dict[str, Any]:  # noqa: ANN401  a class
    """Tell what matters about a class, in words, because the two come from different loads of their module."""
    with pytest.raises(TypeError, match=r"__init__\(\) got an unexpected keyword argument 'no field'"):
        one(**{"no field": 0})
    return {
        "signature": [(each.name, each.kind, _word(each.default)) for each in _parameters(one)],
        "slots": one.__slots__,
        "pattern": one.__match_args__,
        "fields": [(each.name, each.compare, _word(each.default)) for each in dataclasses.fields(one)],
        "hashable": one.__hash__ is not None,
        "frozen": one.__setattr__ is not object.__setattr__,
        "text": (_docstring(one), one.__qualname__, one.__module__),
        "dictionary": hasattr(one, "__dict__") and "__dict__" in vars(one),
        "members": sorted(
            set(vars(one)) & set(_OWN) | {each for each in vars(one) if not each.startswith("__")}
        ),
    }


_OWN = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__post_init__")


def _docstring(one: type) -> str:
    """The library writes one where there is none."""
    return "" if (one.__doc__ or "").startswith(f"{one.__name__}(") else one.__doc__ or ""


def _parameters(one: type) -> list[inspect.Parameter]:
    return list(inspect.signature(vars(one)["__init__"]).parameters.values())


def _word(default: object) -> str:
    """The mark for "made anew" differs, and has no meaning outside."""
    marks = ("HAS_DEFAULT_FACTORY", "_Missing", "MISSING", "<factory>")
    text = repr(default)
    return "no value" if any(one in text for one in marks) else text.split(" at 0x")[0]


def test_there_are_modules_to_compare() -> None:
    assert len(MODULES) > 60


def test_nobody_takes_the_library_itself() -> None:
    for path in SOURCE.rglob("*.py"):
        if path != Path(values.__file__):
            assert "from dataclasses" not in path.read_text(), path


@pytest.mark.parametrize("name", MODULES)
def test_a_class_is_what_the_library_would_have_made(name: str, by_the_library: None) -> None:
    theirs = {each: _told(one) for each, one in _classes(importlib.import_module(name)).items()}
    for each in [one for one in sys.modules if one.split(".")[0] == "intact"]:
        del sys.modules[each]
    ours = {each: _told(one) for each, one in _classes(importlib.import_module(name)).items()}
    assert ours == theirs
    assert ours or name == "intact.model.values"


def _samples(made: Any) -> dict[str, Any]:  # noqa: ANN401  a module
    """Make classes that use everything that ours use."""

    @made.dataclass(frozen=True, slots=True)
    class Place:
        """A place."""

        name: str
        number: int = 3

        def __str__(self) -> str:
            return f"{self.name}, {self.number}"

    @made.dataclass(frozen=True, slots=True)
    class Marked:
        """One of its fields is not compared."""

        key: str
        note: str = made.field(compare=False, default="")

    @made.dataclass(frozen=True, slots=True)
    class Guarded:
        """Nobody makes one without the word."""

        name: str
        word: made.InitVar[object] = None

        def __post_init__(self, word: object) -> None:
            if word != "please":
                raise ValueError("say please")

    @made.dataclass(slots=True)
    class Growing:
        """Can be changed."""

        names: list[str] = made.field(default_factory=list)
        count: int = 0

    return {one.__name__: one for one in (Place, Marked, Guarded, Growing)}


BOTH = pytest.mark.parametrize("made", [values, dataclasses], ids=["ours", "theirs"])


@BOTH
def test_a_value_equals_what_has_the_same_fields(made: ModuleType) -> None:
    kinds = _samples(made)
    place, marked = kinds["Place"], kinds["Marked"]
    assert place("a") == place("a", 3)
    assert hash(place("a")) == hash(place(name="a", number=3))
    assert place("a") != place("b")
    assert place("a") != ("a", 3)
    assert marked("a", "one") == marked("a", "two")
    assert hash(marked("a", "one")) == hash(marked("a", "two"))
    assert kinds["Growing"](["x"]) == kinds["Growing"](["x"])


@BOTH
def test_a_value_shows_its_fields(made: ModuleType) -> None:
    place = _samples(made)["Place"]("a")
    assert repr(place) == "_samples.<locals>.Place(name='a', number=3)"
    assert str(place) == "a, 3"


@BOTH
def test_a_frozen_value_stays_what_it_is(made: ModuleType) -> None:
    place = _samples(made)["Place"]("a")
    with pytest.raises(AttributeError, match="name"):
        place.name = "b"
    with pytest.raises(AttributeError, match="name"):
        del place.name
    with pytest.raises((AttributeError, TypeError)):  # Python 3.11's says it in a strange way
        place.other = "b"
    assert place.name == "a"


@BOTH
def test_an_open_value_can_be_changed_but_has_no_hash_and_no_new_fields(made: ModuleType) -> None:
    growing = _samples(made)["Growing"]()
    growing.count = 5
    assert growing.count == 5
    with pytest.raises(AttributeError):
        growing.other = 1
    with pytest.raises(TypeError):
        hash(growing)


@BOTH
def test_each_value_gets_a_list_of_its_own(made: ModuleType) -> None:
    growing = _samples(made)["Growing"]
    one, other = growing(), growing()
    one.names.append("x")
    assert other.names == []


@BOTH
def test_what_guards_the_making_cannot_be_passed_by(made: ModuleType) -> None:
    guarded = _samples(made)["Guarded"]
    for _ in range(2):  # the first call is not like the others
        with pytest.raises(ValueError, match="please"):
            guarded("a")
    value = guarded("a", "please")
    assert value.name == "a"
    with pytest.raises(ValueError, match="please"):
        made.replace(value, name="b", word=None)


@BOTH
def test_a_value_can_be_made_from_another(made: ModuleType) -> None:
    place = _samples(made)["Place"]("a", 5)
    assert dataclasses.replace(place, name="b") == made.replace(place, name="b") == type(place)("b", 5)
    with pytest.raises(TypeError):
        made.replace(place, nothing=1)


@BOTH
def test_a_value_can_be_matched(made: ModuleType) -> None:
    place = _samples(made)["Place"]
    match place("a", 5):
        case place(name, number):
            assert (name, number) == ("a", 5)
        case _:
            pytest.fail("no match")


@BOTH
@pytest.mark.parametrize("words", [(), ("a", 1, 2)], ids=["too few", "too many"])
def test_wrong_words_are_refused_by_name(made: ModuleType, words: tuple[object, ...]) -> None:
    place = _samples(made)["Place"]
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Place\.__init__\(\)"):
            place(*words)


def test_what_it_cannot_do_it_does_not_do_halfway() -> None:
    with pytest.raises(TypeError):
        values.dataclass(frozen=True, slots=True, order=True)
    with pytest.raises(NotImplementedError):
        values.dataclass(frozen=True)
    made = values.dataclass(frozen=True, slots=True)
    for plain in (
        type("Inherits", (Exception,), {"__annotations__": {}}),
        type("Compares", (), {"__annotations__": {}, "__eq__": lambda _one, _other: True}),
        type("Smuggles", (), {"__annotations__": {"a): import os #": int}}),
    ):
        with pytest.raises(NotImplementedError):
            made(plain)
