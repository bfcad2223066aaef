"""Kills, damage and full disks on purpose: whatever happens, a run ends as if nothing had.

Run by tools/fault-campaign and, as a sample, by CTest; both set DLN_PROGRAM, DLN_FAKE_LLM_SERVER,
DLN_FAULT_TOOL and DLN_DISK_FAULT. Ends with 1 when anything was lost.
"""

import argparse
import sys
import time

import damage
import disk
import kills

PARTS = {"kills": kills.run, "damage": damage.run, "disk": disk.run}


def parse():
    parser = argparse.ArgumentParser(prog="tools/fault-campaign", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--sample", type=int, nargs="?", const=3, default=0, metavar="N",
                        help="only N runs of each scenario (3), and a part of the damage")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="decides on ranks, second kills and samples (1)")
    parser.add_argument("--jobs", type=int, default=4, help="runs that are tried out beside each other (4)")
    parser.add_argument("--only", default="", metavar="POINT", help="only failpoints that begin so")
    parser.add_argument("--scenario", default="", metavar="NAME", help="only kills in scenarios that begin so")
    parser.add_argument("--list", action="store_true", help="print the failpoints")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}. There are: {', '.join(PARTS)}")
    return options


def main():
    options = parse()
    names = kills.tool("names").stdout.split()
    if options.list:
        print("\n".join(names))
        return 0
    if options.only and not any(name.startswith(options.only) for name in names):
        print(f"--only {options.only}: no failpoint begins so. There are: {', '.join(names)}", file=sys.stderr)
        return 2
    start, failed = time.monotonic(), []
    for part in options.parts or PARTS:
        if not PARTS[part](options, names):
            failed.append(part)
    print(f"\n{time.monotonic() - start:.0f} s; " + (f"FAILED: {', '.join(failed)}" if failed else "nothing was lost"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
