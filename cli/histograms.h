/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the histograms of the protocol are of, in words and colours: one table, which feeds bars and
 * heat maps. And the bars.
 */
#pragma once

#include "base/json.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct histogram_words {
    const char *histogram, *state; /* of the protocol; ends with one without */
    const char *heading;           /* "waiting for a CPU" */
    const char *one, *many;        /* what is counted: "wait", "waits" */
    const char *axis;              /* what they did with the time: "waited" */
    char letter;                   /* of its colours' classes in pictures, each once */
    uint8_t from[3], to[3];        /* its colours there, from few to many */
};

extern const struct histogram_words histogram_words[];
#define HISTOGRAM_KINDS 8

/* Its place in histogram_words, or HISTOGRAM_KINDS for one that nobody knows here. */
size_t histogram_kind(const struct json_object *h);

/* Writes a line in words and a bar for each octave, and an empty line. */
void histogram_print(const struct json_object *h, FILE *out);
