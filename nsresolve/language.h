/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which language's runtime a mapped file is, by its name alone: libjvm.so, python3.11, node.
 *
 * A hint for remarks and for whom to ask, never proof of anything: a container names its files as
 * it likes.
 */
#pragma once

#include <stdbool.h>

enum language_kind {
    LANGUAGE_NONE,
    LANGUAGE_JAVA,
    LANGUAGE_PYTHON,
    LANGUAGE_RUBY,
    LANGUAGE_NODE,
    LANGUAGE_PHP,
    LANGUAGE_COUNT,
};

struct language {
    enum language_kind kind;
    unsigned major, minor; /* of Python and Ruby, where the name tells; else 0 */
};

/* False and *ret untouched: no runtime that we know. */
bool language_of_file(const char *path, struct language *ret);
