/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/block_totals.h"

void block_totals_add(struct block_totals *t, const struct event_block_key *key, uint64_t requests,
                      uint64_t bytes, uint64_t errors)
{
    t->requests += requests;
    t->errors += errors;
    if (key->owner_kind == EVENT_OWNER_UNKNOWN) {
        t->unattributed_bytes += bytes;
        t->unattributed_requests += requests;
    } else if (key->owner_kind == EVENT_OWNER_KERNEL) {
        t->kernel_bytes += bytes;
    } else if (key->charged) {
        t->charged_bytes += bytes;
    } else {
        t->others_bytes += bytes;
    }
}

void block_totals_write(const struct block_totals *t, struct buf *out)
{
    const struct {
        const char *field;
        uint64_t value;
    } members[] = {
        {"charged_bytes", t->charged_bytes},
        {"kernel_bytes", t->kernel_bytes},
        {"others_bytes", t->others_bytes},
        {"unattributed_bytes", t->unattributed_bytes},
        {"unattributed_requests", t->unattributed_requests},
        {"merged", t->counts.merged},
        {"requeued", t->counts.requeued},
        {"end_unseen", t->counts.unseen},
        {"begin_unseen", t->counts.missed},
        {"errors", t->errors},
        {"in_flight_at_end", t->open},
    };

    buf_adds(out, ",\"block\":{");
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        buf_addf(out, "%s\"%s\":%llu", i ? "," : "", members[i].field,
                 (unsigned long long)members[i].value);
    buf_addc(out, '}');
}
