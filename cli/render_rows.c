/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records for scripts: plain rows with a header, or the records themselves, one object a line.
 */
#include "cli/render.h"

#include "base/text.h"
#include "cli/tables.h"

#include <errno.h>

/* What a record says for itself, times in microseconds. A tab in a name becomes \x09. */
static void add_raw(struct buf *line, const struct json_object *row, const char *field)
{
    struct json_object *value;
    size_t start = line->size;

    if (json_object_object_get_ex(row, field, &value))
        text_add_terminal(line, json_object_get_string(value));
    if (line->size == start)
        buf_addc(line, '-');
}

int render_row(const struct table_spec *spec, const struct json_object *row, FILE *out)
{
    _cleanup_buf_ struct buf line = {0};

    for (const struct table_column *c = spec->columns; c->field; c++) {
        if (c != spec->columns)
            buf_addc(&line, '\t');
        if (row)
            add_raw(&line, row, c->field);
        else
            buf_adds(&line, c->field);
    }
    if (buf_error(&line) < 0)
        return -ENOMEM;
    fprintf(out, "%s\n", line.data);
    return 0;
}

int render_rows(const struct model *m, const struct render_options *o _unused_, FILE *out)
{
    const struct table_spec *spec = table_spec_of(m);
    _cleanup_json_ struct json_object *rows = spec ? table_rows(m, spec) : NULL;
    int r;

    if (!spec)
        return 0;
    if (!rows)
        return -ENOMEM;
    r = render_row(spec, NULL, out);
    for (size_t i = 0; r == 0 && i < json_object_array_length(rows); i++)
        r = render_row(spec, json_object_array_get_idx(rows, i), out);
    return r;
}

/* The library writes DEL and C1 as they are, which terminals obey. */
static void put_json(const char *text, FILE *out)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

        if (c == 0x7f) {
            fputs("\\u007f", out);
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            fprintf(out, "\\u%04x", next);
            text++;
        } else {
            fputc(c, out);
        }
    }
    fputc('\n', out);
}

void render_record(struct json_object *record, FILE *out)
{
    put_json(json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN), out);
}

int render_records(const struct model *m, const struct render_options *o _unused_, FILE *out)
{
    size_t n = m->records ? json_object_array_length(m->records) : 0;

    for (size_t i = 0; i < n; i++)
        render_record(json_object_array_get_idx(m->records, i), out);
    return 0;
}
