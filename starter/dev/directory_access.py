"""Let one user pass through a directory that stays closed to all others.

By an entry of the directory's access list (POSIX ACL), written as Linux keeps it: a header with
version 2, then tag, permissions and id of each entry, little endian, in the order of their tags.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_BOUNDED = (_USER, _OWNING_GROUP, _GROUP)
_NOBODY = 0xFFFFFFFF  # in entries that name no user or group
_PASS = 1

Entries = dict[tuple[int, int], int]
"""Permissions by tag and id."""


def let_pass(directory: Path, uid: int) -> None:
    """Let the user `uid` pass through `directory`, but not list it. Nobody loses access.

    Raises:
        OSError: the directory isn't ours, or its file system keeps no access lists.
    """
    if directory.stat().st_mode & stat.S_IXOTH:
        return
    entries = _read(directory)
    mask = entries.get((_MASK, _NOBODY))
    if mask is not None:
        # What the mask takes from others stays taken when it is widened for the new entry.
        entries |= {key: held & mask for key, held in entries.items() if key[0] in _BOUNDED}
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _PASS
    entries[_MASK, _NOBODY] = (mask or entries[_OWNING_GROUP, _NOBODY]) | _PASS
    written = [_ENTRY.pack(tag, held, id) for (tag, id), held in sorted(entries.items())]
    os.setxattr(directory, _ATTRIBUTE, _VERSION + b"".join(written))


def _read(directory: Path) -> Entries:
    try:
        stored = os.getxattr(directory, _ATTRIBUTE)
    except OSError as err:
        if err.errno != errno.ENODATA:
            raise
        mode = directory.stat().st_mode
        return {
            (_OWNER, _NOBODY): mode >> 6 & 7,
            (_OWNING_GROUP, _NOBODY): mode >> 3 & 7,
            (_OTHERS, _NOBODY): mode & 7,
        }
    body = stored[len(_VERSION) :]
    return {(tag, id): held for tag, held, id in _ENTRY.iter_unpack(body)}
