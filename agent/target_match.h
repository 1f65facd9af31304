/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a word means, and what was nearly meant. Used by target.c alone.
 */
#pragma once

#include "agent/target.h"

/* A text of the user's, safe and short enough for a message; appended. */
void target_quote(struct buf *b, const char *word);

/* The one container that the word (name, id, pod, with or without a runtime before it) means;
 * borrowed. Errors as for target_resolve(). */
int target_match(const struct containers *cs, const char *word, const struct container **ret,
                 struct err *e, struct candidates *candidates);
