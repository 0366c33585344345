"""Acts. How far has a transaction come, durably?

A journal is one file of 16 blocks of 512 bytes, allocated and synced before anything else, so that a later
record needs no space and is one sector: it is there or it is not. A block holds

    intact-journal-1 DIGEST {"phase": …, "number": …, …} spaces newline

DIGEST is the SHA-256 over the digest of the block before and the JSON text, so that no record can be
altered, dropped from the middle or moved from another journal. A block of zeros ends the journal; whatever
is neither that nor a valid record is damage, which nothing may act upon.
"""

import hashlib
import json

from intact.model.entries import Digest
from intact.model.errors import JournalDamaged
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.system.port import Disk
from intact.transaction.phases import TRANSITIONS, Phase

__all__ = ["BLOCK", "BLOCKS", "Journal", "Record"]

BLOCK = 512
BLOCKS = 16
_MAGIC = b"intact-journal-1"


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        time: seconds since 1970.
        attached: SHA-256 of the file that the record vouches for (opening.json, plan.json), or empty.
        reason: why the transaction took this way; cut to what fits.
    """

    phase: Phase
    time: int
    attached: str = ""
    reason: str = ""


class Journal:
    """The records of one transaction.

    Attributes:
        is_in_doubt: a record was refused, and the disk may hold it all the same.
    """

    def __init__(
        self, disk: Disk, path: RelPath, transaction: int, records: list[Record], chain: bytes
    ) -> None:
        """Use `create` or `load`."""
        self._disk = disk
        self._path = path
        self._transaction = transaction
        self._records = records
        self._chain = chain
        self.is_in_doubt = False

    @property
    def records(self) -> tuple[Record, ...]:
        """All records, oldest first."""
        return tuple(self._records)

    @property
    def phase(self) -> Phase:
        """The phase that the transaction is in."""
        return self._records[-1].phase

    def attached(self, phase: Phase) -> Digest:
        """Return the digest that the record of `phase` vouches for; raises if there is no such record."""
        for record in self._records:
            if record.phase is phase:
                return Digest(record.attached)
        raise JournalDamaged(f"the journal has no {phase.value} record", path=f"/{self._path}")

    @classmethod
    def create(cls, disk: Disk, path: RelPath, transaction: int, opening: Record) -> "Journal":
        """Write a new journal whose first record is `opening`; durable on return."""
        chain, block = _encode(b"", transaction, 0, opening)
        disk.write_durably(path, block + bytes(BLOCK * (BLOCKS - 1)))
        return cls(disk, path, transaction, [opening], chain)

    @classmethod
    def load(cls, disk: Disk, path: RelPath, transaction: int) -> "Journal | None":
        """Read a journal; None if it does not exist or its first record was never complete.

        Raises:
            JournalDamaged: a block is neither a record nor empty, or the records contradict the table.
        """
        if disk.observe(path) is None:
            return None
        text = disk.read_file(path)
        records: list[Record] = []
        chain = b""
        for number in range(BLOCKS):
            block = text[number * BLOCK : (number + 1) * BLOCK]
            if not block.strip(b"\0"):
                break
            chain, record = _decode(chain, transaction, number, block, path)
            _check_order(records, record, path)
            records.append(record)
        if text[len(records) * BLOCK :].strip(b"\0") or len(text) > BLOCK * BLOCKS:
            raise JournalDamaged("the journal has bytes after its last record", path=f"/{path}")
        return cls(disk, path, transaction, records, chain) if records else None

    def append(self, record: Record) -> None:
        """Add a record; it is durable on return."""
        _check_order(self._records, record, self._path)
        number = len(self._records)
        chain, block = _encode(self._chain, self._transaction, number, record)
        self.is_in_doubt = True
        self._disk.overwrite_block(self._path, number * BLOCK, block)
        self.is_in_doubt = False
        self._chain = chain
        self._records.append(record)


def _check_order(records: list[Record], record: Record, path: RelPath) -> None:
    allowed = TRANSITIONS[records[-1].phase] if records else frozenset({Phase.OPEN})
    if record.phase not in allowed:
        before = records[-1].phase.value if records else "the beginning"
        raise JournalDamaged(f"{record.phase.value} cannot follow {before}", path=f"/{path}")


def _encode(chain: bytes, transaction: int, number: int, record: Record) -> tuple[bytes, bytes]:
    room = BLOCK - len(_MAGIC) - 64 - 3
    reason = record.reason.encode("ascii", "backslashreplace").decode()[:160]
    fields = {
        "transaction": transaction,
        "number": number,
        "phase": record.phase.value,
        "time": record.time,
        "attached": record.attached,
        "reason": reason,
    }
    text = json.dumps(fields, separators=(",", ":")).encode()
    if len(text) > room:
        fields["reason"] = ""
        text = json.dumps(fields, separators=(",", ":")).encode()
    digest = hashlib.sha256(chain + text).hexdigest().encode()
    return digest, _MAGIC + b" " + digest + b" " + text.ljust(room) + b"\n"


def _decode(chain: bytes, transaction: int, number: int, block: bytes, path: RelPath) -> tuple[bytes, Record]:
    magic, _, rest = block.partition(b" ")
    digest, _, text = rest.partition(b" ")
    text = text.rstrip(b" \n")
    if len(block) != BLOCK or magic != _MAGIC or digest != hashlib.sha256(chain + text).hexdigest().encode():
        raise _damaged(number, path)
    try:
        fields = json.loads(text)
        owner = fields["transaction"], fields["number"]
        phase, time = Phase(fields["phase"]), int(fields["time"])
        record = Record(phase, time, str(fields["attached"]), str(fields["reason"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(number, path) from error
    if owner != (transaction, number):
        raise JournalDamaged(f"record {number} belongs to another journal", path=f"/{path}")
    return digest, record


def _damaged(number: int, path: RelPath) -> JournalDamaged:
    return JournalDamaged(
        f"record {number} of the journal is damaged",
        path=f"/{path}",
        root_state="nothing was changed by this command; the transaction is as the crash left it",
        remedy="run `pkg recover --status`; keep this directory, it holds the backups of the transaction",
    )
