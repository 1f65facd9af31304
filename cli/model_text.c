/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words above a picture: what was captured, where, when, how much of it.
 */
#include "cli/model.h"

#include "base/buf.h"
#include "cli/units.h"

#include <inttypes.h>
#include <string.h>

static const char *container_field(const struct model *m, const char *field)
{
    return json_string(json_member(m->started, "container", json_type_object), field);
}

static char *take_text(struct buf *b)
{
    return buf_error(b) < 0 ? NULL : TAKE_PTR(b->data);
}

char *model_title(const struct model *m, const char *given)
{
    const char *view = json_string(m->started, "view"), *name = container_field(m, "name");
    const char *what = units_title(m);
    _cleanup_buf_ struct buf b = {0};

    if (given)
        return strdup(given);
    if (!m->started)
        return strdup("Flame graph");
    buf_addf(&b, "%s of ", what ? what : view ? view : "profile");
    if (!name)
        name = json_string(m->started, "target");
    buf_adds(&b, name ? name : "all");
    return take_text(&b);
}

/* Begins the next part of the subtitle. */
static void next_part(struct buf *b)
{
    if (b->size)
        buf_adds(b, " · ");
}

static void add_container(struct buf *b, const struct model *m)
{
    const char *pod = container_field(m, "pod"), *namespace = container_field(m, "namespace");
    const char *runtime = container_field(m, "runtime"), *image = container_field(m, "image");
    const char *name = container_field(m, "name"), *id = container_field(m, "id");

    if (!name)
        return;
    next_part(b);
    buf_adds(b, "container ");
    if (namespace && pod)
        buf_addf(b, "%s/", namespace);
    if (pod)
        buf_addf(b, "%s/", pod);
    buf_adds(b, name);
    if (id && strncmp(id, name, 12) != 0)
        buf_addf(b, " %.12s", id);
    if (runtime && strcmp(runtime, "unknown") != 0)
        buf_addf(b, " (%s%s%s)", runtime, image ? ", " : "", image ? image : "");
}

static void add_timing(struct buf *b, const struct model *m)
{
    const char *event = json_string(m->started, "event");
    uint64_t ms, n;

    if (json_number(m->end, "elapsed_ms", UINT64_MAX, &ms) ||
        json_number(m->started, "duration_ms", UINT64_MAX, &ms)) {
        next_part(b);
        buf_addf(b, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
        if (json_number(m->started, "frequency", UINT64_MAX, &n))
            buf_addf(b, " at %" PRIu64 " Hz", n);
        else if (json_number(m->started, "period", UINT64_MAX, &n))
            buf_addf(b, ", every %" PRIu64 " events", n);
    }
    if (event && strcmp(event, "cpu-clock") != 0) {
        next_part(b);
        buf_adds(b, event);
    }
}

static void add_lost(struct buf *b, const struct model *m, uint64_t lost)
{
    buf_adds(b, ", ");
    if (lost)
        units_add_number(b, m, lost);
    else
        buf_addc(b, '0');
    buf_adds(b, " lost");
}

char *model_subtitle(const struct model *m)
{
    const char *host = json_string(m->started, "host"), *time = json_string(m->started, "time");
    const char *status = json_string(m->end, "status");
    _cleanup_buf_ struct buf b = {0};
    uint64_t taken, shown;
    bool known;

    add_container(&b, m);
    if (host) {
        next_part(&b);
        buf_addf(&b, "host %s", host);
    }
    if (time) {
        next_part(&b);
        buf_adds(&b, time);
    }
    add_timing(&b, m);
    known = json_number(m->quality, "taken", UINT64_MAX, &taken) &&
            json_number(m->quality, "shown", UINT64_MAX, &shown) && taken >= shown;
    next_part(&b);
    /* Where rows are shown nothing was added up from stacks. */
    units_add_value(&b, m, m->yields_records && known ? shown : m->stacks->total);
    if (known)
        add_lost(&b, m, taken - shown);
    if (status && strcmp(status, "done") != 0)
        buf_addf(&b, " · %s", status);
    return take_text(&b);
}
