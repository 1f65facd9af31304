/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flame graph as one SVG file that stands alone: a picture everywhere, and in a browser one to
 * zoom and search (flamegraph.js). Names enter it through svgtext.h only.
 */
#include "cli/render.h"

#include "cli/svgtext.h"
#include "cli/tint.h"
#include "cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WIDTH 1200
#define MARGIN 10
#define TOP 58    /* above the frames */
#define BOTTOM 48 /* below them */
#define ROW 17
#define BOX 16
#define CHAR_WIDTH 7.23  /* of the fixed font at 12 px */
#define NARROWEST 0.1    /* pixels; frames below that are left out */
#define FRAMES_MAX 20000 /* more make browsers slow: then somewhat wider ones are left out too */
#define EDGED 4          /* pixels; boxes wider than that have an edge */
#define SHADES 10
#define TITLE_CHARS 90
#define SUBTITLE_CHARS 180

/* flamegraph_js and flamegraph_css: the files of these names as strings. */
#include "cli/flamegraph.css.inc.h"
#include "cli/flamegraph.js.inc.h"

/* What has colours of its own: the kinds of frames, and where threads waited. */
enum hue { COLD = MODEL_KIND_COUNT, COLD_KERNEL, HUE_COUNT };

/* Colours of a kind run from one to the other; the name picks the shade. */
static const struct {
    const char *legend;
    char letter;
    uint8_t from[3], to[3];
} palette[HUE_COUNT] = {
    [MODEL_USER] = {"user", 'u', {0xe6, 0x5f, 0x4b}, {0xf8, 0x9b, 0x80}},
    [MODEL_CXX] = {"C++, Rust", 'c', {0xe2, 0xbd, 0x45}, {0xf6, 0xe0, 0x86}},
    [MODEL_KERNEL] = {"kernel", 'k', {0xee, 0x90, 0x32}, {0xfc, 0xbf, 0x74}},
    [MODEL_JIT] = {"JIT", 'j', {0x72, 0xbf, 0x5e}, {0xac, 0xde, 0x95}},
    [MODEL_INLINED] = {"inlined", 'i', {0x58, 0xc0, 0xc2}, {0x9f, 0xe3, 0xdf}},
    [MODEL_THREAD] = {"thread", 't', {0xb8, 0xc2, 0xcd}, {0xd2, 0xda, 0xe2}},
    [MODEL_LABEL] = {"label", 'l', {0x9a, 0xa0, 0xa6}, {0xc4, 0xc8, 0xcc}},
    [MODEL_CONTAINER] = {"container", 'b', {0xa0, 0xae, 0xc0}, {0xbc, 0xc8, 0xd8}},
    [COLD] = {"waiting", 'w', {0x6f, 0xa8, 0xdc}, {0xae, 0xd0, 0xf0}},
    [COLD_KERNEL] = {"waiting, kernel", 'n', {0x3d, 0x74, 0xb4}, {0x72, 0xa0, 0xd2}},
};

struct svg {
    const struct model *m;
    const struct render_options *o;
    FILE *out;
    struct buf b;    /* what is being written */
    uint64_t *start; /* by node: where its box begins; while its children are drawn, where the next
                        of them does */
    uint32_t *depth; /* by node: rows below its run's first frame */
    uint64_t threshold; /* smallest total that is drawn */
    uint64_t drawn, left_out;
    uint32_t rows;
    uint8_t *tint;        /* by node: enum tint of its run's last frame */
    bool hues[HUE_COUNT]; /* that are drawn */
    bool wakers;
};

static void flush(struct svg *v)
{
    if (!buf_error(&v->b))
        fwrite(v->b.data, 1, v->b.size, v->out);
    v->b.size = 0;
}

/* Counts what a threshold would draw. */
static uint64_t count_drawn(const struct stacks *s, uint64_t threshold)
{
    uint64_t count = 0;

    for (uint32_t i = 1; i < s->node_count; i++)
        if (s->nodes[i].total >= threshold)
            count += s->nodes[i].frame_count;
    return count;
}

static size_t hue_of(const struct model_frame *f, enum tint tint)
{
    if (tint != TINT_COLD || f->kind >= MODEL_THREAD)
        return f->kind;
    return f->kind == MODEL_KERNEL ? COLD_KERNEL : COLD;
}

/* Finds the tint of each node's last frame, and the hues of all. */
static void choose_hues(struct svg *v)
{
    const struct stacks *s = v->m->stacks;

    for (uint32_t i = 1; i < s->node_count; i++) {
        const struct stack_node *n = &s->nodes[s->order[i]];
        enum tint tint = v->tint[n->parent];

        for (uint32_t j = 0; j < n->frame_count; j++) {
            const struct model_frame *f = &v->m->frames[s->pool[n->frames + j]];

            tint = tint_next(tint, f);
            v->hues[hue_of(f, tint)] = true;
            v->wakers = v->wakers || tint == TINT_WAKER;
        }
        v->tint[s->order[i]] = (uint8_t)tint;
    }
}

/* Depths of all nodes, the threshold, and how many rows that leaves. */
static void measure(struct svg *v)
{
    const struct stacks *s = v->m->stacks;
    double narrowest = NARROWEST;
    uint64_t all = 0;

    do {
        double t = (double)s->total * narrowest / (WIDTH - 2 * MARGIN);

        v->threshold = t > 1 ? (uint64_t)t + ((double)(uint64_t)t < t) : 1;
        v->drawn = count_drawn(s, v->threshold);
        narrowest *= 1.3;
    } while (v->drawn > FRAMES_MAX);

    v->rows = 1;
    for (uint32_t i = 1; i < s->node_count; i++) {
        const struct stack_node *n = &s->nodes[s->order[i]];

        v->depth[s->order[i]] = v->depth[n->parent] + n->frame_count;
        all += n->frame_count;
        if (n->total >= v->threshold)
            v->rows = MAX(v->rows, v->depth[s->order[i]] + 1);
    }
    v->left_out = all - v->drawn;
}

static void put_style(struct svg *v)
{
    buf_adds(&v->b, "<style>\n");
    buf_adds(&v->b, flamegraph_css);
    for (size_t kind = 0; kind < HUE_COUNT; kind++)
        for (unsigned i = 0; v->hues[kind] && i < SHADES; i++) {
            unsigned rgb[3];

            for (size_t c = 0; c < 3; c++)
                rgb[c] = palette[kind].from[c] +
                         (unsigned)(palette[kind].to[c] - palette[kind].from[c]) * i / (SHADES - 1);
            buf_addf(&v->b, ".%c%u{fill:#%02x%02x%02x}", palette[kind].letter, i, rgb[0], rgb[1],
                     rgb[2]);
        }
    buf_adds(&v->b, "\n.all{fill:#c6ccd3}\n</style>\n");
}

/* Opens a line of text outside the frames; more: further attributes. */
static void open_text(struct svg *v, const char *classes, const char *x, uint64_t y,
                      const char *more)
{
    buf_addf(&v->b, "<text class=\"%s\" x=\"%s\" y=\"%" PRIu64 "\"%s>", classes, x, y, more);
}

#define LEFT "10"
#define RIGHT "1190"
#define CENTRED " text-anchor=\"middle\""
#define AT_RIGHT " text-anchor=\"end\" data-right=\"\""
#define BUTTON " role=\"button\" tabindex=\"0\""

static void put_buttons(struct svg *v)
{
    open_text(v, "button reset hide", LEFT, 26, BUTTON);
    buf_adds(&v->b, "Reset zoom</text>\n");
    open_text(v, "button search", RIGHT, 26, AT_RIGHT BUTTON);
    buf_adds(&v->b, "Search</text>\n");
    open_text(v, "button clear hide", RIGHT, 45, AT_RIGHT BUTTON);
    buf_adds(&v->b, "Clear search</text>\n");
}

static int put_head(struct svg *v)
{
    _cleanup_free_ char *title = model_title(v->m, v->o->title), *sub = model_subtitle(v->m);
    uint64_t height = TOP + (uint64_t)v->rows * ROW + BOTTOM;

    if (!title || !sub)
        return -ENOMEM;
    buf_adds(&v->b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    buf_addf(&v->b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\"", WIDTH);
    buf_addf(&v->b, " height=\"%" PRIu64 "\" viewBox=\"0 0 %d %" PRIu64 "\">\n<title>", height,
             WIDTH, height);
    svgtext_add(&v->b, title);
    buf_adds(&v->b, "</title>\n<desc>");
    svgtext_add(&v->b, sub);
    buf_adds(&v->b, "</desc>\n");
    put_style(v);
    buf_adds(&v->b, "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n<g class=\"head\">\n");
    open_text(v, "title", "50%", 26, CENTRED);
    svgtext_add_cut(&v->b, title, TITLE_CHARS);
    buf_adds(&v->b, "</text>\n");
    open_text(v, "subtitle", "50%", 45, CENTRED);
    svgtext_add_cut(&v->b, sub, SUBTITLE_CHARS);
    buf_adds(&v->b, "</text>\n");
    put_buttons(v);
    buf_adds(&v->b, "</g>\n");
    flush(v);
    return 0;
}

/* A box and, where it is wide enough, its name. start and value are in units of the profile. */
static void put_box(struct svg *v, const char *name, const char *classes, uint32_t depth,
                    uint64_t start, uint64_t value)
{
    double total = (double)v->m->stacks->total, width = (double)value / total;
    uint64_t y = (uint64_t)(v->o->icicle ? depth : v->rows - 1 - depth) * ROW;
    _cleanup_buf_ struct buf words = {0};
    double room = (width * (WIDTH - 2 * MARGIN) - 6) / CHAR_WIDTH;

    buf_addf(&v->b, "<g data-s=\"%" PRIu64 "\" data-v=\"%" PRIu64 "\"><title>", start, value);
    svgtext_add(&v->b, name);
    buf_adds(&v->b, " (");
    units_add_value(&words, v->m, value);
    if (words.data)
        svgtext_add(&v->b, words.data);
    buf_addf(&v->b, ", %.2f%%)</title><rect class=\"%s%s\"", width * 100, classes,
             width * (WIDTH - 2 * MARGIN) > EDGED ? " w" : "");
    buf_addf(&v->b, " x=\"%.3f%%\" y=\"%" PRIu64 "\" width=\"%.3f%%\" height=\"%d\"/>",
             (double)start * 100 / total, y, width * 100, BOX);
    if (room >= 3) {
        buf_addf(&v->b, "<text x=\"%.3f%%\" y=\"%" PRIu64 "\" dx=\"3\">",
                 (double)start * 100 / total, y + ROW - 5);
        svgtext_add_cut(&v->b, name, (unsigned)room);
        buf_adds(&v->b, "</text>");
    }
    buf_adds(&v->b, "</g>\n");
    flush(v);
}

/* The boxes of one node's run, at the place that its parent has for it. */
static void put_node(struct svg *v, uint32_t node)
{
    const struct stacks *s = v->m->stacks;
    const struct stack_node *n = &s->nodes[node];
    uint32_t depth = v->depth[n->parent];
    enum tint tint = v->tint[n->parent];

    v->start[node] = v->start[n->parent];
    v->start[n->parent] += n->total;
    if (n->total < v->threshold)
        return;
    for (uint32_t i = 0; i < n->frame_count; i++) {
        const struct model_frame *f = &v->m->frames[s->pool[n->frames + i]];
        char classes[16];

        tint = tint_next(tint, f);
        snprintf(classes, sizeof(classes), "%c%u%s", palette[hue_of(f, tint)].letter,
                 (unsigned)(hash_bytes(f->name, strlen(f->name), 0) % SHADES),
                 tint == TINT_WAKER && !tint_is_separator(f) ? " pale" : "");
        put_box(v, *f->name ? f->name : RENDER_NO_NAME, classes, depth + 1 + i, v->start[node],
                n->total);
    }
}

static void put_frames(struct svg *v)
{
    const struct stacks *s = v->m->stacks;

    buf_addf(&v->b, "<svg class=\"frames\" x=\"%d\" y=\"%d\" width=\"%d\"", MARGIN, TOP,
             WIDTH - 2 * MARGIN);
    buf_addf(&v->b, " height=\"%" PRIu64 "\" data-row=\"%d\" data-margin=\"%d\"",
             (uint64_t)v->rows * ROW, ROW, MARGIN);
    buf_addf(&v->b, " data-total=\"%" PRIu64 "\" data-icicle=\"%d\" data-unit=\"", s->total,
             v->o->icicle);
    svgtext_add(&v->b, model_unit(v->m));
    buf_adds(&v->b, "\">\n");
    if (s->total)
        put_box(v, "all", "all", 0, 0, s->total);
    for (uint32_t i = 1; s->total && i < s->node_count; i++)
        put_node(v, s->order[i]);
    buf_adds(&v->b, "</svg>\n");
}

static void put_legend(struct svg *v, uint64_t y)
{
    unsigned x = MARGIN;

    for (size_t kind = 0; kind < HUE_COUNT; kind++) {
        if (!v->hues[kind])
            continue;
        buf_addf(&v->b, "<rect class=\"%c4\" x=\"%u\" y=\"%" PRIu64 "\"", palette[kind].letter, x,
                 y - 10);
        buf_addf(&v->b, " width=\"11\" height=\"11\"/><text x=\"%u\" y=\"%" PRIu64 "\">%s</text>\n",
                 x + 16, y, palette[kind].legend);
        x += 32 + 7 * (unsigned)strlen(palette[kind].legend);
    }
    if (v->wakers)
        buf_addf(&v->b,
                 "<rect class=\"k4 pale\" x=\"%u\" y=\"%" PRIu64 "\" width=\"11\" "
                 "height=\"11\"/><text x=\"%u\" y=\"%" PRIu64 "\">paler: who woke it</text>\n",
                 x, y - 10, x + 16, y);
}

static void put_foot(struct svg *v)
{
    uint64_t y = TOP + (uint64_t)v->rows * ROW + BOTTOM - 10;

    buf_adds(&v->b, "<g class=\"foot\">\n");
    open_text(v, "details", LEFT, y - 20, " aria-live=\"polite\"");
    buf_addf(&v->b, "%s</text>\n", v->m->stacks->total ? "" : units_nothing(v->m));
    open_text(v, "matched", RIGHT, y - 20, AT_RIGHT " aria-live=\"polite\"");
    buf_adds(&v->b, "</text>\n");
    put_legend(v, y);
    if (v->left_out) {
        open_text(v, "left-out", RIGHT, y, AT_RIGHT);
        units_add_grouped(&v->b, v->left_out);
        buf_addf(&v->b, " frame%s too narrow to see (under %.2g px) left out</text>\n",
                 v->left_out == 1 ? "" : "s",
                 (double)v->threshold * (WIDTH - 2 * MARGIN) / (double)v->m->stacks->total);
    }
    buf_adds(&v->b, "</g>\n<script><![CDATA[\n");
    buf_adds(&v->b, flamegraph_js);
    buf_adds(&v->b, "]]></script>\n</svg>\n");
}

int render_svg(const struct model *m, const struct render_options *o, FILE *out)
{
    _cleanup_free_ uint64_t *start = calloc(m->stacks->node_count, sizeof(*start));
    _cleanup_free_ uint32_t *depth = calloc(m->stacks->node_count, sizeof(*depth));
    _cleanup_free_ uint8_t *tint = calloc(m->stacks->node_count, sizeof(*tint));
    struct svg v = {.m = m, .o = o, .out = out, .start = start, .depth = depth, .tint = tint};
    int r;

    if (!start || !depth || !tint)
        return -ENOMEM;
    choose_hues(&v);
    measure(&v);
    r = put_head(&v);
    if (r == 0) {
        put_frames(&v);
        put_foot(&v);
        flush(&v);
        r = buf_error(&v.b);
    }
    buf_free(&v.b);
    return r;
}
