/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/census.h"

#include <errno.h>
#include <string.h>

#define PADDED(n) (((size_t)(n) + 7) & ~(size_t)7)
#define ROOT_PATH_MAX 2048

static void add_padded(struct buf *b, const void *data, size_t size)
{
    static const char zeros[8];

    buf_add(b, data, size);
    buf_add(b, zeros, PADDED(size) - size);
}

int census_compare_stamps(const void *a, const void *b)
{
    const struct census_stamp *x = a, *y = b;

    return (x->path_hash > y->path_hash) - (x->path_hash < y->path_hash);
}

int census_question_write(struct buf *question, const struct census_root *roots, size_t root_count,
                          const struct census_stamp *stamps, size_t stamp_count, uint64_t seed)
{
    struct census_question q = {
        .magic = CENSUS_QUESTION_MAGIC,
        .version = CENSUS_VERSION,
        .stamp_count = (uint32_t)MIN(stamp_count, (size_t)CENSUS_STAMPS_MAX),
        .seed = seed,
    };

    for (size_t i = 0; i < root_count && q.root_count < CENSUS_ROOTS_MAX; i++)
        if (strlen(roots[i].path) <= ROOT_PATH_MAX)
            q.root_count++;
    buf_add(question, &q, sizeof(q));
    for (size_t i = 0, left = q.root_count; left > 0; i++) {
        struct census_question_root r = {
            .kind = roots[i].kind,
            .path_size = (uint32_t)strlen(roots[i].path),
        };

        if (r.path_size > ROOT_PATH_MAX)
            continue;
        buf_add(question, &r, sizeof(r));
        add_padded(question, roots[i].path, r.path_size);
        left--;
    }
    if (q.stamp_count > 0)
        buf_add(question, stamps, q.stamp_count * sizeof(*stamps));
    return buf_error(question);
}

int census_reader_init(struct census_reader *r, const void *data, size_t size)
{
    const struct census_header *h = data;

    if (size < sizeof(*h) || ((uintptr_t)data & 7) || h->magic != CENSUS_ANSWER_MAGIC ||
        h->version != CENSUS_VERSION || h->size != size)
        return -EBADMSG;
    *r = (struct census_reader){
        .data = data,
        .size = size,
        .at = sizeof(*h),
        .records_left = h->record_count,
    };
    return 0;
}

const struct census_header *census_reader_header(const struct census_reader *r)
{
    return (const struct census_header *)r->data;
}

/* The fixed part of a record and two texts behind it. False when they do not fit. */
static bool split(const uint8_t *p, size_t size, size_t fixed, size_t path_size, size_t text_size,
                  struct census_item *item)
{
    if (path_size > size - fixed || text_size > size - fixed - path_size)
        return false;
    item->path = (const char *)p + fixed;
    item->path_size = path_size;
    item->text = item->path + path_size;
    item->text_size = text_size;
    return !memchr(item->path, '\0', path_size);
}

static bool read_item(struct census_reader *r, const uint8_t *p, size_t size,
                      struct census_item *item)
{
    switch (item->kind) {
    case CENSUS_CGROUP:
        item->cgroup = (const void *)p;
        if (size < sizeof(*item->cgroup) || item->cgroup->size > CENSUS_CGROUP_MAX)
            return false;
        r->cgroups++;
        return split(p, size, sizeof(*item->cgroup), 0, item->cgroup->size, item);
    case CENSUS_PROCESS:
        item->process = (const void *)p;
        return size >= sizeof(*item->process) && item->process->tgid > 0 &&
               item->process->cgroup < r->cgroups && item->process->ns_count <= CENSUS_NS_LEVELS &&
               memchr(item->process->comm, '\0', sizeof(item->process->comm));
    case CENSUS_COMMAND:
        item->command = (const void *)p;
        return size >= sizeof(*item->command) &&
               memchr(item->command->comm, '\0', sizeof(item->command->comm)) &&
               split(p, size, sizeof(*item->command), item->command->cwd_size,
                     item->command->args_size, item);
    case CENSUS_FILE:
        item->file = (const void *)p;
        return size >= sizeof(*item->file) && item->file->kind < CENSUS_FILE_KINDS &&
               item->file->state <= CENSUS_FILE_REFUSED && item->file->path_size > 0 &&
               split(p, size, sizeof(*item->file), item->file->path_size, item->file->data_size,
                     item);
    default:
        return false;
    }
}

int census_reader_next(struct census_reader *r, struct census_item *ret)
{
    struct census_item item = {0};
    struct census_record record;

    if (r->records_left == 0)
        return r->at == r->size ? 0 : -EBADMSG;
    if (r->size - r->at < sizeof(record))
        return -EBADMSG;
    memcpy(&record, r->data + r->at, sizeof(record));
    r->at += sizeof(record);
    if (record.kind >= CENSUS_KINDS || record.size % 8 != 0 || record.size > r->size - r->at)
        return -EBADMSG;
    item.kind = record.kind;
    if (!read_item(r, r->data + r->at, record.size, &item))
        return -EBADMSG;
    r->at += record.size;
    r->records_left--;
    *ret = item;
    return 1;
}
