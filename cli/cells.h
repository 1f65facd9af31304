/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the cells of tables: a record's field as a person reads it. For the tables of
 * columns alone. A field that the record lacks leaves the cell empty.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"

void cell_string(struct buf *b, const struct json_object *o, const char *field);
void cell_count(struct buf *b, const struct json_object *o, const char *field);
void cell_grouped(struct buf *b, const struct json_object *o, const char *field);

/* The same; nothing for nothing, so that what matters stands out. */
void cell_some(struct buf *b, const struct json_object *o, const char *field);

/* Microseconds in a unit that is short; nothing for nothing. */
void cell_time(struct buf *b, const struct json_object *o, const char *field);

/* Microseconds since the capture began, as seconds. */
void cell_moment(struct buf *b, const struct json_object *o, const char *field);

/* As in 4.0 KiB. */
void cell_bytes(struct buf *b, const struct json_object *o, const char *field);

/* "yes", or nothing. */
void cell_flag(struct buf *b, const struct json_object *o, const char *field);

/* A share of the row's wall time in percent; nothing for nothing. */
void cell_share(struct buf *b, const struct json_object *o, const char *field);

/* The function text_NAME() for a column: the field, as one of these writes it. */
#define CELL(name, add, field)                                          \
    static void text_##name(struct buf *b, const struct json_object *o) \
    {                                                                   \
        add(b, o, field);                                               \
    }
