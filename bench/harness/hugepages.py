"""Hugepages for every device under test, so that none runs without them alone."""

from pathlib import Path

_KNOB = Path("/proc/sys/vm/nr_hugepages")
_PAGE_MIB = 2


class Hugepages:
    """Reserves `mib` more than the machine has; gives them back on close()."""

    def __init__(self, mib):
        self.pages = mib // _PAGE_MIB
        self.available = self._add(self.pages)
        if not self.available:
            self.pages = 0

    @staticmethod
    def _add(pages):
        before = int(_KNOB.read_text())
        try:
            _KNOB.write_text(str(before + pages))
        except OSError:
            return False
        if int(_KNOB.read_text()) >= before + pages:
            return True
        _KNOB.write_text(str(before))
        return False

    def close(self):
        if self.pages:
            _KNOB.write_text(str(max(int(_KNOB.read_text()) - self.pages, 0)))
            self.pages = 0
