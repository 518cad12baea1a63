"""run.py IS_BUILT FILE: runs the tests of a file; exits with 77 where they cannot run here."""

import importlib.util
import subprocess
import sys


def main():
    is_built, file = sys.argv[1:]
    missing = [name for name in ("numpy", "pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if is_built != "1":
        missing.insert(0, "the module (NSAMETA_PYTHON=OFF)")
    if missing:
        print("skipped, as there is no", ", ".join(missing))
        return 77
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
