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

#include <sys/stat.h>

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
    save_calls();
    save_frames();
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
