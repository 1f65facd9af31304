// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Requests to disks, from where they begin to where they end: the `block` view.
 *
 * A request is taken when it begins, in the context of who asks, and counts once however often it
 * is issued or in how many parts it is completed. One that is merged into another is that one's
 * bytes. Latencies end and begin where the device gets the request: queue before, device after.
 */
#include "bpf/blockcount.bpf.h"
#include "bpf/journal.bpf.h"
#include "bpf/requests.bpf.h"
#include "bpf/shares.bpf.h"
#include "bpf/unwind.bpf.h"
#include "bpf/who.bpf.h"

const volatile __u8 begins_told = 1; /* block_io_start and block_io_done are there: Linux 6.5 */

__u64 merged = 0, requeued = 0, unseen = 0;

/* ---- it ends ---- */

/* Where a device wants its cache flushed before or after the data, the data's end is not the
 * request's. */
static __always_inline int in_flush_sequence(struct request *rq)
{
    __u32 bit = 4; /* up to 6.10 */

    if (bpf_core_enum_value_exists(enum rqf_flags, __RQF_FLUSH_SEQ))
        bit = bpf_core_enum_value(enum rqf_flags, __RQF_FLUSH_SEQ);
    return rq->rq_flags >> bit & 1;
}

static __always_inline int counts_anyway(const struct event_block_request *r)
{
    return r->pending <= EVENT_PENDING;
}

/* Atomically: an interrupt may count, too. */
static __always_inline void take(struct event_counters *c, const struct event_block_request *r)
{
    if (yields != BLOCK_STACKS)
        __sync_fetch_and_add(&c->taken, 1);
    if (!c->first_ns)
        c->first_ns = r->start_ns;
}

/* The row is the one's who waits for it. */
static __always_inline void name_waiter(struct event_block_request *r, const struct waiter *w)
{
    r->tgid = w->tgid;
    r->ns_tgid = w->ns_tgid;
    r->cgroup_id = w->cgroup_id;
    r->asker = EVENT_ASKER_WAITS;
    __builtin_memcpy(r->comm, w->comm, sizeof(r->comm));
}

/* Who waits for it is there by now, if anybody does. Returns whether it counts. */
static __noinline int settle(struct event_block_request *r)
{
    struct event_counters *c = my_counters();
    struct waiter waiter = {};

    if (find_waiter(r->journal, counts_anyway(r), &waiter))
        name_waiter(r, &waiter);
    if (counts_anyway(r))
        return 1;
    if (!c || !waiter.mine)
        return 0;
    take(c, r);
    return 1;
}

static __always_inline void end(struct request *rq)
{
    struct event_block_request *r = find((__u64)rq);

    if (!r)
        return;
    if (!r->pending || (r->pending < EVENT_PENDING_IF_MERGED && settle(r)))
        count(r, bpf_ktime_get_ns());
    give_back(r);
}

/* ---- a request begins ---- */

static __always_inline __u32 part_of(struct request *rq)
{
    unsigned int flags = rq->cmd_flags;

    switch (flags & OP_MASK) {
    case OP_READ:
        return EVENT_PART_READ;
    case OP_WRITE:
        /* What has no data only asks for what was written before to be safe. */
        return (flags & OP_PREFLUSH) && rq->__data_len == 0 ? EVENT_PART_FLUSH : EVENT_PART_WRITE;
    case OP_FLUSH:
        return EVENT_PART_FLUSH;
    case OP_DISCARD:
    case OP_SECURE_ERASE:
    case OP_WRITE_ZEROES:
        return EVENT_PART_DISCARD;
    default:
        return EVENT_PART_OTHER;
    }
}

/* Without a call for each pointer on the way. What has no disk has no name. */
static __always_inline void name_device(struct request *rq, char name[EVENT_DEVICE_SIZE])
{
    const __u64 *from;

    if (bpf_core_field_exists(((struct request___old *)0)->rq_disk))
        from = (const __u64 *)((struct request___old *)rq)->rq_disk->disk_name;
    else
        from = (const __u64 *)rq->q->disk->disk_name;
    _Static_assert(EVENT_DEVICE_SIZE == 16, "two words");
    ((__u64 *)name)[0] = from[0];
    ((__u64 *)name)[1] = from[1];
    name[EVENT_DEVICE_SIZE - 1] = '\0';
}

/* Where it was asked for. */
static __always_inline void take_stacks(void *ctx, struct event_counters *c,
                                        struct event_block_request *r)
{
    int lost = stack_take(ctx, SKIP_PROGRAM, 0, &r->who.kernel_stack);

    if (!lost && r->asker == EVENT_ASKER_PROCESS)
        lost = take_user_stack(ctx, NULL, c, r->start_ns, &r->who.user_stack);
    r->lost = (__u32)lost;
}

/* Some kernels do not call programs at each end. Where another request begins at its address, one
 * has ended: it counts, but when that was nobody knows. */
static __noinline void end_unseen(const struct event_block_request *r)
{
    if (!counts_anyway(r))
        return;
    __sync_fetch_and_add(&unseen, 1);
    count(r, 0);
}

static __always_inline __u32 ns_tgid_of(struct task_struct *task, struct last_asked *last)
{
    if (last->task != (__u64)task || last->tgid != (__u32)task->tgid) {
        last->ns_tgid = ns_pid_of(BPF_CORE_READ(task, group_leader));
        last->task = (__u64)task;
        last->tgid = task->tgid;
    }
    return last->ns_tgid;
}

/* Every field: the place was another's. */
static __always_inline void fill(struct event_block_request *r, struct request *rq,
                                 struct task_struct *task, const struct event_block_share *share,
                                 struct last_asked *last)
{
    r->start_ns = bpf_ktime_get_ns();
    r->issue_ns = 0;
    r->sector = rq->__sector;
    r->bytes = rq->__data_len;
    r->error = 0;
    r->row = 0;
    r->tgid = task->tgid;
    r->ns_tgid = ns_tgid_of(task, last);
    r->cgroup_id = cgroup_id_of(task);
    r->asker = is_kernel_thread(task) ? EVENT_ASKER_KERNEL : EVENT_ASKER_PROCESS;
    r->op = part_of(rq);
    r->shares = 1;
    copy_comm(r->comm, task);
    name_device(rq, r->device);
    r->share[0] = *share;
    r->share[0].bytes = r->bytes;
    if (yields == BLOCK_STACKS) {
        __builtin_memset(&r->who, 0, sizeof(r->who));
        fill_who(&r->who, task);
        r->who.part = r->op;
    }
}

/* Whether the target asks for it or is charged with it. Only what is written, and what threads of
 * the kernel do, can be others' than who asks. */
static __always_inline int concerns_target(struct request *rq, const struct asker *asker,
                                           struct event_block_share *share)
{
    int others = is_kernel_thread(asker->task) || is_write(rq);

    if (!others && !asker->mine)
        return 0;
    own(others ? rq->bio : NULL, rq->cmd_flags, asker, share);
    return share->charged || asker->mine;
}

/* There is no place for it: what it would have counted for, as far as that is known yet. */
static __always_inline void lose_request(struct event_counters *c, struct request *rq)
{
    __u64 amount = yields == BLOCK_STACKS && weight == 1 ? rq->__data_len : 1;

    __sync_fetch_and_add(&c->taken, amount);
    __sync_fetch_and_add(&c->lost[EVENT_LOST_OPEN_FULL], amount);
}

/* Who waits for what the journal's thread asks is looked for at its end. What another thread of the
 * kernel writes may have the target's merged into it. */
static __always_inline enum event_pending pending_of(struct request *rq, struct task_struct *task,
                                                     __u64 journal, int concerned)
{
    if (journal)
        return concerned ? EVENT_PENDING : EVENT_PENDING_IF_MINE;
    if (concerned)
        return EVENT_SETTLED;
    return owns_pages() && is_kernel_thread(task) && is_write(rq) ? EVENT_PENDING_IF_MERGED
                                                                  : EVENT_OTHERS;
}

/* Somebody else's. Before Linux 6.5 it stays known as that, or whoever has it sent to the device
 * would seem to be who asks. */
static __always_inline void set_aside(struct event_block_request *r)
{
    if (begins_told) {
        give_back(r);
        return;
    }
    r->pending = EVENT_OTHERS;
    r->start_ns = bpf_ktime_get_ns();
    r->issue_ns = 0;
}

static __always_inline void begin(void *ctx, struct request *rq)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct asker asker = {task, task_is_target(task)};
    struct event_counters *c = my_counters();
    struct event_block_share share = {};
    struct event_block_request *r;
    struct last_asked *last;
    enum event_pending pending;
    __u64 journal = 0;
    __u32 zero = 0;

    if (!begin_ns || !c)
        return;
    c->runs++;
    if (is_kernel_thread(task))
        journal = journal_queue(task);
    pending = pending_of(rq, task, journal, concerns_target(rq, &asker, &share));
    r = pending != EVENT_OTHERS || !begins_told ? obtain((__u64)rq) : find((__u64)rq);
    if (r && r->start_ns)
        end_unseen(r);
    if (pending == EVENT_OTHERS) {
        if (r)
            set_aside(r);
        return;
    }
    last = bpf_map_lookup_elem(&last_asked, &zero);
    if (!r || !last) {
        if (pending <= EVENT_PENDING)
            lose_request(c, rq);
        return;
    }
    fill(r, rq, task, &share, last);
    r->pending = pending;
    r->journal = journal;
    if (pending == EVENT_PENDING_IF_MERGED)
        return;
    if (yields == BLOCK_ROWS && begins_told && !pending)
        choose_row(r, last);
    if (yields == BLOCK_STACKS)
        take_stacks(ctx, c, r);
    if (counts_anyway(r))
        take(c, r);
}

/* ---- a request goes to the device ---- */

/* Others were merged into it meanwhile. What is read belongs to who asks. */
static __noinline void take_merged(struct request *rq, struct event_block_request *r)
{
    r->bytes = r->share[0].bytes = rq->__data_len;
    r->sector = rq->__sector;
    if (!is_write(rq))
        return;
    r->row = 0;
    divide(rq, r);
}

/* What begins as a process' is not followed if it is another's. Who asked is who has it sent to the
 * device then, which is who began it nearly always. */
static __noinline struct event_block_request *follow_late(struct request *rq)
{
    struct event_block_request *r = obtain((__u64)rq);
    struct event_counters *c = my_counters();
    struct event_block_share nobody = {};
    struct last_asked *last;
    __u32 zero = 0;

    last = bpf_map_lookup_elem(&last_asked, &zero);
    if (!c || !last)
        return NULL;
    if (!r) {
        lose_request(c, rq);
        return NULL;
    }
    fill(r, rq, bpf_get_current_task_btf(), &nobody, last);
    if (rq->start_time_ns)
        r->start_ns = rq->start_time_ns;
    return r;
}

/* It began as somebody else's, and bytes of the target were merged into it. */
static __noinline void count_adopted(void *ctx, struct event_block_request *r)
{
    struct event_counters *c = my_counters();

    r->pending = EVENT_SETTLED;
    if (!c)
        return;
    if (yields == BLOCK_STACKS) {
        fill_who(&r->who, bpf_get_current_task_btf());
        take_stacks(ctx, c, r);
    }
    take(c, r);
}

static __always_inline struct event_block_request *adopt(void *ctx, struct request *rq,
                                                         struct event_block_request *r)
{
    if (!r)
        r = follow_late(rq);
    if (!r)
        return NULL;
    take_merged(rq, r);
    count_adopted(ctx, r);
    return r;
}

/* What a journal's thread writes is the target's now, whoever waits for it. */
static __noinline void count_journal(struct event_block_request *r)
{
    struct event_counters *c = my_counters();

    if (!c)
        return;
    r->pending = EVENT_PENDING;
    take(c, r);
}

static __always_inline int begun_before(struct request *rq)
{
    return !begin_ns || (rq->start_time_ns && rq->start_time_ns < begin_ns);
}

static __always_inline void issue(void *ctx, struct request *rq)
{
    struct event_block_request *r = find((__u64)rq);
    int several = rq->bio != rq->biotail;

    if (r && r->pending < EVENT_PENDING_IF_MERGED) {
        if (several && !r->issue_ns)
            take_merged(rq, r);
        if (r->pending == EVENT_PENDING_IF_MINE && r->share[0].charged)
            count_journal(r);
    } else if (several && is_write(rq) && !begun_before(rq) && has_target(rq)) {
        r = adopt(ctx, rq, r && r->pending == EVENT_PENDING_IF_MERGED ? r : NULL);
    } else if (r) {
        set_aside(r);
        return;
    }
    if (r)
        r->issue_ns = bpf_ktime_get_ns();
}

/* ---- hooks ---- */

SEC("tp_btf/block_io_start")
int on_io_start(unsigned long long *ctx)
{
    begin(ctx, (void *)ctx[0]);
    return 0;
}

SEC("tp_btf/block_io_done")
int on_io_done(unsigned long long *ctx)
{
    struct request *rq = (void *)ctx[0];

    if (!in_flush_sequence(rq))
        end(rq);
    return 0;
}

/* Whether it is the one that is known at its address. It may be put into a queue again: the device
 * gave it back, or has flushed its cache for it. */
static __always_inline int has_begun(struct request *rq, int issues)
{
    struct event_block_request *r = find((__u64)rq);

    if (!r)
        return 0;
    if (rq->start_time_ns)
        return r->start_ns >= rq->start_time_ns;
    return issues || r->issue_ns;
}

/* Before Linux 6.5: a request begins where it is put into a queue or, without one, is issued. */
SEC("tp_btf/block_rq_insert")
int on_rq_insert(unsigned long long *ctx)
{
    struct request *rq = (void *)ctx[0];

    if (!has_begun(rq, 0))
        begin(ctx, rq);
    return 0;
}

SEC("tp_btf/block_rq_issue")
int on_rq_issue(unsigned long long *ctx)
{
    struct request *rq = (void *)ctx[0];

    if (!begins_told && !has_begun(rq, 1) && !begun_before(rq))
        begin(ctx, rq);
    issue(ctx, rq);
    return 0;
}

static __always_inline struct event_block_request *note_error(__u64 address, int error)
{
    struct event_block_request *r = find(address);

    if (r && error)
        r->error = error;
    return r;
}

SEC("tp_btf/block_rq_error")
int on_rq_error(unsigned long long *ctx)
{
    note_error(ctx[0], (int)ctx[1]);
    return 0;
}

/* Where there is no such hook, or the part that is completed may be all that is left: before Linux
 * 6.5 that is the end. */
SEC("tp_btf/block_rq_complete")
int on_rq_complete(unsigned long long *ctx)
{
    struct request *rq = (void *)ctx[0];

    if (!note_error(ctx[0], (int)ctx[1]))
        return 0;
    if (!begins_told && (__u32)ctx[2] >= rq->__data_len && !in_flush_sequence(rq))
        end(rq);
    return 0;
}

SEC("tp_btf/block_rq_requeue")
int on_rq_requeue(unsigned long long *ctx)
{
    struct event_block_request *r = find(ctx[0]);

    if (r && counts_anyway(r))
        __sync_fetch_and_add(&requeued, 1);
    return 0;
}

/* It is part of another one from here on. */
SEC("tp_btf/block_rq_merge")
int on_rq_merge(unsigned long long *ctx)
{
    struct event_counters *c = my_counters();
    struct event_block_request *r = find(ctx[0]);

    if (!r)
        return 0;
    if (counts_anyway(r)) {
        __sync_fetch_and_add(&merged, 1);
        if (c && yields != BLOCK_STACKS)
            __sync_fetch_and_add(&c->taken, -1); /* sums of all CPUs are what counts */
    }
    give_back(r);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
