/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as names to demangle; as many must come back, each with its language. */
#include "nsresolve/demangle.h"
#include "tests/fuzz/fuzz.h"

/* A name that explodes is left by longjmp, with what libiberty then holds of a Rust identifier. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static size_t count_names(const uint8_t *data, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++)
        n += data[i] == '\0';
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int in_fd = memfd_of(data, size);
    _cleanup_close_ int out_fd = memfd_of("", 0);
    _cleanup_free_ uint8_t *answer = NULL;
    size_t left;

    must(write(in_fd, "", 1) == 1); /* the last name's NUL */
    must(demangle_stream(in_fd, out_fd, size > 0 && data[0] & 1) == 0);
    left = (size_t)lseek(out_fd, 0, SEEK_END);
    answer = malloc(left);
    must(answer && pread(out_fd, answer, left, 0) == (ssize_t)left);
    must(count_names(answer, left) == count_names(data, size) + 1);
    for (size_t i = 0; i < left; i += strlen((const char *)answer + i) + 1)
        must(strchr("c+rg", answer[i]));
    return 0;
}
