/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <zlib.h>

/* One field of a message: its number, and its number or bytes. */
struct field {
    unsigned number;
    uint64_t value;
    const unsigned char *data;
    size_t size;
};

static uint64_t varint(const unsigned char **p, const unsigned char *end)
{
    uint64_t n = 0;

    for (unsigned shift = 0; *p < end; shift += 7) {
        unsigned char c = *(*p)++;

        n |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return n;
    }
    fail_msg("a number without end");
    return 0;
}

static bool next_field(const unsigned char **p, const unsigned char *end, struct field *f)
{
    uint64_t tag;

    if (*p == end)
        return false;
    tag = varint(p, end);
    *f = (struct field){.number = (unsigned)(tag >> 3)};
    assert_true((tag & 7) == 0 || (tag & 7) == 2);
    f->value = varint(p, end);
    if ((tag & 7) == 2) {
        assert_true(f->value <= (uint64_t)(end - *p));
        f->data = *p;
        f->size = f->value;
        *p += f->size;
    }
    return true;
}

/* The profile that render_pprof() writes, uncompressed; the caller frees it. */
static unsigned char *profile_of(const struct model *m, size_t *size)
{
    size_t packed_size;
    char *packed = rendered(render_pprof, m, NULL, &packed_size);
    unsigned char *data = malloc(1 << 20);
    z_stream z = {.next_in = (unsigned char *)packed,
                  .avail_in = (uInt)packed_size,
                  .next_out = data,
                  .avail_out = 1 << 20};

    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    *size = z.total_out;
    inflateEnd(&z);
    free(packed);
    return data;
}

static unsigned count_fields(const unsigned char *data, size_t size, unsigned number)
{
    const unsigned char *p = data;
    unsigned count = 0;
    struct field f;

    while (next_field(&p, data + size, &f))
        count += f.number == number;
    return count;
}

/* True when the string table holds this. */
static bool has_string(const unsigned char *data, size_t size, const char *string)
{
    const unsigned char *p = data;
    struct field f;

    while (next_field(&p, data + size, &f))
        if (f.number == 6 && f.size == strlen(string) && memcmp(f.data, string, f.size) == 0)
            return true;
    return false;
}

/* Sums of the samples' values: of the first type in sums[0], of the second in sums[1]. */
static void sum_samples(const unsigned char *data, size_t size, uint64_t sums[2])
{
    const unsigned char *p = data;
    struct field sample, f;

    sums[0] = sums[1] = 0;
    while (next_field(&p, data + size, &sample)) {
        const unsigned char *q = sample.data;

        while (sample.number == 2 && next_field(&q, sample.data + sample.size, &f)) {
            const unsigned char *v = f.data;

            if (f.number != 2)
                continue;
            sums[0] += varint(&v, f.data + f.size);
            if (v < f.data + f.size)
                sums[1] += varint(&v, f.data + f.size);
        }
    }
}

static const char *const lines[] = {
    STARTED,
    "{'type':'frame','id':0,'name':'f','kind':'user','named':true,'file':'/a',"
    "'build_id':'aa11','address':'0x1000'}",
    "{'type':'frame','id':1,'name':'f','kind':'user','named':true,'file':'/b',"
    "'build_id':'bb22'}",
    "{'type':'stack','frames':[0,1],'value':300,'comm':'c','pid':7}",
    "{'type':'stack','frames':[0],'value':5,'comm':'d'}",
    END,
    NULL};

static void values_add_up_and_become_time_at_a_frequency(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_lines(true, lines);
    size_t size;
    unsigned char *data = profile_of(m, &size);
    uint64_t sums[2];

    sum_samples(data, size, sums);
    assert_int_equal(sums[0], 305);
    assert_int_equal(sums[1], 305 * 10000000ull);
    assert_int_equal(count_fields(data, size, 1), 2);
    assert_int_equal(count_fields(data, size, 2), 2);
    free(data);
}

/* Function ids of the lines of the location with this number, in their order. */
static unsigned lines_of_location(const unsigned char *data, size_t size, uint64_t id,
                                  uint64_t functions[8])
{
    const unsigned char *p = data;
    struct field location, f, line;
    unsigned count = 0;

    while (next_field(&p, data + size, &location)) {
        const unsigned char *q = location.data;
        bool mine = false;

        while (location.number == 4 && next_field(&q, location.data + location.size, &f)) {
            const unsigned char *l = f.data;

            mine |= f.number == 1 && f.value == id;
            if (mine && f.number == 4 && next_field(&l, f.data + f.size, &line) && count < 8)
                functions[count++] = line.value;
        }
    }
    return count;
}

static void inlined_frames_are_lines_of_the_location_that_they_stand_in(void **state _unused_)
{
    const char *const inlined[] = {
        STARTED,
        "{'type':'frame','id':0,'name':'main','kind':'user','named':true,'file':'/a'}",
        "{'type':'frame','id':1,'name':'middle','kind':'inlined','named':true,'file':'/a'}",
        "{'type':'frame','id':2,'name':'inner','kind':'inlined','named':true,'file':'/a'}",
        "{'type':'stack','frames':[0,1,2],'value':3,'comm':'c'}",
        "{'type':'stack','frames':[0,0,1,2],'value':4,'comm':'c'}",
        "{'type':'stack','frames':[0,1],'value':5,'comm':'c'}",
        END,
        NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(true, inlined);
    size_t size;
    unsigned char *data = profile_of(m, &size);
    uint64_t functions[8], seen = 0;

    assert_int_equal(count_fields(data, size, 5), 3);
    assert_int_equal(count_fields(data, size, 4), 3); /* main; middle in it; inner in both */
    for (uint64_t id = 1; id <= 3; id++) {
        unsigned count = lines_of_location(data, size, id, functions);

        assert_in_range(count, 1, 3);
        seen |= 1u << count;
        assert_int_equal(functions[count - 1], 1); /* main is the last line of each */
        if (count == 3)
            assert_int_equal(functions[0], 3); /* the innermost is the first */
    }
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 3);
    free(data);
}

static void each_file_is_a_mapping_with_its_build_id(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_lines(true, lines);
    size_t size;
    unsigned char *data = profile_of(m, &size);

    assert_int_equal(count_fields(data, size, 3), 2);
    assert_int_equal(count_fields(data, size, 4), 2);
    assert_int_equal(count_fields(data, size, 5), 2);
    assert_true(has_string(data, size, "aa11"));
    assert_true(has_string(data, size, "bb22"));
    free(data);
}

static void labels_name_container_process_and_thread(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_lines(true, lines);
    size_t size;
    unsigned char *data = profile_of(m, &size);

    assert_true(has_string(data, size, "container"));
    assert_true(has_string(data, size, "web1"));
    assert_true(has_string(data, size, "comm"));
    assert_true(has_string(data, size, "pid"));
    assert_false(has_string(data, size, "tid"));
    free(data);
}

static void samples_that_are_not_time_have_one_value(void **state _unused_)
{
    _cleanup_(model_freep) struct model *m = model_of_folded("a;x 3\na;y 4\n");
    size_t size;
    unsigned char *data = profile_of(m, &size);
    uint64_t sums[2];

    sum_samples(data, size, sums);
    assert_int_equal(sums[0], 7);
    assert_int_equal(sums[1], 0);
    assert_int_equal(count_fields(data, size, 1), 1);
    free(data);
}

static void waits_are_microseconds_under_the_name_of_their_view(void **state _unused_)
{
    const char *const waits[] = {
        "{'type':'started','porthole':1,'view':'offcpu','unit':'microseconds'}",
        "{'type':'frame','id':0,'name':'main','kind':'user','named':true}",
        "{'type':'stack','frames':[0],'value':1500000,'comm':'a'}", END, NULL};
    _cleanup_(model_freep) struct model *m = model_of_lines(true, waits);
    size_t size;
    unsigned char *data = profile_of(m, &size);

    assert_true(has_string(data, size, "offcpu"));
    assert_true(has_string(data, size, "microseconds"));
    assert_false(has_string(data, size, "samples"));
    assert_false(has_string(data, size, "count"));
    assert_int_equal(count_fields(data, size, 1), 1);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_add_up_and_become_time_at_a_frequency),
        cmocka_unit_test(inlined_frames_are_lines_of_the_location_that_they_stand_in),
        cmocka_unit_test(each_file_is_a_mapping_with_its_build_id),
        cmocka_unit_test(labels_name_container_process_and_thread),
        cmocka_unit_test(samples_that_are_not_time_have_one_value),
        cmocka_unit_test(waits_are_microseconds_under_the_name_of_their_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
