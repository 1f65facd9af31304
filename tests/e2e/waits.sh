#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# Threads whose waits are known, in a real container: every view of threads' time says so, and each
# thread's time adds up.
. "$(dirname "$0")/../lib.sh"
need_root
need_bpf
need_commands runc jq

C=wait$$
victim_waits() {
    victim_root "$C" && victim "$C" /bin/waits
}

# field NAME FIELD: of the row of the thread with that name.
field() {
    jq -r "select(.record and .comm == \"$1\") | .$2" "$T/rows" | head -n 1
}

# share NAME FIELD LOW HIGH: a part of the thread's wall time, in percent.
part() {
    between "$3" "$(jq -r "select(.record and .comm == \"$1\") | .$2 * 100 / .wall_us" "$T/rows" | head -n 1)" "$4"
}

# folded_part FILE PATTERN LOW HIGH: percent of a folded file's sum in lines with that pattern.
folded_part() {
    between "$3" "$(awk -v p="$2" '{ n = $NF; all += n } $0 ~ p { some += n } END { if (all) print some * 100 / all }' "$1")" "$4"
}

times_add_up() {
    jq -es '.[0].times | .threads > 7 and (.wall_us - .on_cpu_us - .runnable_us - .throttled_us - .blocked_us
        | fabs) < .wall_us / 10000' <(jq -c 'select(.type == "quality")' "$1")
}

start_agent
victim_waits || { not_ok "the container starts" "$(tail -n 1 "$T/$C/log")" && exit 1; }
let_run "$(runc_pid "$C")"

porthole states "$C" --max-overhead 100 -d 4 --per-thread -o "$T/s.json" 2>"$T/err" || not_ok "states works" "$(tail -n 1 "$T/err")"
jq -c 'select(.type == "record")' "$T/s.json" >"$T/rows"
check "the time of all threads adds up" times_add_up "$T/s.json"
check "the time of each thread adds up, to a tenth of a thousandth" jq -es '
    all((.wall_us - .on_cpu_us - .runnable_us - .throttled_us - .blocked_us | fabs) <= 10 + .wall_us / 10000)' "$T/rows"
check "what threads were blocked on adds up, too" jq -es '
    all((.blocked_us - .disk_us - .network_us - .lock_us - .sleep_us - .fault_us - .poll_us - .pipe_us
        - .child_us - .other_us | fabs) <= 50 + .blocked_us / 1000)' "$T/rows"
check "threads that lived all the time have the capture's time" \
    jq -es '[.[] | select(.comm == "never" or .comm == "sleeper")] | length == 2 and all(.wall_us > 3900000 and .wall_us < 4600000)' "$T/rows"
check "who never wakes was blocked before the capture and is at its end" part never pipe_us 99.9 100
check "who waits for a lock does so" part locker lock_us 40 95
check "who holds it sleeps" part holder sleep_us 60 100
check "who writes waits for the disk or a CPU" jq -es '
    map(select(.comm == "diskman"))[0] | .disk_us > 0 and .other_us * 10 <= .blocked_us' "$T/rows"
porthole states "$C" --max-overhead 100 -d 1 --thread spin --json >"$T/only" 2>"$T/err"
check "states --thread leaves other threads out" jq -es 'length > 0 and all(.comm == "spinner")' "$T/only"
check "who spins is never blocked" [ "$(field spinner blocked_us)" = 0 ]
check "who spins has the CPU or waits for it" [ "$(field spinner on_cpu_us)" -gt 400000 ]
# A CPU that the machine itself is kept from counts for us, not for them: not each has just its own.
check "threads that came and went have the 20 ms of CPU that each needs" jq -es '
    [.[] | select(.comm == "brief" and .on_cpu_us > 19000).on_cpu_us] | sort | length > 5 and .[length / 2 | floor] < 40000' "$T/rows"

porthole offcpu "$C" --max-overhead 100 -d 3 -f folded >"$T/f" 2>"$T/err"
check "offcpu shows where a thread waits for a lock" grep -q 'locker;.*take_lock;.*futex' "$T/f"
check "who has waited since before the capture has a whole stack" grep -qE '^never;(.*;)?start_thread;never;read;.*pipe_read' "$T/f"
check "a wait ends in what it is for, not in the scheduler" lacks "$T/f" ';(__schedule|schedule|do_nanosleep)_\[k\] '
check "offcpu shows no thread that spins" lacks "$T/f" '^spinner;'
check "offcpu says how the time is made up" grep -q '^time: .* on a CPU + .* blocked$' "$T/err"
porthole offcpu "$C" --max-overhead 100 -d 1 --thread sleep -f folded >"$T/f" 2>"$T/err"
check "--thread leaves other threads out" sh -c "grep -q ^sleeper '$T/f' && ! grep -qv ^sleeper '$T/f'"
check "what is left out is said" grep -q '^left out by the filters: ' "$T/err"
porthole offcpu "$C" --max-overhead 100 -d 1 --state uninterruptible -f folded >"$T/f" 2>"$T/err"
check "--state uninterruptible is the disk here" sh -c "grep -q ^diskman '$T/f' && ! grep -qE '^(sleeper|locker)' '$T/f'"
porthole offcpu "$C" --max-overhead 100 -d 1 --min-us 500000 -f folded >"$T/f" 2>"$T/err"
check "--min-us leaves short waits out" sh -c "grep -q ^never '$T/f' && ! grep -qE '^(sleeper|holder|diskman)' '$T/f'"

# Where that does not work the kernel walks each of them, which is right but slow.
knows_stacks() {
    grep -q __start_orc_unwind_ip /proc/kallsyms && ! porthole doctor 2>/dev/null | grep -qi 'bpf_loop.*missing'
}
if knows_stacks; then
    porthole offcpu "$C" --max-overhead 100 -d 1 -o "$T/known.json" 2>"$T/err"
    check "nearly all kernel stacks are known without the kernel's walk" jq -es 'map(select(.type == "quality"))[0].cost
        | .kernel_walked > 0 and .kernel_known > 10 * .kernel_walked' "$T/known.json"
else
    skip "nearly all kernel stacks are known without the kernel's walk" "this kernel has no ORC tables or no bpf_loop()"
fi

porthole offwake "$C" --max-overhead 100 -d 2 -f folded >"$T/f" 2>"$T/err"
check "the holder of a lock wakes who waits for it" grep -qE '^locker;.*take_lock.*;--;.*holder;.*;holder ' "$T/f"
check "a timer wakes sleepers, not whoever ran" \
    sh -c "grep -q '^sleeper;.*;\[timer interrupt\] ' '$T/f' && ! grep -q '^sleeper;.*nap_ms.*;spinner ' '$T/f'"
porthole wakeup "$C" --max-overhead 100 -d 2 -f folded >"$T/f" 2>"$T/err"
check "wakeup shows wakers right way up" grep -qE '^locker;holder;.*start_thread;holder;' "$T/f"
porthole chain "$C" --max-overhead 100 -d 2 -f folded >"$T/f" 2>"$T/err"
check "chain follows the holder to its timer" \
    grep -qE '^locker;.*take_lock.*;--;.*;holder;--;.*;\[timer interrupt\] ' "$T/f"
porthole switches "$C" --max-overhead 100 -d 2 -f folded >"$T/f" 2>"$T/err"
check "who spins is switched out against its will" grep -q '^spinner;involuntary;' "$T/f"
check "who sleeps gives the CPU away" grep -q '^sleeper;voluntary;.*nap_ms' "$T/f"
porthole hotcold "$C" --max-overhead 100 -d 3 --per-thread -f folded >"$T/f" 2>"$T/err"
check "hotcold: a thread's time adds up to the capture's" sh -c "
    awk '/^spinner/ { s += \$NF } /^sleeper/ { n += \$NF } END { exit !(s > 2950000 && s < 3500000 && n > 2950000 && n < 3500000) }' '$T/f'"
check "hotcold tells CPU, ready and blocked apart" sh -c "
    grep -q '^spinner[^;]*;on-CPU;.*spin_ms' '$T/f' && grep -q '^spinner[^;]*;runnable;' '$T/f' && grep -q '^sleeper[^;]*;blocked;.*nap_ms' '$T/f'"

porthole runq "$C" -d 2 -o "$T/r.json" 2>"$T/err"
check "runq has a histogram whose counts add up" jq -es '
    [.[] | select(.type == "histogram" and (.from_ms | not))] | length >= 1 and all(.count == ([.buckets[][2]] | add))' "$T/r.json"
check "its slices add up to it" jq -es '
    ([.[] | select(.type == "histogram" and .state == "runnable" and (.from_ms | not))][0].count) as $all
    | ([.[] | select(.type == "histogram" and .state == "runnable" and .from_ms != null) | .count] | add) == $all' "$T/r.json"
check "its waits are those taken" jq -es '
    ([.[] | select(.type == "quality")][0]) as $q | $q.taken == $q.shown + ([$q.lost[]] | add // 0) and $q.shown > 0' "$T/r.json"

# ---- the quota ----
quota=/sys/fs/cgroup/cpu/$C/cpu.cfs_quota_us
[ -w "$quota" ] || quota=
if [ -n "$quota" ]; then
    echo 20000 >"$quota"
    porthole states "$C" --max-overhead 100 -d 3 --per-thread -o "$T/q.json" 2>"$T/err"
    jq -c 'select(.type == "record")' "$T/q.json" >"$T/rows"
    check "who spins beyond its quota is throttled" [ "$(field spinner throttled_us)" -gt 300000 ]
    check "throttled time is no blocked time" [ "$(field spinner blocked_us)" = 0 ]
    check "with a quota the time of all threads adds up" times_add_up "$T/q.json"
    echo -1 >"$quota"
else
    skip "throttling by quota" "no cgroup v1 cpu controller with this container's group"
fi

# ---- rows and pictures ----
porthole states "$C" --max-overhead 100 -d 1 --per-thread >"$T/tsv" 2>"$T/err"
check "in a pipe come plain rows with all columns" awk -F '\t' '
    NR == 1 { n = NF; for (i = 1; i <= NF; i++) f[$i] = i }
    NF != n { exit 1 }
    $f["comm"] == "never" { found = $f["pipe_us"] > 900000 && $f["pipe_us"] == $f["wall_us"] }
    END { exit !(found && n > 20) }' "$T/tsv"
check "the summary says waiting, in seconds, and nothing of stacks" \
    sh -c "grep -qE '^waiting: [0-9.]+ s taken, [0-9.]+ s shown, ' '$T/err' && ! grep -qE '^(stacks|frames):' '$T/err'"
porthole runq "$C" -d 1 --json >"$T/json" 2>"$T/err"
check "--json prints rows and histograms and nothing else" jq -es '
    length > 8 and all(.type == "record" or .type == "histogram")' "$T/json"
exits_with 2 "--json is not for stacks" porthole offcpu "$C" --max-overhead 100 --json
exits_with 2 "--json and --format exclude each other" porthole runq "$C" --json -f json
porthole render "$T/r.json" -o "$T/r.svg" 2>"$T/err"
check "runq is drawn over time" sh -c "[ \"\$(grep -c '<rect class=\"cell ' '$T/r.svg')\" -gt 50 ]"
porthole wakeup "$C" --max-overhead 100 -d 1 -f folded >"$T/f" 2>"$T/err"
check "wakeup calls no stacks broken that it does not walk" sh -c "grep -q '^waiting: ' '$T/err' && ! grep -q '^stacks:' '$T/err'"

# ---- commands ----
exits_with 2 "--frequency is no option of offcpu" porthole offcpu "$C" -F 99
exits_with 2 "a bad state is refused" porthole offcpu "$C" --state asleep
exits_with 2 "rows cannot be drawn as a flame graph" porthole states "$C" --max-overhead 100 -f svg
porthole render "$T/s.json" -f table >"$T/table" 2>"$T/err"
check "its last row is the total" sh -c "tail -n 1 '$T/table' | grep -q '^TOTAL '"
check "render prints saved rows as a table" grep -qE '^NAME .*CPU%' "$T/table"
