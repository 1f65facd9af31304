/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/look.h"

#include "bpf/event.h"
#include "bpf/look.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

struct look {
    struct look_bpf *bpf;
};

/* Reads to the end, into out unless it is NULL. Returns 0 or -errno. */
static int read_all(int fd, struct buf *out)
{
    char page[4096];
    ssize_t n;

    do {
        n = read(fd, page, sizeof(page));
        if (n > 0 && out)
            buf_add(out, page, (size_t)n);
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    return n < 0 ? -errno : 0;
}

int look_through(struct bpf_program *program, struct buf *out)
{
    struct bpf_link *link = bpf_program__attach_iter(program, NULL);
    _cleanup_close_ int fd = -1;
    int r;

    if (!link)
        return -errno;
    fd = bpf_iter_create(bpf_link__fd(link));
    r = fd < 0 ? -errno : read_all(fd, out);
    bpf_link__destroy(link);
    return r;
}

int look_at_tasks(struct bpf_program *program)
{
    return look_through(program, NULL);
}

static int share_maps(struct look_bpf *bpf, const struct look_setup *setup)
{
    const struct {
        struct bpf_map *map;
        int fd;
    } shared[] = {
        {bpf->maps.threads, setup->threads_fd},
        {bpf->maps.stacks, setup->stacks_fd},
        {bpf->maps.unwind_rows, setup->rows_fd},
        {bpf->maps.unwind_ranges, setup->ranges_fd},
        {bpf->maps.unwind_processes, setup->processes_fd},
    };
    struct bpf_map *const unused[] = {bpf->maps.rows, bpf->maps.ended, bpf->maps.new_thread,
                                      bpf->maps.counters};
    int r = bpf_map__set_value_size(bpf->maps.scratch, setup->stack_bytes);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(shared); i++)
        r = bpf_map__reuse_fd(shared[i].map, shared[i].fd);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(unused); i++)
        r = bpf_map__set_autocreate(unused[i], false);
    return r;
}

int look_new(const struct look_setup *setup, struct look **ret)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);
    _cleanup_(look_freep) struct look *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return -ENOMEM;
    l->bpf = look_bpf__open_opts(&opts);
    if (!l->bpf)
        return -errno;
    l->bpf->rodata->stack_max = setup->stack_max;
    l->bpf->rodata->stack_seed = setup->stack_seed;
    r = share_maps(l->bpf, setup);
    if (r == 0)
        r = look_bpf__load(l->bpf);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

void look_free(struct look *l)
{
    if (!l)
        return;
    look_bpf__destroy(l->bpf);
    free(l);
}

int look_run(struct look *l, uint64_t begin_ns)
{
    int r;

    l->bpf->bss->begin_ns = begin_ns;
    l->bpf->bss->missing = 0;
    r = look_at_tasks(l->bpf->progs.on_task);
    if (r < 0)
        return r;
    return (int)MIN(l->bpf->bss->missing, (uint64_t)INT_MAX);
}
