"""Where the peers are: unpacked wheels under peers/, or the wheels themselves, unpacked when they are needed.

As a program: cuts SGLang's wheel down to the few files that compare_sglang.py imports, under peers/sg.
"""

import os
import sys
import tempfile
import zipfile
from pathlib import Path

SGLANG_FILES = (
    "sglang/kernels/ops/attention/dsa/metadata.py",
    "sglang/kernels/ops/attention/dsa/kpool_metadata/scan.py",
    "sglang/kernels/ops/attention/dsa/kpool_metadata/decode.py",
    "sglang/kernels/ops/attention/dsa/kpool_metadata/verify.py",
    "sglang/kernels/ops/attention/dsa/kpool_metadata/draft_extend.py",
    "sglang/kernels/ops/attention/pad.py",
)


class Absent(FileNotFoundError):
    """A peer that nobody has fetched."""


def peers_folder():
    """NSAMETA_PEERS, or peers/ in the repository."""
    named = os.environ.get("NSAMETA_PEERS")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "peers"


def package_root(package, wheel_prefix, members=None):
    """The folder to import `package` from, or None where neither it nor its wheel is under peers/."""
    folder = peers_folder()
    for root in (folder, *sorted(path for path in folder.glob("*") if path.is_dir())):
        if (root / package).is_dir():
            return root
    wheels = sorted(folder.rglob(f"{wheel_prefix}-*.whl"))
    if not wheels:
        return None
    root = Path(tempfile.gettempdir()) / f"nsameta-peers-{os.getuid()}" / wheels[-1].stem
    if not (root / package).is_dir():
        unpack(wheels[-1], root, members)
    return root


def unpack(wheel, root, members=None):
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(root, members)


def main():
    wheels = sorted(peers_folder().rglob("sglang-*.whl"))
    if not wheels:
        sys.exit(f"no sglang-*.whl under {peers_folder()}")
    root = peers_folder() / "sg"
    unpack(wheels[-1], root, SGLANG_FILES)
    print(f"{len(SGLANG_FILES)} files of {wheels[-1].name} are in {root}")


if __name__ == "__main__":
    main()
