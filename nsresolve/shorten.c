/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/shorten.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

/* Reads and writes the same bytes: what is written never overtakes what was read, so that at is
 * always moved first. */
struct text {
    const char *at, *end;
    char *out;
    size_t used;
};

static void put(struct text *t, const char *data, size_t size)
{
    size = MIN(size, (size_t)(t->at - t->out) - t->used);
    memmove(t->out + t->used, data, size);
    t->used += size;
}

static void put_string(struct text *t, const char *string)
{
    put(t, string, strlen(string));
}

/* Copies size bytes. */
static void pass(struct text *t, size_t size)
{
    const char *from = t->at;

    t->at += MIN(size, (size_t)(t->end - t->at));
    put(t, from, (size_t)(t->at - from));
}

static bool is_next(const struct text *t, const char *what)
{
    size_t size = strlen(what);

    return (size_t)(t->end - t->at) >= size && memcmp(t->at, what, size) == 0;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool ends_with(const struct text *t, const char *what)
{
    size_t size = strlen(what);

    return t->used >= size && memcmp(t->out + t->used - size, what, size) == 0;
}

/* Passes over what stands between open and its close, both included. */
static void skip_balanced(struct text *t, char open, char close)
{
    size_t depth = 0;

    while (t->at < t->end) {
        char c = *t->at++;

        depth += c == open;
        if (c == close && --depth == 0)
            return;
    }
}

static void copy_balanced(struct text *t, char open, char close)
{
    const char *from = t->at;

    skip_balanced(t, open, close);
    put(t, from, (size_t)(t->at - from));
}

/* Takes spaces off the end of what was written from start on. */
static void trim(struct text *t, size_t start)
{
    while (t->used > start && t->out[t->used - 1] == ' ')
        t->used--;
}

/* Ends the list that was written from start on. */
static void close_list(struct text *t, size_t start)
{
    if (t->used <= start + SHORTEN_LIST_MAX)
        return;
    t->used = start;
    put_string(t, "<" ELLIPSIS ">");
}

/* ---- C++ ---- */

static void cpp_part(struct text *t, unsigned depth);

/* Template arguments that say what is meant anyway. */
static bool is_default(const struct text *t, size_t start)
{
    static const char *const names[] = {"std::allocator<", "std::char_traits<",
                                        "std::less<",      "std::hash<",
                                        "std::equal_to<",  "std::default_delete<"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (t->used >= start + strlen(names[i]) &&
            memcmp(t->out + start, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void cpp_alias(struct text *t)
{
    static const char *const names[][2] = {
        {"std::basic_string<char>", "std::string"},
        {"std::basic_string<wchar_t>", "std::wstring"},
        {"std::basic_string_view<char>", "std::string_view"},
        {"std::basic_ostream<char>", "std::ostream"},
        {"std::basic_istream<char>", "std::istream"},
        {"std::basic_iostream<char>", "std::iostream"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!ends_with(t, names[i][0]))
            continue;
        t->used -= strlen(names[i][0]);
        put_string(t, names[i][1]);
        return;
    }
}

static void cpp_list(struct text *t, unsigned depth)
{
    size_t start = t->used, mark;

    if (depth >= SHORTEN_DEPTH_MAX) {
        skip_balanced(t, '<', '>');
        put_string(t, "<>");
        return;
    }
    for (bool first = true; t->at < t->end && *t->at != '>'; first = false) {
        size_t from;

        mark = t->used;
        pass(t, 1); /* "<" or "," */
        while (t->at < t->end && *t->at == ' ')
            t->at++;
        if (!first)
            put_string(t, " ");
        from = t->used;
        cpp_part(t, depth + 1);
        trim(t, from);
        if (!first && is_default(t, from))
            t->used = mark;
    }
    pass(t, 1);
    close_list(t, start);
    cpp_alias(t);
}

/* Behind "operator": the signs that would otherwise open or close something. */
static void cpp_operator(struct text *t)
{
    static const char *const signs[] = {"()", "[]", "->*", "->", "<=>", "<<=", "<<",
                                        "<=", "<",  ">>=", ">>", ">=",  ">",   ","};

    pass(t, strlen("operator"));
    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (is_next(t, signs[i])) {
            pass(t, strlen(signs[i]));
            return;
        }
}

static void cpp_parameters(struct text *t)
{
    static const char *const behind[] = {" const", " volatile", " &&", " &", "&&", "&"};

    skip_balanced(t, '(', ')');
    for (size_t i = 0; i < ARRAY_SIZE(behind); i++)
        if (is_next(t, behind[i]))
            t->at += strlen(behind[i]);
}

static bool starts_word(const struct text *t)
{
    return t->used == 0 || !is_word(t->out[t->used - 1]);
}

/* Something that is no plain byte. */
static bool cpp_special(struct text *t, unsigned depth)
{
    static const char *const renamed[][2] = {{"(anonymous namespace)", "(anonymous)"},
                                             {"std::__cxx11::", "std::"},
                                             {"std::__1::", "std::"}};

    for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
        if (is_next(t, renamed[i][0])) {
            t->at += strlen(renamed[i][0]);
            put_string(t, renamed[i][1]);
            return true;
        }
    if (is_next(t, "[abi:")) {
        skip_balanced(t, '[', ']');
    } else if (is_next(t, "{lambda(")) {
        pass(t, strlen("{lambda"));
        skip_balanced(t, '(', ')');
    } else if (is_next(t, "operator") && starts_word(t)) {
        cpp_operator(t);
    } else if (*t->at == '<') {
        cpp_list(t, depth);
    } else if (*t->at == '(' && depth == 0) {
        cpp_parameters(t);
    } else if (*t->at == '(') {
        copy_balanced(t, '(', ')');
    } else {
        return false;
    }
    return true;
}

/* Up to the end, or to the end of a template argument. */
static void cpp_part(struct text *t, unsigned depth)
{
    while (t->at < t->end && !(depth && (*t->at == '>' || *t->at == ',')))
        if (!cpp_special(t, depth))
            pass(t, 1);
}

/* ---- Rust ---- */

static void rust_part(struct text *t, unsigned depth);

static void rust_list(struct text *t, unsigned depth)
{
    size_t start = t->used;
    char before = start ? t->out[start - 1] : ' ';
    bool is_list = is_word(before) || (before == ':' && !is_next(t, "<impl "));

    if (depth >= SHORTEN_DEPTH_MAX) {
        skip_balanced(t, '<', '>');
        put_string(t, "<>");
        return;
    }
    pass(t, 1);
    rust_part(t, depth + 1);
    pass(t, 1);
    if (is_list) /* not "<T as Trait>" */
        close_list(t, start);
}

/* Within angle brackets a path is its last element. */
static void rust_part(struct text *t, unsigned depth)
{
    size_t path = t->used;

    while (t->at < t->end && !(depth && *t->at == '>')) {
        if (*t->at == '<') {
            rust_list(t, depth);
        } else if (is_next(t, "->")) {
            pass(t, 2);
        } else if (depth && is_next(t, "::") && !is_next(t, "::<")) {
            t->at += 2;
            t->used = path;
        } else if (is_next(t, "{{closure}}")) {
            t->at += strlen("{{closure}}");
            put_string(t, "{closure}");
        } else {
            bool ends_path = !is_word(*t->at) && *t->at != ':' && *t->at != '{' && *t->at != '#';

            pass(t, 1);
            if (ends_path)
                path = t->used;
        }
    }
}

/* ---- Go ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte that "%2e" stands for, where it can be shown; 0 otherwise. */
static char go_escaped(const struct text *t)
{
    int high, low;

    if (t->end - t->at < 3 || *t->at != '%')
        return 0;
    high = hex_digit(t->at[1]);
    low = hex_digit(t->at[2]);
    if (high < 2 || high > 7 || low < 0 || (high == 7 && low == 15))
        return 0;
    return (char)(high * 16 + low);
}

size_t shorten_decode_go(char *text, size_t size)
{
    static const char *const endings[] = {".abi0", ".abiinternal"};
    struct text t = {.at = text, .end = text + size, .out = text};

    while (t.at < t.end) {
        char c = go_escaped(&t);

        if (c) {
            t.at += 3;
            put(&t, &c, 1);
        } else if (is_next(&t, "\xc2\xb7")) { /* · */
            t.at += 2;
            put_string(&t, ".");
        } else if (is_next(&t, "\xe2\x88\x95")) { /* the slash of assembler files */
            t.at += 3;
            put_string(&t, "/");
        } else {
            pass(&t, 1);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (ends_with(&t, endings[i]))
            t.used -= strlen(endings[i]);
    text[t.used] = '\0';
    return t.used;
}

/* "v2" and the like: no package is called so. */
static bool is_version(const char *from, const char *end)
{
    if (from == end || *from++ != 'v' || from == end)
        return false;
    while (from < end && isdigit((unsigned char)*from))
        from++;
    return from == end;
}

/* Goes to the package's name in a path that ends before any other sign. */
static void go_package(struct text *t)
{
    const char *name = t->at, *before = NULL, *stop = t->at, *dot;

    while (stop < t->end && !strchr("([{ *", *stop)) {
        if (*stop++ != '/')
            continue;
        before = name;
        name = stop;
    }
    dot = memchr(name, '.', (size_t)(stop - name));
    if (before && dot && is_version(name, dot)) {
        t->at = dot;
        put(t, before, (size_t)(name - 1 - before));
    } else {
        t->at = name;
    }
}

/* Type arguments; an array's length is none. */
static void go_brackets(struct text *t)
{
    const char *from = t->at++;

    while (t->at < t->end && isdigit((unsigned char)*t->at))
        t->at++;
    if (t->at < t->end && *t->at == ']') {
        t->at++;
        put(t, from, (size_t)(t->at - from));
        return;
    }
    t->at = from;
    skip_balanced(t, '[', ']');
    if ((size_t)(t->at - from) >= strlen("[" ELLIPSIS "]"))
        put_string(t, "[" ELLIPSIS "]");
    else
        put(t, from, (size_t)(t->at - from));
}

static void go_name(struct text *t)
{
    static const char *const made[] = {"type:.eq.", "type:.hash.", "type..eq.", "type..hash."};

    for (size_t i = 0; i < ARRAY_SIZE(made); i++)
        if (is_next(t, made[i]))
            pass(t, strlen(made[i]));
    go_package(t);
    while (t->at < t->end) {
        if (*t->at == '[')
            go_brackets(t);
        else
            pass(t, 1);
    }
}

/* ---- all ---- */

size_t shorten_name(enum demangle_language language, char *text, size_t size)
{
    struct text t = {.at = text, .end = text + size, .out = text};

    switch (language) {
    case DEMANGLE_CPP:
        cpp_part(&t, 0);
        break;
    case DEMANGLE_RUST:
        rust_part(&t, 0);
        break;
    case DEMANGLE_GO:
        go_name(&t);
        break;
    default:
        return size;
    }
    text[t.used] = '\0';
    return t.used;
}

/* Words that compilers append, and whether a reader wants to know. */
static const struct {
    const char *word;
    bool is_shown;
} suffixes[] = {
    {"isra", true},  {"constprop", true}, {"part", true},        {"cold", true},
    {"clone", true}, {"resolver", true},  {"llvm", false},       {"lto_priv", false},
    {"uniq", false}, {"__uniq", false},   {"localalias", false}, {"warm", false},
};

/* Takes ".word" and the numbers behind it. Returns how much, or 0. */
static size_t take_suffix(const char *at, const char *end, char shown[SHORTEN_SUFFIX_MAX])
{
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        size_t size = strlen(suffixes[i].word);
        const char *p = at + 1 + size;

        if ((size_t)(end - at) < 1 + size || memcmp(at + 1, suffixes[i].word, size) != 0 ||
            (p < end && *p != '.'))
            continue;
        if (suffixes[i].is_shown && strlen(shown) + 1 + size < SHORTEN_SUFFIX_MAX) {
            strcat(shown, ".");
            strcat(shown, suffixes[i].word);
        }
        while (end - p >= 2 && p[0] == '.' && isdigit((unsigned char)p[1]))
            for (p++; p < end && isdigit((unsigned char)*p);)
                p++;
        return (size_t)(p - at);
    }
    return 0;
}

size_t shorten_suffix(const char *symbol, size_t size, char shown[SHORTEN_SUFFIX_MAX])
{
    const char *end = symbol + size, *dot = size ? symbol + 1 : end;

    for (; dot < end && (dot = memchr(dot, '.', (size_t)(end - dot))); dot++) {
        const char *at = dot;
        size_t taken;

        shown[0] = '\0';
        while (at < end && *at == '.' && (taken = take_suffix(at, end, shown)))
            at += taken;
        if (at == end)
            return (size_t)(dot - symbol);
    }
    shown[0] = '\0';
    return size;
}
