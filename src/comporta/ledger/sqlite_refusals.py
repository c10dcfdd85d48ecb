"""What is refused before a database is opened: a path nobody can write, a network share.

SQLite's locks are not reliable on network file systems: two machines would both believe they hold
them. So this is an error at the start, not a warning in the docs.
"""

import os
from pathlib import Path

from comporta.errors import NetworkFileSystem, UnwritablePath

NETWORK_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "fuse.sshfs",
        "fuse.rclone",
        "ceph",
        "glusterfs",
        "ncpfs",
    }
)


def refuse_unusable(path: Path, *, mounts: Path = Path("/proc/mounts")) -> None:
    """Raise if an SQLite file at ``path`` could not be kept safely."""
    folder = path.parent
    if not folder.is_dir():
        message = f"database {path}: the folder {folder} does not exist"
        raise UnwritablePath(message)
    if path.is_dir():
        message = f"database {path}: this is a folder; expected a file"
        raise UnwritablePath(message, next_step="Add a file's name to `database`.")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        message = f"database {path}: not writable; SQLite writes the file and two more beside it"
        raise UnwritablePath(message)
    kind = file_system(path.resolve().parent, mounts)
    if kind in NETWORK_TYPES or str(path).startswith("\\\\"):
        message = f"database {path}: lies on a network file system ({kind or 'a share'})"
        raise NetworkFileSystem(message)


def file_system(folder: Path, mounts: Path) -> str | None:
    """Return the type of the file system that holds ``folder``, ``None`` where the system does not say."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    where = folder.resolve()
    best: tuple[int, str | None] = (-1, None)
    for line in lines:
        _, mount, kind, *_ = (*line.split(" "), "", "")
        # A space in a path is written as its octal code, so that the columns stay apart.
        mounted = Path(mount.replace("\\040", " "))
        if where.is_relative_to(mounted) and len(mounted.parts) >= best[0]:
            best = (len(mounted.parts), kind)
    return best[1]
