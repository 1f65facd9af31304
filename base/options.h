/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GNU-style options from a table: parsing, bounds, help, completion words. Exists once.
 *
 * A table ends with an entry without a long name. Options and operands mix freely; "--" ends the
 * options. Values land in variables the table points to.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,    /* bool *into becomes true */
    OPTION_STRING,  /* const char **into, borrowed from argv; an empty value is refused */
    OPTION_NUMBER,  /* uint64_t *into, within [min, max] */
    OPTION_SECONDS, /* uint64_t *into in nanoseconds; decimal seconds within [min, max] ns */
    OPTION_CHOICE,  /* const char **into, one of the words in choices */
};

struct option_spec {
    const char *name; /* long name without dashes */
    char short_name;  /* 0: none */
    enum option_kind kind;
    void *into;
    const char *arg;     /* metavariable, NULL for flags */
    const char *help;    /* one line for --help and the man page */
    uint64_t min, max;   /* numbers and seconds */
    const char *choices; /* "a|b|c" */
};

/* Parses argv[1..]; operands are collected in order, at most max_operands (their number in
 * *operand_count). Errors are ERR_USAGE with the allowed values in words. */
int options_parse(const struct option_spec *specs, int argc, char **argv, const char **operands,
                  size_t max_operands, size_t *operand_count, struct err *e);

/* The options' part of a --help text, wrapped for 80 columns. */
void options_help(const struct option_spec *specs, FILE *out);

/* A whole decimal number within bounds; what names it in the message. */
int parse_number(const char *word, const char *what, uint64_t min, uint64_t max, uint64_t *ret,
                 struct err *e);
