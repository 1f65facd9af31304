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
enum { KIND_USER, KIND_KERNEL, KIND_JIT, KIND_INLINED, KIND_LABEL };

/* What a look-up said about one frame; strings are borrowed from tables and files. */
struct raw {
    struct frame frame;
    const char *name; /* NULL: unnamed */
};

struct naming {
    struct raw *raws; /* until the frames are made; each location's stand together */
    size_t raw_count, raw_allocated;
    uint32_t *first;       /* location_count + 1: each location's first raw */
    uint32_t *frame_ids;   /* one per raw */
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
    free(n->first);
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
                                        "libc_start_main_stage2",
                                        "runtime.goexit",
                                        "runtime.mstart",
                                        "runtime.rt0_go"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* What musl calls the thread's function from. The name is anybody's, but musl is built without
 * rules to unwind by, and hardly anything else is. */
static bool starts_musl_thread(const char *name)
{
    return strcmp(name, "start") == 0 || strcmp(name, "start_c11") == 0;
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

/* What every wait ends in. What says more of a wait (io_schedule(), __mutex_lock()) is not here. */
static bool is_scheduler(const char *name)
{
    static const char *const names[] = {
        "__schedule",
        "schedule",
        "schedule_timeout",
        "schedule_preempt_disabled",
        "schedule_hrtimeout_range",
        "schedule_hrtimeout_range_clock",
        "preempt_schedule",
        "preempt_schedule_common",
        "preempt_schedule_irq",
        "do_nanosleep",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Code that comes and goes, if it was the only one there during the capture. */
static void look_up_passing(struct scene *s, const struct location *l, struct raw *raw)
{
    _cleanup_buf_ struct buf name = {0};

    switch (passing_name(s, l->address, &name, &raw->frame)) {
    case KSYMBOLS_NONE:
        break;
    case KSYMBOLS_SEVERAL:
        raw->frame.reason = REASON_CHANGED;
        break;
    case KSYMBOLS_ONE:
        if (buf_error(&name) == 0)
            raw->name = keep(s->naming, name.data, FRAME_NAME_MAX);
        raw->frame.source = SOURCE_KALLSYMS;
        raw->frame.reason = raw->name ? REASON_NONE : REASON_KERNEL;
        break;
    }
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
        raw->frame.scheduler = is_scheduler(symbol.name);
        return;
    }
    raw->frame.reason =
        kernel_has_symbols(s->resolver->kernel) ? REASON_KERNEL : REASON_KERNEL_HIDDEN;
    if (s->ksymbols)
        look_up_passing(s, l, raw);
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
    f->language = symbol.is_go ? "go" : NULL;
}

static void look_up_jit(const struct location *l, struct raw *raw)
{
    struct frame *f = &raw->frame;
    struct jit_symbol symbol;

    f->kind = KIND_JIT;
    f->address = l->address;
    f->reason = jit_symbol(l->jit, l->address, l->version, &symbol, &f->detail);
    if (f->reason != REASON_NONE)
        return;
    raw->name = symbol.name;
    f->source = symbol.source;
    f->address = symbol.start;
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
    case LOCATION_LABEL:
        raw->frame.kind = KIND_LABEL;
        raw->frame.source = SOURCE_LABEL;
        raw->name = l->label;
        return;
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
    raw->frame.starts_thread_if_bare = starts_musl_thread(raw->name);
}

/* A new one, borrowed until the next; NULL: out of memory. */
static struct raw *add_raw(struct naming *n)
{
    if (n->raw_count == n->raw_allocated) {
        size_t want = n->raw_allocated * 3 / 2 + 64;
        struct raw *raws = want < UINT32_MAX ? reallocarray(n->raws, want, sizeof(*raws)) : NULL;

        if (!raws)
            return NULL;
        n->raws = raws;
        n->raw_allocated = want;
    }
    n->raws[n->raw_count] = (struct raw){0};
    return &n->raws[n->raw_count++];
}

/* What was inlined into the function of a location, innermost first, and then that function. */
static int look_up_all(struct scene *s, const struct location *l)
{
    struct naming *n = s->naming;
    const struct inline_address *functions = NULL;
    const struct inlinetab *table = NULL;
    struct raw outer = {0}, *raw;
    const char *detail = NULL;

    look_up(s, l, &outer);
    outer.frame.inlines = (uint8_t)inlining_find(s, l, &table, &functions, &detail);
    outer.frame.inlines_detail = detail ? keep(n, detail, WIRE_PATH_MAX) : NULL;
    for (unsigned i = 0; outer.frame.inlines == INLINES_EXPANDED && i < functions->count; i++) {
        raw = add_raw(n);
        if (!raw)
            return -ENOMEM;
        raw->name = inlinetab_name(table, functions, i);
        raw->frame = outer.frame;
        raw->frame.kind = KIND_INLINED;
        raw->frame.source = SOURCE_DWARF_INLINE;
        raw->frame.reason = REASON_NONE;
        raw->frame.inlines = INLINES_NOT_ASKED;
        raw->frame.starts_thread = false;
        raw->frame.detail = NULL;
    }
    raw = add_raw(n);
    if (!raw)
        return -ENOMEM;
    *raw = outer;
    return 0;
}

/* ---- demangling ---- */

static bool is_go(const struct raw *raw)
{
    return raw->frame.language != NULL; /* the only one known before */
}

/* Mangled, Go's, or with something behind a dot that a compiler may have appended. */
static bool is_unread(const struct raw *raw)
{
    const char *n = raw->name;

    if (!n || !*n || (raw->frame.kind != KIND_USER && raw->frame.kind != KIND_INLINED) ||
        strlen(n) >= WIRE_DEMANGLE_NAME_MAX)
        return false;
    if (is_go(raw) || strchr(n + 1, '.'))
        return true;
    while (n - raw->name < 2 && n[0] == '_' && n[1] == '_')
        n++;
    return n[0] == '_' && (n[1] == 'Z' || n[1] == 'R');
}

/* The name as the parser is asked for it, NUL included. */
static void question(const struct raw *raw, struct buf *b)
{
    if (is_go(raw))
        buf_addc(b, WIRE_DEMANGLE_GO);
    buf_add(b, raw->name, strlen(raw->name) + 1);
}

static int add_question(struct naming *n, const struct raw *raw)
{
    _cleanup_buf_ struct buf b = {0};

    question(raw, &b);
    if (buf_error(&b) < 0)
        return -ENOMEM;
    if (table_get(n->mangled_index, b.data, b.size))
        return 0;
    buf_add(&n->mangled, b.data, b.size);
    return table_put(n->mangled_index, b.data, b.size, (void *)(uintptr_t)++n->mangled_count);
}

/* Language and readable name, or NULL when it was not asked for or nobody answered. */
static const char *answer_for(const struct naming *n, const struct raw *raw)
{
    _cleanup_buf_ struct buf b = {0};
    uintptr_t index;

    if (!is_unread(raw))
        return NULL;
    question(raw, &b);
    if (buf_error(&b) < 0)
        return NULL;
    index = (uintptr_t)table_get(n->mangled_index, b.data, b.size);
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
    const char *answer = raw->name ? answer_for(n, raw) : NULL;

    if (f->file) {
        f->file = keep(n, f->file, WIRE_PATH_MAX);
        if (!f->file)
            return -ENOMEM;
    }
    if (answer && answer[0] && answer[1]) {
        if (answer[0] != 'c' && !f->language)
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
        const char *name, *file, *detail, *inlines_detail;
        uint64_t kind, source, reason, inlines;
    } key = {model->name, model->file,   model->detail, model->inlines_detail,
             model->kind, model->source, model->reason, model->inlines};
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
    for (size_t i = 0; i < n->raw_count; i++) {
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
    const struct wire_demangle want = {.flags = s->full_names ? WIRE_DEMANGLE_FULL : 0};
    _cleanup_close_ int fd = memfd_create("names", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (size_t at = 0; at < n->mangled.size;) {
        ssize_t w = write(fd, n->mangled.data + at, n->mangled.size - at);

        if (w < 0)
            return -errno;
        at += (size_t)w;
    }
    return asks_parse(s->asks, WIRE_DEMANGLE, 0, &want, sizeof(want), fd, on_demangled, s);
}

static int naming_new(const struct scene *s, struct naming **ret)
{
    _cleanup_(naming_freep) struct naming *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    n->first = calloc(s->location_count + 1ul, sizeof(*n->first));
    if (!n->first || table_new(&n->by_key, NULL) < 0 || table_new(&n->strings, free) < 0 ||
        table_new(&n->mangled_index, NULL) < 0)
        return -ENOMEM;
    *ret = TAKE_PTR(n);
    return 0;
}

static int look_up_locations(struct scene *s)
{
    struct naming *n = s->naming;

    for (uint32_t i = 0; i < s->location_count; i++) {
        int r = look_up_all(s, &s->locations[i]);

        if (r < 0)
            return r;
        n->first[i + 1] = (uint32_t)n->raw_count;
    }
    for (size_t i = 0; i < n->raw_count; i++)
        if (is_unread(&n->raws[i]) && add_question(n, &n->raws[i]) < 0)
            return -ENOMEM;
    n->frame_ids = calloc(MAX(n->raw_count, (size_t)1), sizeof(*n->frame_ids));
    return n->frame_ids ? 0 : -ENOMEM;
}

int scene_name(struct scene *s)
{
    int r;

    naming_free(s->naming);
    s->naming = NULL;
    r = naming_new(s, &s->naming);
    if (r < 0)
        return r;
    r = look_up_locations(s);
    if (r < 0)
        return r;
    /* Without an answer the raw names must do. */
    if (s->naming->mangled_count == 0 || buf_error(&s->naming->mangled) < 0 || ask_demangled(s) < 0)
        make_frames(s);
    return 0;
}

void scene_settle_names(struct scene *s)
{
    make_frames(s);
}

size_t scene_frames(const struct scene *s, uint32_t location, const uint32_t **ids)
{
    const struct naming *n = s->naming;

    if (!n || !n->frame_ids)
        return 0;
    *ids = &n->frame_ids[n->first[location]];
    return n->first[location + 1] - n->first[location];
}

const struct frame *scene_frame(const struct scene *s, uint32_t location)
{
    const uint32_t *ids;
    size_t count = scene_frames(s, location, &ids);
    uint32_t id = count ? ids[count - 1] : UINT32_MAX;

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
