/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of resolve.h for code of the kernel that comes and goes: what of it was sampled, what it
 * is called, and which of it is our own.
 */
#include "nsresolve/scene.h"

#include <string.h>

#define TAG_DIGITS (2 * RESOLVER_TAG_SIZE)
#define PREFIX "bpf_prog_" /* then the tag, '_' and the function's name */

void resolver_own_program(struct resolver *r, const uint8_t tag[RESOLVER_TAG_SIZE])
{
    char text[TAG_DIGITS + 1];

    for (size_t i = 0; i < RESOLVER_TAG_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", tag[i]);
    for (size_t i = 0; i < r->own_count; i++)
        if (strcmp(r->own_tags[i], text) == 0)
            return;
    if (r->own_count < ARRAY_SIZE(r->own_tags))
        memcpy(r->own_tags[r->own_count++], text, sizeof(text));
}

int scene_follow_ksymbols(struct scene *s)
{
    return s->ksymbols ? 0 : ksymbols_new(&s->ksymbols);
}

void scene_ksymbol(struct scene *s, uint64_t start, uint64_t size, const char *name)
{
    if (s->ksymbols)
        ksymbols_add(s->ksymbols, start, size, name);
}

void scene_ksymbols_missed(struct scene *s)
{
    if (s->ksymbols)
        ksymbols_distrust(s->ksymbols);
}

/* Reading kallsyms takes tens of milliseconds: only for captures that sampled such code. */
void scene_look_at_ksymbols(struct scene *s)
{
    struct kernel *k = s->resolver->kernel;
    struct kernel_symbol symbol;
    bool was_read = false;

    if (!s->ksymbols || !kernel_has_symbols(k))
        return;
    for (uint32_t i = 0; i < s->location_count; i++) {
        const struct location *l = &s->locations[i];

        if (l->kind != LOCATION_KERNEL || kernel_find(k, l->address, &symbol))
            continue;
        if (!was_read && kernel_read(k) < 0)
            return;
        was_read = true;
        if (kernel_find_passing(k, l->address, &symbol))
            ksymbols_add(s->ksymbols, symbol.start, symbol.size, symbol.name);
    }
}

/* The function's name of a program of ours, or NULL. */
static const char *own_name(const struct resolver *r, const char *name)
{
    const char *tag = name + strlen(PREFIX);

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strnlen(tag, TAG_DIGITS + 2) < TAG_DIGITS + 2)
        return NULL;
    for (size_t i = 0; i < r->own_count; i++)
        if (memcmp(tag, r->own_tags[i], TAG_DIGITS) == 0 && tag[TAG_DIGITS] == '_')
            return tag + TAG_DIGITS + 1;
    return NULL;
}

enum ksymbols_answer passing_name(const struct scene *s, uint64_t address, struct buf *name,
                                  struct frame *f)
{
    enum ksymbols_answer answer;
    const char *found, *own;

    answer = ksymbols_find(s->ksymbols, address, &found, &f->address);
    if (answer != KSYMBOLS_ONE)
        return answer;
    own = own_name(s->resolver, found);
    buf_addf(name, "%s%s", own ? "porthole:" : "", own ? own : found);
    f->file = strncmp(found, "bpf_", 4) == 0 ? "[bpf]" : "[kernel]";
    return answer;
}
