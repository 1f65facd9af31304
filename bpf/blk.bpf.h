/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The few fields of the block layer's and of memory's structures that are read, as
 * bpf/kernel.bpf.h has them of tasks.
 */
#pragma once

#include "bpf/event_block.h"
#include "bpf/kernel.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct blkcg {
    struct cgroup_subsys_state css;
};

struct blkcg_gq {
    struct blkcg *blkcg;
};

struct bio_vec {
    void *bv_page;
};

struct bvec_iter {
    unsigned int bi_size;
    unsigned int bi_idx;
};

struct bio {
    struct bio *bi_next;
    unsigned int bi_opf;
    struct bvec_iter bi_iter;
    struct blkcg_gq *bi_blkg;
    struct bio_vec *bi_io_vec;
};

struct gendisk {
    char disk_name[EVENT_DEVICE_SIZE];
};

struct request_queue {
    struct gendisk *disk;
};

struct request {
    struct request_queue *q;
    unsigned int cmd_flags;
    unsigned int rq_flags;
    unsigned int __data_len;
    __u64 __sector;
    struct bio *bio, *biotail;
    __u64 start_time_ns; /* CLOCK_MONOTONIC; 0 where nobody wants it */
};

/* Up to 5.16. */
struct request___old {
    struct gendisk *rq_disk;
};

struct mem_cgroup {
    struct cgroup_subsys_state css;
};

struct inode {
    unsigned short i_mode;
};

struct block_device {
    void *bd_holder;
};

struct bdev_inode {
    struct block_device bdev;
    struct inode vfs_inode;
};

struct address_space {
    struct inode *host;
};

struct page {
    unsigned long flags;
    struct address_space *mapping;
    unsigned long compound_head;
    unsigned long memcg_data;
};

enum pageflags { PG_writeback = 15 };

/* Since 6.11; before that, bits of their own. */
enum rqf_flags { __RQF_FLUSH_SEQ = 1 };

#pragma clang attribute pop
