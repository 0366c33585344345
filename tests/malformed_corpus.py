"""Writes the malformed bundles into a directory: python tests/malformed_corpus.py DIR.

Each is a file of its own; `cases.tsv` says for each the requirement that refuses it, the exit code of
`pkg install` and what its error has to say; `key.pub` is the key that signed most of them.
"""

import sys
from pathlib import Path

from support.malformed import KEY, all_cases


def write_corpus(folder: Path) -> int:
    """Write all cases; return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in all_cases():
        (folder / f"{case.name}.tar.zst").write_bytes(case.content)
        rows.append(f"{case.name}\t{case.kind}\t{case.code}\t{case.said}\n")
    (folder / "cases.tsv").write_text("".join(rows))
    (folder / "key.pub").write_text(f"{KEY.public.line}\n")
    return len(rows)


if __name__ == "__main__":
    sys.stdout.write(f"{write_corpus(Path(sys.argv[1]))} malformed bundles\n")
