#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Containers whose processes live for milliseconds, and programs that vanish: what was sampled has
# the name of the file that was running, and no other.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tools.sh"
need_bpf
need_commands runc jq gcc

A=pht$$-a
start_agent
tool_new "$T" red green blue rouge

# none: the samples of these lines are of the wrong family.
none_astray() {
    local line
    line=$(astray "$1" | head -n 1)
    [ -z "$line" ] || { echo "$line" && return 1; }
}

# Every function of these families was seen.
saw() {
    local file=$1 name
    shift
    for name in "$@"; do
        grep -q ";$name " "$file" || grep -q ";$name;" "$file" || { echo "no $name" && return 1; }
    done
}

# Children of the loop so far.
children() {
    local n=
    read -r n 2>/dev/null <"$T/$A/rootfs/tmp/count"
    echo "${n:-0}"
}

more_children() {
    local until=$(($(children) + $1))
    wait_for 30 eval "[ \"\$(children)\" -gt $until ]"
}

fresh_root() {
    runc_stop "$A"
    rm -rf --one-file-system "${T:?}/$A"
    victim_root "$A"
    cp "$T/red" "$T/green" "$T/blue" "$T/$A/rootfs/bin/"
}

# A process called dd, gzip or md5sum runs its own program or, before its exec is through, bash.
none_foreign() {
    user_samples "$1" | jq -r '. as $s | .user[] | (.file // "") | select(test("/(dd|gzip|md5sum)$"))
        | sub(".*/"; "") | select(. != $s.comm) | "\($s.comm) has frames of \(.)"' >"$T/foreign"
    [ ! -s "$T/foreign" ] || { head -n 1 "$T/foreign" && return 1; }
}

# ---- a loop of short programs, with symbols ----
fresh_root
victim "$A" /bin/tool loop 1500 /bin/red /bin/green /bin/blue
check "the loop runs" more_children 1
before=$(children)
sampled 300 3 "$T/loop.json" "$A" -F 499 2>/dev/null || not_ok "a capture of the loop" "exit $?"
count=$(($(children) - before))
folded "$T/loop.json" >"$T/loop.folded"
percent=$(attributed "$T/loop.json")
check "at least 99 % of samples have their binary ($percent %, $count processes)" between 99 "$percent" 100
percent=$(named "$T/loop.json")
check "at least 99 % of samples have names for every frame ($percent %)" between 99 "$percent" 100
check "no sample of a short-lived process has another program's name" none_astray "$T/loop.json"
check "every program of the loop was seen" saw "$T/loop.folded" red_work green_work blue_work
check "a process that forked and never execs has its names" saw "$T/loop.folded" tool_forked
check "nothing is lost in silence" conserved "$T/loop.json"

# ---- the container is removed while they run ----
start_capture "$T/removed.json" "$A" -d 30 -F 499
check "the loop goes on while it is sampled" more_children 1000
runc delete --force "$A" >/dev/null 2>&1
end_capture || not_ok "the capture ends with its container" "exit $?"
folded "$T/removed.json" >"$T/removed.folded"
percent=$(named "$T/removed.json")
check "samples of a container that was removed in mid-capture keep their names ($percent %)" \
    between 99 "$percent" 100
check "none of them has another program's name" none_astray "$T/removed.json"
check "all programs of the removed container are there" \
    saw "$T/removed.folded" red_work green_work blue_work tool_forked

# ---- exec after exec in one process ----
fresh_root
victim "$A" /bin/sh -c 'while :; do /bin/red 7000 /bin/green /bin/blue; done'
sampled 400 3 "$T/exec.json" "$A" -F 499 2>/dev/null || not_ok "a capture of execs" "exit $?"
folded "$T/exec.json" >"$T/exec.folded"
check "a process that execs shows each program's own names" none_astray "$T/exec.json"
for name in red green blue; do
    check "and $name's share of the time" share_is "$T/exec.folded" ${name}_work 32 7
done
runc_stop "$A"

# ---- the binary is replaced, then deleted, while its processes come and go ----
fresh_root
address() {
    nm "$T/$1" | sed -n "s/ T $1_work//p"
}
check "two programs have their functions at the same address" [ "$(address green)" = "$(address rouge)" ]
cp "$T/green" "$T/$A/rootfs/bin/app"
cp "$T/rouge" "$T/$A/rootfs/bin/new"
victim "$A" /bin/tool loop 2000 /bin/app
start_capture "$T/replaced.json" "$A" -d 30 -F 499
check "the first program runs" more_children 400
mv "$T/$A/rootfs/bin/new" "$T/$A/rootfs/bin/app"
check "the one that took its place runs" more_children 400
rm "$T/$A/rootfs/bin/app"
check "the loop goes on without it" more_children 100
kill -INT "$CAPTURE"
end_capture || not_ok "the capture of a replaced binary" "exit $?"
folded "$T/replaced.json" >"$T/replaced.folded"
check "a program and the one that replaced it are both there" \
    saw "$T/replaced.folded" green_work rouge_work tool_forked
check "neither has a sample of the other" none_astray "$T/replaced.json"
percent=$(named "$T/replaced.json")
check "what was replaced and deleted keeps its names ($percent %)" between 99 "$percent" 100
runc_stop "$A"

# ---- a shell, its subshells, and what distributions ship ----
if command -v bash gzip md5sum dd >/dev/null; then
    rm -rf --one-file-system "${T:?}/$A"
    root_new "$T/$A/rootfs"
    root_add "$T/$A/rootfs" /usr/bin/bash /usr/bin/dd /usr/bin/gzip /usr/bin/md5sum
    cat >"$T/$A/rootfs/loop.sh" <<'BASH'
n=0
while :; do
    dd if=/dev/zero bs=4k count=8 status=none | gzip -1 | md5sum >/dev/null
    (for ((i = 0; i < 50; i++)); do :; done)
    echo $((n += 6)) >/tmp/count
done
BASH
    runc_start "$A" "$T/$A" /usr/bin/bash /loop.sh
    check "a shell's loop of dd, gzip and md5sum runs" more_children 6
    before=$(children)
    sampled 300 3 "$T/shell.json" "$A" -F 499 2>/dev/null || not_ok "a capture of it" "exit $?"
    count=$(($(children) - before))
    percent=$(attributed "$T/shell.json")
    check "at least 99 % of its samples have their binaries ($percent %, $count processes)" \
        between 99 "$percent" 100
    check "no program of it shows another one's file" none_foreign "$T/shell.json"
    check "nothing of it is lost in silence" conserved "$T/shell.json"
else
    skip "a shell's loop of dd, gzip and md5sum" "not all of them are here"
fi
