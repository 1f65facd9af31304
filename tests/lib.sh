# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the test scripts share: result lines, scratch space, waiting, the agent, folded stacks.
#
# A test file sources this, prints "ok - …", "not ok - …: why" or "skip - …: reason" for each thing
# that it shows, and cleans up through on_exit. tests/run.sh counts the lines.
set -u

# shellcheck source=tests/runc.sh
. "$(dirname "${BASH_SOURCE[0]}")/runc.sh"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${B:=build} in
/*) ;;
*) B=$ROOT/$B ;;
esac
export W=$B/tests/workloads # what the containers run
PATH=$PATH:/usr/sbin:/sbin
T=$(mktemp -d "${TMPDIR:-/tmp}/porthole-test.XXXXXX")
export PORTHOLE_SOCKET=$T/agent.sock B
AGENT_PID=
# Newer versions of go compile "go tool pprof" on first use: once for all tests.
export GOCACHE=$ROOT/build/go-cache

ok() {
    echo "ok - $1"
}

not_ok() {
    echo "not ok - $1: ${2:-}"
}

skip() {
    echo "skip - $1: $2"
}

# The whole file cannot run here.
skip_all() {
    skip "$(basename "$0")" "$1"
    exit 0
}

# check SENTENCE COMMAND…: ok when the command succeeds, else not ok with what it said last.
check() {
    local sentence=$1 said
    shift
    if said=$("$@" 2>&1); then
        ok "$sentence"
    else
        not_ok "$sentence" "$(printf '%s' "${said:-$* failed}" | tail -n 1 | cut -c 1-300)"
    fi
}

# exits_with STATUS SENTENCE COMMAND…: ok when it exits so; what it said is left in $T/out, $T/err.
exits_with() {
    local want=$1 sentence=$2 got=0
    shift 2
    "$@" >"$T/out" 2>"$T/err" || got=$?
    if [ "$got" = "$want" ]; then
        ok "$sentence"
    else
        not_ok "$sentence" "exit $got, not $want: $(tail -n 1 "$T/err" | cut -c 1-300)"
    fi
}

# between LOW VALUE HIGH, decimals allowed; says so when it is not.
between() {
    awk -v l="$1" -v v="$2" -v h="$3" 'BEGIN { exit !(v != "" && l <= v + 0 && v + 0 <= h) }' ||
        { echo "$2 is not within $1 and $3" && return 1; }
}

# Commands for the end of the test, last one first, whatever ends it.
EXIT_COMMANDS=()
on_exit() {
    EXIT_COMMANDS=("$*" ${EXIT_COMMANDS[@]+"${EXIT_COMMANDS[@]}"})
}

run_exit_commands() {
    local command
    trap '' INT TERM
    for command in ${EXIT_COMMANDS[@]+"${EXIT_COMMANDS[@]}"}; do
        eval "$command"
    done
    rm -rf --one-file-system "$T"
}
trap run_exit_commands EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for SECONDS COMMAND…: asks again and again until the command succeeds; 1 when time is up.
wait_for() {
    local until=$((SECONDS + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -ge "$until" ] && return 1
        sleep 0.05
    done
}

gone() {
    [ ! -e "/proc/$1" ] || [ "$(cut -d ' ' -f 3 <"/proc/$1/stat" 2>/dev/null)" = Z ]
}

# Ends a process that this test started, and waits until it is gone.
stop_process() {
    kill -TERM "$1" 2>/dev/null
    wait_for 10 gone "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    return 0
}

# All descendants of a process, and the process itself.
family() {
    local child children
    echo "$1"
    children=$(cat /proc/"$1"/task/*/children 2>/dev/null)
    for child in $children; do
        family "$child"
    done
}

need_root() {
    [ "$(id -u)" = 0 ] || skip_all "needs root"
}

need_commands() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip_all "needs '$command'"
    done
}

# Root, BTF and a kernel that lets this process load BPF programs.
need_bpf() {
    need_root
    [ -r /sys/kernel/btf/vmlinux ] || skip_all "this kernel has no BTF"
    bpftool prog list >/dev/null 2>&1 || skip_all "this host does not let us use BPF"
}

# Starts an agent on $PORTHOLE_SOCKET; its log is $T/agent.log. Ends with the test. AGENT_RUN: words of
# a command that runs it, such as nsenter.
start_agent() {
    # shellcheck disable=SC2086 # words
    ${AGENT_RUN-} "$B/portholed" --socket "$PORTHOLE_SOCKET" "$@" >>"$T/agent.log" 2>&1 &
    AGENT_PID=$!
    if ! wait_for 20 "$B/porthole" status; then
        not_ok "the agent starts" "$(tail -n 2 "$T/agent.log" | tr '\n' ' ')"
        exit 1
    fi
    [ "${AGENT_ON_EXIT-}" ] || on_exit stop_agent
    AGENT_ON_EXIT=1
}

stop_agent() {
    [ -z "$AGENT_PID" ] || stop_process "$AGENT_PID"
    AGENT_PID=
}

porthole() {
    "$B/porthole" "$@"
}

# Ids of the BPF programs that the agent and its children hold. An agent at rest has none.
agent_programs() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        grep -hs '^prog_id:' /proc/"$pid"/fdinfo/* | awk '{ print $2 }'
    done | sort -nu
}

agent_captures() {
    [ -n "$(agent_programs)" ]
}

agent_rests() {
    [ -z "$(agent_programs)" ]
}

# start_kernel_work: a process that samples of the whole host have kernel functions of; where nothing else is
# to be done there may be none in a second. end_kernel_work ends it, a minute does in any case.
start_kernel_work() {
    timeout 60 dd if=/dev/zero of=/dev/null bs=1M status=none &
    KERNEL_WORK=$!
}

end_kernel_work() {
    kill "$KERNEL_WORK"
    wait "$KERNEL_WORK" 2>/dev/null
    return 0
}

# captures_run COUNT: so many are under way. One that has ended may be among them until the agent has seen it.
captures_run() {
    [ "$(porthole status --json | jq -s '[.. | objects | select(.phase? == "running")] | length')" = "$1" ]
}

# Open fds of the agent and its children together.
agent_fds() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        ls "/proc/$pid/fd" 2>/dev/null
    done | wc -l
}

# A runc container that ends with the test; all workloads are in its /bin.
victim() {
    local name=$1
    shift
    on_exit "runc_stop $name; rm -rf --one-file-system '$T/$name'"
    victim_root "$name"
    runc_start "$name" "$T/$name" "$@" || { not_ok "a container starts" "see above" && exit 1; }
}

victim_root() {
    [ -d "$T/$1/rootfs" ] && return
    root_new "$T/$1/rootfs"
    cp "$W"/* "$T/$1/rootfs/bin/"
}

# Clock ticks that a process has run.
ticks() {
    awk '{ print $14 + $15 }' "/proc/$1/stat" 2>/dev/null || echo 0
}

has_run() {
    [ "$(ticks "$1")" -ge "$2" ]
}

# Waits until a process has run for half a second more.
let_run() {
    wait_for 30 has_run "$1" $(($(ticks "$1") + 50))
}

# start_capture OUT ARGUMENTS…: a capture in the background ($CAPTURE), returns when it samples.
start_capture() {
    local out=$1
    shift
    env --default-signal=INT "$B/porthole" cpu "$@" -o "$out" >"$out.log" 2>&1 &
    CAPTURE=$!
    wait_for 10 agent_captures || { not_ok "a capture starts" "$(tail -n 1 "$out.log")" && return 1; }
}

# sampled MIN SECONDS OUT ARGUMENTS…: a capture into OUT of so many samples at least, for which it takes
# up to nine times as long where a busy machine leaves the target less of its CPUs.
sampled() {
    local min=$1 seconds=$2 out=$3 factor
    shift 3
    for factor in 1 3 9; do
        "$B/porthole" cpu "$@" -d "$(awk "BEGIN { print $seconds * $factor }")" -o "$out" || return
        [ "$(quality "$out" .shown)" -lt "$min" ] || break
    done
}

# Ends when the capture in the background does; returns its exit status.
end_capture() {
    wait_for "${1:-60}" gone "$CAPTURE" || { echo "the client hangs" && kill -KILL "$CAPTURE"; }
    wait "$CAPTURE"
}

# share FILE FUNCTION: percent of a folded file's samples with that frame anywhere in the stack.
share() {
    awk -v f="$2" '
        {
            n = $NF
            total += n
            sub(/ [0-9]+$/, "")
            k = split($0, frame, ";")
            for (i = 2; i <= k; i++) {
                sub(/_\[[kij]\]$/, "", frame[i])
                if (frame[i] == f) {
                    hit += n
                    break
                }
            }
        }
        END { printf "%.2f\n", total ? 100 * hit / total : 0 }' "$1"
}

# share_is FILE FUNCTION PERCENT MARGIN; also wants enough samples to say so.
share_is() {
    [ "$(samples "$1")" -ge 100 ] || { echo "only $(samples "$1") samples" && return 1; }
    between $(($3 - $4)) "$(share "$1" "$2")" $(($3 + $4))
}

# lacks FILE PATTERN: says the line that has it.
lacks() {
    ! grep -m 1 -E "$2" "$1"
}

# The saved stream as folded stacks.
folded() {
    "$B/porthole" render "$1" -f folded
}

# Sum of a folded file's counts.
samples() {
    awk '{ n += $NF } END { print n + 0 }' "$1"
}

# quality FILE JQ-EXPRESSION: a value of the quality report in a saved stream.
quality() {
    jq -r "select(.type == \"quality\") | $2" "$1"
}

# taken = shown + lost, and shown is what the stacks of the stream add up to.
conserved() {
    jq -s -e '(map(select(.type == "stack").value) | add // 0) as $sum
        | map(select(.type == "quality"))[0]
        | (.taken == .shown + ([.lost[]] | add // 0)) and .shown == $sum' "$1" >/dev/null ||
        { jq -c 'select(.type == "quality") | {taken, shown, lost}' "$1" && return 1; }
}
