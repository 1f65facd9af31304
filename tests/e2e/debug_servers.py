# SPDX-License-Identifier: Apache-2.0
"""Servers that speak as debuginfod does, or nearly: debug_servers.py LOG KIND:FILE...

Each KIND gets a port of 127.0.0.1, told on standard output in order. LOG gets a line for each
connection (KIND open), and for each request (KIND path). FILE is what it sends, or
for "secure" its certificate and key.
"""
import socket
import ssl
import sys
import threading
import time

log = open(sys.argv[1], "a", buffering=1)


def requested(peer):
    text = b""
    while b"\r\n\r\n" not in text:
        more = peer.recv(4096)
        if not more:
            return ""
        text += more
    return text.split()[1].decode(errors="replace")


def answer(peer, kind, body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    if kind == "hang":
        time.sleep(600)
    elif kind == "absent":
        peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    elif kind == "broken":
        peer.sendall(b"\x00\xff" * 5000)
    elif kind == "short":
        peer.sendall(head + b"Content-Length: 1000000\r\n\r\n" + body[:1000])
    elif kind == "endless":
        peer.sendall(head + b"\r\n")
        while True:
            peer.sendall(b"\x7fELF" * 65536)
    elif kind == "elsewhere":
        peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
    else:
        peer.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def serve(peer, kind, body):
    print(kind, "open", file=log)
    try:
        print(kind, requested(peer), file=log)
        answer(peer, kind, body)
    except OSError:
        pass
    print(kind, "closed", file=log)
    peer.close()


def listen(server, kind, body):
    while True:
        try:
            peer, _ = server.accept()
        except OSError:  # a handshake that failed
            continue
        threading.Thread(target=serve, args=(peer, kind, body), daemon=True).start()


for word in sys.argv[2:]:
    name, _, path = word.partition(":")
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    print(s.getsockname()[1], flush=True)
    if name == "secure":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        s = context.wrap_socket(s, server_side=True)
    content = open(path, "rb").read() if path else b""
    threading.Thread(target=listen, args=(s, name, content), daemon=True).start()
threading.Event().wait()
