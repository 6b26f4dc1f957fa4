"""Applies files of services in turn, over and over, as fast as weirctl takes them.

Usage: endpoint_churn.py WEIRCTL SECONDS FILE... Prints how many were applied; the last one
given is the last one applied. Fails unless the dataplane had each before the next."""

import json
import subprocess
import sys
import time


def main():
    weirctl, seconds, *files = sys.argv[1:]
    applied = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for file in files:
            done = subprocess.run([weirctl, "-j", "service", "apply", "-f", file],
                                  capture_output=True, text=True, timeout=10, check=True)
            assert json.loads(done.stdout)["sent"], done.stdout
            applied += 1
    print(applied)


main()
