/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The views whose words are not those of their unit. */
static const struct {
    const char *view, *title;
    const char *subject, *word, *nothing; /* NULL: the unit's */
    const char *untimed; /* why there is no picture over time though there is something */
} views[] = {
    {"cpu", "CPU time", NULL, NULL, NULL, NULL},
    {"offcpu", "Waiting time", "waiting", "blocked", "no waiting time", NULL},
    {"wakeup", "Wakers", "waiting", "blocked", "no waiting time", NULL},
    {"offwake", "Waits and their wakers", "waiting", "blocked", "no waiting time", NULL},
    {"chain", "Waits and their chains of wakers", "waiting", "blocked", "no waiting time", NULL},
    {"hotcold", "CPU and waiting time", "CPU and waiting", NULL, "no time of any thread", NULL},
    {"states", "Thread states", "waiting", "blocked", "no waiting time", NULL},
    {"switches", "Context switches", NULL, NULL, "no switches", NULL},
    {"runq", "Waits for a CPU", "waits for a CPU", NULL, "no waits for a CPU", NULL},
    {"block", "Block I/O", NULL, NULL, "no block I/O", "nothing that is known to have ended"},
    {"tcp", "TCP", NULL, NULL, "no TCP connections",
     "no connects from here: how long those take is what this shows"},
};

static ssize_t find_view(const struct model *m)
{
    const char *view = json_string(m->started, "view");

    for (size_t i = 0; view && i < ARRAY_SIZE(views); i++)
        if (strcmp(views[i].view, view) == 0)
            return (ssize_t)i;
    return -1;
}

void units_add_grouped(struct buf *b, uint64_t n)
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%" PRIu64, n);

    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            buf_addc(b, ',');
        buf_addc(b, digits[i]);
    }
}

void units_add_us(struct buf *b, uint64_t us)
{
    if (us < 1000) {
        buf_addf(b, "%" PRIu64 " µs", us);
    } else if (us < 1000000) {
        buf_addf(b, "%" PRIu64 ".%" PRIu64 " ms", us / 1000, us % 1000 / 100);
    } else {
        units_add_grouped(b, us / 1000000);
        buf_addf(b, ".%03" PRIu64 " s", us % 1000000 / 1000);
    }
}

void units_add_bytes(struct buf *b, uint64_t n)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)n / 1024;
    size_t i = 0;

    if (n < 1000) {
        buf_addf(b, "%" PRIu64 " B", n);
        return;
    }
    /* What would be written as 1000.0 is of the next unit: no number takes more than 9 columns. */
    for (; value >= 999.95 && i + 1 < ARRAY_SIZE(units); i++)
        value /= 1024;
    buf_addf(b, "%.1f %s", value, units[i]);
}

bool units_are_times(const struct model *m)
{
    return strcmp(model_unit(m), "microseconds") == 0;
}

bool units_are_bytes(const struct model *m)
{
    return strcmp(model_unit(m), "bytes") == 0;
}

void units_add_number(struct buf *b, const struct model *m, uint64_t value)
{
    if (units_are_times(m))
        units_add_us(b, value);
    else if (units_are_bytes(m))
        units_add_bytes(b, value);
    else
        units_add_grouped(b, value);
}

void units_add_value(struct buf *b, const struct model *m, uint64_t value)
{
    ssize_t i = find_view(m);
    const char *word = i >= 0 ? views[i].word : NULL;

    units_add_number(b, m, value);
    if (!word && !units_are_times(m) && !units_are_bytes(m))
        word = model_unit(m);
    if (word)
        buf_addf(b, " %s", word);
}

const char *units_subject(const struct model *m)
{
    ssize_t i = find_view(m);

    if (i >= 0 && views[i].subject)
        return views[i].subject;
    return units_heading(m);
}

const char *units_heading(const struct model *m)
{
    return units_are_times(m) ? "time" : model_unit(m);
}

const char *units_nothing(const struct model *m)
{
    ssize_t i = find_view(m);

    return i >= 0 && views[i].nothing ? views[i].nothing : "no samples";
}

const char *units_untimed(const struct model *m)
{
    ssize_t i = find_view(m);

    return i >= 0 && views[i].untimed ? views[i].untimed : units_nothing(m);
}

const char *units_title(const struct model *m)
{
    ssize_t i = find_view(m);

    return i >= 0 ? views[i].title : NULL;
}
