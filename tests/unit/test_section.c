/* SPDX-License-Identifier: Apache-2.0 */
/* Sections, plain and compressed in every way, sound and lying; .xz streams. */
#include "nsresolve/section.h"
#include "nsresolve/unpack.h"
#include "tests/unit/craft_elf.h"
#include "tests/unit/tables.h"

#include <endian.h>
#include <errno.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#define PLAIN_SIZE 3000u
#define BOUND 4096u
#define ZSTD_KIND 2 /* ELFCOMPRESS_ZSTD, which not every elf.h knows */

/* The bytes behind the crafted file; its .debug_info holds them. */
struct packed {
    char bytes[8192];
    size_t size;
};

static void fill(uint8_t plain[PLAIN_SIZE])
{
    for (size_t i = 0; i < PLAIN_SIZE; i++)
        plain[i] = (uint8_t)(i / 7);
}

static void pack_zlib(struct packed *p, const uint8_t *plain, size_t size)
{
    uLongf room = sizeof(p->bytes) - p->size;

    assert_int_equal(compress((Bytef *)p->bytes + p->size, &room, plain, size), Z_OK);
    p->size += room;
}

static void pack_zstd(struct packed *p, const uint8_t *plain, size_t size)
{
    size_t n = ZSTD_compress(p->bytes + p->size, sizeof(p->bytes) - p->size, plain, size, 3);

    assert_false(ZSTD_isError(n));
    p->size += n;
}

static void put_head(struct packed *p, unsigned char class, unsigned char encoding, uint32_t kind,
                     uint64_t size)
{
    const Elf64_Chdr wide = {.ch_type = kind, .ch_size = size};
    const Elf32_Chdr narrow = {.ch_type = kind, .ch_size = (uint32_t)size};
    bool is_64 = class == ELFCLASS64;

    p->size = is_64 ? sizeof(wide) : sizeof(narrow);
    craft_put(ELF_T_CHDR, class, encoding, is_64 ? (const void *)&wide : &narrow, p->size,
              p->bytes);
}

/* Reads the .debug_info of the file of this class and byte order with these bytes. */
static struct section read_as(struct crafted *c, unsigned char class, unsigned char encoding,
                              const struct packed *p, uint64_t max)
{
    _cleanup_close_ int fd = memfd_empty();
    struct section s = {0};
    const Elf64_Shdr *header;
    char file[CRAFT_SIZE];
    struct elf_file f;

    c->sections[CRAFT_DEBUG_INFO].sh_offset = CRAFT_SIZE;
    if (c->sections[CRAFT_DEBUG_INFO].sh_size == 1)
        c->sections[CRAFT_DEBUG_INFO].sh_size = p->size;
    craft_as(c, class, encoding, file);
    assert_int_equal(write(fd, file, CRAFT_SIZE), CRAFT_SIZE);
    assert_int_equal(write(fd, p->bytes, p->size), p->size);
    assert_int_equal(elf_file_open(&f, fd), 0);
    header = section_find(&f, ".debug_info");
    assert_non_null(header);
    assert_int_equal(section_read(&f, header, max, &s), 0);
    elf_file_close(&f);
    return s;
}

static struct section read_here(struct crafted *c, const struct packed *p)
{
    return read_as(c, ELFCLASS64, ELFDATA2LSB, p, BOUND);
}

static void a_plain_section_is_its_bytes(void **state)
{
    struct packed p = {.bytes = "plain bytes", .size = 11};
    struct crafted c;
    struct section s;

    (void)state;
    craft(&c);
    s = read_here(&c, &p);
    assert_int_equal(s.size, 11);
    assert_string_equal(s.data, "plain bytes");
    assert_false(s.is_cut);
    section_free(&s);
}

static void a_compressed_section_is_unpacked_in_every_class_and_byte_order(void **state)
{
    const unsigned char classes[] = {ELFCLASS32, ELFCLASS64};
    const unsigned char encodings[] = {ELFDATA2LSB, ELFDATA2MSB};
    uint8_t plain[PLAIN_SIZE];

    (void)state;
    fill(plain);
    for (unsigned i = 0; i < 8; i++) {
        unsigned char class = classes[i & 1], encoding = encodings[i >> 1 & 1];
        _cleanup_section_ struct section s = {0};
        struct packed p = {.size = 0};
        struct crafted c;

        craft(&c);
        c.sections[CRAFT_DEBUG_INFO].sh_flags = SHF_COMPRESSED;
        put_head(&p, class, encoding, i < 4 ? ELFCOMPRESS_ZLIB : ZSTD_KIND, PLAIN_SIZE);
        if (i < 4)
            pack_zlib(&p, plain, PLAIN_SIZE);
        else
            pack_zstd(&p, plain, PLAIN_SIZE);
        s = read_as(&c, class, encoding, &p, BOUND);
        assert_false(s.is_cut);
        assert_int_equal(s.size, PLAIN_SIZE);
        assert_memory_equal(s.data, plain, PLAIN_SIZE);
    }
}

static void craft_zdebug(struct crafted *c, struct packed *p, uint64_t size)
{
    const uint64_t big = htobe64(size);

    craft(c);
    c->sections[CRAFT_DEBUG_INFO].sh_name = craft_name(c->names, &c->names_used, ".zdebug_info");
    memcpy(p->bytes, "ZLIB", 4);
    memcpy(p->bytes + 4, &big, sizeof(big));
    p->size = 12;
}

static void a_section_of_the_older_kind_is_found_and_unpacked(void **state)
{
    struct packed p = {.size = 0};
    uint8_t plain[PLAIN_SIZE];
    struct crafted c;
    struct section s;

    (void)state;
    fill(plain);
    craft_zdebug(&c, &p, PLAIN_SIZE);
    pack_zlib(&p, plain, PLAIN_SIZE);
    s = read_here(&c, &p);
    assert_false(s.is_cut);
    assert_int_equal(s.size, PLAIN_SIZE);
    assert_memory_equal(s.data, plain, PLAIN_SIZE);
    section_free(&s);

    p.bytes[0] = 'X';
    s = read_here(&c, &p);
    assert_true(s.is_cut);
    assert_int_equal(s.size, 0);
    section_free(&s);
}

/* Sizes: what the stream really holds is PLAIN_SIZE. */
static void a_size_that_lies_or_is_beyond_the_bound_leaves_nothing(void **state)
{
    const uint64_t sizes[] = {0,     1,         PLAIN_SIZE - 1, PLAIN_SIZE + 1,
                              BOUND, BOUND + 1, 1ull << 40,     UINT64_MAX};
    uint8_t plain[PLAIN_SIZE];

    (void)state;
    fill(plain);
    for (unsigned i = 0; i < 3 * ARRAY_SIZE(sizes); i++) {
        _cleanup_section_ struct section s = {0};
        uint64_t size = sizes[i / 3];
        struct packed p = {.size = 0};
        struct crafted c;

        craft_zdebug(&c, &p, size);
        if (i % 3) {
            craft(&c);
            c.sections[CRAFT_DEBUG_INFO].sh_flags = SHF_COMPRESSED;
            put_head(&p, ELFCLASS64, ELFDATA2LSB, i % 3 == 1 ? ELFCOMPRESS_ZLIB : ZSTD_KIND, size);
        }
        if (i % 3 == 2)
            pack_zstd(&p, plain, PLAIN_SIZE);
        else
            pack_zlib(&p, plain, PLAIN_SIZE);
        s = read_here(&c, &p);
        assert_int_equal(s.size, 0);
        assert_true(s.is_cut);
    }
}

/* A megabyte of zeros in a few bytes: what is more than the caller wants is never unpacked. */
static void a_bomb_is_refused(void **state)
{
    static uint8_t zeros[1 << 20];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        _cleanup_section_ struct section s = {0};
        struct packed p = {.size = 0};
        struct crafted c;

        craft(&c);
        c.sections[CRAFT_DEBUG_INFO].sh_flags = SHF_COMPRESSED;
        put_head(&p, ELFCLASS64, ELFDATA2LSB, i ? ZSTD_KIND : ELFCOMPRESS_ZLIB,
                 i ? BOUND : sizeof(zeros));
        if (i)
            pack_zstd(&p, zeros, sizeof(zeros));
        else
            pack_zlib(&p, zeros, sizeof(zeros));
        s = read_here(&c, &p);
        assert_int_equal(s.size, 0);
        assert_true(s.is_cut);
    }
}

static void a_broken_stream_or_head_leaves_nothing(void **state)
{
    uint8_t plain[PLAIN_SIZE];
    struct packed whole = {.size = 0};

    (void)state;
    fill(plain);
    put_head(&whole, ELFCLASS64, ELFDATA2LSB, ELFCOMPRESS_ZLIB, PLAIN_SIZE);
    pack_zlib(&whole, plain, PLAIN_SIZE);
    for (size_t size = 0; size < whole.size; size++) {
        _cleanup_section_ struct section s = {0};
        struct packed p = whole;
        struct crafted c;

        craft(&c);
        c.sections[CRAFT_DEBUG_INFO].sh_flags = SHF_COMPRESSED;
        p.size = size;
        s = read_here(&c, &p);
        assert_int_equal(s.size, 0);
        assert_true(s.is_cut);
    }
    for (uint32_t kind = 0; kind < 5; kind += kind == 0 ? 3 : 1) {
        _cleanup_section_ struct section s = {0};
        struct crafted c;

        craft(&c);
        c.sections[CRAFT_DEBUG_INFO].sh_flags = SHF_COMPRESSED;
        memcpy(whole.bytes, &kind, sizeof(kind));
        s = read_here(&c, &whole);
        assert_int_equal(s.size, 0);
        assert_true(s.is_cut);
    }
}

static void a_plain_section_is_cut_at_the_file_and_at_the_bound(void **state)
{
    const struct packed p = {.bytes = "0123456789", .size = 10};
    const struct {
        uint64_t size, max, expected;
    } cases[] = {{10, 4, 4}, {11, BOUND, 10}, {UINT64_MAX, BOUND, 10}, {UINT64_MAX, 3, 3}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_section_ struct section s = {0};
        struct crafted c;

        craft(&c);
        c.sections[CRAFT_DEBUG_INFO].sh_size = cases[i].size;
        s = read_as(&c, ELFCLASS64, ELFDATA2LSB, &p, cases[i].max);
        assert_int_equal(s.size, cases[i].expected);
        assert_memory_equal(s.data, p.bytes, s.size);
        assert_true(s.is_cut);
    }
}

static size_t pack_xz(const void *plain, size_t size, unsigned preset, uint8_t *to, size_t room)
{
    size_t used = 0;

    assert_int_equal(
        lzma_easy_buffer_encode(preset, LZMA_CHECK_CRC64, NULL, plain, size, to, &used, room),
        LZMA_OK);
    return used;
}

static void an_xz_stream_is_unpacked_up_to_the_bound(void **state)
{
    static uint8_t plain[300000], packed[65536];
    uint8_t *got = NULL;
    size_t size, n;

    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i / 100);
    n = pack_xz(plain, sizeof(plain), 6, packed, sizeof(packed));
    assert_int_equal(unpack_xz(packed, n, sizeof(plain), &got, &size), 0);
    assert_int_equal(size, sizeof(plain));
    assert_memory_equal(got, plain, size);
    free(got);
    got = NULL;
    assert_int_equal(unpack_xz(packed, n, sizeof(plain) - 1, &got, &size), -EFBIG);
    assert_int_equal(unpack_xz(packed, n, 0, &got, &size), -EFBIG);
    for (size_t cut = 0; cut < n; cut += 1 + n / 100)
        assert_true(unpack_xz(packed, cut, sizeof(plain), &got, &size) < 0);
    packed[n / 2] ^= 0x55;
    assert_int_equal(unpack_xz(packed, n, sizeof(plain), &got, &size), -EBADMSG);
    assert_null(got);
}

/* The largest preset is what people use; a window beyond it is an attack on memory. */
static void an_xz_stream_may_ask_for_the_window_of_the_tool_but_not_for_more(void **state)
{
    const uint32_t windows[] = {64u << 20, 128u << 20, 1536u << 20};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
        uint8_t packed[1000], *got = NULL;
        lzma_options_lzma o;
        lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &o}, {LZMA_VLI_UNKNOWN, NULL}};
        lzma_stream s = LZMA_STREAM_INIT;
        size_t size = 0;

        assert_false(lzma_lzma_preset(&o, 0));
        assert_int_equal(lzma_stream_encoder(&s, filters, LZMA_CHECK_CRC32), LZMA_OK);
        s.next_in = (const uint8_t *)"small";
        s.avail_in = 5;
        s.next_out = packed;
        s.avail_out = sizeof(packed);
        assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
        size = s.total_out;
        lzma_end(&s);
        /* The window's size is one byte of the block's head, under a checksum. */
        packed[16] = (uint8_t)(i == 0 ? 28 : i == 1 ? 30 : 37);
        *(uint32_t *)(void *)(packed + 20) = lzma_crc32(packed + 12, 8, 0);
        assert_int_equal(unpack_xz(packed, size, 1000, &got, &size), i == 0 ? 0 : -EFBIG);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_section_is_its_bytes),
        cmocka_unit_test(a_compressed_section_is_unpacked_in_every_class_and_byte_order),
        cmocka_unit_test(a_section_of_the_older_kind_is_found_and_unpacked),
        cmocka_unit_test(a_size_that_lies_or_is_beyond_the_bound_leaves_nothing),
        cmocka_unit_test(a_bomb_is_refused),
        cmocka_unit_test(a_broken_stream_or_head_leaves_nothing),
        cmocka_unit_test(a_plain_section_is_cut_at_the_file_and_at_the_bound),
        cmocka_unit_test(an_xz_stream_is_unpacked_up_to_the_bound),
        cmocka_unit_test(an_xz_stream_may_ask_for_the_window_of_the_tool_but_not_for_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
