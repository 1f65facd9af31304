/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/options.h"

#include <string.h>

static bool json;
static const char *output, *format;
static uint64_t frequency, duration;
static struct err e;
static const char *operands[2];
static size_t operand_count;

static const struct option_spec specs[] = {
    {.name = "json", .short_name = 'j', .kind = OPTION_FLAG, .into = &json, .help = "as JSON"},
    {.name = "output",
     .short_name = 'o',
     .kind = OPTION_STRING,
     .into = &output,
     .arg = "FILE",
     .help = "write to this file, in the format that its suffix names, instead of the terminal"},
    {.name = "frequency",
     .short_name = 'F',
     .kind = OPTION_NUMBER,
     .into = &frequency,
     .arg = "HZ",
     .min = 1,
     .max = 10000,
     .help = "samples a second"},
    {.name = "duration",
     .short_name = 'd',
     .kind = OPTION_SECONDS,
     .into = &duration,
     .arg = "SEC",
     .min = 1,
     .max = 10000000000,
     .help = "how long"},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .into = &format,
     .arg = "WORD",
     .choices = "tree|svg|json",
     .help = "as what"},
    {0},
};

static int parse(const char *line)
{
    static char copy[256];
    char *argv[16] = {NULL};
    int argc = 0;

    json = false;
    output = format = NULL;
    frequency = duration = 0;
    e = (struct err){0};
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_parse(specs, argc, argv, operands, 2, &operand_count, &e);
}

static void options_and_operands_mix(void **state _unused_)
{
    assert_int_equal(parse("x web -jF99 --duration=0.25 -o - --format svg -- -d"), 0);
    assert_true(json);
    assert_int_equal(frequency, 99);
    assert_int_equal(duration, 250000000);
    assert_string_equal(output, "-");
    assert_string_equal(format, "svg");
    assert_int_equal(operand_count, 2);
    assert_string_equal(operands[0], "web");
    assert_string_equal(operands[1], "-d");
}

static void wrong_ones_are_refused_with_what_is_allowed(void **state _unused_)
{
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"x --colour", "unknown option '--colour'"},
        {"x -q", "unknown option '-q'"},
        {"x -F 0", "from 1 to 10000"},
        {"x -F 10001", "from 1 to 10000"},
        {"x -F 99999999999999999999", "from 1 to 10000"},
        {"x -F -1", "from 1 to 10000"},
        {"x -F 9x", "from 1 to 10000"},
        {"x -d 0", "seconds"},
        {"x -d 1e3", "seconds"},
        {"x -d .", "seconds"},
        {"x -d 1000000000000000000000", "seconds"},
        {"x --format sv", "tree|svg|json"},
        {"x --output=", "not empty"},
        {"x --output", "needs a value (FILE)"},
        {"x -o", "needs a value (FILE)"},
        {"x --json=1", "takes no value"},
        {"x a b c", "one argument too many: 'c'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_true(parse(bad[i].line) < 0);
        assert_int_equal(e.code, ERR_USAGE);
        assert_non_null(strstr(e.message, bad[i].says));
    }
}

static void help_names_every_option_within_80_columns(void **state _unused_)
{
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    options_help(specs, f);
    fclose(f);
    for (const struct option_spec *s = specs; s->name; s++)
        assert_non_null(strstr(text, s->name));
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_mix),
        cmocka_unit_test(wrong_ones_are_refused_with_what_is_allowed),
        cmocka_unit_test(help_names_every_option_within_80_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
