/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of each kind of record look like: which columns, in which order. One table of
 * columns for each kind, which feeds tables, plain rows, live rows and --help.
 */
#pragma once

#include "cli/columns.h"

/* How a column's cell in the row of totals comes about. */
enum table_total {
    TOTAL_NONE,
    TOTAL_SUM,
    TOTAL_MOST,
    /* What the histogram of all says: "p50_us" is the p50 of the spec's whole_state,
     * "queue_p99_us" the p99 of the state queue. */
    TOTAL_HISTOGRAM,
};

struct table_column {
    const char *field;   /* of the record; the column's name in plain rows */
    struct column shown; /* without header: in plain rows only */
    enum table_total total;
    /* Where there is no room for all, the largest goes first. 0: never, unless a row of totals
     * says that there is little in it. */
    unsigned drop;
    /* Of rows that are shown as they come, whose cells nobody knows beforehand: columns that it
     * takes (0: shown.min_width), and up to how many where there is room (0: no more). */
    unsigned width, most;
};

struct table_spec {
    const char *record;  /* of the protocol, and the name of the view: "states" … */
    const char *heading; /* what the rows are, where several kinds are shown */
    const struct table_column *columns; /* ends with one without field */
    const char *sort[4];     /* rows are sorted by the sum of these fields, largest first; without
                                any they stay as they came */
    const char *whole_state; /* the histogram of all, for totals */
    const char *others[2];   /* further kinds that come at the end, to be shown below */
    uint32_t top;            /* tables show so many rows and say how many are more; 0: all */
    bool live;               /* rows are shown as they come, not kept */
    bool over_time;          /* comes with histograms over time, so there is a picture */
};

/* NULL for a kind that nobody knows here, and for NULL. */
const struct table_spec *table_spec_find(const char *record);

/* The kind of a capture's main rows: what it says, else that of its view. NULL as above. */
struct model;
const struct table_spec *table_spec_of(const struct model *m);

/* The kinds of the views of I/O (tables_io.c); ends with one without record. */
extern const struct table_spec tables_io[];

/* The records of m that are rows of this kind, sorted: an array that the caller puts. NULL when
 * out of memory. */
struct json_object;
struct json_object *table_rows(const struct model *m, const struct table_spec *spec);

/* A row of the totals of rows, with which it shares nothing; the caller puts it. NULL when out of
 * memory. */
struct json_object *table_totals(const struct model *m, const struct table_spec *spec,
                                 struct json_object *rows);

/* What each column means, a line each, for --help. */
void table_help(const struct table_spec *spec, FILE *out);
