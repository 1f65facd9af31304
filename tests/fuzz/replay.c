/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a fuzz target without libFuzzer: replay DIRECTORY... runs it on every file in there. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>

#define INPUT_MAX (16u << 20)

static int replay_file(int dir_fd, const char *name)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    _cleanup_free_ uint8_t *room = malloc(INPUT_MAX), *data = NULL;
    ssize_t size;

    if (fd < 0 || !room)
        return -errno;
    size = read(fd, room, INPUT_MAX);
    if (size < 0)
        return -errno;

    /* In memory of exactly this size, so that a read past its end is seen. */
    data = malloc((size_t)size);
    if (!data && size)
        return -ENOMEM;
    if (size)
        memcpy(data, room, (size_t)size);
    fprintf(stderr, "%s\n", name); /* the last one named is the one that crashed */
    LLVMFuzzerTestOneInput(data, (size_t)size);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        _cleanup_closedir_ DIR *dir = opendir(argv[i]);
        const struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
            int r;

            if (entry->d_name[0] == '.')
                continue;
            r = replay_file(dirfd(dir), entry->d_name);
            if (r < 0) {
                fprintf(stderr, "%s: %s\n", entry->d_name, strerror(-r));
                return 1;
            }
            count++;
        }
    }
    printf("%u\n", count);
    return count ? 0 : 1;
}
