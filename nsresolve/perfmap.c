/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/perfmap.h"

#include "nsresolve/stream.h"

#include <errno.h>
#include <string.h>

/* What is looked at of one line: two numbers with prefixes and blanks, and the name. */
#define LINE_MAX_BYTES (SYMTAB_NAME_MAX + 64)

#define KERNEL_HALF (1ull << 63)
#define NO_NEWLINE UINT64_MAX

struct scan {
    int fd;
    struct symtab_builder *builder;
    uint32_t lines, symbols;
    uint64_t begin; /* where the first line starts that was not read before */
    uint64_t chunk_start;
    size_t chunk_size;
    char chunk[STREAM_BUFFER];
    char line[LINE_MAX_BYTES];
};

static void bad_line(struct scan *s)
{
    uint32_t *count = &symtab_builder_header(s->builder)->bad_lines;

    if (*count < UINT32_MAX)
        (*count)++;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A hexadecimal number in [*at, end); moves *at behind it. */
static bool take_hex(const char **at, const char *end, uint64_t *ret)
{
    const char *p = *at, *digits;
    uint64_t value = 0;

    if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        p += 2;
    for (digits = p; p < end; p++) {
        unsigned digit;

        if (*p >= '0' && *p <= '9')
            digit = (unsigned)(*p - '0');
        else if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
            digit = (unsigned)((*p | 0x20) - 'a') + 10;
        else
            break;
        if (value >> 60)
            return false;
        value = value << 4 | digit;
    }
    *at = p;
    *ret = value;
    return p != digits;
}

/* Blanks in [*at, end), at least one. */
static bool take_blanks(const char **at, const char *end)
{
    const char *start = *at;

    while (*at < end && is_blank(**at))
        (*at)++;
    return *at != start;
}

/* Later lines win, so that the first one read, which is the last in the file, ranks highest. */
static int parse_line(struct scan *s, const char *line, size_t size)
{
    const char *at = line, *end = line + size;
    uint64_t start, length;
    int r;

    if (!take_hex(&at, end, &start) || !take_blanks(&at, end) || !take_hex(&at, end, &length) ||
        !take_blanks(&at, end) || at == end || *at == '\0') {
        bad_line(s);
        return 0;
    }
    if (length == 0 || length > UINT32_MAX || start >= KERNEL_HALF ||
        length > KERNEL_HALF - start) {
        bad_line(s);
        return 0;
    }

    if (s->symbols == PERFMAP_MAX_SYMBOLS)
        return -EFBIG;
    r = symtab_builder_add(s->builder, start, length, UINT32_MAX - s->symbols, at,
                           (size_t)(end - at));
    s->symbols++;
    return r;
}

/* The line in [start, end) of the file, its newline excluded. */
static int read_line(struct scan *s, uint64_t start, uint64_t end)
{
    size_t size = (size_t)MIN(end - start, (uint64_t)LINE_MAX_BYTES);
    ssize_t n;

    if (++s->lines > PERFMAP_MAX_LINES)
        return -EFBIG;
    if (start + size <= s->chunk_start + s->chunk_size) /* it starts there in any case */
        return parse_line(s, s->chunk + (start - s->chunk_start), size);

    n = pread_full(s->fd, s->line, size, start);
    if (n < 0)
        return (int)n;
    return parse_line(s, s->line, (size_t)n);
}

/* The last whole line ends there; what follows may not be done. */
static void end_text(struct scan *s, uint64_t end, uint64_t file_end)
{
    struct symtab_header *h = symtab_builder_header(s->builder);

    h->read_until = end;
    if (end == file_end)
        return;
    bad_line(s);
    h->flags |= SYMTAB_UNFINISHED;
}

/* Hands the lines that start in the chunk over, last first. *line_end is the newline behind the
 * line that is being looked for, NO_NEWLINE when none was seen yet. */
static int scan_chunk(struct scan *s, uint64_t file_end, uint64_t *line_end)
{
    size_t left = s->chunk_size;
    const char *newline;

    while ((newline = memrchr(s->chunk, '\n', left))) {
        uint64_t at = s->chunk_start + (size_t)(newline - s->chunk);
        int r = 0;

        if (*line_end != NO_NEWLINE)
            r = read_line(s, at + 1, *line_end);
        else
            end_text(s, at + 1, file_end);
        if (r < 0)
            return r;
        *line_end = at;
        left = (size_t)(newline - s->chunk);
    }
    return 0;
}

/* Backwards from end to floor, a chunk at a time. */
static int scan_file(struct scan *s, uint64_t floor, uint64_t end)
{
    uint64_t line_end = NO_NEWLINE, position = end;

    while (position > floor) {
        size_t size = (size_t)MIN(position - floor, (uint64_t)sizeof(s->chunk));
        ssize_t n = pread_full(s->fd, s->chunk, size, position - size);
        int r;

        if (n < 0)
            return (int)n;
        position -= size;
        s->chunk_start = position;
        s->chunk_size = (size_t)n; /* less than size: it was truncated meanwhile */
        r = scan_chunk(s, end, &line_end);
        if (r < 0)
            return r;
    }

    if (line_end == NO_NEWLINE)
        end_text(s, s->begin, end);
    else if (floor == s->begin)
        return read_line(s, floor, line_end);
    return 0;
}

/* FNV-1a of the bytes before that offset. */
static int fingerprint(int fd, uint64_t end, uint64_t *ret)
{
    unsigned char bytes[PERFMAP_FINGERPRINT];
    size_t size = (size_t)MIN(end, (uint64_t)sizeof(bytes));
    ssize_t n = pread_full(fd, bytes, size, end - size);

    if (n < 0)
        return (int)n;
    *ret = 14695981039346656037ull;
    for (ssize_t i = 0; i < n; i++)
        *ret = (*ret ^ bytes[i]) * 1099511628211ull;
    return 0;
}

/* Where to begin: behind what was read before, if that still stands there. */
static int find_begin(struct scan *s, const struct wire_parse_perfmap *from, uint64_t size)
{
    uint64_t found = ~from->fingerprint;
    int r = 0;

    s->begin = from->read_until;
    if (from->read_until <= size)
        r = fingerprint(s->fd, from->read_until, &found);
    if (from->read_until && found != from->fingerprint) {
        s->begin = 0;
        symtab_builder_header(s->builder)->flags |= SYMTAB_REWRITTEN;
    }
    return r;
}

int perfmap_parse(int fd, const struct wire_parse_perfmap *from, struct symtab_builder *b)
{
    struct symtab_header *header = symtab_builder_header(b);
    _cleanup_free_ struct scan *s = NULL;
    uint64_t size, floor;
    int r;

    r = file_size(fd, &size);
    if (r < 0)
        return r;
    size = MIN(size, from->size);
    s = malloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->fd = fd;
    s->builder = b;
    s->lines = s->symbols = 0;
    s->chunk_start = s->chunk_size = 0;

    r = find_begin(s, from, size);
    if (r < 0)
        return r;
    floor = size - s->begin > PERFMAP_MAX_BYTES ? size - PERFMAP_MAX_BYTES : s->begin;
    r = scan_file(s, floor, size);
    if (floor > s->begin || r == -EFBIG)
        header->flags |= SYMTAB_TRUNCATED;
    if (r < 0 && r != -EFBIG)
        return r;
    return fingerprint(fd, header->read_until, &header->fingerprint);
}
