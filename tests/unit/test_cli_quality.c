/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cli/quality.h"

static char *summary_of_view(const char *started, const char *quality, const char *end)
{
    const char *const lines[] = {started, quality, end, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(false, lines);
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    quality_print(m, f);
    fclose(f);
    return text;
}

static char *summary_of(const char *quality, const char *end)
{
    return summary_of_view(STARTED, quality, end);
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

static void stacks_that_are_not_whole_are_named_by_cause(void **state _unused_)
{
    char *text = summary_of(
        "{'type':'quality','taken':100,'shown':100,'stacks':{'whole':90,'truncated':3,'broken':7,"
        "'broken_by':{'no-table-yet':5,'ended-early':2,'astray':0}}}",
        END);

    assert_non_null(strstr(text, "stacks: 10.0 % do not reach the thread's start, 3 too deep, 7 "
                                 "lost on the way: no-table-yet 5, ended-early 2\n"));
    free(text);
}

#define VIEW(view, unit, yields) \
    "{'type':'started','porthole':1,'view':'" view "','unit':'" unit "','yields':'" yields "'}"
#define TIMES                                                                              \
    "'times':{'threads':1200,'wall_us':4000000,'on_cpu_us':1000000,'runnable_us':500000,"  \
    "'throttled_us':500000,'blocked_us':2000000,'unclassed_us':500000,'left_out_us':1500," \
    "'no_room':0}"
#define BROKEN_ALL "'stacks':{'whole':0,'truncated':0,'broken':9,'broken_by':{'no-user-stack':9}}"

static void waits_are_times_and_not_samples(void **state _unused_)
{
    char *text = summary_of_view(
        VIEW("offcpu", "microseconds", "stacks"),
        "{'type':'quality','taken':12345678,'shown':12345000,'lost':{'map-busy':678}," TIMES
        ",'stacks':{'whole':90,'truncated':0,'broken':2500,'broken_by':{'astray':2500}}}",
        END);

    assert_non_null(
        strstr(text, "waiting: 12.345 s taken, 12.345 s shown, 678 µs lost: map-busy 678 µs\n"));
    assert_non_null(strstr(text, "time: 4.000 s of 1,200 threads = 25.0 % on a CPU + 12.5 % ready "
                                 "+ 12.5 % throttled + 50.0 % blocked\n"));
    assert_non_null(strstr(text, "left out by the filters: 1.5 ms of waiting\n"));
    assert_non_null(strstr(text, ", 2.5 ms lost on the way: astray 2.5 ms\n"));
    assert_null(strstr(text, "samples"));
    free(text);
}

static void switches_and_waits_are_counted(void **state _unused_)
{
    static const char quality[] = "{'type':'quality','taken':28294,'shown':28294,'lost':{}}";
    char *text = summary_of_view(VIEW("switches", "switches", "stacks"), quality, END);

    assert_non_null(strstr(text, "switches: 28,294 taken, 28,294 shown, 0 lost\n"));
    free(text);
    text = summary_of_view(VIEW("runq", "waits", "records"), quality, END);
    assert_non_null(strstr(text, "waits for a CPU: 28,294 taken, 28,294 shown, 0 lost\n"));
    free(text);
}

static void views_that_walk_no_stacks_of_users_call_none_broken(void **state _unused_)
{
    char *text = summary_of_view(VIEW("wakeup", "microseconds", "stacks"),
                                 "{'type':'quality','taken':9,'shown':9," BROKEN_ALL "}", END);

    assert_null(strstr(text, "stacks:"));
    free(text);
}

static void states_speak_of_causes_and_of_no_stacks(void **state _unused_)
{
    char *text =
        summary_of_view(VIEW("states", "microseconds", "records"),
                        "{'type':'quality','taken':9,'shown':9,'frames':{'total':9},"
                        "'stacks':{'whole':1,'truncated':0,'broken':8,'broken_by':{}}," TIMES "}",
                        END);

    assert_null(strstr(text, "stacks:"));
    assert_null(strstr(text, "frames:"));
    assert_non_null(strstr(text, "causes: 75.0 % of the blocked time"));
    free(text);
}

static void no_waits_are_said_to_be_none(void **state _unused_)
{
    char *text = summary_of_view(VIEW("offcpu", "microseconds", "stacks"),
                                 "{'type':'quality','taken':0,'shown':0,'lost':{}}", END);

    assert_non_null(strstr(text, "no waiting time: none of the target was seen in 1.0 s\n"));
    assert_null(strstr(text, "CPU"));
    free(text);
}

#define BLOCK "{'type':'started','porthole':1,'view':'block','unit':'requests','yields':'records'}"
#define TCP "{'type':'started','porthole':1,'view':'tcp','unit':'connections','yields':'records'}"

static void whom_bytes_were_charged_to_is_said(void **state _unused_)
{
    char *text = summary_of_view(
        BLOCK,
        "{'type':'quality','taken':120,'shown':120,'block':{'charged_bytes':67108864,"
        "'kernel_bytes':4096,'others_bytes':0,'unattributed_bytes':67176,"
        "'unattributed_requests':1,'merged':3,'requeued':0,'begin_unseen':1,"
        "'errors':2,'in_flight_at_end':1}}",
        END);

    assert_non_null(strstr(text, "requests: 120 taken, 120 shown, 0 lost\n"));
    assert_non_null(strstr(text, "charged to the target 64.0 MiB, to the kernel 4.0 KiB, to others "
                                 "0 B, not attributed 0.1 % (1 request)\n"));
    assert_non_null(strstr(text, "merged 3, missing (begin not seen) 1, errors 2, "
                                 "in flight at the end 1\n"));
    free(text);
}

static void what_became_of_connections_is_said(void **state _unused_)
{
    char *text = summary_of_view(TCP,
                                 "{'type':'quality','taken':9,'shown':8,'lost':{'ring-full':1},"
                                 "'tcp':{'opened':7,'closed':5,'failed':0,'open_before':2,"
                                 "'open_at_end':4}}",
                                 END);

    assert_non_null(strstr(text, "connections: 9 taken, 8 shown, 1 lost: ring-full 1\n"));
    assert_non_null(strstr(text, "opened 7, closed 5, open before 2, open at the end 4\n"));
    free(text);
}

static void an_idle_target_is_explained(void **state _unused_)
{
    char *block = summary_of_view(BLOCK, "{'type':'quality','taken':0,'shown':0,'block':{}}", END);
    char *tcp = summary_of_view(TCP, "{'type':'quality','taken':0,'shown':0,'tcp':{}}", END);

    assert_string_equal(block, "no block I/O: none of the target was seen in 1.0 s\n"
                               "requests: 0 taken, 0 shown, 0 lost\n");
    assert_string_equal(tcp, "no TCP connections: none of the target was seen in 1.0 s\n"
                             "connections: 0 taken, 0 shown, 0 lost\n");
    free(block);
    free(tcp);
}

static void shares_that_lie_do_no_harm(void **state _unused_)
{
    char *text = summary_of_view(
        BLOCK,
        "{'type':'quality','block':{'charged_bytes':18446744073709551615,"
        "'unattributed_bytes':18446744073709551615,'merged':-1,'errors':'\\u001b'}}",
        END);

    assert_non_null(strstr(text, "not attributed 50.0 %\n"));
    assert_no_controls(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whom_bytes_were_charged_to_is_said),
        cmocka_unit_test(what_became_of_connections_is_said),
        cmocka_unit_test(an_idle_target_is_explained),
        cmocka_unit_test(shares_that_lie_do_no_harm),
        cmocka_unit_test(losses_are_named_by_cause),
        cmocka_unit_test(causes_come_largest_first_with_their_remedy),
        cmocka_unit_test(no_samples_are_explained),
        cmocka_unit_test(stacks_that_are_not_whole_are_named_by_cause),
        cmocka_unit_test(waits_are_times_and_not_samples),
        cmocka_unit_test(switches_and_waits_are_counted),
        cmocka_unit_test(views_that_walk_no_stacks_of_users_call_none_broken),
        cmocka_unit_test(states_speak_of_causes_and_of_no_stacks),
        cmocka_unit_test(no_waits_are_said_to_be_none),
        cmocka_unit_test(a_target_that_ended_early_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
