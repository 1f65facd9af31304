# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What it costs to follow TCP connections: nanoseconds in BPF programs for each connection, whose ends
# are both in the target, and for each megabyte that goes through one; likewise for connections of
# others; beside tcplife (Debian's libbpf-tools) and bpftrace with a script that does the same.
# Sourced by bench.sh.
#
# The kernel takes the times (kernel.bpf_stats_enabled), which adds two looks at the clock to each run
# of a program: to whoever has more of them the more. Rounds are interleaved.
TCP_BENCH=bench-tcp TCP_IDLE=bench-tcp-idle
TCP_CALLS=${TCP_CALLS:-5000}

# shellcheck disable=SC2016 # bpftrace's variables
TCP_SCRIPT='tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
    if (args->newstate < 4 && @born[args->skaddr] == 0) { @born[args->skaddr] = nsecs; }
    if (args->newstate == 2 || args->newstate == 9) { @pid[args->skaddr] = pid; @comm[args->skaddr] = comm; }
    if (args->newstate == 7 && @born[args->skaddr]) {
        $tcp = (struct tcp_sock *)args->skaddr;
        printf("%d %s %s %d %s %d %lu %lu %lu\n", @pid[args->skaddr], @comm[args->skaddr],
            ntop(args->family, args->saddr_v6), args->sport, ntop(args->family, args->daddr_v6), args->dport,
            $tcp->bytes_acked, $tcp->bytes_received, nsecs - @born[args->skaddr]);
        delete(@born[args->skaddr]); delete(@pid[args->skaddr]); delete(@comm[args->skaddr]);
    }
}'

tcp_calls() {
    runc exec "$TCP_BENCH" /bin/talk call 127.0.0.1 7000 "$TCP_CALLS" 0 1 first >/dev/null
}

tcp_stream() {
    runc exec "$TCP_BENCH" /bin/talk stream 127.0.0.1 7000 1073741824 >/dev/null
}

# A connection that is there before and goes on: what more of it costs, without its beginning and end.
tcp_stream_begin() {
    runc exec --detach --pid-file "$T/tcp.stream" "$TCP_BENCH" /bin/talk stream 127.0.0.1 7000 1099511627776 \
        </dev/null >/dev/null 2>&1
    wait_for 20 tcp_sent
}
tcp_stream_end() {
    kill -KILL "$(cat "$T/tcp.stream")"
}
tcp_sent() {
    nsenter --net="/proc/$(runc_pid "$TCP_BENCH")/ns/net" ss -tinH '( dport = :7000 )' | grep -oE 'bytes_acked:[0-9]+' | cut -d : -f 2
}
tcp_has_sent() {
    [ "$(tcp_sent)" -ge "$1" ]
}
tcp_gibibyte() {
    wait_for 60 tcp_has_sent $(($(tcp_sent) + 1073741824)) || echo "the stream stands still" >&2
}

tcp_ours() {
    hooks_measure "$1" "$2" "$3" "$B/porthole" tcp -d 600 -o "$T/tcp.json" "${@:4}"
}

# Connections a second while they are all followed, and what became of them.
tcp_rate() {
    local n
    runc exec "$TCP_BENCH" /bin/talk flood 127.0.0.1 7000 5 2 >"$T/tcp.bare"
    env --default-signal=INT "$B/porthole" tcp "$TCP_BENCH" -d 0 -o "$T/tcp.json" >"$T/tcp.out" 2>&1 &
    CAPTURE=$!
    wait_for 20 agent_captures
    n=$(runc exec "$TCP_BENCH" /bin/talk flood 127.0.0.1 7000 5 2 | awk '{ print $2 }')
    kill -INT $CAPTURE
    end_capture
    jq -r --argjson n "$n" --argjson bare "$(awk '{ print $2 }' "$T/tcp.bare")" 'select(.type == "quality") |
        "\($bare / 5 | floor) connections a second with nothing, \($n / 5 | floor) followed at both ends: \(.taken) taken, \(.shown) shown, lost: \(.lost)"' "$T/tcp.json"
}

section_tcp() {
    local round name
    bench_agent
    for name in $TCP_BENCH $TCP_IDLE; do
        victim "$name" /bin/sh -c 'while :; do sleep 1000; done'
        nsenter --net="/proc/$(runc_pid "$name")/ns/net" ip link set lo up
    done
    runc exec --detach "$TCP_BENCH" /bin/talk serve 127.0.0.1 7000 </dev/null >"$T/tcp.server" 2>&1
    wait_for 20 grep -q ready "$T/tcp.server"
    tcp_rate
    # shellcheck disable=SC2034 # hooks.sh's
    HOOKS="sock|tcp|send|recv"
    kernel_counts
    for ((round = 0; round < ROUNDS; round++)); do
        tcp_ours inside "$TCP_CALLS" tcp_calls "$TCP_BENCH"
        ! command -v tcplife >/dev/null || hooks_peer tcplife "$TCP_CALLS" tcp_calls tcplife
        tcp_ours outside "$TCP_CALLS" tcp_calls "$TCP_IDLE"
        ! command -v bpftrace >/dev/null || hooks_peer bpftrace "$TCP_CALLS" tcp_calls bpftrace -e "$TCP_SCRIPT"
        tcp_ours events "$TCP_CALLS" tcp_calls --events "$TCP_BENCH"
        tcp_ours stacks 1024 tcp_stream --stacks "$TCP_BENCH"
        tcp_stream_begin
        tcp_ours stream 1024 tcp_gibibyte "$TCP_BENCH"
        ! command -v tcplife >/dev/null || hooks_peer tcplife-stream 1024 tcp_gibibyte tcplife
        ! command -v bpftrace >/dev/null || hooks_peer bpftrace-stream 1024 tcp_gibibyte bpftrace -e "$TCP_SCRIPT"
        tcp_stream_end
    done
    echo "a connection, both ends of it; medians of $ROUNDS rounds of $TCP_CALLS"
    for name in inside events outside tcplife bpftrace; do
        printf '  %-10s %s\n' $name "$(hooks_cell $name)"
    done
    echo "a megabyte that is sent and received"
    for name in stream stacks tcplife-stream bpftrace-stream; do
        printf '  %-15s %s\n' $name "$(hooks_cell $name)"
    done
    printf 'inside / tcplife: %s, / bpftrace: %s (bar: 1.0); outside: %s ns an event, the clock included (bar: 100)\n' \
        "$(hooks_ratio inside tcplife)" "$(hooks_ratio inside bpftrace)" \
        "$(awk '{ print $1 / $2 }' "$T/hooks.outside" | median)"
}
