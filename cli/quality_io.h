/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the quality report says of block I/O and of TCP, in lines for a person. A part of quality.c.
 */
#pragma once

#include "cli/model.h"

#include <stdio.h>

/* Writes what the report says of them; nothing for other views. line is room, and empty. */
void quality_put_io(const struct model *m, struct buf *line, FILE *out);

/* Writes a line and empties it, for the lines of quality.c as well. Names and remedies in it are
 * foreign text. */
void quality_put_line(struct buf *line, FILE *out);
