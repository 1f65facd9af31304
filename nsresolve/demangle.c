/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/demangle.h"

#include "nsresolve/shorten.h"
#include "nsresolve/stream.h"
#include "nsresolve/wire.h"

#include <errno.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>
#include <time.h>

struct result {
    char *text;
    size_t size;
    jmp_buf too_long;
};

/* A name of 100 bytes can stand for gigabytes of text, and there is no way to tell libiberty to
 * stop; what it holds at this point is on the stack, bar a few bytes for a Rust identifier. */
static void collect(const char *text, size_t size, void *data)
{
    struct result *result = data;

    if (size == 0) /* text is NULL then, at times */
        return;
    if (size > DEMANGLE_RESULT_MAX - result->size || memchr(text, '\0', size))
        longjmp(result->too_long, 1);
    memcpy(result->text + result->size, text, size);
    result->size += size;
}

enum demangle_language demangle_name(const char *name, bool is_full,
                                     char ret[DEMANGLE_RESULT_MAX + 1], size_t *size)
{
    const int options = is_full ? DMGL_PARAMS | DMGL_ANSI | DMGL_VERBOSE : DMGL_NO_OPTS;
    struct result result = {.text = ret};
    volatile enum demangle_language language = DEMANGLE_PLAIN;

    if (setjmp(result.too_long))
        return DEMANGLE_PLAIN;

    /* Rust's older mangling is valid C++ too, so Rust is asked first. */
    if (rust_demangle_callback(name, options, collect, &result)) {
        language = DEMANGLE_RUST;
    } else {
        result.size = 0;
        if (cplus_demangle_v3_callback(name, options, collect, &result))
            language = DEMANGLE_CPP;
    }
    if (language == DEMANGLE_PLAIN || result.size == 0)
        return DEMANGLE_PLAIN;

    ret[result.size] = '\0';
    *size = result.size;
    return language;
}

/* What put_name() needs besides. */
struct names {
    bool is_full;
    char text[DEMANGLE_RESULT_MAX + SHORTEN_SUFFIX_MAX + 1];
};

/* CPU time of this process in nanoseconds. */
static uint64_t cpu_time(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Of what elf.c puts behind the names of stubs and resolvers. */
static size_t suffix_size(const char *name, size_t size)
{
    static const char *const suffixes[] = {"@plt", "@ifunc"};

    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t n = strlen(suffixes[i]);

        if (size > n && memcmp(name + size - n, suffixes[i], n) == 0)
            return n;
    }
    return 0;
}

/* One name into text, which has room for it and more. */
static char read_name(const char *name, size_t name_size, bool is_full, char *text, size_t *size)
{
    char shown[SHORTEN_SUFFIX_MAX], language = DEMANGLE_GO;
    size_t base;

    if (*name == WIRE_DEMANGLE_GO) {
        memcpy(text, name + 1, name_size);
        *size = shorten_decode_go(text, name_size - 1);
        if (!is_full)
            *size = shorten_name(language, text, *size);
        return language;
    }
    base = shorten_suffix(name, name_size, shown);
    language = (char)demangle_name(name, is_full, text, size);
    if (language == DEMANGLE_PLAIN) {
        *size = is_full ? name_size : base;
        memcpy(text, name, *size);
    } else if (!is_full) {
        *size = shorten_name(language, text, *size);
    }
    if (!is_full) {
        memcpy(text + *size, shown, strlen(shown));
        *size += strlen(shown);
    }
    return language;
}

/* A name as it is, or, as long as there are time and room, in readable form. */
static void put_name(struct stream_out *out, uint64_t deadline, char *name, size_t name_size,
                     struct names *names)
{
    size_t suffix = suffix_size(name, name_size), size = name_size - suffix;
    char language = DEMANGLE_PLAIN, *end = name + size, at_end = *end;

    if (name_size <= WIRE_DEMANGLE_NAME_MAX && out->total < DEMANGLE_MAX_BYTES &&
        cpu_time() < deadline) {
        *end = '\0';
        language = read_name(name, name_size - suffix, names->is_full, names->text, &size);
        *end = at_end;
        name = names->text;
    } else if (*name == WIRE_DEMANGLE_GO) {
        language = DEMANGLE_GO;
        name++;
        size--;
    }
    stream_out_put(out, &language, 1);
    stream_out_put(out, name, size);
    stream_out_put(out, end, suffix);
    stream_out_put(out, "", 1);
}

/* A name that is longer than the buffer comes in parts, and passes as it is. */
static int put_names(struct stream_in *in, struct stream_out *out, struct names *names)
{
    uint64_t deadline = cpu_time() + DEMANGLE_SECONDS * 1000000000ull;
    bool in_parts = false;
    char *name;
    size_t size;
    int r;

    while ((r = stream_in_next(in, &name, &size)) != STREAM_END) {
        if (r < 0)
            return r;
        if (r == STREAM_UNFINISHED)
            return -EBADMSG;
        if (r == STREAM_WHOLE) {
            put_name(out, deadline, name, size, names);
            continue;
        }
        if (!in_parts)
            stream_out_put(out, "c", 1);
        stream_out_put(out, name, size);
        in_parts = r == STREAM_PART;
        if (!in_parts)
            stream_out_put(out, "", 1);
    }
    return in_parts ? -EBADMSG : 0;
}

int demangle_stream(int in_fd, int out_fd, bool is_full)
{
    _cleanup_free_ struct stream_in *in = malloc(sizeof(*in));
    _cleanup_free_ struct stream_out *out = malloc(sizeof(*out));
    _cleanup_free_ struct names *names = malloc(sizeof(*names));
    int r;

    if (!in || !out || !names)
        return -ENOMEM;
    stream_in_init(in, in_fd, '\0');
    stream_out_init(out, out_fd);

    names->is_full = is_full;
    r = put_names(in, out, names);
    return r < 0 ? r : stream_out_flush(out);
}
