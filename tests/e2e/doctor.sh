#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# porthole doctor: without an agent, with each right taken away, on hosts that lack something.
# Every host state is made in a namespace of its own; nothing of this host is changed.
. "$(dirname "$0")/../lib.sh"

need_commands jq setpriv unshare bpftool

# status_of NEED: from the JSON lines in $T/out.
status_of() {
    jq -r "select(.group == \"${1%%:*}\" and .name == \"${1#*:}\").status" "$T/out"
}

# says FILE PATTERN
says() {
    grep -qE -- "$2" "$1" || { echo "no '$2' in: $(head -c 200 "$1")" && return 1; }
}

# is NEED STATUS: in $T/out.
is() {
    [ "$(status_of "$1")" = "$2" ] || { echo "$1 is '$(status_of "$1")', not '$2'" && return 1; }
}

# doctor [COMMAND…]: JSON into $T/out, stderr into $T/err, run by the command (setpriv, unshare …).
# Fails when doctor neither works nor explains itself.
doctor() {
    local got=0
    "$@" "$DOCTOR" doctor --json >"$T/out" 2>"$T/err" || got=$?
    case $got in
    0) [ ! -s "$T/err" ] || { cat "$T/err" && return 1; } ;;
    6) [ "$(wc -l <"$T/err")" = 1 ] || { echo "not one line: $(cat "$T/err")" && return 1; } ;;
    *) echo "exit $got: $(tail -n 1 "$T/err")" && return 1 ;;
    esac
    echo "$got" >"$T/status"
}

exit_is() {
    [ "$(cat "$T/status")" = "$1" ] || { echo "exit $(cat "$T/status"), not $1" && return 1; }
}

# A copy that an unprivileged user reaches, wherever the build tree is.
DOCTOR=$T/porthole
chmod 755 "$T"
cp "$B/porthole" "$DOCTOR" || exit 1
chmod 755 "$DOCTOR"

well_formed() {
    jq -e -s 'all(.type == "record" and .kind == "check"
            and ([.group, .name, .status, .detail, .remedy, .costs] | all(type == "string"))
            and (.status | IN("works", "limited", "missing", "info")))
        and length > 50 and (map([.group, .name]) | length == (unique | length))
        and all(if .status | IN("limited", "missing") then .costs != "" else true end)' \
        "$T/out" >/dev/null
}

# ---- as whoever runs this ----
check "doctor works without an agent" doctor
check "--json gives one well-formed object a line, each need once" well_formed
lines=$(wc -l <"$T/out")

text_matches_json() {
    "$DOCTOR" doctor >"$T/text" 2>/dev/null
    [ "$(grep -cE '^  (works|limited|missing|info) ' "$T/text")" = "$lines" ]
}
check "the text has the same needs, one line each" text_matches_json
check "no escape sequence goes into a pipe" bash -c "! grep -q $'\\x1b' '$T/text'"

exits_with 2 "an unknown option is exit 2" "$DOCTOR" doctor --nonsense
exits_with 2 "an operand is exit 2" "$DOCTOR" doctor nonsense
if [ -w /dev/full ]; then
    # Exit 1 where the output fails, whatever the host can do.
    exits_with 1 "a full disk is an error" bash -c "'$DOCTOR' doctor >/dev/full"
fi

on_terminal() {
    TERM=xterm script -qec "$1 $DOCTOR doctor" /dev/null 2>/dev/null
}
if command -v script >/dev/null; then
    coloured() { on_terminal env | grep -q $'\x1b\[3'; }
    plain() { ! on_terminal 'env NO_COLOR=1' | grep -q $'\x1b'; }
    check "a terminal gets colour" coloured
    check "NO_COLOR is respected" plain
else
    skip "colour on a terminal" "needs 'script'"
fi

# ---- the agent's socket ----
socket_says() {
    PORTHOLE_SOCKET=$T/fake.sock doctor &&
        jq -r 'select(.group == "agent").detail' "$T/out" | grep -q "$1"
}
check "an agent that is not there is told" socket_says 'no agent answers'
if command -v socat >/dev/null; then
    socat UNIX-LISTEN:"$T/fake.sock",fork EXEC:true &
    FAKE=$!
    on_exit stop_process "$FAKE"
    wait_for 10 test -S "$T/fake.sock"
    check "an agent that answers is told" socket_says 'an agent answers'
else
    skip "an agent that answers is told" "needs 'socat'"
fi

# ---- nothing is left ----
no_programs_left() {
    ! bpftool prog list 2>/dev/null | grep -q porthole_doctor
}
check "no program is left in the kernel" wait_for 10 no_programs_left

# ---- rights taken away ----
[ "$(id -u)" = 0 ] || skip_all "the rest needs root"
doctor
case $(cat "$T/status") in
0) ok "cpu works on this host" ;;
*) skip_all "this host cannot do cpu: $(cat "$T/err")" ;;
esac

unprivileged() {
    doctor setpriv --reuid 65534 --regid 65534 --clear-groups && exit_is 6 && well_formed &&
        is bpf:perf_event missing && is kernel:openat2 works &&
        says "$T/err" "CAP_(BPF|PERFMON) is not held"
}
check "an unprivileged user gets exit 6 and the reason" unprivileged

# without CAPABILITY EXIT STATUS-WORD [NEED=STATUS…]
without() {
    local cap=$1 code=$2 word=$3 need
    shift 3
    doctor setpriv --bounding-set="-$cap" --inh-caps="-$cap" && well_formed || return 1
    exit_is "$code" && is "capability:CAP_${cap^^}" "$word" || return 1
    for need in "$@"; do
        is "${need%=*}" "${need#*=}" || return 1
    done
}
check "without CAP_BPF it says so, exit 6" without bpf 6 missing
check "without CAP_PERFMON it says so, exit 6" without perfmon 6 missing
check "without CAP_SYS_PTRACE it says so, exit 6" without sys_ptrace 6 missing
for cap in dac_read_search checkpoint_restore; do
    check "without CAP_${cap^^} the rest works" without "$cap" 0 limited bpf:perf_event=works
done
for cap in setuid setgid setpcap kill; do
    check "without CAP_${cap^^} it says so, exit 6; BPF works" \
        without "$cap" 6 missing bpf:perf_event=works
done
check "without CAP_SYSLOG kernel names are lost, the rest works" \
    without syslog 0 limited kernel:kallsyms=limited bpf:perf_event=works
check "without CAP_IPC_LOCK the rest works" without ipc_lock 0 limited
sys_admin_is_not_needed() {
    doctor setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin && exit_is 0 &&
        is bpf:tp_btf works && is kernel:user-namespaces works
}
check "CAP_SYS_ADMIN is not needed" sys_admin_is_not_needed

no_bpf_at_all() {
    doctor setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-bpf,-sys_admin && exit_is 6 &&
        is bpf:perf_event missing && is perf:cpu-clock works &&
        says "$T/err" "CAP_BPF is not held"
}
check "without any right to BPF, perf events still show as working" no_bpf_at_all

no_perf_at_all() {
    doctor setpriv --bounding-set=-perfmon,-sys_admin --inh-caps=-perfmon,-sys_admin &&
        exit_is 6 && is perf:cpu-clock missing && is feature:ring_buffer works &&
        says "$T/err" "CAP_PERFMON is not held"
}
check "without any right to perf events, plain BPF still shows as working" no_perf_at_all

just_two() {
    doctor setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=+bpf,+perfmon \
        --ambient-caps=+bpf,+perfmon && is bpf:perf_event works && is bpf:tp_btf works &&
        is feature:get_stack works && is kernel:kallsyms limited
}
check "CAP_BPF and CAP_PERFMON are enough for BPF and perf events" just_two

# ---- hosts that lack something ----
# on_host SETUP [COMMAND…]: doctor after a shell's set-up in its own mount namespace.
on_host() {
    local setup=$1
    shift
    doctor unshare -m --propagation private sh -c "$setup && exec \"\$@\"" sh "$@"
}

no_btf() {
    on_host 'mount -t tmpfs none /sys/kernel/btf' && exit_is 6 && is kernel:btf missing &&
        is bpf:perf_event works && is tracepoint:sched_switch missing &&
        says "$T/err" CONFIG_DEBUG_INFO_BTF
}
check "without BTF: exit 6 and the reason; what needs none works" no_btf

no_tracefs() {
    on_host 'mount -t tmpfs none /sys/kernel/tracing' && exit_is 0 && is kernel:tracefs info &&
        is bpf:raw_tracepoint works && is tracepoint:sched_switch works
}
check "without tracefs nothing is lost" no_tracefs

with_tracefs() {
    on_host 'mount -t tracefs none /sys/kernel/tracing' && exit_is 0 && is kernel:tracefs works &&
        is bpf:tracepoint works
}
if unshare -m --propagation private mount -t tracefs none /sys/kernel/tracing 2>/dev/null; then
    check "with tracefs a tracepoint program attaches" with_tracefs
else
    skip "with tracefs a tracepoint program attaches" "tracefs cannot be mounted here"
fi

# A new mount of /proc has options of its own; a remount would change the host's.
hidden() {
    on_host 'mount -t proc -o hidepid=2 proc /proc' setpriv --reuid 65534 --regid 65534 \
        --clear-groups && is host:hidepid missing && says "$T/out" 'hidepid=(2|invisible)'
}
check "hidepid is told where it hides something" hidden
overcome() {
    on_host 'mount -t proc -o hidepid=2 proc /proc' && exit_is 0 && is host:hidepid works
}
check "hidepid does not matter to root" overcome

no_cgroups() {
    on_host 'umount -R /sys/fs/cgroup' && exit_is 6 && is host:cgroups missing &&
        is bpf:perf_event works && says "$T/err" 'no cgroup file system'
}
check "without cgroup file systems: exit 6 and the reason" no_cgroups

mode_is() {
    [ "$(jq -r 'select(.name == "cgroups").detail' "$T/out" | grep -oE '^(v1|v2|hybrid)')" = "$1" ] ||
        { jq -r 'select(.name == "cgroups").detail' "$T/out" && return 1; }
}
only_v2() {
    on_host 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup' && exit_is 0 &&
        mode_is v2 && is perf:cgroup works && is feature:cgroup_id works
}
check "a host with cgroup v2 alone is told" only_v2
only_v1() {
    on_host 'umount -R /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup &&
        mkdir /sys/fs/cgroup/memory && mount -t cgroup -o memory none /sys/fs/cgroup/memory' &&
        mode_is v1 && is perf:cgroup limited
}
if grep -q ' - cgroup .*memory' /proc/self/mountinfo; then
    check "a host with cgroup v1 alone is told" only_v1
else
    skip "a host with cgroup v1 alone is told" "the memory controller is not v1 here"
fi

in_user_namespace() {
    doctor setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur && exit_is 6 &&
        is host:user missing && is capability:CAP_BPF missing &&
        says "$T/err" 'user namespace'
}
if setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur true 2>/dev/null; then
    check "root of a user namespace is not taken for root" in_user_namespace
else
    skip "root of a user namespace is not taken for root" "users may not make namespaces here"
fi
in_pid_namespace() {
    doctor unshare -pf --mount-proc && is host:pid missing && is host:cgroup works
}
check "a pid namespace that is not the host's is told" in_pid_namespace
in_cgroup_namespace() {
    doctor unshare -C && exit_is 0 && is host:cgroup works && is host:pid works
}
check "a cgroup namespace costs nothing where the host's cgroups are mounted" in_cgroup_namespace
# Nothing is mounted but the part of v2 that begins at a cgroup of our own.
# shellcheck disable=SC2016
in_part_of_cgroups() {
    doctor sh -c 'echo 0 >"$0/cgroup.procs" && exec unshare -Cm sh -c '\''umount -l /sys/fs/cgroup &&
        mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'\'' sh "$@"' "$OWN" && is host:cgroup limited
}
OWN=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/pht$$-part
if mkdir "$OWN" 2>/dev/null; then
    on_exit "wait_for 10 rmdir '$OWN'"
    check "a cgroup namespace that is not the host's is told" in_part_of_cgroups
else
    skip "a cgroup namespace that is not the host's is told" "no cgroup v2 to write to"
fi

check "still no program is left in the kernel" wait_for 10 no_programs_left
