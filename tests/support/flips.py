"""One flipped bit in a file: where nothing but a digest can notice it."""

import os
import random
from pathlib import Path


def flip(path: Path, chance: random.Random) -> None:
    """Flip a bit of a file in place; its modification time stays."""
    info = path.stat()
    path.chmod(0o600)
    with open(path, "r+b") as file:
        at = chance.randrange(info.st_size)
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def kind_of(name: str) -> str:
    """What kind of object of a run folder or of scratch a path is: its stage and its role, without numbers."""
    words = name.split("/")
    file = words[-1]
    role = "done" if "done" in words else "part" if file.startswith("part-") else "ranks" if "ranks-" in name else file
    return f"{words[1]} {role}" if words[0] == "stages" else role
