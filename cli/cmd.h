/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of porthole: one table that feeds dispatch, help, completion and man synopsis.
 *
 * A command is a table entry and a function; its function parses its own options, so that it can be
 * read alone. main.c knows the table, cmd_*.c are the commands.
 */
#pragma once

#include "agent/proto.h"
#include "base/err.h"
#include "base/options.h"
#include "cli/output.h"

#include <stdbool.h>
#include <stdio.h>

struct cmd {
    const char *name;
    const char *operands; /* as in the synopsis; may be "" */
    const char *help;     /* one line */
    const char *more;     /* a paragraph for --help, lines of at most 80; may be NULL */
    const char *examples; /* one a line: command, two spaces, "#", what it does */
    const struct option_spec *options;
    const char *records[4]; /* of a capture that yields rows, not stacks: their kinds, the usual
                               one first */
    /* argv[0] is the command's name. Returns 0, or -errno with e filled. */
    int (*run)(int argc, char **argv, struct err *e);
};

/* Ends with an entry without a name. */
extern const struct cmd commands[];

/* --socket, before the command or among its options. */
extern const char *cmd_socket;
#define CMD_OPTION_SOCKET                                                            \
    {                                                                                \
        .name = "socket", .kind = OPTION_STRING, .into = &cmd_socket, .arg = "PATH", \
        .help = "the agent's socket (else $PORTHOLE_SOCKET, else " PROTO_SOCKET ")"  \
    }

/* What capture and render have in common about pictures. */
extern const char *cmd_output, *cmd_format, *cmd_title, *cmd_min_percent;
extern bool cmd_icicle;
#define CMD_OPTIONS_RENDER                                                                        \
    {.name = "output",                                                                            \
     .short_name = 'o',                                                                           \
     .kind = OPTION_STRING,                                                                       \
     .into = &cmd_output,                                                                         \
     .arg = "FILE",                                                                               \
     .help = "write FILE; its suffix says the format: .svg .folded .json .pb.gz .txt .tsv"},      \
        {.name = "format",                                                                        \
         .short_name = 'f',                                                                       \
         .kind = OPTION_CHOICE,                                                                   \
         .into = &cmd_format,                                                                     \
         .arg = "FORMAT",                                                                         \
         .choices = OUTPUT_FORMATS,                                                               \
         .help = OUTPUT_FORMATS " (tree or table on a terminal, folded or rows in a pipe)"},      \
        {.name = "title",                                                                         \
         .kind = OPTION_STRING,                                                                   \
         .into = &cmd_title,                                                                      \
         .arg = "TEXT",                                                                           \
         .help = "title of the picture"},                                                         \
        {.name = "icicle",                                                                        \
         .kind = OPTION_FLAG,                                                                     \
         .into = &cmd_icicle,                                                                     \
         .help = "svg: outermost frames at the top"},                                             \
    {                                                                                             \
        .name = "min-percent", .kind = OPTION_STRING, .into = &cmd_min_percent, .arg = "PERCENT", \
        .help = "tree: sum up branches smaller than this (1)"                                     \
    }

/* From the options above and the terminal. Returns 0, or -errno with e filled. */
int cmd_take_render_options(struct render_options *ret, struct err *e);

/* Refuses pictures of rows that have none; spec and view may be NULL. Returns 0 or -errno with e
 * filled. */
struct table_spec;
int cmd_check_picture(const struct format *format, const struct table_spec *spec, const char *view,
                      struct err *e);

/* A terminal's width, $COLUMNS before that; RENDER_WIDTH where there is neither. */
unsigned cmd_width(FILE *out);

/* ERR_USAGE for an operand too few, naming the command whose help explains. */
int cmd_missing(const char *command, const char *operand, struct err *e);

/* The entry of that name in the table, or NULL. */
const struct cmd *cmd_find(const char *name);

int cmd_capture(int argc, char **argv, struct err *e);
int cmd_list(int argc, char **argv, struct err *e);
int cmd_status(int argc, char **argv, struct err *e);
int cmd_render(int argc, char **argv, struct err *e);
int cmd_doctor(int argc, char **argv, struct err *e);

extern const struct option_spec cmd_capture_options[], cmd_waits_options[], cmd_io_options[],
    cmd_list_options[], cmd_status_options[], cmd_render_options[], cmd_doctor_options[];
