"""Pure. How is a text written as a TOML string?"""

from collections.abc import Iterable

__all__ = ["text_list_of", "text_of"]


def text_of(value: str) -> str:
    """Write a TOML basic string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        escaped = "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04X}" for c in escaped)
    return f'"{escaped}"'


def text_list_of(values: Iterable[str]) -> str:
    """Write a list of TOML basic strings, each value once."""
    return f"[{', '.join(map(text_of, dict.fromkeys(values)))}]"
