"""Pure. How does a class of values get its functions, without a wait at the start of every command?

`dataclasses` compiles six functions for each class while a module is loaded: a third of a millisecond for each of a
hundred classes, and it brings `inspect` with it. Here a function is written when it is called for the first time.

For a type checker these *are* the names of `dataclasses`, and what they make behaves alike: `tests/model/test_value_classes.py`
holds every class of ours against it. What no class of ours needs is missing: inheritance, `kw_only`, `order`, pickles.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["InitVar", "dataclass", "field", "replace"]

_Text = tuple[str, list[str], dict[str, Any]]
"""A function to be compiled: its parameters, its lines, and what the names in them stand for."""
_WRITTEN = frozenset({"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"})


class _Missing:
    """Stands where there is no default."""


class _Field:
    """What is known about a field besides its name."""

    def __init__(
        self,
        *,
        default: Any = _Missing,  # noqa: ANN401  whatever a field may hold
        default_factory: Any = _Missing,  # noqa: ANN401  as above
        compare: bool = True,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.compare = compare


class _InitVar:
    """Marks what is given to `__post_init__` and not kept."""

    def __class_getitem__(cls, _kind: object) -> "type[_InitVar]":
        return cls


class _Described:
    """What `dataclasses.fields` and its like ask a class for; nothing of ours does."""

    def __init__(self, fields: Mapping[str, _Field]) -> None:
        self._fields = fields

    def __get__(self, _value: object, owner: type) -> object:
        import dataclasses  # noqa: PLC0415  to save this is what we are for

        def described(name: str) -> tuple[str, Any, Any]:
            kind = owner.__annotations__[name]
            told = {key: what for key, what in vars(self._fields[name]).items() if what is not _Missing}
            return name, dataclasses.InitVar if kind is _InitVar else kind, dataclasses.field(**told)

        return vars(dataclasses.make_dataclass("_", map(described, self._fields)))["__dataclass_fields__"]


def _replace(value: Any, /, **changes: Any) -> Any:  # noqa: ANN401  the type checker sees that of `dataclasses`
    return type(value)(**{name: getattr(value, name) for name in type(value).__slots__} | changes)


def _dataclass(*, frozen: bool = False, slots: bool = False) -> Callable[[type], type]:
    if not slots:
        raise NotImplementedError("values have slots")

    def made(plain: type) -> type:
        _insist_on_plainness(plain)
        fields = {name: _as_field(vars(plain).get(name, _Missing)) for name in plain.__annotations__}
        kept = [name for name in fields if plain.__annotations__[name] is not _InitVar]
        return _made(_with_slots(plain, fields, kept), fields, frozen=frozen)

    return made


def _insist_on_plainness(plain: type) -> None:
    """Refuse what would be lost without a word."""
    if not all(map(str.isidentifier, plain.__annotations__)):  # they become source text
        raise NotImplementedError(f"{plain.__qualname__}: fields that are no names")
    written = sorted(_WRITTEN & vars(plain).keys())
    if plain.__bases__ != (object,) or written:
        raise NotImplementedError(f"{plain.__qualname__}: inheritance, or functions of its own: {written}")


def _as_field(default: object) -> _Field:
    return default if isinstance(default, _Field) else _Field(default=default)


def _with_slots(plain: type, fields: Mapping[str, _Field], kept: Sequence[str]) -> type:
    """Make the class anew, because slots are there from the beginning or never."""
    left_out = {*kept, "__dict__", "__weakref__"}
    body = {name: what for name, what in vars(plain).items() if name not in left_out}
    body |= {
        "__slots__": tuple(kept),
        "__match_args__": tuple(fields),
        "__dataclass_fields__": _Described(fields),
    }
    new = type(plain.__name__, plain.__bases__, body)
    new.__qualname__ = plain.__qualname__
    return new


def _made(new: Any, fields: Mapping[str, _Field], *, frozen: bool) -> type:  # noqa: ANN401  a class
    compared = [name for name in new.__slots__ if fields[name].compare]
    _write_when_called(new, "__init__", lambda: _making(new, fields))
    _write_when_called(new, "__repr__", lambda: _showing(new.__slots__))
    _write_when_called(new, "__eq__", lambda: _comparing(compared))
    if frozen:
        _write_when_called(new, "__hash__", lambda: _hashing(compared))
        new.__setattr__ = new.__delattr__ = _refuse
    else:
        new.__hash__ = None
    made: type = new
    return made


def _refuse(value: object, name: str, _new: object = None) -> NoReturn:
    raise AttributeError(f"{type(value).__qualname__} cannot be changed: {name}")


def _making(new: Any, fields: Mapping[str, _Field]) -> _Text:  # noqa: ANN401  a class
    parameters, lines = [], []
    meaning: dict[str, Any] = {"_Missing": _Missing}
    for name, told in fields.items():
        if told.default_factory is not _Missing:
            parameters.append(f"{name}=_Missing")
            lines.append(f"if {name} is _Missing: {name} = _new_{name}()")
            meaning[f"_new_{name}"] = told.default_factory
        elif told.default is not _Missing:
            parameters.append(f"{name}=_default_{name}")
            meaning[f"_default_{name}"] = told.default
        else:
            parameters.append(name)
        if name in new.__slots__:  # the slot itself: `object.__setattr__` takes twice as long to find it
            lines.append(f"_set_{name}(self, {name})")
            meaning[f"_set_{name}"] = vars(new)[name].__set__
    if hasattr(new, "__post_init__"):
        lines.append(f"self.__post_init__({', '.join(name for name in fields if name not in new.__slots__)})")
    return ", ".join(parameters), lines, meaning


def _showing(names: Iterable[str]) -> _Text:
    fields = ", ".join(f"{name}={{self.{name}!r}}" for name in names)
    return "", [f"return f'{{type(self).__qualname__}}({fields})'"], {}


def _comparing(names: Iterable[str]) -> _Text:
    foreign = "if other.__class__ is not self.__class__: return NotImplemented"
    return "other", [foreign, f"return {_tuple('self', names)} == {_tuple('other', names)}"], {}


def _hashing(names: Iterable[str]) -> _Text:
    return "", [f"return hash({_tuple('self', names)})"], {}


def _tuple(value: str, names: Iterable[str]) -> str:
    return "(" + "".join(f"{value}.{name}, " for name in names) + ")"


def _write_when_called(new: type, name: str, write: Callable[[], _Text]) -> None:
    """Give a class a function that, at its first call, puts the real one in its own place."""

    def first(value: object, *words: object, **named: object) -> object:
        parameters, lines, meaning = write()
        # What is compiled consists of names in our own source; defaults are values, and come in as such.
        exec(f"def {name}(self, {parameters}):\n " + "\n ".join(lines), meaning)  # noqa: S102
        function = meaning[name]
        function.__qualname__ = f"{new.__qualname__}.{name}"
        setattr(new, name, function)
        return function(value, *words, **named)

    setattr(new, name, first)


if TYPE_CHECKING:
    from dataclasses import InitVar, dataclass, field, replace
else:
    InitVar = _InitVar
    dataclass = _dataclass
    field = _Field
    replace = _replace
