/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The man page of a command, from the table that its --help comes from.
 *
 * For docs/man/make.sh, which fills in the date and what is said beyond the help, where the lines
 * .\" @date@, .\" @option NAME@ and .\" @command NAME@ stand. Nobody else calls it.
 */
#pragma once

#include "cli/cmd.h"

/* Writes the page of c as mdoc. */
void man_print_command(const struct cmd *c, FILE *out);

/* Writes the items of all commands, for a list in porthole(1). */
void man_print_list(FILE *out);
