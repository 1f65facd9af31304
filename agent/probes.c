/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe.h"

#include <string.h>

extern const struct probe_ops probe_cpu, probe_offcpu, probe_switches, probe_runq, probe_wakeup,
    probe_offwake, probe_chain, probe_hotcold, probe_states, probe_block, probe_tcp;

const struct probe_ops *const probe_table[] = {
    &probe_cpu,   &probe_offcpu,  &probe_switches, &probe_runq,  &probe_wakeup, &probe_offwake,
    &probe_chain, &probe_hotcold, &probe_states,   &probe_block, &probe_tcp,    NULL,
};

const struct probe_ops *probe_find(const char *view)
{
    for (size_t i = 0; probe_table[i]; i++)
        if (strcmp(probe_table[i]->view, view) == 0)
            return probe_table[i];
    return NULL;
}
