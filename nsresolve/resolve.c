/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/resolve.h"

#include "base/log.h"
#include "base/loop.h"
#include "nsresolve/scene.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* What they cost, about 250 bytes each with their names, is a container's to choose. */
#define LOCATIONS_MAX 262144u
#define COMPAT_END (1ull << 32) /* 32-bit processes live below */

/* The kernel maps the same vdso into every 64-bit process, ours included. Its ELF header says how
 * far the section headers, which come last, reach. */
static int vdso_memfd(void)
{
    const ElfW(Ehdr) *image = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
    _cleanup_close_ int fd = -1;
    size_t size;

    if (!image)
        return -ENOENT;
    size = image->e_shoff + (size_t)image->e_shentsize * image->e_shnum;
    fd = memfd_create("vdso", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, image, size) != (ssize_t)size)
        return -EIO;
    return TAKE_FD(fd);
}

int resolver_new(struct client *client, int kallsyms_fd, int modules_fd, size_t cache_bytes,
                 struct resolver **ret)
{
    _cleanup_(resolver_freep) struct resolver *r = calloc(1, sizeof(*r));
    int error;

    if (!r)
        return -ENOMEM;
    r->client = client;
    r->vdso_fd = vdso_memfd();
    error = kernel_new(kallsyms_fd, modules_fd, &r->kernel);
    if (error == 0)
        error = cache_new(cache_bytes, &r->cache);
    if (error == 0 && client_has(client, CLIENT_FETCHER))
        error = fetches_new(client, r->cache, &r->fetches);
    if (error < 0)
        return error;
    /* Now, while nobody waits; a capture only looks whether modules came or went. */
    if (kernel_refresh(r->kernel) < 0)
        log_debug("cannot read the kernel's symbols");
    *ret = TAKE_PTR(r);
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    kernel_free(r->kernel);
    fetches_free(r->fetches);
    cache_free(r->cache);
    unwinds_free(r->unwinds);
    if (r->vdso_fd >= 0)
        close(r->vdso_fd);
    free(r);
}

int resolver_use_rows(struct resolver *r, const struct unwind_sink *sink)
{
    return unwinds_new(sink, &r->unwinds);
}

void resolver_get_stats(const struct resolver *r, struct resolver_stats *ret)
{
    ret->unwinds = (struct unwinds_stats){0};
    if (r->unwinds)
        unwinds_get_stats(r->unwinds, &ret->unwinds);
    cache_get_stats(r->cache, &ret->cache);
    ret->fetches = (struct fetches_stats){0};
    if (r->fetches)
        fetches_get_stats(r->fetches, &ret->fetches);
    ret->kernel_bytes = kernel_bytes(r->kernel);
}

/* ---- a scene ---- */

static void on_idle(void *data)
{
    struct scene *s = data;
    void (*fn)(void *) = s->when_idle;

    s->when_idle = NULL;
    if (fn)
        fn(s->when_idle_data);
}

static void on_fetched(void *data)
{
    struct scene *s = data;
    void (*fn)(void *) = s->when_fetched;

    s->when_fetched = NULL;
    if (fn)
        fn(s->when_fetched_data);
}

static void on_rules_changed(void *data)
{
    struct scene *s = data;

    s->rules_changed = true;
    scene_tell_news(s);
}

void scene_on_news(struct scene *s, void (*fn)(void *data), void *data)
{
    s->on_news = fn;
    s->on_news_data = data;
}

void scene_tell_news(struct scene *s)
{
    if (s->on_news)
        s->on_news(s->on_news_data);
}

int scene_new(struct resolver *r, uint32_t init_pid, bool addresses, struct scene **ret)
{
    _cleanup_(scene_freep) struct scene *s = calloc(1, sizeof(*s));
    int error;

    if (!s)
        return -ENOMEM;
    s->resolver = r;
    s->fetches = (struct fetch_group){.fetches = r->fetches, .idle = on_fetched, .data = s};
    s->addresses = addresses;
    error = asks_new(r->client, on_idle, s, &s->asks);
    if (error == 0)
        error = processes_new(&s->processes);
    if (error == 0)
        error = files_new(&(struct files_setup){.asks = s->asks,
                                                .cache = r->cache,
                                                .unwinds = r->unwinds,
                                                .vdso_fd = r->vdso_fd,
                                                .changed = on_rules_changed,
                                                .fetches = r->fetches ? &s->fetches : NULL,
                                                .data = s},
                          &s->files);
    if (error == 0)
        error = table_new(&s->location_ids, NULL);
    if (error == 0)
        error = table_new(&s->labels, free);
    if (error < 0)
        return error;
    if (init_pid)
        adopt_init(s, init_pid);
    *ret = TAKE_PTR(s);
    return 0;
}

void scene_free(struct scene *s)
{
    if (!s)
        return;
    asks_free(s->asks); /* first: open questions point into everything else */
    naming_free(s->naming);
    ksymbols_free(s->ksymbols);
    adopt_free(s);
    programs_free(s);
    processes_free(s->processes);
    table_free(s->expansions);
    files_free(s->files);
    for (size_t i = 0; i < s->jit_count; i++)
        jit_free(s->jits[i]);
    free(s->jits);
    free(s->locations);
    table_free(s->location_ids);
    table_free(s->labels);
    free(s);
}

bool scene_idle(const struct scene *s)
{
    return asks_pending(s->asks) == 0;
}

void scene_when_idle(struct scene *s, void (*fn)(void *data), void *data)
{
    s->when_idle = NULL;
    if (fn && scene_idle(s)) {
        fn(data);
        return;
    }
    s->when_idle = fn;
    s->when_idle_data = data;
}

void scene_when_fetched(struct scene *s, void (*fn)(void *data), void *data)
{
    s->when_fetched = NULL;
    if (fn && s->fetches.open == 0) {
        fn(data);
        return;
    }
    s->when_fetched = fn;
    s->when_fetched_data = data;
}

void scene_get_stats(const struct scene *s, struct scene_stats *ret)
{
    *ret = (struct scene_stats){
        .processes = processes_count(s->processes),
        .adopted = s->adopted,
        .locations = s->location_count,
        .frames = scene_frame_count(s),
    };
    for (size_t i = 0; i < s->jit_count; i++)
        ret->bad_jit_lines += jit_bad_lines(s->jits[i]);
}

uint64_t scene_monotonic(uint64_t boottime_ns)
{
    struct timespec boot, now;
    uint64_t ahead;

    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    ahead = (uint64_t)(boot.tv_sec - now.tv_sec) * NS_PER_SEC + (uint64_t)boot.tv_nsec -
            (uint64_t)now.tv_nsec;
    return boottime_ns > ahead ? boottime_ns - ahead : 0;
}

/* ---- records ---- */

/* The program that wrote the process's perf map ends: what is written there later is another's. */
static void end_jit(struct scene *s, uint32_t tgid, uint64_t time_ns)
{
    const struct process *p = processes_get(s->processes, tgid);

    if (p && p->images[p->image_count - 1].jit)
        jit_end(p->images[p->image_count - 1].jit, time_ns);
}

void scene_fork(struct scene *s, uint32_t tgid, uint32_t parent, uint64_t time_ns)
{
    processes_fork(s->processes, tgid, parent, time_ns);
}

void scene_exec(struct scene *s, uint32_t tgid, uint64_t time_ns)
{
    end_jit(s, tgid, time_ns);
    processes_exec(s->processes, tgid, time_ns);
}

void scene_exit(struct scene *s, uint32_t tgid, uint64_t time_ns)
{
    end_jit(s, tgid, time_ns);
    processes_exit(s->processes, tgid, time_ns);
}

void scene_distrust(struct scene *s, uint64_t time_ns)
{
    processes_distrust(s->processes, time_ns);
}

void scene_be_choosy(struct scene *s)
{
    s->choosy = true;
}

void scene_keep_names_full(struct scene *s)
{
    s->full_names = true;
}

void scene_want_file(struct scene *s, struct process *p, struct file *f, uint64_t start,
                     uint64_t end)
{
    struct pin *pin = p->pin ? p->pin : p->root ? p->root : s->init;

    if (!pin || !file_wants_retry(f))
        return;
    files_want(s->files, f, pin, start, end);
}

void scene_mmap(struct scene *s, const struct scene_mmap *m, uint64_t time_ns)
{
    struct process *p = processes_obtain(s->processes, m->tgid);
    struct mapping mapping = {
        .start = m->start, .end = m->end, .offset = m->offset, .born_ns = time_ns};

    if (!p)
        return;
    mapping.file = files_obtain(s->files, m->dev, m->ino, m->path, m->path_size, &p->files);
    if (processes_mmap(s->processes, m->tgid, &mapping) < 0)
        return;
    if (mapping.file && (p->relevant || !s->choosy))
        scene_want_file(s, p, mapping.file, m->start, m->end);
}

void scene_advance(struct scene *s, uint64_t until_ns, uint64_t keep_ns)
{
    adopt_merge(s, until_ns);
    processes_prune(s->processes, keep_ns);
    files_retry_rules(s->files);
    files_flush(s->files);
}

/* ---- samples ---- */

/* Gone, and its parent is not known either: perhaps that still lives. */
static enum scene_readiness adopt_parent(struct scene *s, const struct process *p)
{
    struct process *parent = p->parent ? processes_obtain(s->processes, p->parent) : NULL;

    if (!parent)
        return SCENE_READY;
    if (parent->adoption == ADOPT_NONE)
        adopt_process(s, parent, 0);
    return parent->adoption == ADOPT_ASKED ? SCENE_PENDING : SCENE_READY;
}

/* The process that had that tgid then. Its start tells it apart from one that ended before under
 * the same number, and threads that outlived their first from another process. */
static struct process *find_process(struct scene *s, uint32_t tgid, uint64_t start_boottime_ns,
                                    uint64_t time_ns)
{
    struct process *p = processes_at(s->processes, tgid, time_ns);

    if (!p || !p->died_ns || p->died_ns >= time_ns || !start_boottime_ns)
        return p;
    if (scene_monotonic(start_boottime_ns) <= p->died_ns) {
        p->died_ns = 0;
        return p;
    }
    return p == processes_get(s->processes, tgid) ? processes_succeed(s->processes, tgid) : NULL;
}

enum scene_readiness scene_process(struct scene *s, uint32_t tgid, uint64_t start_boottime_ns,
                                   uint64_t time_ns)
{
    struct process *p = find_process(s, tgid, start_boottime_ns, time_ns);

    if (p && !p->relevant)
        p->relevant = p->changed = true;
    if (p && process_image(p, time_ns)->complete)
        return SCENE_READY;
    if (!p)
        p = processes_obtain(s->processes, tgid);
    if (!p || p != processes_get(s->processes, tgid) || p->born_ns > time_ns)
        return SCENE_READY; /* an earlier life: nothing more will be known of it */
    p->relevant = true;
    if (p->adoption == ADOPT_NONE)
        adopt_process(s, p, start_boottime_ns);
    if (p->adoption == ADOPT_FAILED && !process_inherit(s->processes, p))
        return adopt_parent(s, p);
    return p->adoption == ADOPT_ASKED ? SCENE_PENDING : SCENE_READY;
}

static int locate(struct scene *s, const struct location *l, uint32_t *ret)
{
    uintptr_t id = (uintptr_t)table_get(s->location_ids, l, sizeof(*l));

    if (id) {
        *ret = (uint32_t)(id - 1);
        return 0;
    }
    if (s->location_count == LOCATIONS_MAX)
        return -ENOMEM;
    if (s->location_count == s->location_allocated) {
        uint32_t want = MAX(s->location_allocated * 2, 1024u);
        struct location *grown = realloc(s->locations, want * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        s->locations = grown;
        s->location_allocated = want;
    }
    id = s->location_count + 1;
    if (table_put(s->location_ids, l, sizeof(*l), (void *)id) < 0)
        return -ENOMEM;
    s->locations[s->location_count++] = *l;
    *ret = (uint32_t)(id - 1);
    return 0;
}

int scene_locate_kernel(struct scene *s, uint64_t address, bool leaf, uint32_t *ret)
{
    struct location l = {.kind = LOCATION_KERNEL, .address = leaf ? address : address - 1};

    return locate(s, &l, ret);
}

static int locate_nowhere(struct scene *s, enum frame_reason reason, uint64_t address,
                          uint32_t *ret)
{
    struct location l = {
        .kind = LOCATION_NONE, .reason = reason, .address = s->addresses ? address : 0};

    return locate(s, &l, ret);
}

int scene_locate_label(struct scene *s, const char *text, uint32_t *ret)
{
    struct location l = {.kind = LOCATION_LABEL, .label = table_get(s->labels, text, strlen(text))};

    if (!l.label) {
        char *copy = strdup(text);

        if (!copy || table_put(s->labels, text, strlen(text), copy) < 0) {
            free(copy);
            return -ENOMEM;
        }
        l.label = copy;
    }
    return locate(s, &l, ret);
}

/* What was mapped at an address at one time. */
static const struct mapping *mapping_at(struct scene *s, const struct scene_where *w,
                                        uint64_t address, uint64_t time_ns, struct process **ret)
{
    struct process *p = processes_at(s->processes, w->tgid, time_ns);
    struct image *image;

    if (p && p->died_ns && p->died_ns < time_ns)
        p = NULL;
    *ret = p;
    if (!p)
        return NULL;
    image = process_image(p, time_ns);
    image->sampled = true;
    return mappings_find(image->mappings, address, time_ns);
}

/* In the middle of an exec the new program is there, but the registers are still those of the
 * system call that the old one made: an address where the new one has nothing is the old one's. */
static const struct mapping *mapping_before_exec(struct scene *s, const struct scene_where *w,
                                                 uint64_t address, uint64_t time_ns)
{
    struct process *p = processes_at(s->processes, w->tgid, time_ns);
    struct image *image = p ? process_image(p, time_ns) : NULL;
    const struct mapping *m;

    if (!image || image == p->images || !image->complete)
        return NULL;
    m = mappings_find(image[-1].mappings, address, image->born_ns);
    return m && m->file && file_kind(m->file) == FILE_KIND_ELF ? m : NULL;
}

/* Whether one name serves all samples between the two times. */
static bool is_same(const struct mapping *first, const struct mapping *last)
{
    if (first == last)
        return true;
    /* Something else may have been there between the two. */
    if (first->file != last->file || (first->died_ns && first->died_ns != last->born_ns))
        return false;
    /* Anonymous memory has no offsets that mean anything: records and maps differ about them. */
    return (first->file && file_kind(first->file) == FILE_KIND_ANONYMOUS) ||
           first->offset - first->start == last->offset - last->start;
}

static bool is_gone(const struct process *p, const struct image *image)
{
    return !p || (!image->complete && p->adoption == ADOPT_FAILED);
}

/* Of a process that is gone nothing more will be known. */
static int locate_jit(struct scene *s, const struct scene_where *w, struct process *p,
                      uint64_t address, uint32_t *ret)
{
    struct location l = {.kind = LOCATION_JIT, .address = address};

    l.jit = scene_obtain_jit(s, p, w->last_ns, w->ns_tgid);
    if (!l.jit)
        return locate_nowhere(s, REASON_PROCESS_GONE, address, ret);
    if (jit_should_wait(l.jit, w->last_ns)) {
        jit_look(l.jit, s->ending);
        if (w->may_wait && !p->died_ns)
            return -EAGAIN;
    }
    l.version = jit_version(l.jit, address, w->first_ns, w->last_ns);
    return locate(s, &l, ret);
}

int scene_locate_user(struct scene *s, const struct scene_where *w, uint64_t address, bool leaf,
                      uint32_t *ret)
{
    uint64_t a = leaf ? address : address - 1;
    struct process *p, *last;
    const struct mapping *m = mapping_at(s, w, a, w->first_ns, &p);
    const struct mapping *again = mapping_at(s, w, a, w->last_ns, &last);
    struct location l = {.kind = LOCATION_FILE};

    if (!m && !again && leaf && w->in_kernel) {
        m = mapping_before_exec(s, w, a, w->first_ns);
        again = mapping_before_exec(s, w, a, w->last_ns);
    }
    if (!m || !again) {
        bool gone = is_gone(p, p ? process_image(p, w->first_ns) : NULL) ||
                    is_gone(last, last ? process_image(last, w->last_ns) : NULL);

        return locate_nowhere(s, gone ? REASON_PROCESS_GONE : REASON_NO_MAPPING, a, ret);
    }
    if (!is_same(m, again))
        return locate_nowhere(s, REASON_CHANGED, a, ret);
    if (!m->file)
        return locate_nowhere(s, REASON_LIMIT, a, ret);
    /* The vdso that we know is the 64-bit one. */
    if (file_kind(m->file) == FILE_KIND_VDSO && m->end <= COMPAT_END)
        return locate_nowhere(s, REASON_STRIPPED, a, ret);

    if (file_kind(m->file) != FILE_KIND_ANONYMOUS) {
        if (file_wants_retry(m->file))
            scene_want_file(s, p, m->file, m->start, m->end);
        files_sampled(s->files, m->file);
        l.file = m->file;
        l.address = a - m->start + (file_kind(m->file) == FILE_KIND_VDSO ? 0 : m->offset);
        return locate(s, &l, ret);
    }
    return locate_jit(s, w, last, a, ret);
}

void scene_hurry(struct scene *s)
{
    s->ending = true;
}

void scene_collect(struct scene *s)
{
    if (kernel_refresh(s->resolver->kernel) < 0)
        log_debug("cannot read the kernel's symbols");
    files_flush(s->files);
    for (size_t i = 0; i < s->jit_count; i++)
        jit_look(s->jits[i], true);
}
