/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/histograms.h"

#include "base/text.h"
#include "cli/units.h"
#include "cli/width.h"

#include <inttypes.h>
#include <string.h>

#define BAR_WIDTH 40
#define NUMBER_WIDTH 10

/* ---- words ---- */

const struct histogram_words histogram_words[HISTOGRAM_KINDS + 1] = {
    {"runq",
     "runnable",
     "waiting for a CPU",
     "wait",
     "waits",
     "waited",
     'r',
     {0xfd, 0xe6, 0xb8},
     {0xb3, 0x1b, 0x1b}},
    {"runq",
     "throttled",
     "throttled by the CPU quota",
     "wait",
     "waits",
     "waited",
     'q',
     {0xdc, 0xd3, 0xf2},
     {0x4b, 0x2a, 0x9b}},
    {"block",
     "queue",
     "before the device had it",
     "request",
     "requests",
     "waited",
     'u',
     {0xdc, 0xd3, 0xf2},
     {0x4b, 0x2a, 0x9b}},
    {"block",
     "device",
     "on the device",
     "request",
     "requests",
     "took",
     'd',
     {0xcf, 0xe8, 0xd5},
     {0x14, 0x5c, 0x36}},
    {"block",
     "latency",
     "latency, queue and device together",
     "request",
     "requests",
     "took",
     'l',
     {0xfd, 0xe6, 0xb8},
     {0xb3, 0x1b, 0x1b}},
    {"tcp",
     "connect",
     "connecting",
     "connection",
     "connections",
     "took",
     'c',
     {0xfd, 0xe6, 0xb8},
     {0xb3, 0x1b, 0x1b}},
    {"tcp",
     "rtt",
     "round trip, smoothed",
     "connection",
     "connections",
     "took",
     't',
     {0xcf, 0xe8, 0xd5},
     {0x14, 0x5c, 0x36}},
    {"tcp",
     "life",
     "life of connections",
     "connection",
     "connections",
     "lived",
     'o',
     {0xdc, 0xd3, 0xf2},
     {0x4b, 0x2a, 0x9b}},
    {0},
};

size_t histogram_kind(const struct json_object *h)
{
    const char *histogram = json_string(h, "histogram"), *state = json_string(h, "state");
    size_t i = 0;

    if (!histogram || !state)
        return HISTOGRAM_KINDS;
    while (i < HISTOGRAM_KINDS && (strcmp(histogram_words[i].histogram, histogram) != 0 ||
                                   strcmp(histogram_words[i].state, state) != 0))
        i++;
    return i;
}

/* ---- bars ---- */

static void add_bound(struct buf *b, uint64_t us)
{
    if (us < 1000)
        buf_addf(b, "%" PRIu64 " µs", us);
    else if (us < 1000000)
        buf_addf(b, "%" PRIu64 " ms", us / 1000);
    else
        buf_addf(b, "%" PRIu64 " s", us / 1000000);
}

/* Eighths of a character, so that small counts are seen beside large ones. */
static void add_bar(struct buf *b, uint64_t count, uint64_t most)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    uint64_t n = most ? (uint64_t)((double)count / (double)most * BAR_WIDTH * 8) : 0;

    if (n == 0 && count)
        n = 1;
    for (uint64_t i = 0; i < n / 8; i++)
        buf_adds(b, "█");
    buf_adds(b, eighths[n % 8]);
}

/* Two buckets of the protocol make an octave, which is one line. */
struct octave {
    uint64_t low, high, count;
};

static size_t to_octaves(struct json_object *buckets, struct octave octaves[65])
{
    size_t used = 0, n = buckets ? json_object_array_length(buckets) : 0;

    /* Those that have nothing in them have their line, too. */
    for (size_t i = 0; i < 65; i++)
        octaves[i] = (struct octave){.low = i ? 1ull << (i - 1) : 0,
                                     .high = i < 64 ? 1ull << i : UINT64_MAX};
    for (size_t i = 0; i < n; i++) {
        struct json_object *b = json_object_array_get_idx(buckets, i);
        uint64_t low, log;

        if (!json_object_is_type(b, json_type_array) || json_object_array_length(b) != 3)
            continue;
        low = json_object_get_uint64(json_object_array_get_idx(b, 0));
        log = low ? 64 - (uint64_t)__builtin_clzll(low) : 0;
        octaves[log].count += json_object_get_uint64(json_object_array_get_idx(b, 2));
        used = MAX(used, (size_t)log + 1);
    }
    return used;
}

/* "µ" is one column and two bytes, which printf's widths do not know. */
static void put_octave(const char *low, const char *high, uint64_t count, const char *bar,
                       FILE *out)
{
    _cleanup_buf_ struct buf n = {0};

    units_add_grouped(&n, count);
    fprintf(out, "%*s%s - %s%*s %*s %s\n", (int)(NUMBER_WIDTH - width_of(low)), "", low, high,
            (int)(NUMBER_WIDTH - width_of(high)), "", NUMBER_WIDTH, n.data ? n.data : "", bar);
}

static void put_summary(const struct json_object *h, FILE *out)
{
    const struct histogram_words *w = &histogram_words[histogram_kind(h)];
    const char *state = json_string(h, "state");
    uint64_t count = json_count(h, "count");
    _cleanup_buf_ struct buf b = {0};

    if (w->heading)
        buf_adds(&b, w->heading);
    else
        text_add_terminal(&b, state ? state : "histogram");
    buf_adds(&b, ": ");
    units_add_grouped(&b, count);
    buf_addf(&b, " %s, half below ", !w->heading ? "values" : count == 1 ? w->one : w->many);
    units_add_us(&b, json_count(h, "p50"));
    buf_adds(&b, ", 99 % below ");
    units_add_us(&b, json_count(h, "p99"));
    buf_adds(&b, ", longest ");
    units_add_us(&b, json_count(h, "max"));
    if (!buf_error(&b))
        fprintf(out, "%s\n", b.data);
}

void histogram_print(const struct json_object *h, FILE *out)
{
    struct octave octaves[65];
    size_t n = to_octaves(json_member(h, "buckets", json_type_array), octaves), first = 0;
    uint64_t most = 0;

    for (size_t i = 0; i < n; i++)
        most = MAX(most, octaves[i].count);
    while (first < n && !octaves[first].count)
        first++;
    put_summary(h, out);
    for (size_t i = first; i < n; i++) {
        _cleanup_buf_ struct buf low = {0}, high = {0}, bar = {0};

        add_bound(&low, octaves[i].low);
        add_bound(&high, octaves[i].high);
        add_bar(&bar, octaves[i].count, most);
        if (!buf_error(&low) && !buf_error(&high) && !buf_error(&bar))
            put_octave(low.data, high.data, octaves[i].count, bar.data ? bar.data : "", out);
    }
    fputc('\n', out);
}
