/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model.h"

#include "base/buf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int model_new(struct model **ret, bool keep_files)
{
    _cleanup_(model_freep) struct model *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return -ENOMEM;
    m->keep_files = keep_files;
    r = stacks_new(&m->stacks);
    if (r < 0)
        return r;
    r = table_new(&m->interned, NULL);
    if (r < 0)
        return r;
    r = table_new(&m->strings, free);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    stacks_free(m->stacks);
    table_free(m->interned);
    table_free(m->strings);
    free(m->frames);
    free(m->labels);
    free(m->rank);
    free(m->ids);
    json_object_put(m->started);
    json_object_put(m->quality);
    json_object_put(m->records);
    json_object_put(m->end);
    free(m);
}

/* The model's own copy of s, one for all equal strings; NULL for NULL. */
static int intern_string(struct model *m, const char *s, const char **ret)
{
    _cleanup_free_ char *copy = NULL;
    int r;

    *ret = NULL;
    if (!s)
        return 0;
    *ret = table_get(m->strings, s, strlen(s));
    if (*ret)
        return 0;
    copy = strdup(s);
    if (!copy)
        return -ENOMEM;
    r = table_put(m->strings, s, strlen(s), copy);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(copy);
    return 0;
}

/* Appends one element of size bytes to the array at *array; its index in *ret. */
static int append(void *array, uint32_t *count, uint32_t *room, const void *element, size_t size,
                  uint32_t *ret)
{
    char *p;

    memcpy(&p, array, sizeof(p));
    if (*count == *room) {
        uint64_t n = *room ? *room * 2ull : 64;

        if (n > UINT32_MAX)
            return -E2BIG;
        p = reallocarray(p, n, size);
        if (!p)
            return -ENOMEM;
        memcpy(array, &p, sizeof(p));
        *room = (uint32_t)n;
    }
    memcpy(p + (size_t)*count * size, element, size);
    *ret = (*count)++;
    return 0;
}

/* Fields are told apart by the zero byte that no string holds. */
static void add_key_field(struct buf *key, const char *field)
{
    buf_addc(key, field ? '+' : '-');
    if (field)
        buf_add(key, field, strlen(field) + 1);
}

int model_add_frame(struct model *m, const struct model_frame *f, uint32_t *ret)
{
    _cleanup_buf_ struct buf key = {0};
    struct model_frame copy = *f;
    uintptr_t known;
    int r;

    buf_addf(&key, "%d %d %" PRIu32 " ", f->kind, f->named, f->label);
    add_key_field(&key, f->name);
    if (m->keep_files) {
        add_key_field(&key, f->file);
        add_key_field(&key, f->build_id);
        buf_addf(&key, "%" PRIx64, f->address);
    }
    if (buf_error(&key) < 0)
        return -ENOMEM;
    known = (uintptr_t)table_get(m->interned, key.data, key.size);
    if (known) {
        *ret = (uint32_t)(known - 1);
        return 0;
    }

    if ((r = intern_string(m, f->name, &copy.name)) < 0 ||
        (r = intern_string(m, f->file, &copy.file)) < 0 ||
        (r = intern_string(m, f->build_id, &copy.build_id)) < 0 ||
        (r = intern_string(m, f->language, &copy.language)) < 0)
        return r;
    r = append(&m->frames, &m->frame_count, &m->frame_room, &copy, sizeof(copy), ret);
    if (r < 0)
        return r;
    return table_put(m->interned, key.data, key.size, (void *)((uintptr_t)*ret + 1));
}

int model_add_thread(struct model *m, const struct model_label *l, uint32_t *ret)
{
    struct model_frame f = {.kind = MODEL_THREAD, .named = true};
    struct model_label copy = *l;
    _cleanup_buf_ struct buf name = {0}, key = {0};
    uintptr_t known;
    int r;

    buf_adds(&name, l->comm ? l->comm : "");
    if (l->pid)
        buf_addf(&name, "-%" PRIu64, l->pid);
    if (l->tid)
        buf_addf(&name, "/%" PRIu64, l->tid);
    buf_addf(&key, "label %" PRIu64 " %" PRIu64 " ", l->pid, l->tid);
    add_key_field(&key, l->container);
    add_key_field(&key, l->comm);
    if (buf_error(&name) < 0 || buf_error(&key) < 0)
        return -ENOMEM;
    known = (uintptr_t)table_get(m->interned, key.data, key.size);
    if (known) {
        f.label = (uint32_t)(known - 1);
    } else {
        if ((r = intern_string(m, l->comm, &copy.comm)) < 0 ||
            (r = intern_string(m, l->container, &copy.container)) < 0)
            return r;
        r = append(&m->labels, &m->label_count, &m->label_room, &copy, sizeof(copy), &f.label);
        if (r < 0)
            return r;
        r = table_put(m->interned, key.data, key.size, (void *)((uintptr_t)f.label + 1));
        if (r < 0)
            return r;
    }
    f.name = name.data ? name.data : "";
    return model_add_frame(m, &f, ret);
}

static int compare_frames(const void *a, const void *b, void *data)
{
    const struct model *m = data;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const struct model_frame *x = &m->frames[i], *y = &m->frames[j];
    int r = strcmp(x->name, y->name);

    if (!r)
        r = (int)x->kind - (int)y->kind;
    return r ? r : (i > j) - (i < j);
}

int model_finish(struct model *m)
{
    _cleanup_free_ uint32_t *sorted = calloc(m->frame_count + 1ull, sizeof(*sorted));

    m->rank = calloc(m->frame_count + 1ull, sizeof(*m->rank));
    if (!sorted || !m->rank)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->frame_count; i++)
        sorted[i] = i;
    qsort_r(sorted, m->frame_count, sizeof(*sorted), compare_frames, m);
    for (uint32_t i = 0; i < m->frame_count; i++)
        m->rank[sorted[i]] = i;

    /* Only reading needs these, and drawing a big profile needs the memory. */
    table_free(TAKE_PTR(m->interned));
    free(TAKE_PTR(m->ids));
    return stacks_finish(m->stacks, m->rank);
}

void model_set_taker(struct model *m,
                     int (*take)(void *data, const struct model *m, struct json_object *row),
                     void *data)
{
    m->take_row = take;
    m->taker = data;
}

bool model_is_empty(const struct model *m)
{
    return m->stacks->total == 0 && m->rows == 0;
}

const char *model_unit(const struct model *m)
{
    const char *unit = json_string(m->started, "unit");

    return unit ? unit : "samples";
}
