"""Writing a file so that others see the old one or the whole new one, never a part.

The new content goes into a directory of its own beside the target and is moved over it at the
end. What is there keeps its permissions and, where we may, its owner, as if it had been written
over; a symbolic link stays and its target is replaced. On an error nothing is left behind.

A target that is no regular file (``/dev/null``, to get nothing but the measurements) cannot be
replaced: the finished content is copied into it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file to write and read; when the block ends well, `path` is that file.

    Raises:
        OSError: the file cannot be made, or not put there.

    """
    target = Path(os.path.realpath(path))
    old = target.stat() if target.exists() else None
    in_place = old is not None and not stat.S_ISREG(old.st_mode)
    folder = None if in_place else target.parent
    with tempfile.TemporaryDirectory(prefix=".nitrosim-eif-", dir=folder) as scratch:
        new = Path(scratch, "new")
        with new.open("x+b") as file:
            yield file
        if in_place:
            with new.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            return
        if old is not None:
            _take_over(new, old)
        new.replace(target)


def _take_over(new: Path, old: os.stat_result) -> None:
    """Give the new file the owner and permissions of the old one."""
    if os.name == "posix" and (new.stat().st_uid, new.stat().st_gid) != (old.st_uid, old.st_gid):
        # An ordinary user cannot give files away: the file then is the user's.
        with contextlib.suppress(PermissionError):
            os.chown(new, old.st_uid, old.st_gid)
    new.chmod(stat.S_IMODE(old.st_mode))
