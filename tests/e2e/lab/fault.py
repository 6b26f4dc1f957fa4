"""The places of a program at which WEIR_FAULT makes it die, hang or fail."""

import re

from .run import run


def places(program):
    """Names of the places in a build with -Dfault_injection=true; True: it can fail there."""
    dump = run("readelf", "--string-dump=weir_faults", program, check=False).stdout
    names = re.findall(r"^ +\[ *[0-9a-f]+\] +(\S+)$", dump, re.MULTILINE)
    return {name.lstrip("!"): name.startswith("!") for name in names}
