/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: one table of columns says header, where the value comes from and how it may
 * shrink; rows are the protocol's records. For every listing command.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"

#include <stdio.h>

#define COLUMNS_GAP 2 /* between two columns */

struct column {
    const char *header;
    const char *help; /* one line for --help */
    /* Appends the cell's raw text; foreign text is escaped by the caller of this. */
    void (*text)(struct buf *b, const struct json_object *record);
    bool right;         /* numbers */
    unsigned min_width; /* may be cut down to this many columns; 0: never cut */
};

/* Writes one row, the header for NULL, with the cells of each column cut or filled up to its width.
 * Cells of columns that are never cut take what they need. Returns 0 or -ENOMEM. */
int columns_print_row(const struct column *columns, const unsigned *widths,
                      const struct json_object *record, FILE *out);

/* Writes header and rows, fitted to width columns. records: an array of objects. The table of
 * columns ends with an entry without header. Returns 0 or -ENOMEM. */
int columns_print(const struct column *columns, struct json_object *records, unsigned width,
                  FILE *out);
