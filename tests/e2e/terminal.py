# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a terminal of its own: terminal.py COLUMNS OUTPUT COMMAND...

What the command writes lands in OUTPUT at once. SIGINT and SIGTERM are passed on to it. Exits as it
does.
"""
import fcntl
import os
import pty
import signal
import struct
import sys
import termios


def main():
    columns, output, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execvp(command[0], command)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: os.kill(pid, n))
    with open(output, "wb", buffering=0) as out:
        while True:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the last process that had the terminal is gone
                break
            if not data:
                break
            out.write(data)
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 255)


if __name__ == "__main__":
    main()
