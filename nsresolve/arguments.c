/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/arguments.h"

#include "base/cleanup.h"
#include "nsresolve/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* A word as it stands on a command line. Its end may be open: "-XX:Flags=…". */
static const struct {
    const char *word;
    uint32_t set, clear; /* the later of several wins */
    bool prefix;
} words[] = {
    {.word = "-XX:+PreserveFramePointer", .set = ARGUMENT_FRAME_POINTERS},
    {.word = "-XX:-PreserveFramePointer", .clear = ARGUMENT_FRAME_POINTERS},
    {.word = "-XX:+DisableAttachMechanism", .set = ARGUMENT_NO_ATTACH},
    {.word = "-XX:-DisableAttachMechanism", .clear = ARGUMENT_NO_ATTACH},
    {.word = "-XX:Flags=", .set = ARGUMENT_FILE, .prefix = true},
    {.word = "-XX:VMOptionsFile=", .set = ARGUMENT_FILE, .prefix = true},
    {.word = "@", .set = ARGUMENT_FILE, .prefix = true},
    {.word = "--perf-basic-prof", .set = ARGUMENT_NODE_MAP},
    {.word = "--perf_basic_prof", .set = ARGUMENT_NODE_MAP},
    {.word = "--perf-basic-prof-only-functions", .set = ARGUMENT_NODE_MAP},
    {.word = "--perf_basic_prof_only_functions", .set = ARGUMENT_NODE_MAP},
    {.word = "--perf-prof", .set = ARGUMENT_NODE_MAP},
    {.word = "-Xperf", .set = ARGUMENT_PYTHON_MAP, .prefix = true},
    {.word = "--yjit", .set = ARGUMENT_RUBY_JIT},
    {.word = "--jit", .set = ARGUMENT_RUBY_JIT},
    {.word = "--yjit-perf", .set = ARGUMENT_RUBY_JIT | ARGUMENT_RUBY_MAP, .prefix = true},
};

/* Variables whose value is words between blanks, and those that are a switch. */
static const struct {
    const char *name;
    uint32_t set; /* when the value is "1"; 0: words */
} variables[] = {
    {"JAVA_TOOL_OPTIONS=", 0},
    {"_JAVA_OPTIONS=", 0},
    {"JDK_JAVA_OPTIONS=", 0},
    {"NODE_OPTIONS=", 0},
    {"RUBYOPT=", 0},
    {"PYTHONPERFSUPPORT=", ARGUMENT_PYTHON_MAP},
    {"RUBY_YJIT_ENABLE=", ARGUMENT_RUBY_JIT},
};

static bool is_word(const char *at, size_t size, const char *word, bool prefix)
{
    size_t n = strlen(word);

    return (prefix ? size >= n : size == n) && memcmp(at, word, n) == 0;
}

static uint32_t add_word(uint32_t bits, const char *at, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (is_word(at, size, words[i].word, words[i].prefix))
            bits = (bits | words[i].set) & ~words[i].clear;
    return bits;
}

/* The next word of a text, which ends at one of the separators or with the text. */
static bool next_word(const char **at, const char *end, const char *separators, size_t count,
                      const char **word, size_t *size)
{
    if (*at >= end)
        return false;
    *word = *at;
    while (*at < end && !memchr(separators, **at, count))
        (*at)++;
    *size = (size_t)(*at - *word);
    *at += *at < end;
    return true;
}

static uint32_t find_in_variable(uint32_t bits, const char *at, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        size_t n = strlen(variables[i].name), word_size;
        const char *value = at + n, *end = at + size, *word;

        if (!is_word(at, size, variables[i].name, true))
            continue;
        if (variables[i].set)
            return is_word(value, size - n, "1", false) ? bits | variables[i].set : bits;
        while (next_word(&value, end, " \t\n", 3, &word, &word_size))
            bits = add_word(bits, word, word_size);
    }
    return bits;
}

uint32_t arguments_find(const char *cmdline, size_t cmdline_size, const char *environment,
                        size_t environment_size)
{
    const char *at = environment, *end = environment + environment_size, *word;
    bool after_x = false;
    uint32_t bits = 0;
    size_t size;

    while (next_word(&at, end, "", 1, &word, &size))
        bits = find_in_variable(bits, word, size);
    at = cmdline;
    end = cmdline + cmdline_size;
    while (next_word(&at, end, "", 1, &word, &size)) {
        bits = add_word(bits, word, size);
        if (after_x && is_word(word, size, "perf", true))
            bits |= ARGUMENT_PYTHON_MAP;
        after_x = is_word(word, size, "-X", false);
    }
    return bits;
}

static int read_at(int fd, void *to, size_t size, off_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)to + done, size - done, offset + (off_t)done);

        if (n < 0)
            return -errno;
        if (n == 0)
            return -EBADMSG;
        done += (size_t)n;
    }
    return 0;
}

int arguments_parse(int in_fd, int out_fd)
{
    static char text[2 * ARGUMENTS_MAX];
    struct wire_arguments head;
    uint32_t bits;
    int r = read_at(in_fd, &head, sizeof(head), 0);

    if (r < 0)
        return r;
    if (head.cmdline_size > ARGUMENTS_MAX || head.environment_size > ARGUMENTS_MAX)
        return -EBADMSG;
    r = read_at(in_fd, text, head.cmdline_size + head.environment_size, sizeof(head));
    if (r < 0)
        return r;
    bits = arguments_find(text, head.cmdline_size, text + head.cmdline_size, head.environment_size);
    return write(out_fd, &bits, sizeof(bits)) == sizeof(bits) ? 0 : -EIO;
}
