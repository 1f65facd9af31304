/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/maps.h"
#include "nsresolve/parse.h"
#include "tests/unit/craft_elf.h"
#include "tests/unit/tables.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FILES(in, out) (&(struct parse_files){.in_fd = (in), .out_fd = (out)})

static void each_kind_of_input_has_its_answer(void **state)
{
    static const char maps[] = "1000-2000 r-xp 0 0:0 1 /x\n", map[] = "1000 10 jit\n";
    const struct wire_parse_elf want = {0};
    struct crafted c;
    struct {
        enum wire_op op;
        const void *input;
        size_t input_size, payload_size;
    } cases[] = {
        {WIRE_PARSE_ELF, &c, CRAFT_SIZE, sizeof(want)},
        {WIRE_PARSE_MAPS, maps, sizeof(maps) - 1, 0},
        {WIRE_PARSE_PERFMAP, map, sizeof(map) - 1, sizeof(struct wire_parse_perfmap)},
        {WIRE_DEMANGLE, "main", 5, sizeof(struct wire_demangle)},
        {WIRE_PARSE_UNWIND, &c, CRAFT_SIZE, 0},
    };

    (void)state;
    craft(&c);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_close_ int in_fd = memfd_of(cases[i].input, cases[i].input_size);
        _cleanup_close_ int out_fd = memfd_empty();
        int error = -1;

        assert_int_equal(
            parse_request(cases[i].op, &want, cases[i].payload_size, FILES(in_fd, out_fd), &error),
            WIRE_OK);
        assert_int_equal(error, 0);
        assert_true(lseek(out_fd, 0, SEEK_END) > 0);
    }
}

static enum wire_status ask(enum wire_op op, const void *payload, size_t size, const char *input,
                            int *error)
{
    _cleanup_close_ int in_fd = memfd_of(input, strlen(input));
    _cleanup_close_ int out_fd = memfd_empty();

    return parse_request(op, payload, size, FILES(in_fd, out_fd), error);
}

static void what_cannot_be_answered_has_its_status(void **state)
{
    const struct wire_demangle names = {0};
    struct wire_parse_elf want = {0};
    int error;

    (void)state;
    assert_int_equal(ask(WIRE_PARSE_ELF, &want, sizeof(want), "#!/bin/sh\n", &error),
                     WIRE_MALFORMED);
    assert_int_equal(ask(WIRE_PARSE_ELF, &want, sizeof(want) - 1, "", &error), WIRE_MALFORMED);
    want.build_id_size = sizeof(want.build_id) + 1;
    assert_int_equal(ask(WIRE_PARSE_ELF, &want, sizeof(want), "", &error), WIRE_MALFORMED);
    assert_int_equal(ask(WIRE_DEMANGLE, &names, sizeof(names), "no end", &error), WIRE_MALFORMED);
    assert_int_equal(ask(WIRE_DEMANGLE, NULL, 0, "", &error), WIRE_MALFORMED);
    assert_int_equal(error, 0);
    assert_int_equal(ask(WIRE_OPEN, NULL, 0, "", &error), WIRE_FAILED);
    assert_int_equal(error, EOPNOTSUPP);
    assert_int_equal(parse_request(WIRE_PARSE_MAPS, NULL, 0, FILES(-1, -1), &error), WIRE_FAILED);
    assert_int_equal(error, EBADF);
}

static void a_list_of_mappings_that_was_cut_says_so(void **state)
{
    _cleanup_close_ int in_fd = memfd_empty();
    _cleanup_close_ int out_fd = memfd_empty();
    _cleanup_fclose_ FILE *f = fdopen(dup(in_fd), "w");
    int error;

    (void)state;
    for (unsigned i = 0; i <= MAPS_MAX_MAPPINGS; i++)
        fprintf(f, "1000-2000 r-xp 0 0:0 1 /x\n");
    fflush(f);
    assert_int_equal(parse_request(WIRE_PARSE_MAPS, NULL, 0, FILES(in_fd, out_fd), &error),
                     WIRE_OK);
    assert_int_equal(error, E2BIG);
}

/* The parser's jail bounds files; the answer must then fail and not end in half a table. */
static void an_answer_beyond_the_bound_on_files_fails(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {64, 64};
        const struct wire_parse_elf want = {0};
        int in_fd, out_fd = memfd_empty(), error = 0;
        enum wire_status answer;
        struct crafted c;

        craft(&c);
        in_fd = memfd_of(&c, CRAFT_SIZE);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        answer = parse_request(WIRE_PARSE_ELF, &want, sizeof(want), FILES(in_fd, out_fd), &error);
        _exit(answer == WIRE_TOO_BIG ? 0 : 1 + (int)answer);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_input_has_its_answer),
        cmocka_unit_test(what_cannot_be_answered_has_its_status),
        cmocka_unit_test(a_list_of_mappings_that_was_cut_says_so),
        cmocka_unit_test(an_answer_beyond_the_bound_on_files_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
