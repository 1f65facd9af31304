/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/quality.h"

static char *summary_of(const char *quality, const char *end)
{
    const char *const lines[] = {STARTED, quality, end, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    quality_print(m, f);
    fclose(f);
    return text;
}

static void losses_are_named_by_cause(void **state _unused_)
{
    char *text = summary_of(
        "{'type':'quality','taken':10,'shown':7,'lost':{'map-full':2,'gone':1,'none':0}}", END);

    assert_non_null(strstr(text, "samples: 10 taken, 7 shown, 3 lost: map-full 2, gone 1\n"));
    free(text);
}

static void causes_come_largest_first_with_their_remedy(void **state _unused_)
{
    char *text =
        summary_of("{'type':'quality','taken':1,'shown':1,'frames':{'total':200,'unnamed':30},"
                   "'unnamed':[{'reason':'stripped','file':'/a','frames':10,'remedy':'do a'},"
                   "{'reason':'gone','file':'/b\\u001b','frames':20,'remedy':'do b'}]}",
                   END);
    const char *first = strstr(text, "/b"), *second = strstr(text, "  5.0 % /a: stripped; do a\n");

    assert_non_null(strstr(text, "frames: 85.0 % named\n"));
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
    assert_no_controls(text);
    free(text);
}

static void no_samples_are_explained(void **state _unused_)
{
    char *text = summary_of("{'type':'quality','taken':0,'shown':0,'lost':{}}", END);

    assert_non_null(strstr(text, "no samples: the target used no CPU in 1.0 s\n"));
    free(text);
}

static void a_target_that_ended_early_is_said(void **state _unused_)
{
    char *text = summary_of("{'type':'quality','taken':0,'shown':0,'remarks':['r1','r2']}",
                            "{'type':'end','status':'target-gone'}");

    assert_non_null(strstr(text, "ended before the capture"));
    assert_non_null(strstr(text, "r1\nr2\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_named_by_cause),
        cmocka_unit_test(causes_come_largest_first_with_their_remedy),
        cmocka_unit_test(no_samples_are_explained),
        cmocka_unit_test(a_target_that_ended_early_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
