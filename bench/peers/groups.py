"""Runs groups of comparisons and prints a line for each."""

import time
import traceback

_MAX_DETAILS = 3  # mismatches and errors of a group that are told in full


class Report:
    def __init__(self):
        self.failed = False

    def run(self, label, cases, compare):
        """compare(case) returns None or what differs; a case that raises counts as an error."""
        started = time.monotonic()
        count = mismatches = errors = 0
        for case in cases:
            count += 1
            try:
                found = compare(case)
            except Exception:  # noqa: BLE001 - one case must not end the others
                errors += 1
                if errors <= _MAX_DETAILS:
                    print(f"  {case}", flush=True)
                    traceback.print_exc()
                continue
            if found is not None:
                mismatches += 1
                if mismatches <= _MAX_DETAILS:
                    print(f"  {case}\n    {found}", flush=True)
        self.failed |= count == 0 or mismatches > 0 or errors > 0
        seconds = time.monotonic() - started
        print(f"{label}: {count} cases, {mismatches} mismatches, {errors} errors ({seconds:.0f} s)", flush=True)

    def fail(self, label, error):
        self.failed = True
        print(f"{label}: {error!r}", flush=True)
