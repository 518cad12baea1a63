"""Runs the program `nsameta` that comes with the package: `python -m nsameta info`."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Becomes the program, with the arguments of this process."""
    program = Path(__file__).parent / "bin" / "nsameta"
    if not program.is_file():
        sys.exit(f"nsameta: this build of the package has no program at {program}")
    os.execv(program, [str(program), *sys.argv[1:]])


if __name__ == "__main__":
    main()
