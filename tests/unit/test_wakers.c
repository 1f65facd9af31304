/* SPDX-License-Identifier: Apache-2.0 */
/* Who ended waits, from what the probe says to frames, over a made-up scene. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile_inside.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define NAMES_MAX 64u

/* ---- the scene: a location is a name's place ---- */

static struct frame frames[NAMES_MAX];
static uint32_t frame_count;

int scene_locate_label(struct scene *s _unused_, const char *text, uint32_t *ret)
{
    uint32_t i = 0;

    while (i < frame_count && strcmp(frames[i].name, text) != 0)
        i++;
    assert_true(i < NAMES_MAX);
    if (i == frame_count) {
        frames[i] = (struct frame){.name = strdup(text), .source = SOURCE_KALLSYMS};
        frames[i].plumbing = strncmp(text, "bpf_", 4) == 0;
        frame_count++;
    }
    *ret = i;
    return 0;
}

const struct frame *scene_frame(const struct scene *s _unused_, uint32_t location)
{
    return location < frame_count ? &frames[location] : NULL;
}

/* ---- the profile: stacks by hash, innermost first ---- */

static const char *const stacks[][8] = {
    {0},
    {"bpf_prog", "try_to_wake_up", "futex_wake", "do_syscall_64"},
    {"unlock", "main"},
    {"bpf_prog", "try_to_wake_up", "hrtimer_wakeup", "asm_sysvec_apic_timer_interrupt", "victim"},
    {"try_to_wake_up", "handle_userfault", "exc_page_fault", "asm_exc_page_fault"},
    {"try_to_wake_up", "process_backlog", "do_softirq.part.0", "tcp_sendmsg"},
    {"try_to_wake_up", "virtblk_done", "do_softirq.part.0", "tcp_sendmsg"},
};

static char shown[1024];

bool profile_over_budget(const struct profile *p, size_t more)
{
    return p->bytes + more > p->setup.memory_max;
}

int profile_keep_addresses(struct profile *p _unused_, struct probe *probe _unused_,
                           uint64_t hash _unused_)
{
    return 0;
}

int profile_add_locations(struct profile *p, const struct scene_where *where _unused_,
                          uint64_t hash, bool user _unused_, uint32_t *depth)
{
    *depth = 0;
    for (size_t i = 0; hash && i < ARRAY_SIZE(stacks[0]) && stacks[hash][i]; i++) {
        uint32_t location;

        scene_locate_label(NULL, stacks[hash][i], &location);
        buf_add(&p->scratch, &location, sizeof(location));
        ++*depth;
    }
    return 0;
}

int profile_add_frames(struct profile *p _unused_, uint32_t location, uint32_t *count)
{
    assert_true(location < frame_count);
    strcat(strcat(shown, shown[0] ? ";" : ""), frames[location].name);
    ++*count;
    return 0;
}

/* ---- the probe ---- */

static struct event_waker wakers[EVENT_CHAIN_MAX];
static unsigned waker_count;

unsigned probe_wakers(const struct probe *p _unused_, uint64_t key _unused_,
                      struct event_waker ret[EVENT_CHAIN_MAX])
{
    memcpy(ret, wakers, sizeof(wakers));
    return waker_count;
}

static void is_woken_by(struct event_waker w, const char *comm)
{
    strcpy(w.comm, comm);
    wakers[waker_count++] = w;
}

/* ---- names ---- */

static bool known;

static int name(void *data _unused_, const struct event_waker *w, bool may_wait, struct buf *out)
{
    if (may_wait && !known)
        return -EAGAIN;
    buf_addf(out, "%s: %s", known ? "web1" : "host", w->comm);
    return 0;
}

static struct profile profile;

static int set_up(void **state _unused_)
{
    memset(&profile, 0, sizeof(profile));
    profile.setup.memory_max = 1 << 20;
    profile.setup.waker_name = name;
    memset(wakers, 0, sizeof(wakers));
    waker_count = 0;
    known = true;
    return table_new(&profile.wakers, free);
}

static int tear_down(void **state _unused_)
{
    table_free(profile.wakers);
    buf_free(&profile.scratch);
    while (frame_count)
        free((char *)frames[--frame_count].name);
    return 0;
}

/* The frames of all wakers, as they come behind a stack. */
static const char *frames_of(bool upright, bool may_wait, int error)
{
    const struct portion portion = {.count = 1};
    const struct row row = {.key.waker = 9};
    uint32_t words = 0, count = 0;

    shown[0] = '\0';
    wakers_keep(&profile, NULL, row.key.waker);
    assert_int_equal(wakers_locate(&profile, &row, &portion, may_wait, &words), error);
    if (error == 0)
        assert_int_equal(wakers_add_frames(&profile, (const uint32_t *)profile.scratch.data, words,
                                           upright, &count),
                         0);
    return shown;
}

static void a_waker_of_the_target_goes_by_its_own_name(void **state _unused_)
{
    is_woken_by(
        (struct event_waker){.flags = EVENT_WAKER_TARGET, .kernel_stack = 1, .user_stack = 2},
        "holder");
    assert_string_equal(frames_of(false, true, 0),
                        "--;try_to_wake_up;futex_wake;do_syscall_64;unlock;main;holder");
}

static void upright_it_begins_with_its_name(void **state _unused_)
{
    is_woken_by(
        (struct event_waker){.flags = EVENT_WAKER_TARGET, .kernel_stack = 1, .user_stack = 2},
        "holder");
    assert_string_equal(frames_of(true, true, 0),
                        "holder;main;unlock;do_syscall_64;futex_wake;try_to_wake_up");
}

static void an_interrupt_ends_where_it_hit_somebody(void **state _unused_)
{
    is_woken_by((struct event_waker){.flags = EVENT_WAKER_INTERRUPT, .kernel_stack = 3}, "");
    assert_string_equal(
        frames_of(false, true, 0),
        "--;try_to_wake_up;hrtimer_wakeup;asm_sysvec_apic_timer_interrupt;[timer interrupt]");
}

static void from_user_mode_the_stack_tells_faults_and_interrupts_apart(void **state _unused_)
{
    const uint32_t unsure = EVENT_WAKER_INTERRUPT | EVENT_WAKER_UNSURE | EVENT_WAKER_TARGET;

    is_woken_by((struct event_waker){.flags = unsure, .kernel_stack = 4}, "faulter");
    is_woken_by((struct event_waker){.flags = unsure, .kernel_stack = 3}, "spinner");
    assert_string_equal(
        frames_of(false, true, 0),
        "--;try_to_wake_up;handle_userfault;exc_page_fault;asm_exc_page_fault;faulter;"
        "--;try_to_wake_up;hrtimer_wakeup;asm_sysvec_apic_timer_interrupt;[timer interrupt]");
}

static void put_off_interrupts_end_there_unless_the_packet_is_ones_own(void **state _unused_)
{
    is_woken_by((struct event_waker){.flags = EVENT_WAKER_INTERRUPT, .kernel_stack = 5}, "");
    is_woken_by((struct event_waker){.flags = EVENT_WAKER_INTERRUPT, .kernel_stack = 6}, "");
    assert_string_equal(
        frames_of(false, true, 0),
        "--;try_to_wake_up;process_backlog;do_softirq.part.0;tcp_sendmsg;[network interrupt];"
        "--;try_to_wake_up;virtblk_done;do_softirq.part.0;[block interrupt]");
}

static void a_stranger_may_wait_for_its_name_but_not_for_ever(void **state _unused_)
{
    is_woken_by((struct event_waker){.kernel_stack = 1}, "poker");
    known = false;
    frames_of(false, true, -EAGAIN);
    profile.scratch.size = 0;
    assert_non_null(strstr(frames_of(false, false, 0), ";host: poker"));
    profile.scratch.size = 0;
    known = true;
    assert_non_null(strstr(frames_of(false, true, 0), ";web1: poker"));
}

static void without_memory_there_is_no_waker(void **state _unused_)
{
    is_woken_by((struct event_waker){.flags = EVENT_WAKER_TARGET, .kernel_stack = 1}, "holder");
    profile.setup.memory_max = 1;
    assert_string_equal(frames_of(false, true, 0), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_waker_of_the_target_goes_by_its_own_name),
        TEST(upright_it_begins_with_its_name),
        TEST(an_interrupt_ends_where_it_hit_somebody),
        TEST(from_user_mode_the_stack_tells_faults_and_interrupts_apart),
        TEST(put_off_interrupts_end_there_unless_the_packet_is_ones_own),
        TEST(a_stranger_may_wait_for_its_name_but_not_for_ever),
        TEST(without_memory_there_is_no_waker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
