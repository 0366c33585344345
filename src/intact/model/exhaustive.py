"""Pure. How does the type checker see that no case of a union was forgotten?"""

from typing import NoReturn

__all__ = ["assert_never"]


def assert_never(value: NoReturn) -> NoReturn:
    """Fail when a union has grown and a `match` has not (``typing.assert_never`` starts with 3.11)."""
    raise AssertionError(f"unhandled case {value!r}")
