#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dwarf.py KIND DIRECTORY LOW HIGH: writes info, abbrev and ranges, DWARF 4 sections that lie or cost.

All of them are about one function at [LOW, HIGH). Kinds: noise, endless (a unit as large as a length
may say), deep (100,000 blocks inside of each other), wide (100 million blocks side by side), ranges
(a list of 6 million ranges, in each of 2,000 units), circle (functions that are inlined into each
other, each named by the other), chain (1,000 functions inlined into each other).
"""
import random
import struct
import sys

UNIT, FUNCTION, BLOCK, RANGED, INLINED, NAMED, BARE = range(1, 8)


def abbreviations():
    def entry(code, tag, children, attributes):
        pairs = b"".join(uleb(a) + uleb(f) for a, f in attributes + [(0, 0)])
        return uleb(code) + uleb(tag) + bytes([children]) + pairs

    place = [(0x11, 0x01), (0x12, 0x07)]  # low_pc: address; high_pc: 8 bytes of size
    return (
        entry(UNIT, 0x11, 1, place)
        + entry(FUNCTION, 0x2E, 1, place)
        + entry(BLOCK, 0x0B, 1, place)
        + entry(RANGED, 0x11, 1, [(0x55, 0x17)])
        + entry(INLINED, 0x1D, 1, [(0x31, 0x13)] + place)
        + entry(NAMED, 0x2E, 0, [(0x31, 0x13)])
        + entry(BARE, 0x0B, 0, [])
        + b"\0"
    )


def uleb(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def unit(body, length=None):
    rest = struct.pack("<HIB", 4, 0, 8) + body
    return struct.pack("<I", len(rest) if length is None else length) + rest


def main():
    kind, directory, low, high = sys.argv[1:]
    low, high = int(low, 16), int(high, 16)
    place = struct.pack("<QQ", low, high - low)
    at = 11 + 1 + 16  # of the first child, in its unit
    begin = bytes([UNIT]) + place
    function = bytes([FUNCTION]) + place
    inlined = bytes([INLINED]) + struct.pack("<I", at) + place
    named = bytes([NAMED])
    ranges = b""
    if kind == "noise":
        info = random.Random(1).randbytes(1 << 20)
    elif kind == "endless":
        info = unit(begin + function, 0xFFFFFFEF)
    elif kind == "deep":
        info = unit(begin + function + (bytes([BLOCK]) + place) * 100000)
    elif kind == "wide":
        info = unit(begin + function + bytes([BARE]) * 100000000)
    elif kind == "ranges":
        ranges = struct.pack("<QQ", low, high) * 6000000 + bytes(16)
        info = unit(bytes([RANGED]) + bytes(4)) * 2000
    elif kind == "circle":
        pair = named + struct.pack("<I", at + 5) + named + struct.pack("<I", at)
        info = unit(begin + pair + function + inlined)
    elif kind == "chain":
        info = unit(begin + named + struct.pack("<I", at) + function + inlined * 1000)
    else:
        raise SystemExit(f"no kind '{kind}'")
    for name, data in (("info", info), ("abbrev", abbreviations()), ("ranges", ranges)):
        with open(f"{directory}/{name}", "wb") as f:
            f.write(data)


main()
