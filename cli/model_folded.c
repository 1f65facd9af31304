/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded lines (thread;outer;...;inner COUNT) into a model, in one pass and without keeping them.
 *
 * Frame numbers of the line before are kept with their places: neighbours in such files mostly
 * share their outer frames, and what they share is neither hashed nor looked up again.
 */
#include "cli/model.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX_BYTES (16u << 20)
#define READ_BYTES (256u << 10)

#define RECENT_COUNT 32768
#define RECENT_TEXT 58

/* A frame seen lately, in one line of the processor's cache: most look-ups end here. */
struct recent {
    uint32_t number;
    uint16_t size; /* 0: unused */
    char text[RECENT_TEXT];
};

struct folded {
    struct model *m;
    struct table *outer, *inner; /* text of a first or a later frame -> number + 1 */
    struct buf previous;         /* the stack of the line before */
    uint32_t *frames, *ends;     /* of that stack: numbers, and where each text ends */
    uint32_t count;
    struct recent *recent; /* by a hash of the text */
};

static enum model_kind kind_of_text(const char *text, size_t *size)
{
    static const struct {
        char letter;
        enum model_kind kind;
    } suffixes[] = {{'k', MODEL_KERNEL}, {'i', MODEL_INLINED}, {'j', MODEL_JIT}};

    if (*size > 4 && text[*size - 4] == '_' && text[*size - 3] == '[' && text[*size - 1] == ']')
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
            if (text[*size - 2] == suffixes[i].letter) {
                *size -= 4;
                return suffixes[i].kind;
            }
    if (*size == 2 && memcmp(text, "--", 2) == 0)
        return MODEL_LABEL; /* between a stack and its waker's, as the field writes it */
    return memmem(text, *size, "::", 2) ? MODEL_CXX : MODEL_USER;
}

static int add_text(struct folded *f, bool first, const char *text, size_t size, uint32_t *ret)
{
    struct table *known = first ? f->outer : f->inner;
    uintptr_t number = (uintptr_t)table_get(known, text, size);
    struct model_frame frame = {.label = MODEL_NONE};
    _cleanup_free_ char *name = NULL;
    size_t name_size = size;
    int r;

    if (number) {
        *ret = (uint32_t)(number - 1);
        return 0;
    }
    frame.kind = first ? MODEL_THREAD : kind_of_text(text, &name_size);
    name = strndup(text, name_size);
    if (!name)
        return -ENOMEM;
    frame.name = name;
    frame.named = name[0] != '[';
    if (first)
        r = model_add_thread(f->m, &(struct model_label){.comm = name}, ret);
    else
        r = model_add_frame(f->m, &frame, ret);
    if (r < 0)
        return r;
    return table_put(known, text, size, (void *)((uintptr_t)*ret + 1));
}

/* The place of this text among the recent ones; NULL when it is too long for that. */
static struct recent *find_recent(const struct folded *f, const char *text, size_t size)
{
    uint64_t h = size, word = 0, factor = 0x9e3779b97f4a7c15ull;
    size_t at = 0;

    if (size == 0 || size > RECENT_TEXT)
        return NULL;
    /* Sums of products do not wait for each other, unlike a chained hash. */
    for (; at + 8 <= size; at += 8, factor += 0xc2b2ae3d27d4eb4full << 1) {
        memcpy(&word, text + at, 8);
        h += (word ^ word >> 32) * factor;
    }
    word = 0;
    memcpy(&word, text + at, size - at);
    h += word * factor;
    h ^= h >> 32;
    h *= 0xff51afd7ed558ccdull;
    return &f->recent[h >> 32 & (RECENT_COUNT - 1)];
}

static int look_up(struct folded *f, bool first, const char *text, size_t size, uint32_t *ret)
{
    struct recent *r = first ? NULL : find_recent(f, text, size);
    int error;

    if (r && r->size == size && memcmp(r->text, text, size) == 0) {
        *ret = r->number;
        return 0;
    }
    error = add_text(f, first, text, size, ret);
    if (error == 0 && r) {
        r->number = *ret;
        r->size = (uint16_t)size;
        memcpy(r->text, text, size);
    }
    return error;
}

/* How many frames at the start of text are those of the previous line, text and all. */
static uint32_t shared_frames(const struct folded *f, const char *text, size_t size)
{
    size_t n = MIN(size, f->previous.size), same = 0;
    uint32_t count = 0;

    while (same + 8 <= n && memcmp(text + same, f->previous.data + same, 8) == 0)
        same += 8;
    while (same < n && text[same] == f->previous.data[same])
        same++;
    /* A frame counts when its end lies within what is the same, separator included. */
    while (count < f->count && (f->ends[count] < same || (f->ends[count] == same && same == size)))
        count++;
    return count;
}

static int add_stack(struct folded *f, const char *text, size_t size, uint64_t value, struct err *e)
{
    uint32_t count = shared_frames(f, text, size);
    size_t at = count ? f->ends[count - 1] + 1 : 0;
    int r;

    f->previous.size = 0;
    buf_add(&f->previous, text, size);
    f->count = 0;
    for (; at <= size; count++) {
        const char *end = memchr(text + at, ';', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at;

        if (count == STACKS_DEPTH_MAX)
            return err_set(e, ERR_FAILED, "a stack of more than %d frames", STACKS_DEPTH_MAX);
        r = look_up(f, count == 0, text + at, n, &f->frames[count]);
        if (r < 0)
            return r;
        at += n;
        f->ends[count] = (uint32_t)at++;
    }
    f->count = count;
    r = stacks_add(f->m->stacks, f->frames, count, value);
    return r == -EOVERFLOW ? err_set(e, ERR_FAILED, "the sum of values is too large") : r;
}

static int add_line(struct folded *f, const char *line, size_t size, struct err *e)
{
    uint64_t value = 0;
    size_t at;

    f->m->line++;
    if (size && line[size - 1] == '\r')
        size--;
    if (size == 0)
        return 0;
    for (at = size; at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9'; at--)
        ;
    if (at == size || at < 2 || line[at - 1] != ' ')
        return err_set(e, ERR_FAILED, "not a folded stack: 'frame;frame COUNT' is expected");
    for (size_t i = at; i < size; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(line[i] - '0'), &value))
            return err_set(e, ERR_FAILED, "the count does not fit 64 bits");
    if (memchr(line, '\0', at))
        return err_set(e, ERR_FAILED, "not a folded stack: a zero byte");
    return add_stack(f, line, at - 1, value, e);
}

/* Takes every whole line out of b; with last, the rest too. */
static int add_lines(struct folded *f, struct buf *b, bool last, struct err *e)
{
    size_t at = 0;
    int r;

    while (at < b->size) {
        const char *end = memchr(b->data + at, '\n', b->size - at);
        size_t n = end ? (size_t)(end - b->data) - at : b->size - at;

        if (!end && !last) {
            if (n > LINE_MAX_BYTES)
                return err_set(e, ERR_FAILED, "a line of more than %u MiB", LINE_MAX_BYTES >> 20);
            break;
        }
        r = add_line(f, b->data + at, n, e);
        if (r < 0)
            return r;
        at = MIN(at + n + 1, b->size);
    }
    buf_consume(b, at);
    return 0;
}

static int read_all(struct folded *f, struct buf *b, int fd, struct err *e)
{
    ssize_t n;
    int r;

    do {
        n = buf_read_fd(b, fd, READ_BYTES);
        if (n < 0)
            return err_set(e, ERR_FAILED, "cannot read: %s", strerror((int)-n));
        r = add_lines(f, b, n == 0, e);
        if (r < 0)
            return r;
    } while (n > 0);
    return buf_error(&f->previous);
}

int model_read_folded(struct model *m, int fd, const char *head, size_t head_size, struct err *e)
{
    _cleanup_free_ uint32_t *frames = calloc(STACKS_DEPTH_MAX, sizeof(*frames));
    _cleanup_free_ uint32_t *ends = calloc(STACKS_DEPTH_MAX, sizeof(*ends));
    _cleanup_free_ struct recent *recent = calloc(RECENT_COUNT, sizeof(*recent));
    _cleanup_(table_freep) struct table *outer = NULL, *inner = NULL;
    struct folded f = {.m = m, .frames = frames, .ends = ends, .recent = recent};
    _cleanup_buf_ struct buf b = {0};
    int r;

    if (!frames || !ends || !recent)
        return -ENOMEM;
    if ((r = table_new(&outer, NULL)) < 0 || (r = table_new(&inner, NULL)) < 0)
        return r;
    f.outer = outer;
    f.inner = inner;
    buf_add(&b, head, head_size);
    r = read_all(&f, &b, fd, e);
    buf_free(&f.previous);
    return r;
}
