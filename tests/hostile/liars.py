#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that lie: liars.py KIND FILE. ELF files have a page of code at offset 4096 (x86-64: a loop that
returns), and headers that are not true; perf maps hold whatever breaks readers of perf maps."""
import os
import struct
import sys

# mov $1000000,%ecx; 1: dec %ecx; jnz 1b; ret
CODE = bytes([0xB9, 0x40, 0x42, 0x0F, 0x00, 0xFF, 0xC9, 0x75, 0xFC, 0xC3])


def elf(shoff=0, shnum=0, shentsize=64, shstrndx=0, phnum=1):
    ident = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 4096, 64, shoff, 0, 64, 56, phnum,
                                 shentsize, shnum, shstrndx)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 1 << 40, 1 << 40, 4096)
    page = header + load * min(phnum, 8)
    return page.ljust(4096, b"\0") + CODE.ljust(4096, b"\xcc")


def section(kind, offset, size, link=0, entsize=0, flags=0):
    return struct.pack("<IIQQQQIIQQ", 0, kind, flags, 0, offset, size, link, 0, 8, entsize)


def liar(kind):
    if kind == "counts":  # more sections than there can be, each larger than the file
        return elf(shoff=8192, shnum=65535) + section(2, 0, 1 << 62, 1, 24) * 64
    if kind == "loops":  # tables that link to themselves, entries without a size
        return elf(shoff=8192, shnum=4) + section(0, 0, 0) + section(2, 4096, 4096, 1, 0) + \
            section(11, 8192, 1 << 40, 2, 1) + section(3, 0, 1 << 63)
    if kind == "bomb":  # a compressed section that says that it becomes 1 TiB
        chdr = struct.pack("<IIQQ", 1, 0, 1 << 40, 1) + b"x\x9c" + bytes(65536)
        return elf(shoff=8192, shnum=3) + section(0, 0, 0) + section(2, 8192 + 192, len(chdr), 2, 24, 0x800) + \
            section(3, 8192 + 192, len(chdr), 0, 0, 0x800) + chdr
    return elf()


def write_map(kind, path):
    with open(path, "wb") as f:
        if kind == "map-long":
            for _ in range(200):
                f.write(b"7f00" * (1 << 18))
            f.write(b"\n")
        elif kind == "map-ranges":
            f.write(b"ffffffffffffffff 10 wraps\n0 0 empty\n10 -5 reversed\nzz 1 no\n")
            f.write(b"1000 ffffffffffffffff too_big\n" * 1000)
        elif kind == "map-names":  # covers all of user space, under every name at once
            name = b"\x1b[31mred\x1b]0;title\x07\r;forged;<script>alert(1)</script>]]>\xff\xfe\xe2\x80\xae" + b"A" * 65536
            for start in range(0x550000000000, 0x800000000000, 1 << 32):
                f.write(b"%x %x %s\n" % (start, 1 << 32, name))


def main():
    kind, path = sys.argv[1:]
    if kind.startswith("map-"):
        write_map(kind, path)
        return
    with open(path, "wb") as f:
        f.write(liar(kind))
    if kind == "sparse":  # 1 TiB, if the file system holds that much
        size = 1 << 40
        while size > 1 << 30:
            try:
                os.truncate(path, size)
                return
            except OSError:
                size //= 2


main()
