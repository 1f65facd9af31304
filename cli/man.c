/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/man.h"

#include "base/buf.h"
#include "cli/tables.h"

#include <ctype.h>
#include <string.h>

#define LINE_MAX 76

static void add_escaped(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\\')
            buf_adds(b, "\\e");
        else if (text[i] == '-')
            buf_adds(b, "\\-"); /* a hyphen would not be found by a search for an option */
        else
            buf_addc(b, text[i]);
}

/* Prose: lines of a fair length, a new one for each sentence, as mdoc wants it. */
static void put_text(const char *text, FILE *out)
{
    size_t column = 0;

    while (*text) {
        _cleanup_buf_ struct buf word = {0};
        size_t n = strcspn(text, " \n");

        add_escaped(&word, text, n);
        if (n && column && column + n + 1 > LINE_MAX) {
            fputc('\n', out);
            column = 0;
        }
        if (n)
            fprintf(out, "%s%s",
                    column                          ? " "
                    : *text == '.' || *text == '\'' ? "\\&"
                                                    : "",
                    word.data ? word.data : "");
        column += n ? n + 1 : 0;
        if (n && strchr(".?!", text[n - 1]) && text[n]) {
            fputc('\n', out);
            column = 0;
        }
        text += n;
        if (text[0] == '\n' && text[1] == '\n')
            fprintf(out, "%s.Pp\n", column ? "\n" : ""), column = 0;
        text += strspn(text, " \n");
    }
    if (column)
        fputc('\n', out);
}

/* As it is, such as a command line. */
static void put_literal(const char *text, size_t n, FILE *out)
{
    _cleanup_buf_ struct buf b = {0};

    add_escaped(&b, text, n);
    fprintf(out, "%s\n", b.data ? b.data : "");
}

static void put_options(const struct option_spec *options, FILE *out)
{
    fputs(".Sh OPTIONS\n.Bl -tag -width Ds\n", out);
    for (const struct option_spec *s = options; s->name; s++) {
        _cleanup_buf_ struct buf name = {0};

        add_escaped(&name, s->name, strlen(s->name));
        fputs(".It ", out);
        if (s->short_name)
            fprintf(out, "Fl %c , ", s->short_name);
        fprintf(out, "Fl Fl %s", name.data ? name.data : "");
        fprintf(out, s->arg ? " Ar %s\n" : "\n", s->arg);
        put_text(s->help, out);
        fprintf(out, ".\\\" @option %s@\n", s->name);
    }
    fputs(".El\n", out);
}

static void put_columns(const struct table_spec *spec, FILE *out)
{
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return;
    table_help(spec, f);
    if (fclose(f) != 0)
        return;
    if (spec->heading)
        fprintf(out, ".Ss Of %s\n", spec->heading);
    fputs("In tables; in plain rows and JSON; what it is:\n.Bd -literal\n", out);
    put_literal(text, size ? size - 1 : 0, out);
    fputs(".Ed\n", out);
}

/* "command  # what it does" a line. */
static void put_examples(const char *examples, FILE *out)
{
    fputs(".Sh EXAMPLES\n", out);
    for (const char *p = examples; *p; p += strcspn(p, "\n") + 1) {
        size_t n = strcspn(p, "\n");
        const char *note = strstr(p, "  # ");

        if (p != examples)
            fputs(".Pp\n", out);
        if (note && note < p + n) {
            _cleanup_free_ char *what = strndup(note + 4, (size_t)(p + n - note) - 4);

            if (what && *what) {
                what[0] = (char)toupper((unsigned char)what[0]);
                put_text(what, out);
            }
            n = (size_t)(note - p);
        }
        fputs(".Bd -literal -offset indent -compact\n", out);
        put_literal(p, n, out);
        fputs(".Ed\n", out);
    }
}

static void put_upper(const char *s, FILE *out)
{
    for (; *s; s++)
        fputc(toupper((unsigned char)*s), out);
}

void man_print_command(const struct cmd *c, FILE *out)
{
    fputs(".\\\" @date@\n.Dt PORTHOLE-", out);
    put_upper(c->name, out);
    fprintf(out, " 1\n.Os\n.Sh NAME\n.Nm porthole-%s\n.Nd ", c->name);
    put_literal(c->help, strlen(c->help), out);
    fprintf(out, ".Sh SYNOPSIS\n.Nm porthole\n.Cm %s\n", c->name);
    if (*c->operands)
        fprintf(out, ".Ar %s\n", c->operands);
    fputs(".Op Ar OPTIONS\n.Sh DESCRIPTION\n", out);
    if (c->more) {
        put_text(c->more, out);
    } else {
        fprintf(out, ".Nm porthole Cm %s :\n", c->name);
        put_text(c->help, out);
    }
    fprintf(out, ".\\\" @command %s@\n", c->name);
    put_options(c->options, out);
    if (c->records[0])
        fputs(".Sh COLUMNS\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(c->records) && c->records[i]; i++)
        put_columns(table_spec_find(c->records[i]), out);
    fputs(".Sh EXIT STATUS\nThat of\n.Xr porthole 1 .\n", out);
    put_examples(c->examples, out);
    fputs(".Sh SEE ALSO\n.Xr porthole 1 ,\n.Xr portholed 8\n", out);
}

void man_print_list(FILE *out)
{
    for (const struct cmd *c = commands; c->name; c++) {
        fprintf(out, ".It Xr porthole-%s 1", c->name);
        fprintf(out, *c->operands ? " Ar %s\n" : "\n", c->operands);
        put_text(c->help, out);
    }
}
