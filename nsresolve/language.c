/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/language.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <string.h>

#define VERSION_MAX 999u

/* A name is the prefix, then a version such as "3.11" or nothing, then one of the endings. */
static const struct {
    const char *prefix;
    enum language_kind kind;
    bool is_shared; /* ends with ".so" and more versions; programs end there */
} names[] = {
    {"libjvm", LANGUAGE_JAVA, true},    {"libpython", LANGUAGE_PYTHON, true},
    {"python", LANGUAGE_PYTHON, false}, {"libruby-", LANGUAGE_RUBY, true},
    {"libruby", LANGUAGE_RUBY, true},   {"ruby", LANGUAGE_RUBY, false},
    {"libnode", LANGUAGE_NODE, true},   {"nodejs", LANGUAGE_NODE, false},
    {"node", LANGUAGE_NODE, false},     {"libphp", LANGUAGE_PHP, true},
    {"php-fpm", LANGUAGE_PHP, false},   {"php", LANGUAGE_PHP, false},
};

static unsigned take_number(const char **at)
{
    unsigned n = 0;

    while (**at >= '0' && **at <= '9' && n <= VERSION_MAX)
        n = n * 10 + (unsigned)(*(*at)++ - '0');
    return n;
}

/* The version at *at, and behind it. */
static void take_version(const char **at, struct language *l)
{
    l->major = take_number(at);
    if (l->major && **at == '.' && (*at)[1] >= '0' && (*at)[1] <= '9') {
        (*at)++;
        l->minor = take_number(at);
    }
}

bool language_of_file(const char *path, struct language *ret)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *at = base + strlen(names[i].prefix);
        struct language l = {.kind = names[i].kind};

        if (strncmp(base, names[i].prefix, strlen(names[i].prefix)) != 0)
            continue;
        take_version(&at, &l);
        if (names[i].is_shared && strncmp(at, ".so", 3) == 0) {
            at += 3;
            at += *at == '.';
            if (!l.major)
                take_version(&at, &l);
        } else if (names[i].is_shared || (*at && strcmp(at, " (deleted)") != 0)) {
            continue;
        }
        *ret = l;
        return true;
    }
    return false;
}
