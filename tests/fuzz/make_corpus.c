/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds that fuzzing starts from: make_corpus DIRECTORY. What fuzzing found later lies
 * beside them.
 */
#include "nsresolve/ehframe.h"
#include "nsresolve/elf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/craft_elf.h"
#include "tests/unit/craft_frames.h"
#include "tests/unit/craft_go.h"
#include "tests/unit/craft_jitdump.h"

#include <lzma.h>
#include <sys/stat.h>
#include <zlib.h>

static const char *root;

static void save(const char *target, const char *name, const void *data, size_t size)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", root, target, name);
    f = fopen(path, "w");
    must(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
}

static void save_text(const char *target, const char *name, const char *text)
{
    save(target, name, text, strlen(text));
}

/* The table of this file, led by the byte that makes fuzz_symtab open it. */
static void save_table(const struct crafted *c)
{
    _cleanup_(symtab_builder_freep) struct symtab_builder *b = NULL;
    _cleanup_close_ int in_fd = memfd_of(c, CRAFT_SIZE);
    _cleanup_close_ int out_fd = memfd_of("", 1);
    const struct wire_parse_elf want = {0};
    char data[4096];
    ssize_t size;

    must(symtab_builder_new(&b) == 0 && elf_parse(in_fd, &want, b) == 0);
    must(symtab_builder_write(b, out_fd) == 0);
    size = pread(out_fd, data, sizeof(data), 0);
    must(size > 0);
    save("symtab", "table", data, (size_t)size);
}

static void save_elf_files(void)
{
    static const char *const names[] = {"lsb64", "lsb32", "msb64", "msb32"};
    char file[CRAFT_SIZE];
    struct crafted c;

    craft(&c);
    craft_symbol(&c, "memcpy@@GLIBC_2.14", 0x1100, 0x40, STB_WEAK, STT_GNU_IFUNC);
    craft_symbol(&c, "_ZN1a1bEv", 0x1120, 0x40, STB_GLOBAL, STT_FUNC);
    craft_symbol(&c, "label", 0x1180, 0, STB_LOCAL, STT_NOTYPE);
    save_table(&c);
    for (unsigned i = 0; i < 4; i++) {
        craft_as(&c, i & 1 ? ELFCLASS32 : ELFCLASS64, i & 2 ? ELFDATA2MSB : ELFDATA2LSB, file);
        save("elf", names[i], file, sizeof(file));
    }
    c.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    save("elf", "dynamic", &c, CRAFT_SIZE);
    c.header.e_shnum = 0;
    c.sections[0].sh_size = CRAFT_SECTIONS;
    c.header.e_shstrndx = SHN_XINDEX;
    c.sections[0].sh_link = CRAFT_SHSTRTAB;
    save("elf", "extended", &c, CRAFT_SIZE);
    c.header.e_machine = EM_AARCH64;
    c.segments[1].p_align = 8;
    save("elf", "aarch64", &c, CRAFT_SIZE);
}

/* Behind a crafted file, in the section that is its .debug_info otherwise. */
static void save_extended(const char *name, struct crafted *c, const void *more, size_t size)
{
    char file[CRAFT_SIZE + 4096];

    must(size <= sizeof(file) - CRAFT_SIZE);
    c->sections[CRAFT_DEBUG_INFO].sh_offset = CRAFT_SIZE;
    c->sections[CRAFT_DEBUG_INFO].sh_size = size;
    memcpy(file, c, CRAFT_SIZE);
    memcpy(file + CRAFT_SIZE, more, size);
    save("elf", name, file, CRAFT_SIZE + size);
}

static void save_minidebug(void)
{
    struct crafted c, inner;
    uint8_t packed[4096];
    size_t size = 0;

    craft(&inner);
    craft(&c);
    must(lzma_easy_buffer_encode(6, LZMA_CHECK_NONE, NULL, (const uint8_t *)&inner, CRAFT_SIZE,
                                 packed, &size, sizeof(packed)) == LZMA_OK);
    c.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    c.sections[CRAFT_DEBUG_INFO].sh_name = craft_name(c.names, &c.names_used, ".gnu_debugdata");
    save_extended("minidebug", &c, packed, size);
}

static void save_stubs(void)
{
    const Elf64_Rela relocations[] = {{0x3018, ELF64_R_INFO(2ull, R_X86_64_JUMP_SLOT), 0},
                                      {0x3020, R_X86_64_IRELATIVE, 0x1100}};
    struct crafted c;

    craft(&c);
    craft_symbol(&c, "memcpy", 0x1100, 0x40, STB_GLOBAL, STT_GNU_IFUNC);
    c.sections[CRAFT_SYMTAB].sh_type = SHT_DYNSYM;
    craft_section(&c, CRAFT_DATA, ".plt", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR,
                  offsetof(struct crafted, strings) + 200, 32);
    c.sections[CRAFT_DATA].sh_addr = 0x3000;
    memcpy(c.strings + 200, "\xff\x25\x12\0\0\0\0\0\xff\x25\x12\0\0\0\0", 16);
    craft_section(&c, CRAFT_DEBUG_INFO, ".rela.plt", SHT_RELA, SHF_ALLOC, 0, 0);
    save_extended("stubs", &c, relocations, sizeof(relocations));
}

static void save_calls(void)
{
    unsigned char calls[1 + 3 * 32] = {1};

    for (unsigned i = 0; i < 3; i++) {
        unsigned char *call = calls + 1 + i * 32;

        call[1] = (unsigned char)(0x10 + i);
        call[8] = 0x40;
        call[16] = (unsigned char)i;
        call[19] = i == 1;
        call[21] = 5;
    }
    save("symtab", "calls", calls, sizeof(calls));
}

/* Led by the byte that says what it is to fuzz_ehframe. */
static void save_led(const char *name, uint8_t way, const void *data, size_t size)
{
    uint8_t led[8192] = {way};

    must(size < sizeof(led));
    memcpy(led + 1, data, size);
    save("ehframe", name, led, size + 1);
}

/* The same .debug_frame under zlib, by the gABI and as it was done before. */
static void save_compressed_frames(const struct frames *plain)
{
    const Elf64_Chdr head = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = plain->used};

    for (unsigned old = 0; old < 2; old++) {
        struct frames f = *plain;
        uLongf size = sizeof(f.bytes) - sizeof(head);
        size_t lead = old ? 12 : sizeof(head);

        if (old)
            memcpy(f.bytes, "ZLIB\0\0\0\0\0\0\0", 11);
        else
            memcpy(f.bytes, &head, sizeof(head));
        if (old)
            f.bytes[11] = (uint8_t)plain->used;
        must(compress(f.bytes + lead, &size, plain->bytes, plain->used) == Z_OK);
        f.used = f.sections[1].sh_size = lead + size;
        if (old)
            memcpy(f.names + 10, ".zdebug_frame", 14);
        else
            f.sections[1].sh_flags = SHF_COMPRESSED;
        f.sections[1].sh_name = old ? 10 : 11;
        save_led(old ? "zdebug-file" : "compressed-file", 0, &f, FRAMES_SIZE(&f));
    }
}

static void save_frames(void)
{
    _cleanup_(unwindtab_builder_freep) struct unwindtab_builder *b = NULL;
    _cleanup_close_ int out_fd = memfd_of("", 0);
    _cleanup_close_ int in_fd = -1;
    struct frames f;
    char table[4096];
    ssize_t size;

    frames_sample(&f);
    save_led("file", 0, &f, FRAMES_SIZE(&f));
    save_led("section", 2, f.bytes, f.used);
    save_led("open-section", 3, f.bytes, f.used);
    in_fd = memfd_of(&f, FRAMES_SIZE(&f));
    must(unwindtab_builder_new(&b) == 0 && ehframe_parse(in_fd, b) == 0);
    must(unwindtab_builder_write(b, out_fd) == 0);
    size = pread(out_fd, table, sizeof(table), 0);
    must(size > 0);
    save_led("table", 1, table, (size_t)size);

    f.header.e_shoff = f.header.e_shnum = 0;
    save_led("no-sections", 0, &f, FRAMES_SIZE(&f));
    frames_start(&f);
    frames_put(&f, "\20\0\0\0\377\377\377\377\4\0\10\0\1\x78\20\x0c\7\10\220\1", 20);
    frames_put(&f, "\30\0\0\0\0\0\0\0\0\20\100\0\0\0\0\0\100\0\0\0\0\0\0\0\101\x0e\20\0", 28);
    save_led("debug-section", 4, f.bytes, f.used);
    frames_finish(&f);
    frames_make_debug(&f);
    save_led("debug-file", 0, &f, FRAMES_SIZE(&f));
    save_compressed_frames(&f);
}

/* Led by the byte that says whether the program has section headers. */
static void save_go(void)
{
    static const char *const names[] = {"go-1.2", "go-1.16", "go-1.18", "go-1.20"};

    for (enum go_version v = 0; v < GO_VERSIONS; v++) {
        uint8_t led[1 + sizeof(((struct go_file *)0)->table)] = {v & 1};
        struct go_file g;

        go_craft(&g, v);
        memcpy(led + 1, g.table, sizeof(g.table));
        save("pclntab", names[v], led, sizeof(led));
    }
}

static void save_jitdump(const char *name, uint8_t way, const struct buf *b)
{
    _cleanup_buf_ struct buf led = {0};

    buf_addc(&led, (char)way);
    buf_add(&led, b->data, b->size);
    save("jitdump", name, led.data, led.size);
}

static void save_jitdumps(void)
{
    _cleanup_(codetab_builder_freep) struct codetab_builder *b = NULL;
    _cleanup_buf_ struct buf f = {0}, table = {0};
    _cleanup_close_ int in_fd = -1, out_fd = memfd_of("", 0);

    craft_dump(&f, 0);
    craft_load(&f, 100, 0x1000, 0x100, 1, "LazyCompile:*add /x y.js:3:1");
    craft_load(&f, 200, 0x1040, 0x20, 2, "inner");
    craft_other(&f, JITDUMP_DEBUG_INFO, 40);
    craft_move(&f, 300, 0x1000, 0x1080, 0x100, 1);
    craft_other(&f, JITDUMP_CLOSE, 16);
    save_jitdump("dump", 0, &f);
    in_fd = memfd_of(f.data, f.size);
    must(codetab_builder_new(&b) == 0 && jitdump_parse(in_fd, b) == 0);
    must(codetab_builder_write(b, out_fd) == 0 && lseek(out_fd, 0, SEEK_SET) == 0);
    must(buf_read_all(&table, out_fd, 1 << 20) == 0);
    save_jitdump("table", 1, &table);
    ((struct jitdump_header *)f.data)->flags = JITDUMP_ARCH_TIMES;
    f.size -= 20;
    save_jitdump("untimed-and-cut", 0, &f);
}

/* Code: pushes and a frame pointer, a switch, the start of a thread, calls between two stretches.
 */
static void save_code(void)
{
    static const uint8_t frames[] = {0,    40,   0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x83,
                                     0xec, 0x28, 0x48, 0x29, 0xc4, 0x48, 0x8d, 0x65, 0xf8,
                                     0x5b, 0xc9, 0xc3, 0x0f, 0x1f, 0x40, 0x00};
    static const uint8_t jumps[] = {20,   30,   0x53, 0x74, 0x03, 0xff, 0xe0, 0x90,
                                    0xff, 0xc0, 0x5b, 0xc3, 0x85, 0xc0, 0x75, 0x07,
                                    0x31, 0xed, 0x5f, 0x41, 0xff, 0xd1, 0xf4, 0xc3,
                                    0xe8, 0xe8, 0xff, 0xff, 0xff, 0xeb, 0xe0};
    static const uint8_t vectors[] = {4,    9,    0xc5, 0xf8, 0x77, 0xc4, 0xe3, 0x7d, 0x39, 0xc1,
                                      0x01, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x44, 0x24, 0x01, 0xe8,
                                      0xef, 0x00, 0x00, 0x00, 0x48, 0x8d, 0x05, 0x02, 0x00, 0x00,
                                      0x00, 0xc3, 0x0f, 0x0b, 0x66, 0x90, 0xc3};

    save("x86", "frames", frames, sizeof(frames));
    save("x86", "jumps", jumps, sizeof(jumps));
    save("x86", "vectors", vectors, sizeof(vectors));
}

int main(int argc, char **argv)
{
    static const char names[] = "main\0_Z3addii\0_ZNSt6vectorIiSaIiEE9push_backEOi\0"
                                "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE\0"
                                "_RNvNtCs1234_7mycrate3foo3bar\0_Z1fI1AIiiES0_IS1_S1_EEvv\0"
                                "_RNvYNtC1a1bu5abc_qINtC1c1dlE1e\0_ZZN1a1bEvENKUlvE_clEv";

    if (argc != 2)
        return 2;
    root = argv[1];
    mkdir(root, 0777);
    save_elf_files();
    save_minidebug();
    save_stubs();
    save_calls();
    save_frames();
    save_go();
    save_jitdumps();
    save_code();
    save("demangle", "names", names, sizeof(names) - 1);
    save_text("perfmap", "map",
              "1000 100 LazyCompile:*add /x y.js:3:1\n0x1080 0x20 inner\n1000 10 new\n"
              "ffffffffffffff00 200 wraps\n1000 0 empty\nzz\n\n2000 10 unfinished");
    save_text("maps", "maps",
              "1000-2000 r--p 00000000 fd:01 1234    /bin/x\n"
              "2000-3000 r-xp 00001000 fd:01 1234    /bin/x y\\012z (deleted)\n"
              "3000-4000 rwxp 00000000 00:00 0 \n7fff0000-7fff1000 r-xp 00000000 00:00 0   [vdso]");
    return 0;
}
