# SPDX-License-Identifier: Apache-2.0
"""Types into a real interactive shell: typed.py SETUP KEYS COMMAND… prints what the shell then holds.

The shell runs on a terminal of its own. SETUP is a line that it is given first. Then come KEYS (a TAB
completes), which must make a command line; what the shell makes of that line's words is printed, one
a line, when Enter has been pressed. Ends with status 1 when the shell does not come that far.
"""
import os
import pty
import re
import select
import sys
import time

MARK = "READY%d>"


class Shell:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", COLUMNS="1000", LC_ALL="C.UTF-8")
            os.execvp(command[0], command)
        self.seen = ""

    def until(self, pattern, seconds=60):
        """What came up to and with the pattern."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                text, self.seen = self.seen[: found.end()], self.seen[found.end():]
                return text
            if time.monotonic() > end or not select.select([self.fd], [], [], 1)[0]:
                if time.monotonic() > end:
                    sys.exit("no %r in: %r" % (pattern, self.seen[-2000:]))
                continue
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                sys.exit("the shell ended: %r" % self.seen[-2000:])

    def type(self, text):
        os.write(self.fd, text.encode())


def main():
    setup, keys, command = sys.argv[1], sys.argv[2].encode().decode("unicode_escape"), sys.argv[3:]
    shell = Shell(command)
    shell.type(setup + "; echo REA''DY1\n")
    shell.until(r"READY1\r?\n")
    shell.type(keys)
    # A completion is a command's work: the shell reads on when it is done.
    shell.type("; echo REA''DY2\n")
    print(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\x07", "", shell.until(r"READY2\r?\n")))
    shell.type("exit\n")
    os.close(shell.fd)
    os.waitpid(shell.pid, 0)


if __name__ == "__main__":
    main()
