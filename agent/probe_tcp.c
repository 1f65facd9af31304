/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `tcp` view: the lives of the target's TCP connections.
 */
#include "agent/probe_tcp.h"

#include "agent/kernel_hooks.h"
#include "agent/kernel_types.h"
#include "agent/look.h"
#include "agent/probe_maps.h"
#include "agent/records.h"
#include "base/loop.h"
#include "bpf/event_tcp.h"
#include "bpf/tcp.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

extern const struct records_ops tcp_records;
extern const struct probe_ops probe_tcp_stacks;

/* As in bpf/tcp.bpf.c. */
enum { LOOK_TARGET, LOOK_PEERS, LOOK_LAST, LOOK_OPEN };

struct tcp {
    struct probe probe; /* first: a probe is cast to it */
    struct tcp_bpf *bpf;
    bool events;
    bool settled;    /* after the end: what is open is known */
    struct buf open; /* of struct event_tcp */
};

static struct tcp *tcp_of(struct probe *p)
{
    return (struct tcp *)((char *)p - offsetof(struct tcp, probe));
}

static void tcp_close(struct probe *p)
{
    struct tcp *t;

    if (!p)
        return;
    t = tcp_of(p);
    probe_ring_free(&p->maps);
    tcp_bpf__destroy(t->bpf);
    buf_free(&t->open);
    free(t);
}

static int tcp_types(struct table *names)
{
    struct tcp_bpf *bpf = tcp_bpf__open();
    int r = bpf ? kernel_types_add(names, bpf_object__btf(bpf->obj)) : -errno;

    tcp_bpf__destroy(bpf);
    return r;
}

/* Hooks of single events are attached for those who asked for them, and where the kernel has them.
 */
static void choose_programs(struct tcp *t)
{
    struct bpf_program *const single[] = {t->bpf->progs.on_tcp_retransmit_skb,
                                          t->bpf->progs.on_tcp_send_reset,
                                          t->bpf->progs.on_tcp_receive_reset};

    for (size_t i = 0; i < ARRAY_SIZE(single); i++)
        bpf_program__set_autoload(
            single[i], t->events && kernel_hooks_has(bpf_program__section_name(single[i])));
}

static int load(struct tcp *t, const struct probe_setup *setup, struct err *e)
{
    struct tcp_bpf__rodata *ro = t->bpf->rodata;
    struct probe_filter filter;
    int r;

    r = probe_filter_init(setup, &filter, e);
    if (r < 0)
        return r;
    PROBE_SET_FILTER(ro, &filter);
    ro->tell_events = setup->events;
    ro->retransmit_tells_error = kernel_hooks_retransmit_tells_error();
    ro->has_several = !setup->target->container;
    choose_programs(t);
    r = tcp_bpf__load(t->bpf);
    if (r < 0) {
        err_set(e, ERR_UNSUPPORTED, "the kernel does not take the BPF program: %s", strerror(-r));
        err_remedy(e, "see porthole doctor for what this host lacks");
        return -EOPNOTSUPP;
    }
    probe_tell_programs(setup, t->bpf->obj);
    probe_maps_init(&t->probe.maps, t->bpf->maps.rows, t->bpf->maps.stacks, t->bpf->maps.counters);
    r = probe_filter_fill(setup->target, bpf_map__fd(t->bpf->maps.target_tgids));
    if (r < 0)
        return err_set(e, ERR_LIMIT, "the target has too many processes for -p");
    return probe_ring_open(&t->probe.maps, t->bpf->maps.ring);
}

static int tcp_open(const struct probe_setup *setup, struct probe **ret, struct err *e)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = setup->types);
    struct tcp *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return -ENOMEM;
    t->events = setup->events;
    t->bpf = tcp_bpf__open_opts(&opts);
    r = t->bpf ? load(t, setup, e) : -errno;
    if (r < 0) {
        tcp_close(&t->probe);
        return r;
    }
    *ret = &t->probe;
    return 0;
}

static int attach_all(struct tcp *t, struct err *e)
{
    struct {
        struct bpf_program *program;
        struct bpf_link **link;
    } hooks[] = {
        {t->bpf->progs.on_tcp_destroy_sock, &t->bpf->links.on_tcp_destroy_sock},
        {t->bpf->progs.on_inet_sock_set_state, &t->bpf->links.on_inet_sock_set_state},
        {t->bpf->progs.on_tcp_retransmit_skb, &t->bpf->links.on_tcp_retransmit_skb},
        {t->bpf->progs.on_tcp_send_reset, &t->bpf->links.on_tcp_send_reset},
        {t->bpf->progs.on_tcp_receive_reset, &t->bpf->links.on_tcp_receive_reset},
    };

    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
        if (!bpf_program__autoload(hooks[i].program))
            continue;
        *hooks[i].link = bpf_program__attach(hooks[i].program);
        if (!*hooks[i].link)
            return err_set(e, ERR_FAILED, "cannot attach to '%s': %s",
                           bpf_program__section_name(hooks[i].program), strerror(errno));
    }
    return 0;
}

/* Looks at the files that all processes have open. */
static int look_at_files(struct tcp *t, uint32_t what, struct buf *out)
{
    __atomic_store_n(&t->bpf->bss->look, what, __ATOMIC_SEQ_CST);
    return look_through(t->bpf->progs.on_task_file, out);
}

/* Connections come and go while it is looked for those that are there: what began meanwhile is
 * known already. */
static int tcp_start(struct probe *p, struct err *e)
{
    struct tcp *t = tcp_of(p);
    int r;

    r = attach_all(t, e);
    if (r < 0)
        return r;
    r = look_at_files(t, LOOK_TARGET, NULL);
    if (r == 0)
        r = look_at_files(t, LOOK_PEERS, NULL);
    return r < 0 ? err_set(e, ERR_FAILED, "cannot look at open connections: %s", strerror(-r)) : 0;
}

/* Connections that are open without a file. Nothing changes any more. */
static int take_without_file(struct tcp *t)
{
    int fd = bpf_map__fd(t->bpf->maps.without_file);
    uint64_t key, next, count = 0;
    struct event_tcp e;

    for (bool have = false; bpf_map_get_next_key(fd, have ? &key : NULL, &next) == 0; have = true) {
        key = next;
        if (bpf_map_lookup_elem(fd, &key, &e) < 0)
            continue;
        e.time_ns = now_ns();
        buf_add(&t->open, &e, sizeof(e));
        count++;
    }
    return count ? probe_count_taken(&t->probe, count, 0) : 0;
}

/* What is open is told while ends are still seen, so that no connection slips through. */
static int settle(struct tcp *t)
{
    int r = 0, rest = 0;

    t->settled = true;
    look_at_files(t, LOOK_LAST, NULL); /* whatever fails: fewer processes are known */
    if (!t->events)
        r = look_at_files(t, LOOK_OPEN, &t->open);
    tcp_bpf__detach(t->bpf);
    probe_programs_end();
    if (!t->events)
        rest = take_without_file(t);
    if (r == 0)
        r = rest;
    return r < 0 ? r : buf_error(&t->open);
}

static int tcp_drain(struct probe *p, bool last, probe_row_fn fn, void *data)
{
    struct tcp *t = tcp_of(p);

    (void)fn;
    (void)data;
    return last && !t->settled ? settle(t) : 0;
}

void probe_tcp_take_open(struct probe *p, struct buf *ret)
{
    struct tcp *t = tcp_of(p);

    buf_free(ret);
    *ret = t->open;
    t->open = (struct buf){0};
}

uint64_t probe_tcp_missed(struct probe *p)
{
    return probe_missed(tcp_of(p)->bpf->progs.on_inet_sock_set_state);
}

static const char *const tcp_needs[] = {"kernel:btf",
                                        "feature:read_kernel",
                                        "feature:ring_buffer",
                                        "bpf:tp_btf",
                                        "bpf:iter_task",
                                        "tracepoint:inet_sock_set_state",
                                        "tracepoint:tcp_destroy_sock",
                                        NULL};

const struct probe_ops probe_tcp = {
    .view = "tcp",
    .family = FAMILY_IO,
    .yields = YIELDS_RECORDS,
    .unit = "connections",
    .needs = tcp_needs,
    .types = tcp_types,
    .open = tcp_open,
    .start = tcp_start,
    .drain = tcp_drain,
    .records = &tcp_records,
    .as_stacks = &probe_tcp_stacks,
    .close = tcp_close,
};
