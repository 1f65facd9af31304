/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the probe of the `tcp` view has beside its events. For agent/tcp_records.c.
 */
#pragma once

#include "agent/probe.h"
#include "base/buf.h"

/* After the last drain: the connections that it found open, as an array of struct event_tcp, which
 * becomes the caller's. */
void probe_tcp_take_open(struct probe *p, struct buf *ret);

/* State changes that interrupted another one's program and were not seen. Rows of such connections
 * may know less. */
uint64_t probe_tcp_missed(struct probe *p);
