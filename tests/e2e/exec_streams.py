# SPDX-License-Identifier: Apache-2.0
"""The two ways in which kubectl exec carries standard streams over one connection, server's side.

An object has send(channel, bytes), message() for the next (channel, bytes) from the client, which
raises EOFError when it is gone, and end(). The client's (CLOSE, b"\\0") is the end of its input.
"""
import base64
import hashlib
import struct
import threading
import zlib

STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
TEXT, BINARY, CLOSING, PING, PONG = 1, 2, 8, 9, 10  # opcodes of WebSockets


class Streams:
    """What both have: bytes in order, frames that do not mix."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.lock = threading.Lock()

    def exactly(self, size):
        data = self.reader.read(size)
        if len(data) != size:
            raise EOFError
        return data

    def put(self, data):
        with self.lock:
            self.writer.write(data)
            self.writer.flush()


class WebSocket(Streams):
    """RFC 6455, with a channel's number before each message's bytes."""

    PROTOCOL = "v5.channel.k8s.io"
    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    @classmethod
    def is_asked_for(cls, headers):
        return cls.PROTOCOL in headers.get("Sec-WebSocket-Protocol", "")

    @classmethod
    def answer(cls, headers):
        key = (headers["Sec-WebSocket-Key"] + cls.GUID).encode()
        return (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key).digest()).decode()),
                ("Sec-WebSocket-Protocol", cls.PROTOCOL))

    def __init__(self, reader, writer, _query):
        super().__init__(reader, writer)

    def frame(self, opcode, data):
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([size])
        elif size < 65536:
            head += struct.pack(">BH", 126, size)
        else:
            head += struct.pack(">BQ", 127, size)
        self.put(head + data)

    def end(self):
        try:
            self.frame(CLOSING, struct.pack(">H", 1000))
        except OSError:
            pass

    def send(self, channel, data):
        try:
            self.frame(BINARY, bytes([channel]) + data)
        except OSError:
            pass  # the client is gone, the command goes on

    def message(self):
        """Channel and bytes of the next message; EOFError at the end."""
        whole = b""
        while True:
            first, second = self.exactly(2)
            size = second & 0x7f
            if size == 126:
                size = struct.unpack(">H", self.exactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.exactly(8))[0]
            mask = self.exactly(4) if second & 0x80 else bytes(4)
            data = bytes(b ^ mask[i & 3] for i, b in enumerate(self.exactly(size)))
            opcode = first & 0x0f
            if opcode == CLOSING:
                raise EOFError
            if opcode == PING:
                self.frame(PONG, data)
            if opcode >= CLOSING:
                continue
            whole += data
            if first & 0x80:
                return whole[0], whole[1:]


class Spdy(Streams):
    """SPDY/3.1, of which clients use streams and no flow control. Older kubectls know only this.

    A client opens its streams in a fixed order and waits for each answer, so their compressed
    headers need not be read.
    """

    PROTOCOL = "v4.channel.k8s.io"
    SYN_STREAM, SYN_REPLY, PING = 1, 2, 6
    FIN = 1

    @classmethod
    def is_asked_for(cls, headers):
        return headers.get("Upgrade", "").upper() == "SPDY/3.1" and \
            cls.PROTOCOL in ",".join(headers.get_all("X-Stream-Protocol-Version", []))

    @classmethod
    def answer(cls, _headers):
        return (("Upgrade", "SPDY/3.1"), ("Connection", "Upgrade"),
                ("X-Stream-Protocol-Version", cls.PROTOCOL))

    def __init__(self, reader, writer, query):
        super().__init__(reader, writer)
        names = (("stdin", STDIN), ("stdout", STDOUT), ("stderr", STDERR))
        self.expected = [ERROR] + [n for name, n in names if query.get(name) == ["true"]]
        self.streams = {}  # channel to number
        self.deflate = zlib.compressobj()
        self.early = []
        while self.expected:
            message = self.take_frame()
            if message:
                self.early.append(message)

    def control(self, kind, data):
        self.put(struct.pack(">HHI", 0x8003, kind, len(data)) + data)

    def reply(self, stream):
        no_headers = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.control(self.SYN_REPLY, struct.pack(">I", stream) + no_headers)

    def take_frame(self):
        """A message, or None for a frame that is none."""
        first, second = struct.unpack(">II", self.exactly(8))
        flags, data = second >> 24, self.exactly(second & 0xffffff)
        if first & 0x80000000 == 0:
            is_input = first == self.streams.get(STDIN)
            if is_input and flags & self.FIN and not data:
                return CLOSE, bytes([STDIN])
            return (STDIN, data) if is_input else None
        if first & 0xffff == self.SYN_STREAM and self.expected:
            stream = struct.unpack(">I", data[:4])[0]
            self.streams[self.expected.pop(0)] = stream
            self.reply(stream)
        elif first & 0xffff == self.PING:
            self.control(self.PING, data)
        return None

    def message(self):
        while not self.early:
            message = self.take_frame()
            if message:
                return message
        return self.early.pop(0)

    def data(self, channel, data, flags=0):
        try:
            self.put(struct.pack(">II", self.streams[channel], flags << 24 | len(data)) + data)
        except OSError:
            pass  # the client is gone, the command goes on

    def send(self, channel, data):
        self.data(channel, data)

    def end(self):
        for channel in self.streams:
            if channel != STDIN:
                self.data(channel, b"", self.FIN)
