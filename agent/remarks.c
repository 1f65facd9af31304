/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/remarks.h"

#include "base/text.h"
#include "nsresolve/arguments.h"
#include "nsresolve/attach.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIDS_SHOWN 3
#define GROUPS_MAX 16

typedef unsigned long long ull;

void remarks_free(struct remarks *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i]);
    r->count = 0;
}

void remarks_add(struct remarks *r, const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    if (r->count == REMARKS_MAX)
        return;
    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n >= 0)
        r->items[r->count++] = text;
}

/* ---- runtimes without names ---- */

/* What is missing, and what would help. */
enum lack {
    LACK_NOTHING,
    LACK_JAVA_FRAMES,
    LACK_JAVA_MAP,
    LACK_PYTHON_OLD,
    LACK_PYTHON_MAP,
    LACK_RUBY,
    LACK_NODE_MAP,
    LACK_PHP,
};

static const char *const lacks[] = {
    [LACK_JAVA_FRAMES] =
        "started without -XX:+PreserveFramePointer: stacks end at compiled code; start it so",
    [LACK_JAVA_MAP] = "its compiled code has no names: --java asks it for them",
    [LACK_PYTHON_OLD] = "its functions have no names: Python 3.12 or newer with -X perf gives them",
    [LACK_PYTHON_MAP] = "its functions have no names: start it with -X perf",
    [LACK_RUBY] = "its methods have no names: Ruby 3.3 or newer with --yjit-perf names those that "
                  "it compiles",
    [LACK_NODE_MAP] = "its JavaScript has no names: start it with --perf-basic-prof",
    [LACK_PHP] = "its functions have no names: they are interpreted",
};

static const char *const languages[LANGUAGE_COUNT] = {
    [LANGUAGE_JAVA] = "java", [LANGUAGE_PYTHON] = "python", [LANGUAGE_RUBY] = "ruby",
    [LANGUAGE_NODE] = "node", [LANGUAGE_PHP] = "php",
};

static enum lack python_lack(const struct scene_program *p)
{
    const struct language *l = &p->language;

    if (l->major && (l->major < 3 || (l->major == 3 && l->minor && l->minor < 12)))
        return LACK_PYTHON_OLD;
    return p->arguments & ARGUMENT_PYTHON_MAP ? LACK_NOTHING : LACK_PYTHON_MAP;
}

/* What a program lacks for names; frames: for whole stacks. */
static enum lack find_lack(const struct scene_program *p, bool frames)
{
    if (!p->sampled || (frames && p->language.kind != LANGUAGE_JAVA))
        return LACK_NOTHING;
    if (frames)
        return p->arguments_known && !(p->arguments & ARGUMENT_FRAME_POINTERS) ? LACK_JAVA_FRAMES
                                                                               : LACK_NOTHING;
    if (p->methods)
        return LACK_NOTHING;
    switch (p->language.kind) {
    case LANGUAGE_JAVA:
        return p->made_code && !p->asked ? LACK_JAVA_MAP : LACK_NOTHING;
    case LANGUAGE_PYTHON:
        return python_lack(p);
    case LANGUAGE_RUBY:
        return p->arguments & ARGUMENT_RUBY_MAP ? LACK_NOTHING : LACK_RUBY;
    case LANGUAGE_NODE:
        return p->made_code && !(p->arguments & ARGUMENT_NODE_MAP) ? LACK_NODE_MAP : LACK_NOTHING;
    case LANGUAGE_PHP:
        return LACK_PHP;
    default:
        return LACK_NOTHING;
    }
}

/* Programs of one language and version that lack the same. */
struct group {
    struct language language;
    enum lack lack;
    uint32_t pids[PIDS_SHOWN];
    size_t count;
};

struct groups {
    struct group items[GROUPS_MAX];
    size_t count;
};

static void add_to_group(struct groups *groups, const struct scene_program *p, enum lack lack)
{
    struct group *g = groups->items, *end = g + groups->count;

    while (g < end &&
           (g->lack != lack || g->language.kind != p->language.kind ||
            g->language.major != p->language.major || g->language.minor != p->language.minor))
        g++;
    if (g == end) {
        if (groups->count == GROUPS_MAX)
            return;
        groups->count++;
        *g = (struct group){.language = p->language, .lack = lack};
    }
    if (g->count < PIDS_SHOWN)
        g->pids[g->count] = p->ns_tgid ? p->ns_tgid : p->tgid;
    g->count++;
}

/* "python 3.11 (pids 7, 8, 9 and 12 more)" */
static void add_group(struct remarks *r, const struct group *g, bool may_attach)
{
    _cleanup_buf_ struct buf b = {0};

    buf_adds(&b, languages[g->language.kind]);
    if (g->language.major)
        buf_addf(&b, " %u", g->language.major);
    if (g->language.minor)
        buf_addf(&b, ".%u", g->language.minor);
    buf_addf(&b, " (pid%s", g->count > 1 ? "s" : "");
    for (size_t i = 0; i < MIN(g->count, (size_t)PIDS_SHOWN); i++)
        buf_addf(&b, "%s%u", i ? ", " : " ", g->pids[i]);
    if (g->count > PIDS_SHOWN)
        buf_addf(&b, " and %zu more", g->count - PIDS_SHOWN);
    buf_addc(&b, ')');
    if (buf_error(&b) == 0)
        remarks_add(r, "%s: %s%s", b.data, lacks[g->lack],
                    g->lack == LACK_JAVA_MAP && !may_attach
                        ? ", once the agent's configuration says 'java = yes'"
                        : "");
}

/* ---- JVMs that were asked ---- */

/* Whether it came to words, or the guards said no before. */
static bool was_spoken_to(const struct scene_program *p)
{
    switch (p->attached.outcome) {
    case ATTACH_DONE:
    case ATTACH_NO_ANSWER:
    case ATTACH_REFUSED:
    case ATTACH_TOO_MUCH:
        return true;
    default:
        return p->signalled;
    }
}

static const char *failure(const struct scene_program *p)
{
    switch (p->attach_status) {
    case WIRE_OK:
        return attach_outcome_text(p->attached.outcome);
    case WIRE_TIMEOUT:
        return "it was not done in time";
    case WIRE_BREAKER:
        return "too many requests hang already";
    default:
        return "the attacher failed";
    }
}

/* 3214 as "3,214". */
static void add_count(struct buf *b, uint64_t n)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (ull)n);

    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            buf_addc(b, ',');
        buf_addc(b, digits[i]);
    }
}

static void add_asked(struct remarks *r, const struct scene_program *p)
{
    _cleanup_buf_ struct buf b = {0};
    bool done = p->attach_status == WIRE_OK && p->attached.outcome == ATTACH_DONE;

    if (!done && p->attach_status == WIRE_OK && !was_spoken_to(p)) {
        remarks_add(r, "java: pid %u (host %u) was not asked for its perf map: %s%s%s", p->ns_tgid,
                    p->tgid, failure(p), p->attached.error ? ": " : "",
                    p->attached.error ? strerror(p->attached.error) : "");
        return;
    }
    buf_addf(&b, "java: asked pid %u (host %u) for its perf map: ", p->ns_tgid, p->tgid);
    if (done && p->methods) {
        add_count(&b, p->methods);
        buf_adds(&b, " methods");
    } else {
        buf_adds(&b, done ? "done, but no sample needed it or it could not be read" : failure(p));
    }
    if (buf_error(&b) == 0)
        remarks_add(r, "%s", b.data);
}

void remarks_add_programs(struct remarks *r, struct scene *s, bool may_attach)
{
    struct groups groups = {.count = 0};
    const struct scene_program *p;
    struct program *cursor = NULL;

    while ((p = scene_next_program(s, &cursor))) {
        enum lack frames = find_lack(p, true), names = find_lack(p, false);

        if (p->asked)
            add_asked(r, p);
        if (frames != LACK_NOTHING)
            add_to_group(&groups, p, frames);
        if (names != LACK_NOTHING)
            add_to_group(&groups, p, names);
    }
    for (size_t i = 0; i < groups.count; i++)
        add_group(r, &groups.items[i], may_attach);
}

void remarks_write_attached(struct scene *s, struct buf *out)
{
    const struct scene_program *p;
    struct program *cursor = NULL;
    bool first = true;

    buf_addc(out, '[');
    while ((p = scene_next_program(s, &cursor))) {
        bool answered = p->attach_status == WIRE_OK;
        bool done = answered && p->attached.outcome == ATTACH_DONE;

        if (!p->asked)
            continue;
        buf_addf(out, "%s{\"pid\":%u,\"host_pid\":%u,\"times\":%u,\"signalled\":%s,\"done\":%s",
                 first ? "" : ",", p->ns_tgid, p->tgid, p->asked, p->signalled ? "true" : "false",
                 done ? "true" : "false");
        if (done)
            buf_addf(out, ",\"methods\":%llu", (ull)p->methods);
        if (!done) {
            buf_adds(out, ",\"reason\":");
            text_add_json(out, failure(p));
        }
        if (answered && p->attached.error) {
            buf_adds(out, ",\"error\":");
            text_add_json(out, strerror(p->attached.error));
        }
        buf_addc(out, '}');
        first = false;
    }
    buf_addc(out, ']');
}
