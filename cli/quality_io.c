/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quality_io.h"

#include "cli/units.h"

#include <inttypes.h>

/* A word that the report uses for a count, and how people read it. */
struct word {
    const char *field, *text;
};

/* Appends the counts that are not zero: "merged 3, in flight at the end 1". */
static void add_counts(const struct json_object *o, const struct word *words, size_t count,
                       struct buf *line)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t n = json_count(o, words[i].field);

        if (!n)
            continue;
        buf_addf(line, "%s%s ", line->size ? ", " : "", words[i].text);
        units_add_grouped(line, n);
    }
}

/* Whose data it was. The shares add up to all bytes. */
static void put_charges(const struct json_object *block, struct buf *line, FILE *out)
{
    uint64_t target = json_count(block, "charged_bytes"),
             kernel = json_count(block, "kernel_bytes");
    uint64_t others = json_count(block, "others_bytes");
    uint64_t unknown = json_count(block, "unattributed_bytes");
    uint64_t requests = json_count(block, "unattributed_requests");
    double all = (double)target + (double)kernel + (double)others + (double)unknown;

    if (all <= 0)
        return;
    buf_adds(line, "charged to the target ");
    units_add_bytes(line, target);
    buf_adds(line, ", to the kernel ");
    units_add_bytes(line, kernel);
    buf_adds(line, ", to others ");
    units_add_bytes(line, others);
    buf_addf(line, ", not attributed %.1f %%", (double)unknown * 100 / all);
    if (requests) {
        buf_adds(line, " (");
        units_add_grouped(line, requests);
        buf_addf(line, " request%s)", requests == 1 ? "" : "s");
    }
    quality_put_line(line, out);
}

static void put_block(const struct json_object *block, struct buf *line, FILE *out)
{
    static const struct word words[] = {
        {"merged", "merged"},
        {"requeued", "requeued"},
        {"end_unseen", "without latency (end not seen)"},
        {"begin_unseen", "missing (begin not seen)"},
        {"errors", "errors"},
        {"in_flight_at_start", "in flight at the start"},
        {"in_flight_at_end", "in flight at the end"},
    };

    put_charges(block, line, out);
    add_counts(block, words, ARRAY_SIZE(words), line);
    if (line->size)
        quality_put_line(line, out);
}

static void put_tcp(const struct json_object *tcp, struct buf *line, FILE *out)
{
    static const struct word words[] = {
        {"opened", "opened"},
        {"closed", "closed"},
        {"failed", "failed"},
        {"open_before", "open before"},
        {"open_at_end", "open at the end"},
        {"missed", "changes of state not seen"},
    };

    add_counts(tcp, words, ARRAY_SIZE(words), line);
    if (line->size)
        quality_put_line(line, out);
}

void quality_put_io(const struct model *m, struct buf *line, FILE *out)
{
    const struct json_object *block = json_member(m->quality, "block", json_type_object);
    const struct json_object *tcp = json_member(m->quality, "tcp", json_type_object);

    if (block)
        put_block(block, line, out);
    if (tcp)
        put_tcp(tcp, line, out);
}
