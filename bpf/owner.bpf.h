/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * To whom block I/O is charged: not to who happens to submit it.
 *
 * What is written back belongs to whose memory the pages are: a thread of the kernel, or somebody
 * else's sync, submits it. What a thread of the kernel does on somebody's behalf says so in the
 * bio. Everything else belongs to who asks. Metadata of file systems is the kernel's own.
 */
#pragma once

#include "bpf/blk.bpf.h"
#include "bpf/event_block.h"
#include "bpf/filter.bpf.h"

/* The target's cgroups in the hierarchies that pages and bios are charged in; 0: it has none. */
const volatile __u64 memory_cgroup = 0, blkio_cgroup = 0;
const volatile __u32 memory_level = 0, blkio_level = 0;

#define OP_MASK 0xff
#define OP_READ 0
#define OP_WRITE 1
#define OP_FLUSH 2
#define OP_DISCARD 3
#define OP_SECURE_ERASE 5
#define OP_WRITE_ZEROES 9
#define OP_META (1u << 12)
#define OP_PREFLUSH (1u << 18)

#define PF_KTHREAD_BIT 0x00200000
#define MODE_TYPE 0170000
#define MODE_BLOCK 0060000
#define MEMCG_KINDS 7ul
#define MEMCG_IS_KMEM 2ul

static __always_inline int is_write(struct request *rq)
{
    return (rq->cmd_flags & OP_MASK) == OP_WRITE;
}

static __always_inline int is_kernel_thread(struct task_struct *task)
{
    return !!(task->flags & PF_KTHREAD_BIT);
}

static __always_inline int is_below(struct cgroup *cgroup, __u64 id, __u32 level)
{
    if (filter_kind == EVENT_FILTER_ALL && !filter_tgids)
        return 1;
    return id && !filter_tgids && ancestor_at(cgroup, level) == id;
}

/* Pages of a block device belong to the file system that has claimed the device; where none has,
 * somebody writes to the device itself. */
static __always_inline int is_metadata(struct page *page)
{
    struct address_space *mapping = BPF_CORE_READ(page, mapping);
    struct inode *inode;
    struct block_device *device;

    if (!mapping || ((unsigned long)mapping & 3))
        return 0;
    inode = BPF_CORE_READ(mapping, host);
    if (!inode || (BPF_CORE_READ(inode, i_mode) & MODE_TYPE) != MODE_BLOCK)
        return 0;
    device = (void *)inode - bpf_core_field_offset(struct bdev_inode, vfs_inode);
    return BPF_CORE_READ(device, bd_holder) != NULL;
}

/* Of several pages that are one, the first. */
static __always_inline struct page *first_page(struct bio *bio)
{
    struct bio_vec *vec = BPF_CORE_READ(bio, bi_io_vec);
    unsigned int index = BPF_CORE_READ(bio, bi_iter.bi_idx);
    unsigned long head;
    void *page = NULL;

    if (!vec)
        return NULL;
    bpf_probe_read_kernel(&page, sizeof(page),
                          (void *)vec + index * bpf_core_type_size(struct bio_vec) +
                              bpf_core_field_offset(struct bio_vec, bv_page));
    if (!page)
        return NULL;
    head = BPF_CORE_READ((struct page *)page, compound_head);
    return head & 1 ? (struct page *)(head - 1) : page;
}

/* Whether the page is on its way to the disk; pages of direct I/O are memory like any other. */
static __always_inline int is_written_back(struct page *page)
{
    unsigned long flags = 0;

    /* The first word of every kind of page, whatever its type is called. */
    bpf_probe_read_kernel(&flags, sizeof(flags), page);
    return !!(flags & 1ul << bpf_core_enum_value(enum pageflags, PG_writeback));
}

static __noinline void own_by_page(struct page *page, struct event_block_share *share)
{
    unsigned long data = BPF_CORE_READ(page, memcg_data);
    struct mem_cgroup *memcg = (void *)(data & ~MEMCG_KINDS);
    struct cgroup *cgroup;

    share->owner_kind = EVENT_OWNER_UNKNOWN;
    if (is_metadata(page)) {
        share->owner_kind = EVENT_OWNER_KERNEL;
        return;
    }
    if (!memcg || (data & MEMCG_IS_KMEM))
        return;
    cgroup = BPF_CORE_READ(memcg, css.cgroup);
    share->owner_kind = EVENT_OWNER_PAGE;
    share->owner = BPF_CORE_READ(cgroup, kn, id);
    share->charged = is_below(cgroup, memory_cgroup, memory_level);
}

/* The root's are those that nobody was named for. */
static __noinline int own_by_bio(struct bio *bio, struct event_block_share *share)
{
    struct cgroup *cgroup;

    if (!bpf_core_field_exists(((struct bio *)0)->bi_blkg))
        return 0;
    cgroup = BPF_CORE_READ(bio, bi_blkg, blkcg, css.cgroup);
    if (!cgroup || BPF_CORE_READ(cgroup, level) == 0)
        return 0;
    share->owner_kind = EVENT_OWNER_BIO;
    share->owner = BPF_CORE_READ(cgroup, kn, id);
    share->charged = is_below(cgroup, blkio_cgroup, blkio_level);
    return 1;
}

/* Who asks: the current task. */
struct asker {
    struct task_struct *task;
    int mine; /* it, or who waits for it, belongs to the target */
};

static __always_inline void own_by_task(const struct asker *asker, struct event_block_share *share)
{
    share->owner_kind = EVENT_OWNER_TASK;
    share->owner = cgroup_id_of(asker->task);
    share->charged = asker->mine;
}

/* Who is charged with a bio of these flags. asker: NULL when that was somebody before; then the
 * result is left as it is where the bio itself tells nothing. */
static __always_inline void own(struct bio *bio, unsigned int flags, const struct asker *asker,
                                struct event_block_share *share)
{
    struct page *page = bio && (flags & OP_MASK) == OP_WRITE ? first_page(bio) : NULL;
    int written_back = page && is_written_back(page);

    if (written_back) {
        own_by_page(page, share);
        if (share->owner_kind != EVENT_OWNER_UNKNOWN)
            return;
    }
    if (!asker)
        return;
    if (!is_kernel_thread(asker->task) && !(flags & OP_META)) {
        own_by_task(asker, share);
        return;
    }
    if (is_kernel_thread(asker->task) && bio && own_by_bio(bio, share))
        return;
    if (!written_back)
        share->owner_kind = EVENT_OWNER_KERNEL;
}
