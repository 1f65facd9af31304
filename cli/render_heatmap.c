/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms over time as an SVG: slices of the capture from left to right, how long it took from
 * bottom to top on a logarithmic scale, how often as colour. A panel for each kind of histogram,
 * such as waits for a CPU, and waits that the CPU quota caused.
 */
#include "cli/render.h"

#include "cli/histograms.h"
#include "cli/svgtext.h"
#include "cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WIDTH 1200
#define LEFT 96
#define RIGHT 20
#define TOP 76
#define ROW 14
#define PANEL_GAP 64 /* for the time axis and the next panel's heading */
#define FOOT 44
#define SLICES_MAX 1024u /* as many as can be seen */
#define FOLDS_MAX 16     /* so that slices of a second are enough for two years */
#define BUCKETS 128u     /* two an octave of 64 bits */
#define SHADES 10
#define TITLE_CHARS 90
#define SUBTITLE_CHARS 180

struct panel {
    uint64_t *counts; /* by slice, then bucket; NULL while there are none */
    uint64_t most;    /* of these */
};

struct heatmap {
    const struct model *m;
    struct buf b;
    struct panel panels[HISTOGRAM_KINDS];
    uint64_t slice_ms;
    unsigned folds;
    uint32_t slices, first, last; /* buckets that are drawn */
};

/* ---- what is drawn ---- */

static uint32_t bucket_of(uint64_t us)
{
    uint32_t log;

    if (us < 2)
        return (uint32_t)us;
    log = 63 - (uint32_t)__builtin_clzll(us);
    return 2 * log + (uint32_t)(us >> (log - 1) & 1);
}

/* Where in rows a value stands; within a bucket the scale is even. */
static double place_of(uint64_t us)
{
    uint32_t log;

    if (us < 2)
        return (double)us;
    log = 63 - (uint32_t)__builtin_clzll(us);
    return 2 * (log + (double)us / (double)(1ull << log) - 1);
}

static int take_bucket(struct heatmap *h, struct panel *p, uint32_t slice,
                       const struct json_object *bucket)
{
    uint64_t count, low;
    uint32_t n;

    if (!json_object_is_type(bucket, json_type_array) || json_object_array_length(bucket) != 3)
        return 0;
    low = json_object_get_uint64(json_object_array_get_idx(bucket, 0));
    count = json_object_get_uint64(json_object_array_get_idx(bucket, 2));
    if (!count)
        return 0;
    if (!p->counts)
        p->counts = calloc((size_t)SLICES_MAX * BUCKETS, sizeof(*p->counts));
    if (!p->counts)
        return -ENOMEM;
    n = bucket_of(low);
    h->first = MIN(h->first, n);
    h->last = MAX(h->last, n);
    h->slices = MAX(h->slices, slice + 1);
    p->counts[slice * BUCKETS + n] += MIN(count, UINT64_MAX / 2 - p->counts[slice * BUCKETS + n]);
    p->most = MAX(p->most, p->counts[slice * BUCKETS + n]);
    return 0;
}

/* Makes of two slices one: a picture has as many as can be seen. */
static void fold(struct heatmap *h)
{
    for (size_t kind = 0; kind < HISTOGRAM_KINDS; kind++) {
        struct panel *p = &h->panels[kind];

        p->most = 0;
        for (size_t slice = 0; p->counts && slice < SLICES_MAX; slice++)
            for (size_t n = 0; n < BUCKETS; n++) {
                uint64_t count = p->counts[slice * BUCKETS + n];
                uint64_t *into = &p->counts[slice / 2 * BUCKETS + n];

                p->counts[slice * BUCKETS + n] = 0;
                *into += MIN(count, UINT64_MAX / 2 - *into);
                p->most = MAX(p->most, *into);
            }
    }
    h->slices = (h->slices + 1) / 2;
    h->slice_ms *= 2;
    h->folds++;
}

/* A histogram of one slice; what is of none, or beyond the room, is not drawn. */
static int take_histogram(struct heatmap *h, const struct json_object *o)
{
    struct json_object *buckets = json_member(o, "buckets", json_type_array);
    size_t kind = histogram_kind(o);
    uint64_t from, to, slice;
    int r = 0;

    if (!buckets || kind == HISTOGRAM_KINDS || !json_number(o, "from_ms", UINT64_MAX, &from) ||
        !json_number(o, "to_ms", UINT64_MAX, &to) || to <= from)
        return 0;
    if (!h->slice_ms)
        h->slice_ms = to - from;
    if (from / h->slice_ms >= (uint64_t)SLICES_MAX << (FOLDS_MAX - h->folds))
        return 0;
    while (from / h->slice_ms >= SLICES_MAX)
        fold(h);
    slice = from / h->slice_ms;
    for (size_t i = 0; r == 0 && i < json_object_array_length(buckets); i++)
        r = take_bucket(h, &h->panels[kind], (uint32_t)slice,
                        json_object_array_get_idx(buckets, i));
    return r;
}

static int take_histograms(struct heatmap *h)
{
    size_t n = h->m->records ? json_object_array_length(h->m->records) : 0;
    uint64_t ms = json_count(h->m->end, "elapsed_ms");
    int r = 0;

    h->first = BUCKETS - 1;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = take_histogram(h, json_object_array_get_idx(h->m->records, i));
    /* Slices at the end in which nobody waited are time as well. */
    if (h->slice_ms)
        h->slices = (uint32_t)MIN(MAX((uint64_t)h->slices, ms / h->slice_ms), SLICES_MAX);
    return r;
}

/* ---- drawing ---- */

static uint32_t rows(const struct heatmap *h)
{
    return h->last - h->first + 1;
}

static double cell_width(const struct heatmap *h)
{
    return (double)(WIDTH - LEFT - RIGHT) / h->slices;
}

static void add_style(struct heatmap *h)
{
    buf_adds(&h->b, "<style>\n"
                    "svg{background:#fcfcfa}\n"
                    "text{font:12px \"Segoe UI\",\"Helvetica Neue\",\"DejaVu Sans\",Arial,"
                    "sans-serif;fill:#5a636d}\n"
                    ".title{font-size:17px;font-weight:600;fill:#1d2329}\n"
                    ".heading{fill:#1d2329;font-weight:600}\n"
                    ".cell:hover{stroke:#1d2329}\n"
                    ".grid{stroke:#e4e4de}\n.edge{fill:none;stroke:#b9bec4}\n");
    for (size_t kind = 0; kind < HISTOGRAM_KINDS; kind++)
        for (int i = 0; h->panels[kind].counts && i < SHADES; i++) {
            int rgb[3];

            for (size_t c = 0; c < 3; c++)
                rgb[c] = histogram_words[kind].from[c] +
                         (histogram_words[kind].to[c] - histogram_words[kind].from[c]) * i /
                             (SHADES - 1);
            buf_addf(&h->b, ".%c%d{fill:#%02x%02x%02x}", histogram_words[kind].letter, i,
                     (unsigned)rgb[0], (unsigned)rgb[1], (unsigned)rgb[2]);
        }
    buf_adds(&h->b, "\n</style>\n");
}

static int add_head(struct heatmap *h, const struct render_options *o, unsigned height)
{
    _cleanup_free_ char *title = model_title(h->m, o->title), *sub = model_subtitle(h->m);

    if (!title || !sub)
        return -ENOMEM;
    buf_addf(&h->b,
             "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
             "viewBox=\"0 0 %d %u\">\n<title>",
             WIDTH, height, WIDTH, height);
    svgtext_add(&h->b, title);
    buf_adds(&h->b, "</title>\n");
    add_style(h);
    buf_adds(&h->b, "<text class=\"title\" x=\"50%\" y=\"26\" text-anchor=\"middle\">");
    svgtext_add_cut(&h->b, title, TITLE_CHARS);
    buf_adds(&h->b, "</text>\n<text class=\"subtitle\" x=\"50%\" y=\"45\" text-anchor=\"middle\">");
    svgtext_add_cut(&h->b, sub, SUBTITLE_CHARS);
    buf_adds(&h->b, "</text>\n");
    return 0;
}

/* Counts differ by orders of magnitude: so does the scale. */
static int shade_of(const struct panel *p, uint64_t count)
{
    if (p->most < 2)
        return SHADES - 1;
    return (int)((place_of(count) - 1) / (place_of(p->most) - 1) * (SHADES - 1));
}

static void add_bounds(struct heatmap *h, uint32_t bucket)
{
    uint64_t half = bucket < 4 ? 1 : 1ull << (bucket / 2 - 1);
    uint64_t low = bucket < 2 ? bucket : (1ull << bucket / 2) + (bucket & 1) * half;

    units_add_us(&h->b, low);
    buf_adds(&h->b, " to ");
    units_add_us(&h->b, low + half);
}

static void add_cell(struct heatmap *h, size_t kind, uint32_t slice, uint32_t bucket, unsigned top)
{
    const struct histogram_words *w = &histogram_words[kind];
    const struct panel *p = &h->panels[kind];
    uint64_t count = p->counts[slice * BUCKETS + bucket];

    if (!count)
        return;
    buf_addf(&h->b,
             "<rect class=\"cell %c%d\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\"><title>",
             histogram_words[kind].letter, shade_of(p, count), LEFT + slice * cell_width(h),
             top + (h->last - bucket) * ROW, cell_width(h), ROW);
    units_add_grouped(&h->b, count);
    buf_addf(&h->b, " %s of ", count == 1 ? w->one : w->many);
    add_bounds(h, bucket);
    buf_addf(&h->b, ", second %.1f to %.1f</title></rect>\n", (double)(slice * h->slice_ms) / 1000,
             (double)((slice + 1) * h->slice_ms) / 1000);
}

static void add_latency_axis(struct heatmap *h, size_t kind, unsigned top)
{
    unsigned bottom = top + rows(h) * ROW;

    for (uint64_t us = 1; us && us < UINT64_MAX / 10; us *= 10) {
        double y = bottom - (place_of(us) - h->first) * ROW;

        if (y < top || y > bottom)
            continue;
        buf_addf(&h->b,
                 "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                 "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                 LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
        if (us < 1000)
            buf_addf(&h->b, "%" PRIu64 " µs", us);
        else if (us < 1000000)
            buf_addf(&h->b, "%" PRIu64 " ms", us / 1000);
        else
            buf_addf(&h->b, "%" PRIu64 " s", us / 1000000);
        buf_adds(&h->b, "</text>\n");
    }
    buf_addf(&h->b,
             "<text transform=\"translate(16 %u) rotate(-90)\" text-anchor=\"middle\">%s"
             "</text>\n",
             (top + bottom) / 2, histogram_words[kind].axis);
}

/* The distance of ticks: 1, 2 or 5 of a power of ten, so that there are at most ten. */
static uint64_t tick_ms(uint64_t all_ms)
{
    uint64_t tick = 100;

    for (unsigned i = 0; all_ms / tick > 10 && tick < UINT64_MAX / 10; i++)
        tick = i % 3 == 1 ? tick / 2 * 5 : tick * 2;
    return tick;
}

static void add_time_axis(struct heatmap *h, unsigned y)
{
    uint64_t all = h->slices * h->slice_ms, tick = tick_ms(all);

    for (uint64_t ms = 0; ms <= all; ms += tick)
        buf_addf(&h->b, "<text x=\"%.1f\" y=\"%u\" text-anchor=\"middle\">%g s</text>\n",
                 LEFT + (double)ms / (double)all * (WIDTH - LEFT - RIGHT), y + 16,
                 (double)ms / 1000);
    buf_addf(&h->b,
             "<text x=\"%d\" y=\"%u\" text-anchor=\"middle\">time since the capture began</text>\n",
             LEFT + (WIDTH - LEFT - RIGHT) / 2, y + 32);
}

/* What the colours mean: one of them, and the most that a cell has. */
static void add_scale(struct heatmap *h, size_t kind, unsigned top)
{
    int x = WIDTH - RIGHT - 60 - SHADES * 12;

    buf_addf(&h->b, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">1 %s</text>\n", x - 6, top - 8,
             histogram_words[kind].one);
    for (int i = 0; i < SHADES; i++)
        buf_addf(&h->b, "<rect class=\"%c%d\" x=\"%d\" y=\"%u\" width=\"12\" height=\"11\"/>",
                 histogram_words[kind].letter, i, x + i * 12, top - 17);
    buf_addf(&h->b, "\n<text x=\"%d\" y=\"%u\">", x + SHADES * 12 + 6, top - 8);
    units_add_grouped(&h->b, h->panels[kind].most);
    buf_adds(&h->b, "</text>\n");
}

static void add_panel(struct heatmap *h, size_t kind, unsigned top)
{
    unsigned height = rows(h) * ROW;

    buf_addf(&h->b, "<g class=\"panel %s\">\n<text class=\"heading\" x=\"%d\" y=\"%u\">%s</text>\n",
             histogram_words[kind].state, LEFT, top - 8, histogram_words[kind].heading);
    add_scale(h, kind, top);
    add_latency_axis(h, kind, top);
    for (uint32_t slice = 0; slice < h->slices; slice++)
        for (uint32_t bucket = h->first; bucket <= h->last; bucket++)
            add_cell(h, kind, slice, bucket, top);
    buf_addf(&h->b, "<rect class=\"edge\" x=\"%d\" y=\"%u\" width=\"%d\" height=\"%u\"/>\n", LEFT,
             top, WIDTH - LEFT - RIGHT, height);
    add_time_axis(h, top + height);
    buf_adds(&h->b, "</g>\n");
}

/* There may be rows of which none has what is drawn. */
static const char *why_empty(const struct model *m)
{
    uint64_t shown = 0;

    if (m->quality)
        json_number(m->quality, "shown", UINT64_MAX, &shown);
    return shown ? units_untimed(m) : units_nothing(m);
}

static int draw(struct heatmap *h, const struct render_options *o)
{
    unsigned panels = 0, top = TOP, height;
    int r;

    for (size_t kind = 0; kind < HISTOGRAM_KINDS; kind++)
        panels += !!h->panels[kind].counts;
    height = TOP + FOOT + (panels ? panels * rows(h) * ROW + (panels - 1) * PANEL_GAP : 0);
    r = add_head(h, o, height);
    if (r < 0)
        return r;
    for (size_t kind = 0; kind < HISTOGRAM_KINDS; kind++) {
        if (!h->panels[kind].counts)
            continue;
        add_panel(h, kind, top);
        top += rows(h) * ROW + PANEL_GAP;
    }
    if (!panels)
        buf_addf(&h->b, "<text x=\"50%%\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", TOP + 8,
                 why_empty(h->m));
    buf_adds(&h->b, "</svg>\n");
    return buf_error(&h->b);
}

int render_heatmap(const struct model *m, const struct render_options *o, FILE *out)
{
    struct heatmap h = {.m = m};
    int r = take_histograms(&h);

    if (r == 0)
        r = draw(&h, o);
    if (r == 0)
        fwrite(h.b.data, 1, h.b.size, out);
    buf_free(&h.b);
    for (size_t kind = 0; kind < HISTOGRAM_KINDS; kind++)
        free(h.panels[kind].counts);
    return r;
}
