/* SPDX-License-Identifier: Apache-2.0 */
/* BPF programs in kernel stacks, over a made-up kallsyms. */
#include "tests/unit/scene.h"

#include <fcntl.h>

#define CORE "ffffffff81000000 T core\n"
#define PROGRAM 0xffffffffc0000000ull
#define TAG "0123456789abcdef"
#define NAME "bpf_prog_" TAG "_on_call"

struct setting {
    struct resolver *resolver;
    struct scene *scene;
    int fd;
};

static void rewrite(int fd, const char *text)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
}

static void begin(struct setting *s)
{
    s->fd = memfd_create("kallsyms", MFD_CLOEXEC);
    rewrite(s->fd, CORE);
    assert_int_equal(resolver_new(NULL, s->fd, -1, 1 << 20, &s->resolver), 0);
    assert_int_equal(scene_new(s->resolver, 0, false, &s->scene), 0);
}

static void end(struct setting *s)
{
    scene_free(s->scene);
    resolver_free(s->resolver);
    close(s->fd);
}

/* Locates address, looks what is there at the end, and names it. */
static const struct frame *frame_at(struct setting *s, uint64_t address)
{
    uint32_t at;

    assert_int_equal(scene_locate_kernel(s->scene, address, true, &at), 0);
    scene_look_at_ksymbols(s->scene);
    assert_int_equal(scene_name(s->scene), 0);
    return scene_frame(s->scene, at);
}

static void a_program_that_is_there_at_the_end_is_named_from_kallsyms(void **state)
{
    const struct frame *f;
    struct setting s;

    (void)state;
    begin(&s);
    assert_int_equal(scene_follow_ksymbols(s.scene), 0);
    rewrite(s.fd, CORE "ffffffffc0000000 t " NAME "\t[bpf]\n");
    f = frame_at(&s, PROGRAM + 0x10);
    assert_string_equal(f->name, NAME);
    assert_string_equal(f->file, "[bpf]");
    assert_int_equal(f->source, SOURCE_KALLSYMS);
    assert_int_equal(f->address, PROGRAM);
    end(&s);
}

static void a_program_that_ended_is_named_from_the_side_band(void **state)
{
    struct setting s;

    (void)state;
    begin(&s);
    assert_int_equal(scene_follow_ksymbols(s.scene), 0);
    scene_ksymbol(s.scene, PROGRAM, 0x100, NAME);
    assert_string_equal(frame_at(&s, PROGRAM + 0x10)->name, NAME);
    assert_int_equal(frame_at(&s, PROGRAM + 0x100)->reason, REASON_KERNEL);
    end(&s);
}

static void where_another_program_took_its_place_neither_name_counts(void **state)
{
    const struct frame *f;
    struct setting s;

    (void)state;
    begin(&s);
    assert_int_equal(scene_follow_ksymbols(s.scene), 0);
    scene_ksymbol(s.scene, PROGRAM, 0x100, NAME);
    rewrite(s.fd, CORE "ffffffffc0000000 t bpf_prog_1111111111111111_other\t[bpf]\n");
    f = frame_at(&s, PROGRAM + 0x10);
    assert_string_equal(f->name, "[kernel]");
    assert_int_equal(f->reason, REASON_CHANGED);
    end(&s);
}

static void without_the_side_band_or_with_records_missing_there_is_no_name(void **state)
{
    (void)state;
    for (unsigned missed = 0; missed < 2; missed++) {
        struct setting s;

        begin(&s);
        rewrite(s.fd, CORE "ffffffffc0000000 t " NAME "\t[bpf]\n");
        if (missed) {
            assert_int_equal(scene_follow_ksymbols(s.scene), 0);
            scene_ksymbol(s.scene, PROGRAM, 0x100, NAME);
            scene_ksymbols_missed(s.scene);
        }
        assert_string_equal(frame_at(&s, PROGRAM + 0x10)->name, "[kernel]");
        end(&s);
    }
}

static void our_own_programs_say_that_they_are_ours(void **state)
{
    static const uint8_t tag[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    struct setting s;

    (void)state;
    begin(&s);
    assert_int_equal(scene_follow_ksymbols(s.scene), 0);
    resolver_own_program(s.resolver, tag);
    resolver_own_program(s.resolver, tag);
    scene_ksymbol(s.scene, PROGRAM, 0x100, NAME);
    scene_ksymbol(s.scene, PROGRAM + 0x100, 0x100, "bpf_prog_1123456789abcdef_on_call");
    scene_ksymbol(s.scene, PROGRAM + 0x200, 0x100, "bpf_prog_" TAG);
    assert_string_equal(frame_at(&s, PROGRAM + 0x10)->name, "porthole:on_call");
    assert_string_equal(frame_at(&s, PROGRAM + 0x110)->name, "bpf_prog_1123456789abcdef_on_call");
    assert_string_equal(frame_at(&s, PROGRAM + 0x210)->name, "bpf_prog_" TAG);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_is_there_at_the_end_is_named_from_kallsyms),
        cmocka_unit_test(a_program_that_ended_is_named_from_the_side_band),
        cmocka_unit_test(where_another_program_took_its_place_neither_name_counts),
        cmocka_unit_test(without_the_side_band_or_with_records_missing_there_is_no_name),
        cmocka_unit_test(our_own_programs_say_that_they_are_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
