/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs of a scene that make code or interpret: who they are, how they were started, and
 * asking the JVMs among them for their perf maps.
 */
#include "nsresolve/scene.h"

#include "nsresolve/arguments.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROGRAMS_MAX 1024 /* short-lived ones come and go; a report names a few */

struct program {
    struct program *next;
    struct scene *scene;
    struct pin *pin; /* NULL: nobody can be asked about it */
    struct jit *jit; /* borrowed from the scene */
    struct scene_program facts;
    bool attaching, arguments_asked;
};

void programs_free(struct scene *s)
{
    while (s->programs) {
        struct program *next = s->programs->next;

        pin_unref(s->programs->pin);
        free(s->programs);
        s->programs = next;
    }
}

/* ---- how it was started ---- */

static void on_arguments_parsed(void *data, enum wire_status status, int *memfd)
{
    struct program *p = data;
    uint32_t found;

    if (status != WIRE_OK || pread(*memfd, &found, sizeof(found), 0) != sizeof(found))
        return;
    p->facts.arguments = found;
    p->facts.arguments_known = true;
}

static void on_arguments(void *data, const struct client_answer *a)
{
    struct program *p = data;

    if (a->status == WIRE_OK && a->fd_count == 1)
        asks_parse(p->scene->asks, WIRE_PARSE_ARGUMENTS, p->pin->info.mount_ns, NULL, 0, a->fds[0],
                   on_arguments_parsed, p);
}

static void ask_arguments(struct program *p)
{
    if (!p->arguments_asked && p->pin->proc_fd >= 0)
        p->arguments_asked = asks_ask(p->scene->asks, WIRE_ARGUMENTS, p->pin->info.mount_ns, NULL,
                                      0, &p->pin->proc_fd, 1, on_arguments, p) == 0;
}

/* ---- perf maps on demand ---- */

static void on_attached(void *data, const struct client_answer *a)
{
    struct program *p = data;

    p->attaching = false;
    p->facts.attach_status = a->status;
    if (a->status != WIRE_OK || a->size != sizeof(p->facts.attached))
        return;
    memcpy(&p->facts.attached, a->payload, sizeof(p->facts.attached));
    p->facts.signalled |= p->facts.attached.signalled != 0;
    /* What is there now may be written over at the end. */
    if (p->facts.attached.outcome == ATTACH_DONE && p->jit)
        jit_look(p->jit, true);
}

static void ask_map(struct program *p)
{
    struct wire_attach ask = {.pid = (int32_t)p->facts.tgid, .ns_pid = (int32_t)p->facts.ns_tgid};

    if (p->attaching || p->pin->proc_fd < 0)
        return;
    if (asks_ask(p->scene->asks, WIRE_ATTACH, p->pin->info.mount_ns, &ask, sizeof(ask),
                 (int[]){p->pin->proc_fd, p->pin->root_fd}, 2, on_attached, p) < 0)
        return;
    p->attaching = true;
    p->facts.attach_status = WIRE_TIMEOUT; /* until it answers */
    p->facts.asked++;
}

void scene_attach(struct scene *s)
{
    s->attach = true;
}

void scene_attach_again(struct scene *s)
{
    for (struct program *p = s->programs; p; p = p->next) {
        const struct process *process = processes_get(s->processes, p->facts.tgid);

        if (p->facts.language.kind == LANGUAGE_JAVA && p->pin && process && !process->died_ns &&
            process->images[process->image_count - 1].program == p)
            ask_map(p);
    }
}

/* ---- who they are ---- */

/* The runtime among what an image has mapped. A program's own file counts as much as a library. */
static bool find_language(const struct image *image, struct language *ret)
{
    struct mapping_place at = {0};
    const struct mapping *m;

    while ((m = mappings_next(image->mappings, &at)))
        if (m->file && file_kind(m->file) == FILE_KIND_ELF &&
            language_of_file(file_path(m->file), ret))
            return true;
    return false;
}

static struct program *make_program(struct scene *s, uint32_t tgid, const struct language *l)
{
    struct program *p;

    if (s->program_count == PROGRAMS_MAX)
        return NULL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->scene = s;
    p->facts.tgid = tgid;
    p->facts.language = *l;
    p->next = s->programs;
    s->programs = p;
    s->program_count++;
    return p;
}

/* Everything about it that needs a pin, once there is one. */
static void ask_about(struct scene *s, struct process *process, struct program *p)
{
    if (p->pin)
        return;
    if (!process->pin) {
        if (process->adoption == ADOPT_NONE && !process->died_ns)
            adopt_process(s, process, 0);
        return;
    }
    p->pin = pin_ref(process->pin);
    p->facts.ns_tgid = (uint32_t)p->pin->info.ns_tgid;
    ask_arguments(p);
    if (s->attach && p->facts.language.kind == LANGUAGE_JAVA)
        ask_map(p);
}

static void look_at(struct scene *s, struct process *process, struct image *image)
{
    size_t mapped = mappings_count(image->mappings);
    struct program *p = image->program;
    struct language language;

    if (!p && image->looked_at != mapped) {
        image->looked_at = mapped;
        if (find_language(image, &language))
            p = image->program = make_program(s, process->tgid, &language);
    }
    if (!p)
        return;
    p->facts.sampled |= image->sampled;
    p->jit = image->jit;
    ask_about(s, process, p);
}

void scene_look_around(struct scene *s)
{
    struct process *p;
    size_t cursor = 0;

    while ((p = processes_next(s->processes, &cursor)))
        if (p->relevant)
            look_at(s, p, &p->images[p->image_count - 1]);
}

const struct scene_program *scene_next_program(struct scene *s, struct program **cursor)
{
    struct program *p = *cursor ? (*cursor)->next : s->programs;

    *cursor = p;
    if (!p)
        return NULL;
    p->facts.made_code = p->jit != NULL;
    p->facts.methods = p->jit ? jit_symbols(p->jit) : 0;
    return &p->facts;
}
