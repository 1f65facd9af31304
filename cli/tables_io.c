/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of rows of block I/O and of TCP.
 */
#include "cli/tables.h"

#include "cli/cells.h"

#include <inttypes.h>
#include <string.h>

/* IPv6 needs brackets, or its last group could be the port. */
static void add_address(struct buf *b, const struct json_object *o, const char *address,
                        const char *port)
{
    const char *a = json_string(o, address);
    bool v6 = a && strchr(a, ':');
    uint64_t n;

    if (!a)
        return;
    buf_addf(b, "%s%s%s", v6 ? "[" : "", a, v6 ? "]" : "");
    if (json_number(o, port, UINT64_MAX, &n))
        buf_addf(b, ":%" PRIu64, n);
}

static void text_local(struct buf *b, const struct json_object *o)
{
    add_address(b, o, "laddr", "lport");
}

/* The agent sums up peers beyond the first thousands. */
static void text_remote(struct buf *b, const struct json_object *o)
{
    if (json_flag(o, "others"))
        buf_adds(b, "others");
    else
        add_address(b, o, "raddr", "rport");
}

/* How it ended and why. */
static void text_state(struct buf *b, const struct json_object *o)
{
    const char *state = json_string(o, "state"), *reason = json_string(o, "reason");

    if (state)
        buf_adds(b, state);
    if (reason && (!state || strcmp(state, reason) != 0))
        buf_addf(b, "%s%s", state ? ": " : "", reason);
}

/* What was open before the capture is marked, for its life is longer. */
static void text_lived(struct buf *b, const struct json_object *o)
{
    size_t start = b->size;

    cell_time(b, o, "duration_us");
    if (json_flag(o, "before"))
        buf_adds(b, b->size > start ? "+" : "before");
}

static void text_latency(struct buf *b, const struct json_object *o)
{
    if (json_flag(o, "in_flight"))
        buf_adds(b, "in flight");
    else
        cell_time(b, o, "latency_us");
}

CELL(name, cell_string, "comm")
CELL(pid, cell_count, "pid")
CELL(container, cell_string, "container")
CELL(owner, cell_string, "owner")
CELL(charged, cell_flag, "charged")
CELL(op, cell_string, "op")
CELL(device, cell_string, "device")
CELL(count, cell_grouped, "count")
CELL(bytes, cell_bytes, "bytes")
CELL(errors, cell_some, "errors")
CELL(p50, cell_time, "p50_us")
CELL(p99, cell_time, "p99_us")
CELL(max, cell_time, "max_us")
CELL(queue_p99, cell_time, "queue_p99_us")
CELL(device_p99, cell_time, "device_p99_us")
CELL(time, cell_moment, "time_us")
CELL(sector, cell_count, "sector")
CELL(queue, cell_time, "queue_us")
CELL(service, cell_time, "device_us")
CELL(error, cell_string, "error")
CELL(direction, cell_string, "direction")
CELL(peer, cell_string, "peer")
CELL(sent, cell_bytes, "tx_bytes")
CELL(received, cell_bytes, "rx_bytes")
CELL(connect, cell_time, "connect_us")
CELL(rtt, cell_time, "rtt_us")
CELL(retransmits, cell_some, "retransmits")
CELL(event, cell_string, "event")
CELL(connections, cell_grouped, "connections")
CELL(failed, cell_some, "failed")

#define RAW(name, what)                   \
    {                                     \
        .field = name, .shown.help = what \
    }

static const struct table_column block[] = {
    {.field = "comm",
     .shown = {"NAME", "who issued it: the process, or a thread of the kernel", text_name, false,
               8}},
    {.field = "pid",
     .shown = {"PID", "of the issuer, as its container numbers it", text_pid, true, 0},
     .drop = 5},
    RAW("host_pid", "likewise, as the host numbers it"),
    RAW("kernel", "the issuer is a thread of the kernel"),
    RAW("waits", "for what that issues: the process that is named"),
    {.field = "container",
     .shown = {"CONTAINER", "of the issuer; none is the host", text_container, false, 8}},
    {.field = "owner",
     .shown = {"OWNER", "whose data it is: container, host, kernel (metadata, journal) or unknown",
               text_owner, false, 8}},
    {.field = "charged",
     .shown = {"CHARGED", "the owner is the target", text_charged, false, 0},
     .drop = 4},
    {.field = "op", .shown = {"OP", "read, write, flush, discard or other", text_op, false, 0}},
    {.field = "device", .shown = {"DEVICE", "of which", text_device, false, 4}},
    {.field = "count", .shown = {"REQUESTS", "so many", text_count, true, 0}, .total = TOTAL_SUM},
    {.field = "bytes",
     .shown = {"BYTES", "that they moved", text_bytes, true, 0},
     .total = TOTAL_SUM},
    {.field = "errors",
     .shown = {"ERRORS", "that failed", text_errors, true, 0},
     .total = TOTAL_SUM,
     .drop = 1},
    {.field = "p50_us",
     .shown = {"P50", "half took less, from being queued to their end", text_p50, true, 0},
     .total = TOTAL_HISTOGRAM,
     .drop = 6},
    {.field = "p99_us",
     .shown = {"P99", "99 of 100 took less", text_p99, true, 0},
     .total = TOTAL_HISTOGRAM,
     .drop = 3},
    {.field = "max_us",
     .shown = {"MAX", "the longest", text_max, true, 0},
     .total = TOTAL_MOST,
     .drop = 7},
    {.field = "queue_p99_us",
     .shown = {"QUEUE99", "99 of 100 waited less before the device had them", text_queue_p99, true,
               0},
     .total = TOTAL_HISTOGRAM,
     .drop = 8},
    {.field = "device_p99_us",
     .shown = {"DEVICE99", "99 of 100 were done by the device in less", text_device_p99, true, 0},
     .total = TOTAL_HISTOGRAM,
     .drop = 9},
    RAW("queue_us", "time before the device had them, in all"),
    RAW("device_us", "time on the device, in all"),
    RAW("in_flight", "of them, those that had not ended with the capture"),
    {0},
};

static const struct table_column block_event[] = {
    {.field = "time_us",
     .shown = {"SECOND", "of the capture, at which it was queued", text_time, true, 0},
     .width = 11},
    {.field = "comm", .shown = {"NAME", "who issued it", text_name, false, 8}, .most = 15},
    {.field = "pid",
     .shown = {"PID", "of the issuer, as its container numbers it", text_pid, true, 0},
     .drop = 3,
     .width = 7},
    RAW("host_pid", "likewise, as the host numbers it"),
    RAW("kernel", "the issuer is a thread of the kernel"),
    RAW("waits", "for what that issues: the process that is named"),
    {.field = "container",
     .shown = {"CONTAINER", "of the issuer; none is the host", text_container, false, 9},
     .drop = 6,
     .most = 24},
    {.field = "owner",
     .shown = {"OWNER", "whose data it is: container, host, kernel or unknown", text_owner, false,
               8},
     .drop = 2,
     .most = 24},
    {.field = "charged",
     .shown = {"CHARGED", "the owner is the target", text_charged, false, 0},
     .drop = 7,
     .width = 7},
    {.field = "op",
     .shown = {"OP", "read, write, flush, discard or other", text_op, false, 0},
     .width = 7},
    {.field = "device", .shown = {"DEVICE", "of which", text_device, false, 7}, .most = 12},
    {.field = "sector",
     .shown = {"SECTOR", "where it begins, in 512 bytes", text_sector, true, 0},
     .drop = 4,
     .width = 11},
    {.field = "bytes", .shown = {"BYTES", "that it moved", text_bytes, true, 0}, .width = 9},
    RAW("count", "1, or 0 where it is a further owner's part of the request above"),
    {.field = "queue_us",
     .shown = {"QUEUED", "time before the device had it", text_queue, true, 0},
     .drop = 5,
     .width = 9},
    {.field = "device_us",
     .shown = {"SERVED", "time on the device", text_service, true, 0},
     .drop = 5,
     .width = 9},
    {.field = "latency_us",
     .shown = {"LATENCY", "both together, or in flight at the end", text_latency, true, 0},
     .width = 9},
    {.field = "error",
     .shown = {"ERROR", "with which it failed", text_error, false, 0},
     .drop = 1,
     .width = 6},
    {0},
};

#define COLUMN_PID                                                                          \
    {                                                                                       \
        "pid", {"PID", "of it, as the container numbers it", text_pid, true, 0}, .drop = 8, \
                                                                                 .width = 7 \
    }
#define COLUMN_CONTAINER                                                                         \
    {                                                                                            \
        "container", {"CONTAINER", "where it runs; none is the host", text_container, false, 9}, \
            .drop = 11, .most = 24                                                               \
    }
#define COLUMN_LOCAL                                               \
    {"laddr",                                                      \
     {"LOCAL", "its own address and port", text_local, false, 15}, \
     .drop = 6,                                                    \
     .most = 47},                                                  \
        RAW("lport", "of its own address")
#define COLUMN_REMOTE                                                                 \
    {.field = "raddr",                                                                \
     .shown = {"REMOTE", "the other end's address and port", text_remote, false, 15}, \
     .most = 47},                                                                     \
        RAW("rport", "of the other end's address")
#define COLUMN_PEER                                                                           \
    {                                                                                         \
        "peer", {"PEER", "the other end's container, on the same host", text_peer, false, 8}, \
            .drop = 7, .most = 24                                                             \
    }

static const struct table_column tcp[] = {
    {.field = "comm",
     .shown = {"NAME", "the process that had it", text_name, false, 8},
     .most = 15},
    COLUMN_PID,
    RAW("host_pid", "likewise, as the host numbers it"),
    COLUMN_CONTAINER,
    {.field = "direction",
     .shown = {"DIR", "out: it connected; in: it accepted", text_direction, false, 0},
     .width = 3},
    COLUMN_LOCAL,
    COLUMN_REMOTE,
    COLUMN_PEER,
    {.field = "tx_bytes", .shown = {"SENT", "bytes that it sent", text_sent, true, 0}, .width = 9},
    {.field = "rx_bytes",
     .shown = {"RECEIVED", "bytes that it received", text_received, true, 0},
     .width = 9},
    {.field = "duration_us",
     .shown = {"LIFE", "how long it was open; + or before: it was, when the capture began",
               text_lived, true, 0},
     .width = 9},
    {.field = "connect_us",
     .shown = {"CONNECT", "until it was open", text_connect, true, 0},
     .drop = 9,
     .width = 9},
    {.field = "rtt_us",
     .shown = {"RTT", "smoothed round trip, at the end", text_rtt, true, 0},
     .drop = 5,
     .width = 9},
    {.field = "retransmits",
     .shown = {"RETR", "segments that were sent again", text_retransmits, true, 0},
     .drop = 4,
     .width = 5},
    {.field = "state",
     .shown = {"STATE", "how it ended and why, or open at the capture's end", text_state, false,
               15},
     .most = 20},
    RAW("reason",
        "why it failed or broke: refused, timed-out, unreachable, no-port, reset, abandoned"),
    RAW("before", "it was open when the capture began"),
    {0},
};

static const struct table_column tcp_event[] = {
    {.field = "time_us", .shown = {"SECOND", "of the capture", text_time, true, 0}, .width = 11},
    {.field = "event", .shown = {"EVENT", "what happened", text_event, false, 0}, .width = 14},
    {.field = "comm",
     .shown = {"NAME", "the process whose connection it is", text_name, false, 8},
     .most = 15},
    COLUMN_PID,
    RAW("host_pid", "likewise, as the host numbers it"),
    COLUMN_CONTAINER,
    {.field = "direction",
     .shown = {"DIR", "out: it connected; in: it accepted", text_direction, false, 0},
     .drop = 12,
     .width = 3},
    COLUMN_LOCAL,
    COLUMN_REMOTE,
    COLUMN_PEER,
    {.field = "connect_us",
     .shown = {"CONNECT", "until it was open, or had failed", text_connect, true, 0},
     .drop = 5,
     .width = 9},
    {.field = "tx_bytes",
     .shown = {"SENT", "bytes until then", text_sent, true, 0},
     .drop = 3,
     .width = 9},
    {.field = "rx_bytes",
     .shown = {"RECEIVED", "bytes until then", text_received, true, 0},
     .drop = 3,
     .width = 9},
    {.field = "duration_us",
     .shown = {"LIFE", "how long it was open until then", text_lived, true, 0},
     .drop = 9,
     .width = 9},
    {.field = "rtt_us",
     .shown = {"RTT", "smoothed round trip", text_rtt, true, 0},
     .drop = 10,
     .width = 9},
    RAW("retransmits", "segments that were sent again"),
    {.field = "state",
     .shown = {"STATE", "how it ended and why", text_state, false, 15},
     .drop = 4,
     .most = 20},
    RAW("reason",
        "why it failed or broke: refused, timed-out, unreachable, no-port, reset, abandoned"),
    {0},
};

static const struct table_column tcp_peer[] = {
    {.field = "raddr",
     .shown = {"REMOTE", "address and port: of a server, when it connected", text_remote, false,
               15}},
    RAW("rport", "of that address"),
    RAW("others", "the peers for which there is no row of their own"),
    {.field = "peer", .shown = {"PEER", "its container, on the same host", text_peer, false, 8}},
    {.field = "direction",
     .shown = {"DIR", "out: it connected; in: it accepted", text_direction, false, 0}},
    {.field = "connections",
     .shown = {"CONNECTIONS", "with it", text_connections, true, 0},
     .total = TOTAL_SUM},
    {.field = "failed",
     .shown = {"FAILED", "connects to it", text_failed, true, 0},
     .total = TOTAL_SUM,
     .drop = 1},
    {.field = "tx_bytes", .shown = {"SENT", "bytes to it", text_sent, true, 0}, .total = TOTAL_SUM},
    {.field = "rx_bytes",
     .shown = {"RECEIVED", "bytes from it", text_received, true, 0},
     .total = TOTAL_SUM},
    {.field = "retransmits",
     .shown = {"RETR", "segments that were sent again", text_retransmits, true, 0},
     .total = TOTAL_SUM,
     .drop = 2},
    {0},
};

const struct table_spec tables_io[] = {
    {.record = "block",
     .heading = "sums",
     .columns = block,
     .sort = {"bytes"},
     .whole_state = "latency",
     .top = 40,
     .over_time = true},
    {.record = "block-event",
     .heading = "requests, with --events",
     .columns = block_event,
     .others = {"block"},
     .live = true,
     .over_time = true},
    {.record = "tcp",
     .heading = "connections",
     .columns = tcp,
     .others = {"tcp-peer"},
     .live = true,
     .over_time = true},
    {.record = "tcp-event",
     .heading = "events, with --events",
     .columns = tcp_event,
     .others = {"tcp-peer"},
     .live = true,
     .over_time = true},
    {.record = "tcp-peer",
     .heading = "peers",
     .columns = tcp_peer,
     .sort = {"tx_bytes", "rx_bytes"},
     .top = 20},
    {0},
};
