"""Prints what the suites did: golden comparisons, the output of failed tests, then a line a suite with skips by name.

Usage: test_summary.py FOLDER GOLDEN_TABLE
FOLDER holds ctest's JUnit files, PRESET-LABEL.xml. Ends with status 1 if a test failed or nothing ran at all.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET

OUTPUT_LINES = 40  # of a failed test


def outcome(case):
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed" if case.get("status") == "run" else "failed"


def print_golden_table(path):
    rows = sorted(set(path.read_text().splitlines())) if path.exists() else []
    if rows:
        print(f"\nAgainst golden data, {len(rows)} comparisons (test, tensor, tolerance, largest difference):")
        for row in rows:
            print("  " + row)


def print_failures(suites):
    for suite in suites:
        for case in suite.iter("testcase"):
            if outcome(case) == "failed":
                lines = (case.findtext("system-out") or "").strip().splitlines()
                print(f"\n---- {case.get('name')} failed; its output ends with")
                print("\n".join(lines[-OUTPUT_LINES:]))


def main():
    folder, golden_table = map(pathlib.Path, sys.argv[1:3])
    print_golden_table(golden_table)
    suites = {file.stem: ET.parse(file).getroot() for file in sorted(folder.glob("*.xml"))}
    print_failures(suites.values())
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    print("\n{:<26}{:>8}{:>8}{:>9}{:>9}".format("suite", "passed", "failed", "skipped", "seconds"))
    for label, suite in suites.items():
        names = {"passed": [], "failed": [], "skipped": []}
        for case in suite.iter("testcase"):
            names[outcome(case)].append(case.get("name"))
        counts = {key: len(value) for key, value in names.items()}
        seconds = sum(float(case.get("time") or 0) for case in suite.iter("testcase"))
        print("{:<26}{passed:>8}{failed:>8}{skipped:>9}{:>9.1f}".format(label, seconds, **counts))
        for key in ("skipped", "failed"):
            for name in names[key]:
                print(f"  {key}: {name}")
        for key in totals:
            totals[key] += counts[key]
    print("{:<26}{passed:>8}{failed:>8}{skipped:>9}".format("all", **totals))
    if totals["skipped"]:
        print(f"{totals['skipped']} tests were skipped: they show nothing about this build.")
    return 1 if totals["failed"] or not totals["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
