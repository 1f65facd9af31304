/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles out of text, and renderers into text, for the tests of cli/.
 */
#pragma once

#include "cli/render.h"

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#define STARTED                                                                         \
    "{'type':'started','porthole':1,'view':'cpu','unit':'samples','event':'cpu-clock'," \
    "'frequency':100,'host':'h1','target':'web1','container':{'name':'web1'}}"
#define END "{'type':'end','status':'done','elapsed_ms':1000}"

/* Frames and stacks that try to be something else; every byte that may do harm is in them. */
#define HOSTILE                                                                                  \
    "{'type':'frame','id':0,'name':'a\\u001b[31mred;forged 7\\nmain;evil 9',"                    \
    "'kind':'user','named':true}",                                                               \
        "{'type':'frame','id':1,'name':'</title><script>alert(1)</script>]]>&\\u0022\\u0027',"   \
        "'kind':'user','named':true}",                                                           \
        "{'type':'frame','id':2,'name':'fake_[k]','kind':'user','named':true}",                  \
        "{'type':'frame','id':3,'name':'\\u0085\\u009b1m\\u202eltr','kind':'jit','named':true}", \
        "{'type':'stack','value':6,'comm':'x\\u001b]0;t\\u0007;y','frames':[0,1]}",              \
        "{'type':'stack','value':4,'comm':'x\\u001b]0;t\\u0007;y','frames':[0,2,3]}"

/* A line of a stream out of text with ' for ", which is easier to read here. */
static inline int add_line(struct model *m, const char *text, struct err *e)
{
    _cleanup_free_ char *line = strdup(text);

    assert_non_null(line);
    for (char *p = strchr(line, '\''); p; p = strchr(p, '\''))
        *p = '"';
    return model_add_line(m, line, strlen(line), e);
}

/* A finished model of these lines, the last NULL. */
static inline struct model *model_of_lines(bool keep_files, const char *const *lines)
{
    struct model *m = NULL;
    struct err e = {0};

    assert_int_equal(model_new(&m, keep_files), 0);
    for (; *lines; lines++)
        assert_int_equal(add_line(m, *lines, &e), 0);
    assert_int_equal(model_finish(m), 0);
    return m;
}

static inline int read_folded_text(struct model *m, const char *text, struct err *e)
{
    _cleanup_fclose_ FILE *f = tmpfile();

    assert_non_null(f);
    fputs(text, f);
    fflush(f);
    lseek(fileno(f), 0, SEEK_SET);
    return model_read_folded(m, fileno(f), "", 0, e);
}

static inline struct model *model_of_folded(const char *text)
{
    struct model *m = NULL;
    struct err e = {0};

    assert_int_equal(model_new(&m, false), 0);
    assert_int_equal(read_folded_text(m, text, &e), 0);
    assert_int_equal(model_finish(m), 0);
    return m;
}

/* What a renderer writes; size may be NULL. The caller frees it. */
static inline char *rendered(int (*render)(const struct model *, const struct render_options *,
                                           FILE *),
                             const struct model *m, const struct render_options *o, size_t *size)
{
    const struct render_options plain = {.width = 100, .min_percent = 1};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    assert_int_equal(render(m, o ? o : &plain, f), 0);
    fclose(f);
    if (size)
        *size = n;
    return text;
}

/* No control byte but the newlines that the renderer itself writes. */
static inline void assert_no_controls(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        assert_true(*p >= 0x20 || *p == '\n');
        assert_int_not_equal(*p, 0x7f);
        assert_false(p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
    }
}

static inline size_t count_of(const char *text, const char *word)
{
    size_t n = 0;

    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}
