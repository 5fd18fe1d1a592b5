"""What is known of image files that were checked before, so that they need not be read again.

To check and measure a file it has to be read and hashed as a whole, which takes a second for some
hundred megabytes. The system tells whether a file has changed since: its inode, size,
modification time and change time are the same. The change time cannot be set by a program, so
this also notices bytes that were changed under an old modification time. Two changes within one
tick of the clock of a file system look the same; so a file that was changed in the last moments
is not remembered.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from nitrosim.eif import Eif

_FOLDER: Final = "known"
_YOUNG: Final = 3
"""Seconds; the coarsest clock of a file system in use counts two (FAT)."""


class Known(NamedTuple):
    """What a check of a file has found.

    Attributes:
        key: of its unpacked form in the cache.
        pcrs: its registers, 48 bytes each, by index.
        period: when its signing certificate is valid, both in seconds since 1970; None if it is
            not signed.
        metadata: what describe-enclaves adds about it: the text of a JSON object, "" for none.

    """

    key: str
    pcrs: Mapping[int, bytes]
    period: tuple[float, float] | None
    metadata: str = ""

    @classmethod
    def of(cls, eif: Eif, *, key: str, at: datetime) -> Known:
        """Measure a file, and verify its signature as for a start at the time `at`.

        Raises:
            EifError: the signature does not hold, with the reason as its code.

        """
        period = None
        if eif.is_signed:
            from cryptography import x509  # noqa: PLC0415 - only who has a signature pays for it

            der = eif.verify_for_boot(at=at).certificate.der
            certificate = x509.load_der_x509_certificate(der)
            begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            period = begin.timestamp(), end.timestamp()
        measured = eif.measure()
        registers = {0: measured.pcr0, 1: measured.pcr1, 2: measured.pcr2, 8: measured.pcr8}
        pcrs = {index: value for index, value in registers.items() if value is not None}
        return cls(key, pcrs, period, _metadata(eif))

    def holds(self, at: datetime) -> bool:
        """Say whether a start at the time `at` would be found in order again."""
        if self.period is None:
            return True
        # A time without zone is for the whole check to refuse.
        begin, end = self.period
        return at.tzinfo is not None and begin <= at.timestamp() <= end


def _metadata(eif: Eif) -> str:
    from nitrosim.eif.description import describe_metadata  # noqa: PLC0415 - as in eif.py
    from nitrosim.eif.errors import Code, EifError  # noqa: PLC0415 - as in eif.py
    from nitrosim.eif.serde import write_pretty  # noqa: PLC0415 - as in eif.py

    metadata = eif.metadata
    if metadata is None:
        return ""
    try:
        described = describe_metadata(metadata)
    except EifError as error:
        # ASSUMPTION: What describe-eif refuses to print, describe-enclaves leaves out.
        if error.code != Code.CUSTOM_METADATA.name:
            raise
        return ""
    return write_pretty(
        {
            "ImageName": metadata.image_name,
            "ImageVersion": metadata.image_version,
            "Metadata": described,
        }
    )


class FileIdentity:
    """One state of a file, for `purpose`: a part of a file name that tells uses of it apart.

    Raises OSError when there is no such file.
    """

    def __init__(self, path: str | os.PathLike[str], purpose: str) -> None:
        self._path, self._purpose = path, purpose
        self._name, self._changed = self._look()

    def _look(self) -> tuple[str, int]:
        """Return a name for the state of the file, and when it was changed last, in ns."""
        status = os.stat(self._path)  # noqa: PTH116 - a path as the caller has it
        facts = [self._purpose, status.st_dev, status.st_ino, status.st_size]
        facts += [status.st_mtime_ns, status.st_ctime_ns]
        return "-".join(map(str, facts)), max(status.st_mtime_ns, status.st_ctime_ns)

    def still_holds(self) -> bool:
        """Say whether the file is there as it was."""
        try:
            return self._look()[0] == self._name
        except OSError:
            return False

    def recall(self, cache: Path) -> Known | None:
        """Return what is known of this state of the file; None if that is nothing."""
        try:
            facts = json.loads((cache / _FOLDER / self._name).read_text("utf-8"))
            pcrs = {int(index): bytes.fromhex(value) for index, value in facts["pcrs"].items()}
            period = facts["period"]
            if period is not None:
                period = float(period[0]), float(period[1])
            return Known(str(facts["key"]), pcrs, period, str(facts["metadata"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None

    def remember(self, cache: Path, known: Known, *, at: datetime) -> None:
        """Keep what is known of this state of the file, unless it is too young at the time `at`."""
        if at.timestamp() - self._changed / 1e9 < _YOUNG:
            return
        import tempfile  # noqa: PLC0415 - loads more than all else here

        facts = {
            "key": known.key,
            "pcrs": {index: value.hex() for index, value in known.pcrs.items()},
            "period": known.period,
            "metadata": known.metadata,
        }
        # Who cannot remember reads again: a full disk is no reason to refuse an image.
        with contextlib.suppress(OSError):
            folder = cache / _FOLDER
            folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
                fresh = Path(scratch, "known")
                fresh.write_text(json.dumps(facts), "utf-8")
                fresh.replace(folder / self._name)
