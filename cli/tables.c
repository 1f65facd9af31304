/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tables.h"

#include "cli/cells.h"
#include "cli/model.h"

#include <inttypes.h>
#include <string.h>

CELL(name, cell_string, "comm")
CELL(container, cell_string, "container")
CELL(pid, cell_count, "pid")
CELL(tid, cell_count, "tid")
CELL(threads, cell_grouped, "threads")
CELL(wall, cell_time, "wall_us")
CELL(on_cpu, cell_share, "on_cpu_us")
CELL(runnable, cell_share, "runnable_us")
CELL(throttled, cell_share, "throttled_us")
CELL(disk, cell_share, "disk_us")
CELL(network, cell_share, "network_us")
CELL(lock, cell_share, "lock_us")
CELL(sleep, cell_share, "sleep_us")
CELL(fault, cell_share, "fault_us")
CELL(poll, cell_share, "poll_us")
CELL(pipe, cell_share, "pipe_us")
CELL(child, cell_share, "child_us")
CELL(other, cell_share, "other_us")
CELL(waits, cell_grouped, "waits")
CELL(p50, cell_time, "p50_us")
CELL(p99, cell_time, "p99_us")
CELL(max, cell_time, "max_us")
CELL(runnable_time, cell_time, "runnable_us")
CELL(throttled_time, cell_time, "throttled_us")
CELL(on_cpu_time, cell_time, "on_cpu_us")

static const struct table_column states[] = {
    {.field = "comm", .shown = {"NAME", "of the thread, or of its process", text_name, false, 8}},
    {.field = "container",
     .shown = {"CONTAINER", "where it runs, when the target spans several", text_container, false,
               8}},
    {.field = "pid",
     .shown = {"PID", "of the process, as the container numbers it", text_pid, true, 0}},
    {.field = "tid", .shown = {"TID", "of the thread, likewise", text_tid, true, 0}},
    {.field = "threads",
     .shown = {"THREADS", "how many are in the row", text_threads, true, 0},
     .total = TOTAL_SUM},
    {.field = "wall_us",
     .shown = {"WALL", "the time that they lived within the capture, together", text_wall, true, 0},
     .total = TOTAL_SUM},
    {.field = "on_cpu_us",
     .shown = {"CPU%", "of it, on a CPU", text_on_cpu, true, 0},
     .total = TOTAL_SUM},
    {.field = "runnable_us",
     .shown = {"READY%", "ready, but another thread had the CPU", text_runnable, true, 0},
     .total = TOTAL_SUM},
    {.field = "throttled_us",
     .shown = {"THROT%", "ready, but the cgroup's CPU quota was used up", text_throttled, true, 0},
     .total = TOTAL_SUM},
    {.field = "blocked_us",
     .shown = {NULL, "blocked, on whatever", NULL, true, 0},
     .total = TOTAL_SUM},
    {.field = "disk_us",
     .shown = {"DISK%", "blocked on block I/O", text_disk, true, 0},
     .total = TOTAL_SUM},
    {.field = "network_us",
     .shown = {"NET%", "blocked on sockets", text_network, true, 0},
     .total = TOTAL_SUM},
    {.field = "lock_us",
     .shown = {"LOCK%", "blocked on locks: futexes, mutexes, file locks", text_lock, true, 0},
     .total = TOTAL_SUM},
    {.field = "sleep_us",
     .shown = {"SLEEP%", "asleep, paused, stopped", text_sleep, true, 0},
     .total = TOTAL_SUM},
    {.field = "fault_us",
     .shown = {"FAULT%", "blocked in page faults", text_fault, true, 0},
     .total = TOTAL_SUM},
    {.field = "poll_us",
     .shown = {"POLL%", "waiting for work in epoll, poll, select", text_poll, true, 0},
     .total = TOTAL_SUM},
    {.field = "pipe_us",
     .shown = {"PIPE%", "blocked on pipes", text_pipe, true, 0},
     .total = TOTAL_SUM},
    {.field = "child_us",
     .shown = {"CHILD%", "waiting for a process to end", text_child, true, 0},
     .total = TOTAL_SUM},
    {.field = "other_us",
     .shown = {"OTHER%", "blocked on what no kernel function explains", text_other, true, 0},
     .total = TOTAL_SUM},
    {.field = "voluntary",
     .shown = {NULL, "context switches that the threads asked for", NULL, true, 0},
     .total = TOTAL_SUM},
    {.field = "involuntary",
     .shown = {NULL, "context switches that were forced on them", NULL, true, 0},
     .total = TOTAL_SUM},
    {0},
};

static const struct table_column runq[] = {
    {.field = "comm", .shown = {"NAME", "of the thread", text_name, false, 8}},
    {.field = "container",
     .shown = {"CONTAINER", "where it runs, when the target spans several", text_container, false,
               8}},
    {.field = "pid",
     .shown = {"PID", "of the process, as the container numbers it", text_pid, true, 0}},
    {.field = "tid", .shown = {"TID", "of the thread, likewise", text_tid, true, 0}},
    {.field = "waits",
     .shown = {"WAITS", "how often it waited for a CPU", text_waits, true, 0},
     .total = TOTAL_SUM},
    {.field = "p50_us",
     .shown = {"P50", "half of these waits were shorter", text_p50, true, 0},
     .total = TOTAL_HISTOGRAM},
    {.field = "p99_us",
     .shown = {"P99", "99 of 100 were shorter", text_p99, true, 0},
     .total = TOTAL_HISTOGRAM},
    {.field = "max_us", .shown = {"MAX", "the longest", text_max, true, 0}, .total = TOTAL_MOST},
    {.field = "runnable_us",
     .shown = {"WAITED", "for a CPU, in all", text_runnable_time, true, 0},
     .total = TOTAL_SUM},
    {.field = "throttled_us",
     .shown = {"THROTTLED", "by the cgroup's CPU quota, in all", text_throttled_time, true, 0},
     .total = TOTAL_SUM},
    {.field = "on_cpu_us",
     .shown = {"ON-CPU", "what it got", text_on_cpu_time, true, 0},
     .total = TOTAL_SUM},
    {.field = "blocked_us", .shown = {NULL, "blocked", NULL, true, 0}, .total = TOTAL_SUM},
    {0},
};

static const struct table_spec specs[] = {
    {.record = "states",
     .columns = states,
     .sort = {"on_cpu_us", "runnable_us", "throttled_us"}}, /* who wants CPUs most */
    {.record = "runq",
     .columns = runq,
     .sort = {"runnable_us", "throttled_us"},
     .whole_state = "runnable",
     .over_time = true},
    {0},
};

static const struct table_spec *find_in(const struct table_spec *table, const char *record)
{
    for (; table->record; table++)
        if (strcmp(table->record, record) == 0)
            return table;
    return NULL;
}

const struct table_spec *table_spec_find(const char *record)
{
    const struct table_spec *found = record ? find_in(specs, record) : NULL;

    return found || !record ? found : find_in(tables_io, record);
}

const struct table_spec *table_spec_of(const struct model *m)
{
    const struct table_spec *spec = table_spec_find(json_string(m->started, "record"));

    return spec ? spec : table_spec_find(json_string(m->started, "view"));
}

/* ---- rows ---- */

static double rank(const struct json_object *row, const struct table_spec *spec)
{
    double sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(spec->sort) && spec->sort[i]; i++)
        sum += (double)json_count(row, spec->sort[i]);
    return sum;
}

/* Largest first, equals by the first column: idle threads are many. */
static int compare(const void *a, const void *b, void *spec)
{
    const struct json_object *x = *(struct json_object *const *)a;
    const struct json_object *y = *(struct json_object *const *)b;
    const char *by = ((const struct table_spec *)spec)->columns->field;
    const char *name = json_string(x, by), *other = json_string(y, by);
    double left = rank(x, spec), right = rank(y, spec);

    if (left != right)
        return left < right ? 1 : -1;
    return strcmp(name ? name : "", other ? other : "");
}

struct json_object *table_rows(const struct model *m, const struct table_spec *spec)
{
    size_t n = m->records ? json_object_array_length(m->records) : 0, count = 0;
    _cleanup_free_ struct json_object **found = calloc(n + 1, sizeof(struct json_object *));
    struct json_object *rows = found ? json_object_new_array() : NULL;

    for (size_t i = 0; rows && i < n; i++) {
        struct json_object *row = json_object_array_get_idx(m->records, i);
        const char *record = json_string(row, "record");

        if (record && strcmp(record, spec->record) == 0)
            found[count++] = row;
    }
    if (count && spec->sort[0])
        qsort_r(found, count, sizeof(struct json_object *), compare, (void *)spec);
    for (size_t i = 0; rows && i < count; i++)
        json_object_array_add(rows, json_object_get(found[i]));
    return rows;
}

/* The histogram of all that are of this state, or NULL. */
static const struct json_object *whole_histogram(const struct model *m, const char *state)
{
    size_t n = m->records ? json_object_array_length(m->records) : 0;
    uint64_t unused;

    for (size_t i = 0; state && i < n; i++) {
        const struct json_object *o = json_object_array_get_idx(m->records, i);
        const char *of = json_string(o, "state");

        if (json_string(o, "histogram") && of && strcmp(of, state) == 0 &&
            !json_number(o, "from_ms", UINT64_MAX, &unused))
            return o;
    }
    return NULL;
}

/* What a column's field is called in the histogram that it is of. */
static uint64_t from_histogram(const struct model *m, const struct table_spec *spec,
                               const char *field)
{
    char state[32], *member;

    snprintf(state, sizeof(state), "%.*s", (int)(strlen(field) - strlen("_us")), field);
    member = strchr(state, '_');
    if (!member)
        return json_count(whole_histogram(m, spec->whole_state), state);
    *member++ = '\0';
    return json_count(whole_histogram(m, state), member);
}

static uint64_t total_of(const struct model *m, const struct table_spec *spec,
                         const struct table_column *c, struct json_object *rows)
{
    size_t n = json_object_array_length(rows);
    uint64_t total = 0;

    if (c->total == TOTAL_HISTOGRAM)
        return from_histogram(m, spec, c->field);
    for (size_t i = 0; i < n; i++) {
        uint64_t value = json_count(json_object_array_get_idx(rows, i), c->field);

        if (c->total == TOTAL_MOST)
            total = MAX(total, value);
        else if (__builtin_add_overflow(total, value, &total))
            total = UINT64_MAX;
    }
    return total;
}

struct json_object *table_totals(const struct model *m, const struct table_spec *spec,
                                 struct json_object *rows)
{
    struct json_object *totals = json_object_new_object();

    if (!totals)
        return NULL;
    json_object_object_add(totals, spec->columns->field, json_object_new_string("TOTAL"));
    for (const struct table_column *c = spec->columns; c->field; c++)
        if (c->total != TOTAL_NONE)
            json_object_object_add(totals, c->field,
                                   json_object_new_uint64(total_of(m, spec, c, rows)));
    return totals;
}

void table_help(const struct table_spec *spec, FILE *out)
{
    for (const struct table_column *c = spec->columns; c->field; c++)
        fprintf(out, "  %-10s %-14s %s\n", c->shown.header ? c->shown.header : "-", c->field,
                c->shown.help);
}
