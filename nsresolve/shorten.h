/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as people want to read them in a graph: the rules by which demangled ones are cut short.
 *
 * C++: no parameters, default template arguments or ABI tags; std::string by that name; template
 * arguments beyond SHORTEN_LIST_MAX bytes are "<…>". Rust: likewise, and paths within angle
 * brackets are their last element. Go: the package without the path to it, type arguments "[…]".
 * What a compiler appends to a part or a variant of a function stays as its word: "f.cold".
 *
 * Runs in the parser (demangle.c), since names are a container's bytes. Time and memory are linear
 * in the name's length, nesting is bounded. Never fails: what is not understood passes.
 */
#pragma once

#include "nsresolve/demangle.h"

#define SHORTEN_LIST_MAX 40 /* bytes of "<…>" with what is in it */
#define SHORTEN_DEPTH_MAX 32

/* Rewrites the name in text (size bytes, NUL-terminated), which never grows. Returns its new size.
 */
size_t shorten_name(enum demangle_language language, char *text, size_t size);

/* Go's way to write names of files and packages, undone: "%2e" and the like. As above. */
size_t shorten_decode_go(char *text, size_t size);

/* Where in a symbol what the compiler appended starts, as in "f.isra.0"; its size when nothing is.
 * shown gets what of it is shown (".isra"), NUL-terminated. */
#define SHORTEN_SUFFIX_MAX 64
size_t shorten_suffix(const char *symbol, size_t size, char shown[SHORTEN_SUFFIX_MAX]);
