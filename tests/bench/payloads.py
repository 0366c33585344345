"""Acts. Which trees are measured? Made up from a seed, the same bytes everywhere, without a network.

    S  200 files, 20 MB           a small program: binaries, libraries, texts
    M  20,000 files, 120 MB       headers, modules: half of them below 2 KiB
    L  8 files, 1 GiB             from random bytes to zeros

The second version of M has one file of a hundred changed, ten added and ten removed; that of L has one file of the
eight changed, in a few places.
"""

import math
import os
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

__all__ = ["FULL", "QUICK", "Sizes", "make_tree"]

MIB = 1 << 20
TIMES = {"1": 1_700_000_000, "2": 1_700_086_400}
_WORDS = (
    "core", "net", "driver", "sched", "block", "crypto", "sound", "video", "media", "asm", "linux", "lib",
    "util", "test", "common", "config", "parser", "lexer", "token", "node", "index", "buffer", "stream",
    "codec", "cache", "store", "table", "list", "tree", "hash", "map", "queue", "lock", "event", "timer",
    "signal", "socket", "http", "frame", "packet", "route", "filter", "match", "rule", "policy", "trace",
    "debug", "error", "option", "default", "client", "server", "const", "void", "int", "char", "struct",
    "return", "static", "if", "else", "for", "while", "switch", "case", "break", "unsigned", "long",
    "size_t", "NULL",
)  # fmt: skip
_SMALL_BINARIES, _SMALL_FILES, _SMALL_BYTES = 8, 192, 20_000_000
_MEDIAN, _MEAN = 2048, 6000  # bytes of a file of M
_LARGE = (
    ("model/weights.bin", "random", 272),
    ("lib/libengine.so", "binary", 224),
    ("data/corpus.txt", "text", 176),
    ("data/index.db", "binary", 144),
    ("media/pack.bin", "random", 96),
    ("data/table.csv", "text", 64),
    ("img/disk.raw", "sparse", 32),
    ("share/help.txt", "text", 16),
)  # the third is the share of 1024
_CHANGED_LARGE = "data/index.db"


@dataclass(frozen=True)
class Sizes:
    """How much of it.

    Attributes:
        files: of M.
        large: of L, in MiB.
    """

    files: int
    large: int


FULL = Sizes(20_000, 1024)
QUICK = Sizes(2_000, 128)


class _Pool:
    """Texts and binaries to cut pieces from; they compress about as source code and machine code do."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        shares = list(accumulate(1 / rank for rank in range(1, 4097)))
        names = [*_WORDS, *(f"{dice.choice(_WORDS)}_{dice.choice(_WORDS)}{number}" for number in range(4096))]

        def one_of(words: list[bytes]) -> bytes:
            return words[min(bisect(shares, dice.random() * shares[-1]), len(words) - 1)]

        words = [name.encode() for name in names]
        self._text = b"".join(
            b"    %s %s(%s, %d);\n" % (one_of(words), one_of(words), one_of(words), dice.randrange(100_000))
            for _ in range(400_000)
        )
        codes = [dice.randbytes(dice.randrange(2, 9)) for _ in range(2048)]
        self._binary = b"".join(
            one_of(codes) + (dice.randbytes(2) if number % 2 else b"") for number in range(1_000_000)
        )

    def text(self, size: int, serial: int) -> bytes:
        """Return `size` bytes of text, unlike any other's."""
        tag = b"/* unit %08x */\n" % (serial * 2654435761 & 0xFFFFFFFF)
        return (tag + self._cut(self._text, size))[:size]

    def binary(self, size: int) -> bytes:
        """Return `size` bytes like machine code."""
        return self._cut(self._binary, size)

    def _cut(self, source: bytes, size: int) -> bytes:
        parts = []
        while size > 0:
            start = self._dice.randrange(len(source))
            parts.append(source[start : start + size])
            size -= len(parts[-1])
        return b"".join(parts)


def make_tree(name: str, version: str, top: Path, sizes: Sizes, before: Path | None = None) -> None:
    """Make the tree of a payload.

    Args:
        name: ``S``, ``M`` or ``L``.
        version: ``1`` or ``2``.
        before: the tree of version 1, whose files version 2 of L shares as hardlinks.
    """
    dice = random.Random(f"intact-{name}")
    pool = _Pool(random.Random("intact"))
    pool._dice = dice
    made = {"S": _small, "M": _many, "L": _large}[name](dice, pool, sizes, version)
    for path, mode, changed, pieces in made:
        target = top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and not changed and (before / path).exists():
            os.link(before / path, target)
            continue
        with target.open("wb") as file:
            file.writelines(pieces)
        target.chmod(mode)
        seconds = TIMES["2" if changed else "1"]
        os.utime(target, (seconds, seconds))


_File = tuple[str, int, bool, Iterator[bytes] | list[bytes]]


def _small(dice: random.Random, pool: _Pool, _sizes: Sizes, _version: str) -> Iterator[_File]:
    left = _SMALL_BYTES
    for number in range(_SMALL_BINARIES):
        size = dice.randrange(200_000, 1_500_000)
        left -= size
        where = f"bin/tool{number}" if number % 2 else f"lib/lib{_WORDS[number]}.so"
        yield f"opt/small/{where}", 0o755, False, [pool.binary(size)]
    weights = [math.exp(dice.gauss(0, 1)) for _ in range(_SMALL_FILES)]
    for number, weight in enumerate(weights):
        folder = dice.choice(("share/data", "share/locale", "share/doc", "lib/py", "lib/py/more", "etc"))
        content = pool.text(max(200, int(left * weight / sum(weights))), number)
        yield f"opt/small/{folder}/{dice.choice(_WORDS)}-{number:03d}.txt", 0o644, False, [content]


def _many(dice: random.Random, pool: _Pool, sizes: Sizes, version: str) -> Iterator[_File]:
    count = sizes.files
    folders = sorted({_folder(dice) for _ in range(max(8, count // 14))})
    sigma = math.sqrt(2 * math.log(_MEAN / _MEDIAN))
    chosen = dice.sample(range(count), count // 100 + 10)
    changed, removed = set(chosen[10:]), set(chosen[:10])
    for number in range(count):
        size = min(400_000, max(40, int(_MEDIAN * math.exp(dice.gauss(0, sigma)))))
        path = f"{dice.choice(folders)}/{dice.choice(_WORDS)}_{dice.choice(_WORDS)}_{number:05d}.h"
        mode = 0o755 if dice.random() < 0.02 else 0o644
        content = pool.text(size, number)
        if version == "2" and number in removed:
            continue
        is_changed = version == "2" and number in changed
        yield path, mode, is_changed, [content, *([b"/* changed */\n"] if is_changed else [])]
    if version == "2":
        for number in range(10):
            yield f"{dice.choice(folders)}/added_{number}.h", 0o644, True, [pool.text(3000, count + number)]


def _folder(dice: random.Random) -> str:
    depth = dice.choice((1, 2, 2, 3, 3, 3, 4, 4, 5))
    return "/".join(["opt/many", *(f"{dice.choice(_WORDS)}{dice.randrange(40)}" for _ in range(depth))])


def _large(dice: random.Random, pool: _Pool, sizes: Sizes, version: str) -> Iterator[_File]:
    for path, kind, share in _LARGE:
        own = random.Random(f"intact-L-{path}")
        size = share * sizes.large * MIB // 1024
        is_changed = version == "2" and path == _CHANGED_LARGE
        pieces = _pieces(kind, size, own, pool)
        yield (
            f"opt/large/{path}",
            0o755 if path.startswith("lib/") else 0o644,
            is_changed,
            _altered(pieces) if is_changed else pieces,
        )


def _pieces(kind: str, size: int, dice: random.Random, pool: _Pool) -> Iterator[bytes]:
    pool._dice = dice
    serial = 0
    while size > 0:
        serial += 1
        match kind:
            case "random":
                piece = dice.randbytes(min(size, 4 * MIB))
            case "binary":
                piece = pool.binary(min(size, 300_000))
            case "text":
                piece = pool.text(min(size, 200_000), serial)
            case _:
                piece = (bytes(3 << 16) + dice.randbytes(1 << 16))[:size]
        size -= len(piece)
        yield piece


def _altered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Change the beginning of every hundredth piece."""
    for number, piece in enumerate(pieces):
        yield b"changed" + piece[7:] if number % 100 == 50 else piece
