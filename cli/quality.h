/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quality report of a capture in a few lines for a person: what was lost, what has no name and
 * what to do about it. For the capture commands; the full report is in the stream.
 */
#pragma once

#include "cli/model.h"

#include <stdio.h>

/* Writes the summary; only what is known when the stream held no report. */
void quality_print(const struct model *m, FILE *out);
