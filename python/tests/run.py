"""run.py IS_BUILT FILE: runs the tests of a file; exits with 77 where they cannot run here, and says why."""

import importlib.util
import sys

SKIPPED = 77


class Outcomes:
    """A plugin of pytest: whether a test ran, and whether one was skipped."""

    has_run = has_skipped = False

    def pytest_runtest_logreport(self, report):
        self.has_run |= report.when == "call" and not report.skipped
        self.has_skipped |= report.skipped

    def pytest_collectreport(self, report):
        self.has_skipped |= report.skipped


def main():
    is_built, file = sys.argv[1:]
    missing = [name for name in ("numpy", "pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if is_built != "1":
        missing.insert(0, "the module (NSAMETA_PYTHON=OFF)")
    if missing:
        print("skipped, as there is no", ", ".join(missing))
        return SKIPPED
    import pytest

    outcomes = Outcomes()
    code = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", file], plugins=[outcomes])
    is_skipped = code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and outcomes.has_skipped
    return SKIPPED if is_skipped and not outcomes.has_run else code


if __name__ == "__main__":
    sys.exit(main())
