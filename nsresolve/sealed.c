/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int sealed_map(int memfd, size_t min, size_t max, const void **ret, size_t *size)
{
    const int need = F_SEAL_WRITE | F_SEAL_SHRINK;
    int seals = fcntl(memfd, F_GET_SEALS);
    struct stat st;
    void *map;

    /* Without the seals a check made now would say nothing about the next look-up. */
    if (seals < 0)
        return -errno;
    if ((seals & need) != need)
        return -EPERM;
    if (fstat(memfd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)min || st.st_size > (off_t)max)
        return -EBADMSG;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, memfd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *ret = map;
    *size = (size_t)st.st_size;
    return 0;
}
