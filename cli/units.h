/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with their units, as people read them: the one place that knows what a view's values
 * count and how that is written. For renderers, tables, summary and progress.
 */
#pragma once

#include "base/buf.h"
#include "cli/model.h"

/* Appends a number as in 1,234,567. */
void units_add_grouped(struct buf *b, uint64_t n);

/* Appends microseconds as in 12 µs, 3.4 ms, 5.678 s. */
void units_add_us(struct buf *b, uint64_t us);

/* Appends bytes as in 512 B, 4.0 KiB, 1.5 GiB. */
void units_add_bytes(struct buf *b, uint64_t n);

/* Appends a value of this model: "12.345 s", "1.5 MiB", "1,234"; no word for what it is. */
void units_add_number(struct buf *b, const struct model *m, uint64_t value);

/* The same with its word: "12.345 s blocked", "1,234 samples". */
void units_add_value(struct buf *b, const struct model *m, uint64_t value);

/* Whether values are times, or bytes, which say what they are without a word. */
bool units_are_times(const struct model *m);
bool units_are_bytes(const struct model *m);

/* What the values of this model are called before a colon ("samples", "waiting"), at the head of a
 * column ("samples", "time"), and when there are none ("no samples"). */
const char *units_subject(const struct model *m);
const char *units_heading(const struct model *m);
const char *units_nothing(const struct model *m);

/* Likewise where there is something, but nothing that a picture over time would show. */
const char *units_untimed(const struct model *m);

/* What the picture is of: "CPU time", "Waiting time"; NULL for a view that nobody knows here. */
const char *units_title(const struct model *m);
