/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <errno.h>
#include <string.h>

#define NS_PER_SECOND 1000000000ull

int parse_number(const char *word, const char *what, uint64_t min, uint64_t max, uint64_t *ret,
                 struct err *e)
{
    uint64_t n = 0;
    const char *p = word;
    bool overflow = false;

    for (; *p >= '0' && *p <= '9'; p++)
        overflow |= __builtin_mul_overflow(n, 10u, &n) ||
                    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    if (p == word || *p || overflow || n < min || n > max)
        return err_set(e, ERR_USAGE,
                       "'%.64s' is not a valid %s: give a whole number from %llu to %llu", word,
                       what, (unsigned long long)min, (unsigned long long)max);
    *ret = n;
    return 0;
}

/* Decimal seconds such as 10, 0.5 or 2.25 to nanoseconds, without floating point. */
static int parse_seconds(const char *word, const char *what, uint64_t min, uint64_t max,
                         uint64_t *ret, struct err *e)
{
    uint64_t whole = 0, part = 0, unit = NS_PER_SECOND;
    const char *p = word;
    bool digits = false, bad = false;

    for (; *p >= '0' && *p <= '9'; p++, digits = true)
        bad |= __builtin_mul_overflow(whole, 10u, &whole) ||
               __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole);
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
            unit /= 10;
            part += unit * (uint64_t)(*p - '0');
        }
    bad |= __builtin_mul_overflow(whole, NS_PER_SECOND, &whole);
    bad |= __builtin_add_overflow(whole, part, &whole);
    if (!digits || *p || bad || whole < min || whole > max)
        return err_set(e, ERR_USAGE, "'%.64s' is not a valid %s: give seconds from %g to %g", word,
                       what, (double)min / 1e9, (double)max / 1e9);
    *ret = whole;
    return 0;
}

static int parse_choice(const struct option_spec *s, const char *word, struct err *e)
{
    size_t n = strlen(word);

    for (const char *c = s->choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (n && strncmp(c, word, n) == 0 && (c[n] == '|' || c[n] == '\0')) {
            *(const char **)s->into = word;
            return 0;
        }
    return err_set(e, ERR_USAGE, "'%.64s' is not a valid --%s: give one of %s", word, s->name,
                   s->choices);
}

static int store(const struct option_spec *s, const char *value, struct err *e)
{
    char what[64];

    snprintf(what, sizeof(what), "--%s", s->name);
    switch (s->kind) {
    case OPTION_FLAG:
        *(bool *)s->into = true;
        return 0;
    case OPTION_STRING:
        if (!*value)
            return err_set(e, ERR_USAGE, "--%s needs a value that is not empty", s->name);
        *(const char **)s->into = value;
        return 0;
    case OPTION_NUMBER:
        return parse_number(value, what, s->min, s->max, s->into, e);
    case OPTION_SECONDS:
        return parse_seconds(value, what, s->min, s->max, s->into, e);
    case OPTION_CHOICE:
        return parse_choice(s, value, e);
    }
    return -EINVAL;
}

static const struct option_spec *find_long(const struct option_spec *specs, const char *word,
                                           size_t n)
{
    for (; specs->name; specs++)
        if (strlen(specs->name) == n && strncmp(specs->name, word, n) == 0)
            return specs;
    return NULL;
}

static const struct option_spec *find_short(const struct option_spec *specs, char c)
{
    for (; specs->name; specs++)
        if (specs->short_name == c)
            return specs;
    return NULL;
}

static int unknown(const char *word, struct err *e)
{
    err_set(e, ERR_USAGE, "unknown option '%.64s'", word);
    err_remedy(e, "see --help for the options");
    return -EINVAL;
}

/* One word that starts with "--"; *i moves on when the value is the next word. */
static int take_long(const struct option_spec *specs, int argc, char **argv, int *i, struct err *e)
{
    const char *word = argv[*i] + 2, *value = strchr(word, '=');
    const struct option_spec *s;

    s = find_long(specs, word, value ? (size_t)(value - word) : strlen(word));
    if (!s)
        return unknown(argv[*i], e);
    if (s->kind == OPTION_FLAG) {
        if (value)
            return err_set(e, ERR_USAGE, "--%s takes no value", s->name);
    } else if (value) {
        value++;
    } else if (*i + 1 < argc) {
        value = argv[++*i];
    } else {
        return err_set(e, ERR_USAGE, "--%s needs a value (%s)", s->name, s->arg);
    }
    return store(s, value, e);
}

/* One word of short options, "-j", "-d5", "-d 5". */
static int take_short(const struct option_spec *specs, int argc, char **argv, int *i, struct err *e)
{
    const char *word = argv[*i];

    for (const char *p = word + 1; *p; p++) {
        const struct option_spec *s = find_short(specs, *p);
        const char *value = NULL;
        int r;

        if (!s)
            return unknown(word, e);
        if (s->kind != OPTION_FLAG) {
            if (p[1])
                value = p + 1;
            else if (*i + 1 < argc)
                value = argv[++*i];
            else
                return err_set(e, ERR_USAGE, "-%c needs a value (%s)", *p, s->arg);
        }
        r = store(s, value, e);
        if (r < 0 || value)
            return r;
    }
    return 0;
}

int options_parse(const struct option_spec *specs, int argc, char **argv, const char **operands,
                  size_t max_operands, size_t *operand_count, struct err *e)
{
    bool options = true;
    size_t n = 0;
    int r;

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (!options || word[0] != '-' || !word[1]) {
            if (n == max_operands)
                return err_set(e, ERR_USAGE, "one argument too many: '%.64s'", word);
            operands[n++] = word;
            continue;
        }
        r = word[1] == '-' ? take_long(specs, argc, argv, &i, e)
                           : take_short(specs, argc, argv, &i, e);
        if (r < 0)
            return r;
    }
    *operand_count = n;
    return 0;
}

/* Prints text wrapped at 80 columns, its first line starting at column at. */
static void print_wrapped(const char *text, size_t at, FILE *out)
{
    const size_t indent = 28;
    size_t column = at;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column > indent && column + n + 1 > 80) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, n, out);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_help(const struct option_spec *specs, FILE *out)
{
    for (; specs->name; specs++) {
        int n = specs->short_name ? fprintf(out, "  -%c, --%s", specs->short_name, specs->name)
                                  : fprintf(out, "      --%s", specs->name);

        if (specs->arg)
            n += fprintf(out, "=%s", specs->arg);
        if (n < 27) {
            fprintf(out, "%*s", 28 - n, "");
        } else {
            fprintf(out, "\n%28s", "");
        }
        print_wrapped(specs->help, 28, out);
    }
}
