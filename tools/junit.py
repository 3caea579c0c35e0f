#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""junit.py FILE: sum up what ctest wrote with --output-junit, for tools/test.

First line: passed, failed and skipped; then the names of the skipped tests, one a line. What the failed ones said goes to
stderr. Exit status 2 when the file is not there or not whole.
"""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    try:
        suite = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError):
        return 2
    passed, skipped = 0, []
    failed = []
    for case in suite.iter("testcase"):
        if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped.append(case.get("name"))
        elif case.get("status") == "run":
            passed += 1
        else:
            failed.append(case)
    print(passed, len(failed), len(skipped))
    for name in skipped:
        print(name)
    for case in failed:
        failure = case.find("failure")
        why = failure.get("message") if failure is not None else ""
        print(f"---- {case.get('name')} failed {why or ''}", file=sys.stderr)
        print((case.findtext("system-out") or "").rstrip(), file=sys.stderr)
        print("----", file=sys.stderr)
    return 0


sys.exit(main())
