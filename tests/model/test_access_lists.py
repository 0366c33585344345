"""A mode and an access list: what chmod(2) makes of them, without a moment in which the list says more."""

import os
import struct
from pathlib import Path

import pytest

from intact.model.access_lists import ACCESS_LIST, listed_mode, under_mode

NOBODY = 65534


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


NAMED = access_list(
    (1, 6, 2**32 - 1), (2, 6, NOBODY), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 4, 2**32 - 1)
)
PLAIN = access_list((1, 6, 2**32 - 1), (4, 4, 2**32 - 1), (32, 4, 2**32 - 1))


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o640, 0o664, 0o751, 0o4777])
def test_a_list_under_a_mode_is_what_the_kernel_makes_of_it(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.setxattr(path, ACCESS_LIST, NAMED)
    assert listed_mode(NAMED) == path.stat().st_mode & 0o777 == 0o664
    path.chmod(mode)
    assert os.getxattr(path, ACCESS_LIST) == under_mode(NAMED, mode)
    assert listed_mode(under_mode(NAMED, mode)) == mode & 0o777


def test_without_a_mask_the_group_is_the_group() -> None:
    assert listed_mode(PLAIN) == 0o644
    assert listed_mode(under_mode(PLAIN, 0o750)) == 0o750


@pytest.mark.parametrize("value", [b"", b"\2", b"\2\0\0\0", b"\3\0\0\0" + PLAIN[4:], PLAIN + b"x"])
def test_what_is_no_list_is_left_to_the_kernel(value: bytes) -> None:
    assert under_mode(value, 0o600) == value
    assert listed_mode(value) == 0
