/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cells.h"

#include "cli/units.h"

#include <inttypes.h>

void cell_string(struct buf *b, const struct json_object *o, const char *field)
{
    const char *s = json_string(o, field);

    if (s)
        buf_adds(b, s);
}

void cell_count(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t n;

    if (json_number(o, field, UINT64_MAX, &n))
        buf_addf(b, "%" PRIu64, n);
}

void cell_grouped(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t n;

    if (json_number(o, field, UINT64_MAX, &n))
        units_add_grouped(b, n);
}

void cell_some(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t n = json_count(o, field);

    if (n)
        units_add_grouped(b, n);
}

void cell_time(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t us = json_count(o, field);

    if (us)
        units_add_us(b, us);
}

void cell_moment(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t us;

    if (json_number(o, field, UINT64_MAX, &us))
        buf_addf(b, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

void cell_bytes(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t n;

    if (json_number(o, field, UINT64_MAX, &n))
        units_add_bytes(b, n);
}

void cell_flag(struct buf *b, const struct json_object *o, const char *field)
{
    if (json_flag(o, field))
        buf_adds(b, "yes");
}

void cell_share(struct buf *b, const struct json_object *o, const char *field)
{
    uint64_t wall = json_count(o, "wall_us"), us = json_count(o, field);

    if (us && wall)
        buf_addf(b, "%.1f", (double)us * 100 / (double)wall);
}
