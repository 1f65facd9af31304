/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/target_match.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define QUOTE_MAX 128
#define ID_PREFIX_MIN 4
#define NEAREST_MAX 3
#define DISTANCE_CHARS 48

/* What of a container is compared with the word, in the order in which it decides. */
enum way { BY_NAME, BY_POD_AND_NAME, BY_POD, BY_ID_PREFIX, WAY_COUNT };

struct wanted {
    const char *word; /* without the runtime */
    bool has_runtime;
    enum runtime runtime;
};

void target_quote(struct buf *b, const char *word)
{
    struct buf cut = {0};

    text_add_utf8(&cut, word, strlen(word), QUOTE_MAX);
    if (cut.data)
        text_add_terminal(b, cut.data);
    buf_free(&cut);
}

void candidates_clear(struct candidates *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->items[i]);
    *c = (struct candidates){0};
}

/* Takes the buffer's text. */
static void add_candidate(struct candidates *c, struct buf *word)
{
    if (!c || c->count >= TARGET_CANDIDATES_MAX || buf_error(word) < 0 || !word->data) {
        buf_free(word);
        return;
    }
    c->items[c->count++] = word->data;
    *word = (struct buf){0};
}

/* "pod/name" or "namespace/pod/name". */
static bool pod_matches(const struct container *c, const char *word)
{
    size_t pod, namespace;

    if (!c->pod)
        return false;
    if (c->namespace) {
        namespace = strlen(c->namespace);
        if (strncmp(word, c->namespace, namespace) == 0 && word[namespace] == '/') {
            const char *rest = word + namespace + 1;

            pod = strlen(c->pod);
            if (strncmp(rest, c->pod, pod) == 0 && rest[pod] == '/' &&
                strcmp(rest + pod + 1, c->name) == 0)
                return true;
        }
    }
    pod = strlen(c->pod);
    return strncmp(word, c->pod, pod) == 0 && word[pod] == '/' &&
           strcmp(word + pod + 1, c->name) == 0;
}

static bool matches(const struct container *c, const struct wanted *w, enum way way)
{
    if (w->has_runtime && c->runtime != w->runtime)
        return false;
    switch (way) {
    case BY_NAME:
        return strcmp(c->id, w->word) == 0 || (!c->sandbox && strcmp(c->name, w->word) == 0);
    case BY_POD_AND_NAME:
        return !c->sandbox && pod_matches(c, w->word);
    case BY_POD:
        return !c->sandbox && c->pod && strcmp(c->pod, w->word) == 0;
    case BY_ID_PREFIX:
        return strlen(w->word) >= ID_PREFIX_MIN && strncmp(c->id, w->word, strlen(w->word)) == 0;
    default:
        return false;
    }
}

/* Words for all containers that match this way; how many, and the last of them. */
static size_t collect(const struct containers *cs, const struct wanted *w, enum way way,
                      const struct container **found, struct candidates *candidates)
{
    size_t count, hits = 0;
    const struct container *all = containers_all(cs, &count);

    for (size_t i = 0; i < count; i++) {
        struct buf word = {0};

        if (!matches(&all[i], w, way))
            continue;
        hits++;
        *found = &all[i];
        containers_add_word(cs, &all[i], &word);
        add_candidate(candidates, &word);
    }
    return hits;
}

static void add_list(struct buf *b, const struct candidates *c)
{
    for (size_t i = 0; i < c->count; i++) {
        buf_adds(b, i > 0 ? ", " : "");
        target_quote(b, c->items[i]);
    }
}

static int ambiguous(const char *word, size_t hits, const struct candidates *c, struct err *e)
{
    _cleanup_buf_ struct buf quoted = {0}, list = {0};
    int r;

    target_quote(&quoted, word);
    add_list(&list, c);
    r = err_set(e, ERR_TARGET_AMBIGUOUS, "'%s' fits %zu containers", quoted.data ? quoted.data : "",
                hits);
    err_remedy(e, "say which: %s%s", list.data ? list.data : "", hits > c->count ? ", …" : "");
    return r;
}

/* Edits (insert, delete, replace a byte, swap neighbours) between two words, cut to some length. */
static unsigned distance(const char *a, const char *b)
{
    size_t n = MIN(strlen(a), (size_t)DISTANCE_CHARS), m = MIN(strlen(b), (size_t)DISTANCE_CHARS);
    unsigned rows[3][DISTANCE_CHARS + 1], *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t k = 0; k <= m; k++)
        last[k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        unsigned *free_row = before;

        now[0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            now[k] = MIN(last[k], now[k - 1]) + 1;
            now[k] = MIN(now[k], last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                now[k] = MIN(now[k], before[k - 2] + 1);
        }
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

/* The word's runtime is dropped: the name may exist elsewhere. */
static void nearest(const struct containers *cs, const char *word, struct candidates *ret)
{
    size_t count;
    const struct container *all = containers_all(cs, &count), *best[NEAREST_MAX] = {0};
    unsigned distances[NEAREST_MAX];

    for (size_t i = 0; i < count; i++) {
        const struct container *c = &all[i];
        unsigned d = distance(word, c->name);
        size_t at = NEAREST_MAX;

        if (c->sandbox)
            continue;
        if (c->pod)
            d = MIN(d, distance(word, c->pod));
        while (at > 0 && (!best[at - 1] || d < distances[at - 1])) {
            at--;
            if (at + 1 < NEAREST_MAX) {
                best[at + 1] = best[at];
                distances[at + 1] = distances[at];
            }
        }
        if (at < NEAREST_MAX) {
            best[at] = c;
            distances[at] = d;
        }
    }
    for (size_t i = 0; i < NEAREST_MAX && best[i]; i++) {
        struct buf name = {0};

        containers_add_word(cs, best[i], &name);
        add_candidate(ret, &name);
    }
}

static int unknown(const struct containers *cs, const struct wanted *w, const char *word,
                   struct candidates *candidates, struct err *e)
{
    _cleanup_buf_ struct buf quoted = {0}, list = {0};
    int r;

    target_quote(&quoted, word);
    nearest(cs, w->word, candidates);
    add_list(&list, candidates);
    if (candidates->count > 0) {
        r = err_set(e, ERR_TARGET_UNKNOWN, "no container '%s'; the nearest: %s",
                    quoted.data ? quoted.data : "", list.data ? list.data : "");
        err_remedy(e, "porthole list shows all of them");
    } else {
        r = err_set(e, ERR_TARGET_UNKNOWN, "no container '%s': no containers are running",
                    quoted.data ? quoted.data : "");
        err_remedy(e, "start it, or take pid:123, unit:NAME, cgroup:/path or all");
    }
    return r;
}

int target_match(const struct containers *cs, const char *word, const struct container **ret,
                 struct err *e, struct candidates *candidates)
{
    _cleanup_(candidates_clear) struct candidates own = {0};
    const char *colon = strchr(word, ':');
    struct wanted w = {.word = word};
    const struct container *found = NULL;

    if (colon && runtime_from_name(word, (size_t)(colon - word), &w.runtime)) {
        w.has_runtime = true;
        w.word = colon + 1;
    }
    if (!candidates)
        candidates = &own;
    for (enum way way = 0; way < WAY_COUNT; way++) {
        size_t hits = *w.word ? collect(cs, &w, way, &found, candidates) : 0;

        if (hits > 1)
            return ambiguous(word, hits, candidates, e);
        if (hits == 1) {
            candidates_clear(candidates);
            *ret = found;
            return 0;
        }
    }
    return unknown(cs, &w, word, candidates, e);
}
