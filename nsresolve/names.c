/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From locations to frames: look every location up once, have the mangled names demangled in one
 * go, make equal frames one.
 */
#include "nsresolve/scene.h"

#include "base/buf.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEMANGLED_MAX (64u << 20)

/* Numbers of enum proto_frame_kind, which belongs to the floor above. */
enum { KIND_USER, KIND_KERNEL, KIND_JIT };

/* What a look-up said about one location; strings are borrowed from tables and files. */
struct raw {
    struct frame frame;
    const char *name; /* NULL: unnamed */
};

struct naming {
    struct raw *raws;      /* one per location, until the frames are made */
    uint32_t *frame_ids;   /* one per location */
    struct frame **frames; /* owned, in the order of their ids */
    size_t frame_count;
    struct table *by_key;  /* borrowed values */
    struct table *strings; /* owned copies of texts that frames point to */
    struct buf mangled;    /* NUL-terminated names sent to the parser */
    size_t mangled_count;
    struct table *mangled_index; /* raw name -> (void *)(index + 1) */
    struct buf demangled;
    const char **answers; /* mangled_count pointers into demangled, or NULL */
};

void naming_free(struct naming *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->frame_count; i++)
        free(n->frames[i]);
    free(n->frames);
    free(n->raws);
    free(n->frame_ids);
    free(n->answers);
    table_free(n->by_key);
    table_free(n->strings);
    table_free(n->mangled_index);
    buf_free(&n->mangled);
    buf_free(&n->demangled);
    free(n);
}
DEFINE_FREEP(struct naming, naming_free)

/* ---- looking up ---- */

/* The outermost functions of processes and threads: libc's, the dynamic linker's, the kernel's.
 * Those of libc that call main() and the thread's function count too: only _start and clone stand
 * above. */
static bool starts_thread(const char *name)
{
    static const char *const names[] = {"_start",
                                        "__start",
                                        "_dl_start_user",
                                        "_start_c",
                                        "__libc_start_main",
                                        "__libc_start_call_main",
                                        "clone",
                                        "__clone",
                                        "__GI___clone",
                                        "clone3",
                                        "__clone3",
                                        "__GI___clone3",
                                        "start_thread",
                                        "thread_start",
                                        "__libc_start_main_impl",
                                        "__unmapself",
                                        "ret_from_fork_asm",
                                        "ret_from_fork",
                                        "libc_start_main_stage2"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static const char *keep(struct naming *n, const char *text, size_t max);

/* Between a tracepoint and our program. */
static bool is_plumbing(const char *name)
{
    static const char *const prefixes[] = {"bpf_trace_run", "__bpf_trace_", "__traceiter_"};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void look_up_kernel(struct scene *s, const struct location *l, struct raw *raw)
{
    struct kernel_symbol symbol;

    raw->frame.kind = KIND_KERNEL;
    raw->frame.file = "[kernel]";
    raw->frame.address = l->address;
    if (kernel_find(s->resolver->kernel, l->address, &symbol)) {
        /* Copies: another capture may have the kernel's symbols read anew before we are done. */
        raw->name = keep(s->naming, symbol.name, FRAME_NAME_MAX);
        raw->frame.source = SOURCE_KALLSYMS;
        raw->frame.file = keep(s->naming, symbol.module, WIRE_PATH_MAX);
        raw->frame.address = symbol.start;
        raw->frame.plumbing = is_plumbing(symbol.name);
        return;
    }
    raw->frame.reason =
        kernel_has_symbols(s->resolver->kernel) ? REASON_KERNEL : REASON_KERNEL_HIDDEN;
}

static void look_up_file(const struct location *l, struct raw *raw)
{
    struct frame *f = &raw->frame;
    struct file_symbol symbol;
    const uint8_t *id;

    f->kind = KIND_USER;
    f->file = file_path(l->file);
    f->build_id_size = (uint8_t)file_build_id(l->file, &id);
    if (f->build_id_size)
        memcpy(f->build_id, id, f->build_id_size);
    f->reason = file_symbol(l->file, l->address, &symbol, &f->address, &f->detail);
    if (f->reason != REASON_NONE)
        return;
    raw->name = symbol.name;
    f->source = symbol.source;
    f->address = symbol.start;
}

static void look_up_jit(const struct location *l, struct raw *raw)
{
    struct frame *f = &raw->frame;

    f->kind = KIND_JIT;
    f->address = l->address;
    f->reason = jit_symbol(l->jit, l->address, &raw->name, &f->address, &f->detail);
    if (f->reason == REASON_NONE)
        f->source = SOURCE_PERF_MAP;
    else
        raw->name = NULL;
}

static void look_up(struct scene *s, const struct location *l, struct raw *raw)
{
    switch (l->kind) {
    case LOCATION_KERNEL:
        look_up_kernel(s, l, raw);
        break;
    case LOCATION_FILE:
        look_up_file(l, raw);
        break;
    case LOCATION_JIT:
        look_up_jit(l, raw);
        break;
    default:
        raw->frame.kind = KIND_USER;
        raw->frame.reason = (uint8_t)l->reason;
        raw->frame.address = l->address;
    }
    if (raw->name && !*raw->name)
        raw->name = NULL;
    if (!raw->name) {
        raw->frame.source = SOURCE_NONE;
        return;
    }
    raw->frame.starts_thread = starts_thread(raw->name);
}

/* ---- demangling ---- */

static bool is_mangled(const struct raw *raw)
{
    const char *n = raw->name;

    if (!n || raw->frame.kind != KIND_USER || strlen(n) > WIRE_DEMANGLE_NAME_MAX)
        return false;
    while (n - raw->name < 2 && n[0] == '_' && n[1] == '_')
        n++;
    return n[0] == '_' && (n[1] == 'Z' || n[1] == 'R');
}

static int add_mangled(struct naming *n, const char *name)
{
    size_t size = strlen(name) + 1;

    if (table_get(n->mangled_index, name, size))
        return 0;
    buf_add(&n->mangled, name, size);
    return table_put(n->mangled_index, name, size, (void *)(uintptr_t)++n->mangled_count);
}

/* Language and demangled name, or NULL when the name was not mangled or nobody answered. */
static const char *answer_for(const struct naming *n, const char *name)
{
    uintptr_t index = (uintptr_t)table_get(n->mangled_index, name, strlen(name) + 1);

    return index && n->answers ? n->answers[index - 1] : NULL;
}

/* Splits the answer; a parser that returns another number of names is not believed at all. */
static void take_answers(struct naming *n)
{
    const char **answers = calloc(MAX(n->mangled_count, (size_t)1), sizeof(*answers));
    const char *p = n->demangled.data, *end = p + n->demangled.size;
    size_t count = 0;

    if (!answers)
        return;
    while (p < end && count < n->mangled_count) {
        size_t size = strnlen(p, (size_t)(end - p));

        if (size == (size_t)(end - p))
            break;
        answers[count++] = p;
        p += size + 1;
    }
    if (count != n->mangled_count || p != end)
        free(answers);
    else
        n->answers = answers;
}

/* ---- frames ---- */

/* An owned copy of a text, made valid UTF-8 and cut; the same text is stored once. */
static const char *keep(struct naming *n, const char *text, size_t max)
{
    size_t size = strlen(text) + 1;
    char *kept = table_get(n->strings, text, size);
    _cleanup_buf_ struct buf b = {0};

    if (kept)
        return kept;
    text_add_utf8(&b, text, size - 1, max);
    buf_addc(&b, '\0');
    if (buf_error(&b) < 0 || table_put(n->strings, text, size, b.data) < 0)
        return NULL;
    return TAKE_PTR(b.data);
}

/* "[libfoo.so]" when the file is known, else "[unknown]"; addresses only on request. */
static void add_unnamed(struct buf *b, const struct frame *f, bool addresses)
{
    const char *base = f->file ? strrchr(f->file, '/') : NULL;
    const char *file = base && base[1] ? base + 1 : f->file;

    if (file && *file == '[')
        buf_addf(b, "[%.*s", (int)strcspn(file + 1, "]"), file + 1);
    else
        buf_addf(b, "[%s", file && *file ? file : "unknown");
    if (addresses)
        buf_addf(b, "+0x%llx", (unsigned long long)f->address);
    buf_addc(b, ']');
}

static int fill_texts(struct naming *n, const struct raw *raw, bool addresses, struct frame *f)
{
    _cleanup_buf_ struct buf b = {0};
    const char *answer = raw->name ? answer_for(n, raw->name) : NULL;

    if (f->file) {
        f->file = keep(n, f->file, WIRE_PATH_MAX);
        if (!f->file)
            return -ENOMEM;
    }
    if (answer && answer[0] && answer[1]) {
        f->language = answer[0] == '+' ? "c++" : answer[0] == 'r' ? "rust" : NULL;
        f->name = keep(n, answer + 1, FRAME_NAME_MAX);
    } else if (raw->name) {
        f->name = keep(n, raw->name, FRAME_NAME_MAX);
    } else {
        add_unnamed(&b, f, addresses);
        f->name = buf_error(&b) == 0 ? keep(n, b.data, FRAME_NAME_MAX) : NULL;
    }
    return f->name ? 0 : -ENOMEM;
}

/* The frame with these facts; equal ones are one. */
static int intern(struct naming *n, const struct frame *model, uint32_t *id)
{
    struct {
        const char *name, *file, *detail;
        uint64_t kind, source, reason;
    } key = {model->name, model->file, model->detail, model->kind, model->source, model->reason};
    struct frame *f = table_get(n->by_key, &key, sizeof(key)), **grown;

    if (f) {
        *id = f->id;
        return 0;
    }
    grown = realloc(n->frames, (n->frame_count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    n->frames = grown;
    f = malloc(sizeof(*f));
    if (!f)
        return -ENOMEM;
    *f = *model;
    f->id = (uint32_t)n->frame_count;
    if (table_put(n->by_key, &key, sizeof(key), f) < 0) {
        free(f);
        return -ENOMEM;
    }
    n->frames[n->frame_count++] = f;
    *id = f->id;
    return 0;
}

static void make_frames(struct scene *s)
{
    struct naming *n = s->naming;

    if (!n->raws)
        return;
    for (uint32_t i = 0; i < s->location_count; i++) {
        struct frame f = n->raws[i].frame;

        if (fill_texts(n, &n->raws[i], s->addresses, &f) < 0 || intern(n, &f, &n->frame_ids[i]) < 0)
            n->frame_ids[i] = UINT32_MAX;
    }
    free(n->raws);
    n->raws = NULL;
}

static void on_demangled(void *data, enum wire_status status, int *memfd)
{
    struct scene *s = data;
    struct naming *n = s->naming;

    if (n->raws && status == WIRE_OK && lseek(*memfd, 0, SEEK_SET) == 0 &&
        buf_read_all(&n->demangled, *memfd, DEMANGLED_MAX) == 0 && n->demangled.size)
        take_answers(n);
    make_frames(s);
}

static int ask_demangled(struct scene *s)
{
    struct naming *n = s->naming;
    _cleanup_close_ int fd = memfd_create("names", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (size_t at = 0; at < n->mangled.size;) {
        ssize_t w = write(fd, n->mangled.data + at, n->mangled.size - at);

        if (w < 0)
            return -errno;
        at += (size_t)w;
    }
    return asks_parse(s->asks, WIRE_DEMANGLE, 0, NULL, 0, fd, on_demangled, s);
}

static int naming_new(const struct scene *s, struct naming **ret)
{
    _cleanup_(naming_freep) struct naming *n = calloc(1, sizeof(*n));
    size_t count = MAX(s->location_count, 1u);

    if (!n)
        return -ENOMEM;
    n->raws = calloc(count, sizeof(*n->raws));
    n->frame_ids = calloc(count, sizeof(*n->frame_ids));
    if (!n->raws || !n->frame_ids || table_new(&n->by_key, NULL) < 0 ||
        table_new(&n->strings, free) < 0 || table_new(&n->mangled_index, NULL) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(n);
    return 0;
}

int scene_name(struct scene *s)
{
    int r;

    naming_free(s->naming);
    s->naming = NULL;
    r = naming_new(s, &s->naming);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->location_count; i++) {
        struct raw *raw = &s->naming->raws[i];

        look_up(s, &s->locations[i], raw);
        if (is_mangled(raw) && add_mangled(s->naming, raw->name) < 0)
            return -ENOMEM;
    }
    /* Without an answer the raw names must do. */
    if (s->naming->mangled_count == 0 || buf_error(&s->naming->mangled) < 0 || ask_demangled(s) < 0)
        make_frames(s);
    return 0;
}

void scene_settle_names(struct scene *s)
{
    make_frames(s);
}

const struct frame *scene_frame(const struct scene *s, uint32_t location)
{
    uint32_t id = s->naming ? s->naming->frame_ids[location] : UINT32_MAX;

    return id < scene_frame_count(s) ? s->naming->frames[id] : NULL;
}

size_t scene_frame_count(const struct scene *s)
{
    return s->naming ? s->naming->frame_count : 0;
}

const struct frame *scene_frame_by_id(const struct scene *s, uint32_t id)
{
    return s->naming->frames[id];
}
