#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ehframe.py KIND IN OUT: a 64-bit ELF program whose unwind tables lie; its code stays as it is.

Kinds that rewrite the rules of every function: zero (the caller's frame is this frame), backwards
(it lies below), word (one word above), rbp (where a register with anything in it points), near and
far (at an offset that a row still holds, and that none does), endless (an expression that jumps to
itself). Kinds that break the section: long (the first entry is larger than the file), short (the
last entry ends behind the section), circle (each entry is its own CIE), noise, empty.
"""
import random
import struct
import sys

NOP = b"\0"
RULES = {
    "zero": b"\x0c\x07\x00",
    "backwards": b"\x12\x07\x10",
    "word": b"\x0c\x07\x08",
    "rbp": b"\x0c\x06\x10",
    "near": b"\x0c\x07\xf8\xff\x0f",
    "far": b"\x0c\x07\xff\xff\xff\xff\x0f",
    "endless": b"\x0f\x03\x2f\xfd\xff",
}


def section(data, wanted):
    offset, size, count, names = struct.unpack_from("<Q10xHHH", data, 0x28)
    rows = [struct.unpack_from("<IIQQQQ", data, offset + i * size) for i in range(count)]
    for row in rows:
        start = rows[names][4] + row[0]
        if data[start : data.index(NOP, start)] == wanted:
            return row[4], row[5]
    raise SystemExit(f"no {wanted.decode()}")


def entries(data, start, size):
    """Offset of the id word, end of the entry, whether it is a CIE."""
    at = start
    while at < start + size:
        (length,) = struct.unpack_from("<I", data, at)
        if length == 0:
            return
        yield at + 4, at + 4 + length, struct.unpack_from("<I", data, at + 4)[0] == 0
        at += 4 + length


def rewrite(data, start, size, rule):
    written = 0
    for begin, end, is_cie in entries(data, start, size):
        at = begin + 12  # id, start and size of 4 bytes each
        if is_cie:
            continue
        at += 1 + data[at]  # augmentation
        if end - at >= len(rule):
            data[at:end] = rule + NOP * (end - at - len(rule))
            written += 1
    if not written:
        raise SystemExit("no entry has room for that")


def break_section(data, start, size, kind):
    found = list(entries(data, start, size))
    if kind == "long":
        struct.pack_into("<I", data, start, 0xFFFFFFF0)
    elif kind == "short":
        struct.pack_into("<I", data, found[-1][0] - 4, size)
    elif kind == "circle":
        for begin, _, is_cie in found:
            if not is_cie:
                struct.pack_into("<I", data, begin, 4)
    elif kind == "noise":
        data[start : start + size] = random.Random(1).randbytes(size)
    elif kind == "empty":
        data[start : start + size] = bytes(size)
    else:
        raise SystemExit(f"no kind '{kind}'")


def main():
    kind, source, target = sys.argv[1:]
    with open(source, "rb") as f:
        data = bytearray(f.read())
    start, size = section(data, b".eh_frame")
    if kind in RULES:
        rewrite(data, start, size, RULES[kind])
    else:
        break_section(data, start, size, kind)
    # Tables are kept by build ID: this is another program.
    note, length = section(data, b".note.gnu.build-id")
    data[note + length - 20 : note + length] = random.Random(kind).randbytes(20)
    with open(target, "wb") as f:
        f.write(data)


main()
