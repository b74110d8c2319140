"""Prints what the load tests of the fault suite told: processes' footprints and tallies. Usage: fault_tallies.py JUNIT"""

import sys
import xml.etree.ElementTree as ET

TESTS = ("CancelsTest", "SoakTest")


def main():
    for case in ET.parse(sys.argv[1]).getroot().iter("testcase"):
        if not case.get("name").startswith(TESTS):
            continue
        print(f"{case.get('name')}, {case.get('status')}, {float(case.get('time')):.0f} s:")
        for line in (case.findtext("system-out") or "").splitlines():
            if "descriptors" in line or "faults;" in line:
                print(f"- {line}")


main()
