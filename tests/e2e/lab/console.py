"""Programs that are typed to: a testpmd prompt, the serial console of a guest."""

import os
import re
import threading

from .run import wait_for


class Console:
    """What a child with pipes for stdin and stdout has said so far, and its keyboard."""

    def __init__(self, process, name):
        self.process, self.name = process, name
        self.output = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for piece in iter(lambda: os.read(self.process.stdout.fileno(), 4096), b""):
            self.output += piece.decode(errors="replace")

    def wait(self, pattern, start=0, seconds=30):
        """The first match of a pattern in what was said from `start` on."""

        def found():
            match = re.compile(pattern).search(self.output, start)
            code = self.process.poll()
            ended = f"{self.name} ended with {code}:\n{self.output[-3000:]}"
            assert match or code is None, ended
            return match

        try:
            return wait_for(found, seconds, f"'{pattern}' from {self.name}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said:\n{self.output[-2000:]}") from None

    def type(self, line):
        """Returns where the answer will start."""
        start = len(self.output)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return start
