/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the text of /proc/PID/maps; the answer must be whole records. */
#include "nsresolve/maps.h"
#include "nsresolve/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int in_fd = memfd_of(data, size);
    _cleanup_close_ int out_fd = memfd_of("", 0);
    _cleanup_free_ uint8_t *answer = NULL;
    size_t at = 0, left;

    must(maps_parse(in_fd, out_fd) >= 0);
    left = (size_t)lseek(out_fd, 0, SEEK_END);
    answer = malloc(left + 1);
    must(answer && pread(out_fd, answer, left, 0) == (ssize_t)left);
    while (at < left) {
        struct wire_mapping m;

        must(left - at >= sizeof(m));
        memcpy(&m, answer + at, sizeof(m));
        at += sizeof(m);
        must(m.start < m.end && (m.flags & PROT_EXEC) && m.path_size <= WIRE_PATH_MAX);
        must(!memchr(answer + at, '\0', m.path_size));
        at += (m.path_size + 7u) & ~7u;
    }
    must(at == left);
    return 0;
}
