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
    return id && ancestor_at(cgroup, level) == id;
}

/* Whether memory may be the target's where it is not all that there is: not if that is processes.
 */
static __always_inline int owns_pages(void)
{
    return memory_cgroup && !filter_tgids;
}

/* What is looked at of a page. */
struct seen_page {
    __u64 flags, mapping, memcg;
};

#define PAGE_WORDS 8 /* the words of a struct page that these are among, as it is by default */
#define PAGE_WORD(words, field) \
    (words)[(bpf_core_field_offset(struct page, field) / sizeof(__u64)) & (PAGE_WORDS - 1)]

/* In one copy; of several pages that are one, the first. False: there is none. */
static __always_inline int see(const void *page, struct seen_page *ret)
{
    __u64 words[PAGE_WORDS], head;

    if (!page || bpf_probe_read_kernel(words, sizeof(words), page))
        return 0;
    head = PAGE_WORD(words, compound_head);
    if (head & 1 && bpf_probe_read_kernel(words, sizeof(words), (void *)(head - 1)))
        return 0;
    ret->flags = words[0]; /* in every kind of page, whatever its type is called */
    ret->mapping = PAGE_WORD(words, mapping);
    ret->memcg = PAGE_WORD(words, memcg_data);
    return 1;
}

/* What is left of a bio that was split begins elsewhere. */
static __noinline int see_within(struct bio *bio, struct seen_page *ret)
{
    struct bio_vec *vec = BPF_CORE_READ(bio, bi_io_vec);
    __u64 index = BPF_CORE_READ(bio, bi_iter.bi_idx);
    void *page = NULL;

    bpf_probe_read_kernel(&page, sizeof(page),
                          (void *)vec + index * bpf_core_type_size(struct bio_vec) +
                              bpf_core_field_offset(struct bio_vec, bv_page));
    return see(page, ret);
}

/* The first page of a bio, which the verifier knows as one: most are found without a call. */
static __always_inline int see_page(struct bio *bio, struct seen_page *ret)
{
    if (!bio || !bio->bi_io_vec)
        return 0;
    return bio->bi_iter.bi_idx ? see_within(bio, ret) : see(bio->bi_io_vec->bv_page, ret);
}

/* Whether the page is on its way to the disk; pages of direct I/O are memory like any other. */
static __always_inline int is_written_back(const struct seen_page *page)
{
    return !!(page->flags & 1ul << bpf_core_enum_value(enum pageflags, PG_writeback));
}

/* Pages of a block device belong to the file system that has claimed the device; where none has,
 * somebody writes to the device itself. */
static __always_inline int is_metadata(const struct seen_page *page)
{
    struct address_space *mapping = (void *)page->mapping;
    struct block_device *device;
    struct inode *inode;

    if (!mapping || page->mapping & 3)
        return 0;
    inode = BPF_CORE_READ(mapping, host);
    if (!inode || (BPF_CORE_READ(inode, i_mode) & MODE_TYPE) != MODE_BLOCK)
        return 0;
    device = (void *)inode - bpf_core_field_offset(struct bdev_inode, vfs_inode);
    return BPF_CORE_READ(device, bd_holder) != NULL;
}

/* Whose memory was looked at last on this CPU: the next page's is the same as a rule. */
struct last_memory {
    __u64 memcg, serial; /* of a group that is gone another may have the address */
    __u64 owner;
    __u64 charged;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct last_memory);
} last_memory SEC(".maps");

/* Serial numbers are read last and written last: what an interrupt does in between is noticed. */
static __always_inline void own_by_memory(struct mem_cgroup *memcg, struct event_block_share *share)
{
    __u64 serial = BPF_CORE_READ(memcg, css.serial_nr);
    struct last_memory *last;
    struct cgroup *cgroup;
    __u32 zero = 0;

    last = bpf_map_lookup_elem(&last_memory, &zero);
    if (!last)
        return;
    share->owner_kind = EVENT_OWNER_PAGE;
    share->owner = last->owner;
    share->charged = last->charged;
    barrier();
    if (last->memcg == (__u64)memcg && last->serial == serial)
        return;
    cgroup = BPF_CORE_READ(memcg, css.cgroup);
    share->owner = BPF_CORE_READ(cgroup, kn, id);
    share->charged = is_below(cgroup, memory_cgroup, memory_level);
    last->serial = 0;
    barrier();
    last->memcg = (__u64)memcg;
    last->owner = share->owner;
    last->charged = share->charged;
    barrier();
    last->serial = serial;
}

/* kind: whether it matters whose it is if it is not charged to the target. */
static __noinline void own_by_page(const struct seen_page *page, int kind,
                                   struct event_block_share *share)
{
    share->owner_kind = EVENT_OWNER_UNKNOWN;
    share->owner = 0;
    share->charged = 0;
    if (page->memcg & ~MEMCG_KINDS && !(page->memcg & MEMCG_IS_KMEM))
        own_by_memory((struct mem_cgroup *)(page->memcg & ~MEMCG_KINDS), share);
    if ((kind || share->charged) && is_metadata(page)) {
        share->owner_kind = EVENT_OWNER_KERNEL;
        share->owner = 0;
        share->charged = 0;
    }
}

/* The root's are those that nobody was named for. */
static __noinline int own_by_bio(struct bio *bio, struct event_block_share *share)
{
    struct cgroup *cgroup;

    if (!bpf_core_field_exists(((struct bio *)0)->bi_blkg))
        return 0;
    cgroup = bio->bi_blkg->blkcg->css.cgroup;
    if (!cgroup || cgroup->level == 0)
        return 0;
    share->owner_kind = EVENT_OWNER_BIO;
    share->owner = cgroup->kn->id;
    share->charged = is_below(cgroup, blkio_cgroup, blkio_level);
    return 1;
}

/* Who asks: the current task. */
struct asker {
    struct task_struct *task;
    int mine; /* belongs to the target */
};

static __always_inline void own_by_task(const struct asker *asker, struct event_block_share *share)
{
    share->owner_kind = EVENT_OWNER_TASK;
    share->owner = cgroup_id_of(asker->task);
    share->charged = asker->mine;
}

static __always_inline void find_owner(struct bio *bio, unsigned int flags,
                                       const struct asker *asker, struct event_block_share *share)
{
    struct seen_page page;
    int written_back =
        (flags & OP_MASK) == OP_WRITE && see_page(bio, &page) && is_written_back(&page);

    if (written_back && (page.memcg || is_metadata(&page))) {
        own_by_page(&page, !asker || asker->mine || is_kernel_thread(asker->task), share);
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

/* Who is charged with a bio of these flags. asker: NULL when that was somebody before; then the
 * result is left as it is where the bio itself tells nothing. Memory is a cgroup's, not a process':
 * single processes are charged with what of it they themselves ask to be written. */
static __always_inline void own(struct bio *bio, unsigned int flags, const struct asker *asker,
                                struct event_block_share *share)
{
    find_owner(bio, flags, asker, share);
    if (filter_tgids && asker && !asker->mine)
        share->charged = 0;
}
