/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/maps.h"

#include "nsresolve/stream.h"
#include "nsresolve/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

/* A number in this base (10 or 16) at *at; moves *at behind it. false when there is none or it
 * does not fit. */
static bool take_number(const char **at, unsigned base, uint64_t *ret)
{
    const char *start = *at;
    uint64_t value = 0;

    for (;; (*at)++) {
        char c = **at;
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            break;
        if (value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *ret = value;
    return *at != start;
}

static bool take_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_protection(const char **at, uint32_t *flags)
{
    const char *p = *at;

    if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
        (p[2] != 'x' && p[2] != '-') || (p[3] != 'p' && p[3] != 's'))
        return false;

    *flags = (p[0] == 'r' ? PROT_READ : 0) | (p[1] == 'w' ? PROT_WRITE : 0) |
             (p[2] == 'x' ? PROT_EXEC : 0);
    *at += 4;
    return true;
}

/* Everything before the path; *path is moved to it. */
static bool parse_line(const char *line, struct wire_mapping *m, const char **path)
{
    const char *at = line;
    uint64_t major_number, minor_number;

    if (!take_number(&at, 16, &m->start) || !take_char(&at, '-') ||
        !take_number(&at, 16, &m->end) || !take_char(&at, ' ') ||
        !take_protection(&at, &m->flags) || !take_char(&at, ' ') ||
        !take_number(&at, 16, &m->offset) || !take_char(&at, ' ') ||
        !take_number(&at, 16, &major_number) || !take_char(&at, ':') ||
        !take_number(&at, 16, &minor_number) || !take_char(&at, ' ') ||
        !take_number(&at, 10, &m->ino))
        return false;
    if (m->start >= m->end || (*at != '\0' && *at != ' '))
        return false;

    m->dev = makedev((unsigned)major_number, (unsigned)minor_number);
    *path = at + strspn(at, " ");
    return true;
}

/* Copies with "\012" as a newline. Returns the length, or 0 for a path that is too long to open. */
static uint32_t unescape(const char *path, char ret[WIRE_PATH_MAX])
{
    uint32_t n = 0;

    while (*path) {
        bool newline = strncmp(path, "\\012", 4) == 0;

        if (n == WIRE_PATH_MAX)
            return 0;
        ret[n++] = newline ? '\n' : *path;
        path += newline ? 4 : 1;
    }
    return n;
}

static void put_mapping(struct stream_out *out, struct wire_mapping *m, const char *text)
{
    static const char zeros[8];
    char path[WIRE_PATH_MAX];

    m->path_size = unescape(text, path);
    stream_out_put(out, m, sizeof(*m));
    stream_out_put(out, path, m->path_size);
    stream_out_put(out, zeros, -m->path_size & 7);
}

static int parse_lines(struct stream_in *in, struct stream_out *out)
{
    struct wire_mapping m;
    const char *path;
    unsigned count = 0;
    size_t size;
    char *line;
    int r;

    while ((r = stream_in_next(in, &line, &size)) != STREAM_END) {
        if (r < 0)
            return r;
        if (r == STREAM_PART || r == STREAM_LAST_PART)
            continue;
        if (!parse_line(line, &m, &path) || !(m.flags & PROT_EXEC))
            continue;
        if (count++ == MAPS_MAX_MAPPINGS || out->total > MAPS_MAX_BYTES)
            return 1;
        put_mapping(out, &m, path);
    }
    return 0;
}

int maps_parse(int in_fd, int out_fd)
{
    _cleanup_free_ struct stream_in *in = malloc(sizeof(*in));
    _cleanup_free_ struct stream_out *out = malloc(sizeof(*out));
    int r, cut;

    if (!in || !out)
        return -ENOMEM;
    stream_in_init(in, in_fd, '\n');
    stream_out_init(out, out_fd);

    cut = parse_lines(in, out);
    if (cut < 0)
        return cut;
    r = stream_out_flush(out);
    return r < 0 ? r : cut;
}
