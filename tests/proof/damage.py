"""Acts. Somebody, or a dying disk, alters what Intact itself has written.

Every byte of the journal, the plan, the opening and the database is flipped in turn; each of these files is cut
short, emptied, removed, and exchanged for its copy from an earlier time. `pkg` must refuse or recover, say what is
wrong, leave each path whole, and touch nothing outside the root.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from intact.transaction.journal import BLOCK, BLOCKS
from proof.examine import half_done
from proof.listener import Call
from proof.stage import Stage, set_stage
from proof.supervise import CONTINUE, KILL, run_pkg, supervised
from proof.verdicts import Scene, Verdict
from support.workshop import Workshop

__all__ = ["Victim", "prepare", "states", "try_damage"]

_STATE = "var/lib/intact"
_CUTS = 24
_SPREAD = 997  # every byte of what is at most this long; of longer files this many, spread evenly
_COMMANDS = (["list"], ["history"], ["verify"], ["rollback"])
_PHASES = ("OPEN", "STAGED", "COMMITTED", "RECORDED")
_DIFFERENT = 10
_REFUSALS = frozenset({0, 1, 5, 6, 10})


@dataclass(frozen=True)
class Victim:
    """A root whose state is about to be damaged.

    Attributes:
        root: crashed in the midst of its renames, or at rest.
        older: the same root before the last command.
        way: of the first recovery (an option, or none).
        files: what can be damaged, below the state directory.
        outside: a directory beside the root that nobody may touch.
    """

    stage: Stage
    root: Workshop
    older: Workshop
    way: tuple[str, ...]
    files: tuple[str, ...]
    outside: Path


def prepare(name: str, place: Path) -> Victim:
    """Play a story (``NAME+crash``, ``NAME+crash+back`` or ``NAME+done``) up to the damage."""
    story, how, *back = name.split("+")
    stage = set_stage(story, place)
    root = stage.copy("victim")
    if how == "crash":
        seen = 0

        def policy(_number: int, call: Call) -> int:
            nonlocal seen
            seen += call.name == "renameat2"
            return KILL if seen > 4 else CONTINUE

        supervised(stage.command(root), stage.place, policy)
    else:
        run_pkg(stage.command(root), stage.place)
    outside = stage.place / "outside"
    outside.mkdir()
    (outside / "file").write_text("not to be touched")
    top = root.path / _STATE
    names = sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
    files = [one for one in names if "slots" not in one and not one.endswith("lock")]
    return Victim(stage, root, stage.template, tuple(f"--{one}" for one in back), tuple(files), outside)


def states(victim: Victim) -> list[str]:
    """Name each damage: what is done, to which file, where."""
    found = []
    for file in victim.files:
        size = (victim.root.path / _STATE / file).stat().st_size
        step = max(1, size // _SPREAD)
        found += [f"flip:{file}:{at}" for at in range(0, size, step)]
        found += [f"cut:{file}:{size * part // _CUTS}" for part in range(_CUTS)]
        found += [f"remove:{file}:0", f"noise:{file}:0", f"link:{file}:0"]
        if file.endswith("journal"):
            found += [
                f"back-to-{phase}:{file}:{at}" for at, phase in enumerate(_PHASES, 1) if at * BLOCK < size
            ]
        if file.endswith("plan.json"):
            found.append(f"aim:{file}:0")
        if (victim.older.path / _STATE / file).exists():
            found.append(f"older:{file}:0")
    slots = victim.root.path / _STATE / "private/transactions"
    for number in sorted(path.name for path in slots.iterdir()):
        found += [f"slots:{number}:0"]
        found += [f"backup:{number}/{one.name}:0" for one in sorted((slots / number / "slots").iterdir())]
    return found


def _damage(workshop: Workshop, victim: Victim, state: str) -> None:
    what, rest = state.split(":", 1)
    name, at = rest.rsplit(":", 1)
    if what == "slots":
        shutil.rmtree(workshop.path / _STATE / "private/transactions" / name / "slots")
    elif what == "backup":
        number, _, slot = name.partition("/")
        _alter(workshop.path / _STATE / "private/transactions" / number / "slots" / slot)
    elif what == "older":
        shutil.copy2(victim.older.path / _STATE / name, workshop.path / _STATE / name)
    elif what == "link":
        (workshop.path / _STATE / name).unlink()
        (workshop.path / _STATE / name).symlink_to(victim.outside / "file")
    else:
        _DAMAGES[what](workshop.path / _STATE / name, int(at))


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x41
    file.write_bytes(data)


def _cut(file: Path, at: int) -> None:
    file.write_bytes(file.read_bytes()[:at])


def _lose_records(file: Path, records: int) -> None:
    """Let a journal be as it was when it had so many records."""
    file.write_bytes(file.read_bytes()[: records * BLOCK].ljust(BLOCK * BLOCKS, b"\0"))


def _remove(file: Path, _at: int) -> None:
    file.unlink()


def _overwrite(file: Path, _at: int) -> None:
    file.write_bytes(bytes((number * 151 + 7) % 256 for number in range(file.stat().st_size)))


def _aim(file: Path, _at: int) -> None:
    """Let every step of a plan aim at another path."""
    plan = json.loads(file.read_text())
    for place, (_slot, _inode, _digest, action) in enumerate(plan["steps"]):
        action[1] = f"aimed-{place}"
    file.write_text(json.dumps(plan))


_DAMAGES = {
    **{f"back-to-{phase}": _lose_records for phase in _PHASES},
    "flip": _flip,
    "cut": _cut,
    "remove": _remove,
    "noise": _overwrite,
    "aim": _aim,
}


def _alter(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
        place.symlink_to("/etc/passwd")
    elif place.is_dir():
        (place / "added").write_text("added")
    else:
        place.write_bytes(b"altered" + place.read_bytes())


def try_damage(scene: Scene, victim: Victim, state: str) -> Verdict:
    """Damage, run the commands that a person would try, look."""
    workshop = victim.root.copy("damaged")
    _damage(workshop, victim, state)
    found: list[str] = []
    outcomes: dict[str, int | None] = {}
    for words in (["recover", *victim.way], *_COMMANDS):
        ended = run_pkg(["--root", str(workshop.path), "--quiet", *words], victim.stage.place)
        outcomes[words[0]] = ended.code
        if ended.code not in _REFUSALS or "Traceback" in ended.said:
            found.append(f"`pkg {' '.join(words)}` ended with {ended.code}: {ended.said.strip()[-500:]}")
        if ended.code not in {0, 10} and not ended.said.strip():
            found.append(f"`pkg {' '.join(words)}` ended with {ended.code} and says nothing")
        if words[0] == "recover" and not state.startswith("backup"):
            found += half_done(workshop, victim.stage.expected)
    if "transactions/" in state and outcomes["recover"] == 0 and outcomes["verify"] == _DIFFERENT:
        found.append("`pkg recover` says that all is well, and the files are not what the database says")
    if (victim.outside / "file").read_text() != "not to be touched":
        found.append("a file outside the root was touched")
    if len(list(victim.outside.iterdir())) != 1:
        found.append("a file outside the root was created or removed")
    return Verdict(scene, state, 1, Counter([f"recover {outcomes['recover']}"]), tuple(found))
