# SPDX-License-Identifier: Apache-2.0
"""An agent that takes one client and says the lines of a file: fake_agent.py SOCKET LINES REQUESTS.

The client's lines land in REQUESTS. A line "@stop" waits for the client's second line, "@hang" says
nothing more until the client leaves, "@wait FILE" waits until there is such a file.
"""
import os
import socket
import sys
import time


def main():
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[1])
    server.listen(1)
    client, _ = server.accept()
    reader = client.makefile("rb")

    def take():
        line = reader.readline()
        with open(sys.argv[3], "ab") as out:
            out.write(line)
        return line

    take()
    with open(sys.argv[2], "rb") as lines:
        for line in lines:
            if line == b"@stop\n":
                take()
            elif line == b"@hang\n":
                while take():
                    pass
            elif line.startswith(b"@wait "):
                while not os.path.exists(line.split()[1]):
                    time.sleep(0.01)
            else:
                client.sendall(line)
    client.shutdown(socket.SHUT_RDWR)
    client.close()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError):
        pass
