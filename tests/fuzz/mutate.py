"""Pure. Inputs that are almost right, from those that are; the same ones for the same seed."""

import random
from collections.abc import Iterator, Sequence

__all__ = ["mutants"]

_MOST = 1 << 16
_EDGES = (0, 1, 127, 128, 255)


def mutants(seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yield inputs for ever; the valid ones first."""
    dice = random.Random(seed)  # noqa: S311  repeatable, not secret
    yield from seeds
    while True:
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 2, 4, 8))):
            _change(data, seeds, words, dice)
        yield bytes(data[:_MOST])


def _change(data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 2, 4, 16, 64, 512)))
    how = dice.randrange(8)
    if how == 0 and at < len(data):
        data[at] ^= 1 << dice.randrange(8)
    elif how == 1 and at < len(data):
        data[at] = dice.choice(_EDGES)
    elif how == 2:
        del data[at:end]
    elif how == 3:
        data[at:at] = data[at:end]
    elif how == 4 and words:
        data[at:at] = dice.choice(words)
    elif how == 5 and words:
        data[at:end] = dice.choice(words)
    elif how == 6:
        other = dice.choice(seeds)
        start = dice.randrange(len(other) + 1)
        data[at:end] = other[start : start + dice.choice((1, 8, 64, 512))]
    else:
        del data[at:]
