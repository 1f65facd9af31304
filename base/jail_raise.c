/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from jail.c, so that who only raises a capability for a moment needs no seccomp library. */
#include "base/jail.h"

#include <errno.h>

static int set_one(int capability, cap_flag_value_t value)
{
    cap_value_t one = capability;
    cap_t caps = cap_get_proc();
    int r = 0;

    if (!caps)
        return -errno;
    if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &one, value) < 0 || cap_set_proc(caps) < 0)
        r = -errno;
    cap_free(caps);
    return r;
}

int jail_raise(int capability)
{
    return set_one(capability, CAP_SET);
}

int jail_lower(int capability)
{
    return set_one(capability, CAP_CLEAR);
}
