#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1300
#
# Porthole on Debian's stock 6.1 kernels, in a machine made of software: on a host of cgroup v1 alone,
# of v2 alone and of both; with perf_event_paranoid 3, kptr_restrict 2 and lockdown; with a file system
# that is the kernel's own and one that is made of modules (v1). tests/vm/init is what happens inside.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/machine.sh
. "$ROOT/tests/vm/machine.sh"
SILENCE=60 # tests/vm/init tells of each step, the longest of which takes half of that
need_root # for runc's files to be root's
need_commands qemu-system-x86_64 busybox cpio jq runc bpftool setpriv apt-get dpkg-deb mkfs.ext4
[ "$(uname -m)" = x86_64 ] || skip_all "the machine in software is an x86-64"
! ldd "$(command -v busybox)" >/dev/null 2>&1 || skip_all "busybox is not static"

# ---- the initramfs ----

# machine_config NAME COMMAND…: a container of the machine.
machine_config() {
    local name=$1
    shift
    mkdir -p "$IMAGE/c/$name"
    runc_config "$name" "$@" >"$IMAGE/c/$name/config.json"
}

build_image() {
    IMAGE=$T/image
    root_new "$IMAGE"
    "$IMAGE/bin/busybox" --list | while read -r applet; do
        [ -e "$IMAGE/bin/$applet" ] || ln -s busybox "$IMAGE/bin/$applet"
    done
    root_add "$IMAGE" "$(command -v runc)" "$(command -v bpftool)" "$B"/porthole{,d,-opener,-parser}
    rm -f "$IMAGE/bin/setpriv" # busybox's knows no bounding set
    root_add "$IMAGE" "$(command -v setpriv)"
    mv "$IMAGE$B"/porthole* "$IMAGE/bin/"
    mkdir -p "$IMAGE/victims/bin" "$IMAGE/run"
    root_add "$IMAGE/victims" "$W/omit"
    mv "$IMAGE/victims$W/omit" "$IMAGE/victims/bin/"
    cp "$W/calls" "$W/waits" "$W/talk" "$W/disk" "$IMAGE/victims/bin/"
    machine_config vm-omit /bin/omit tree deep kernel callback
    machine_config vm-zeros /bin/calls zeros
    machine_config vm-waits /bin/waits spinner sleeper holder locker never breeder
    machine_config vm-disk /bin/waits never
    machine_config vm-beside /bin/waits never
    machine_config vm-swap /bin/waits never
    RUNC_NETWORK=', "path": "/proc/1/ns/net"' machine_config vm-talk /bin/talk serve 127.0.0.1 7000
    root_add "$IMAGE" "$(command -v mkfs.ext4)"
    mkdir -p "$IMAGE/lib/modules"
    cp -r "$ROOT/build/vm/modules/." "$IMAGE/lib/modules"
    cp "$ROOT/tests/vm/init" "$IMAGE/init"
    chmod 755 "$IMAGE/init"
    (cd "$IMAGE" && find . | cpio -o -H newc -R 0:0) >"$T/initramfs" 2>/dev/null
}

# boot KIND CGROUPS [PARAMETER…]: leaves what the machine sent in $T/KIND/.
boot() {
    local kind=$1 cgroups=$2
    boot_machine "$kind" 1500 kernel.out "$T/initramfs" "VM_KIND=$kind VM_CGROUPS=$cgroups ${*:3}"
}

# ---- what is wanted of the results in $R ----

exited() {
    [ "$(cat "$R/$1.status")" = "$2" ] ||
        { echo "exit $(cat "$R/$1.status"), not $2: $(tail -n 1 "$R/$1.err")" && return 1; }
}

# doctor_says FILE GROUP NAME STATUS
doctor_says() {
    jq -e -s --arg g "$2" --arg n "$3" --arg s "$4" \
        'any(.group == $g and .name == $n and .status == $s)' "$R/$1.out" >/dev/null ||
        { jq -c --arg g "$2" --arg n "$3" 'select(.group == $g and .name == $n)' "$R/$1.out" && return 1; }
}

whole() {
    jq -s -e --argjson p "$1" 'map(select(.type == "quality"))[0]
        | (.shown - (.stacks.broken_by["no-table-yet"] // 0)) as $n # a machine in software takes its time
        | .shown >= 100 and $n * 100 >= .shown * 70 and .stacks.whole * 100 >= $n * $p
            and .stacks.by_tables * 100 >= $n * 90' \
        "$R/omit.json" >/dev/null || { quality "$R/omit.json" '[.shown, .stacks] | tostring' && return 1; }
}

has_stack() {
    grep -qE "$1" "$R/omit.folded" || { echo "no such stack among $(wc -l <"$R/omit.folded")" && return 1; }
}

# listed FILE
listed() {
    jq -e -s 'any(.name == "vm-omit" and .runtime == "runc" and .processes >= 1)' "$R/$1.out" >/dev/null ||
        { head -c 300 "$R/$1.out" && return 1; }
}

mode_is() {
    jq -r 'select(.group == "host" and .name == "cgroups").detail' "$R/doctor.out" | grep -q "^$1" ||
        { jq -c 'select(.name == "cgroups")' "$R/doctor.out" && return 1; }
}

profiles() {
    local kind=$1
    check "$kind: doctor says that captures work" exited doctor 0
    check "$kind: doctor knows the host's cgroups" mode_is "$kind"
    check "$kind: list shows a runc container" listed list
    check "$kind: a capture of the container works" exited omit 0
    folded "$R/omit.json" >"$R/omit.folded"
    check "$kind: at least 95 % of its stacks are whole, by tables" whole 95
    check "$kind: nothing is lost in silence" conserved "$R/omit.json"
    check "$kind: samples that come before the tables are counted, too" conserved "$R/first.json"
    check "$kind: a deep stack is there, frame by frame" has_stack \
        ';omit::run_thread;omit::deep;(omit::fall;){110}omit::leaf_deep(;| )'
    check "$kind: kernel frames stand below the user's" has_stack \
        ';omit::leaf_read;([^;]*;){1,2}[^;]*_\[k\].*;[a-z_]*read[a-z_]*_\[k\]'
    check "$kind: only the container is in it" lacks "$R/omit.folded" '^(porthole|sh|runc|init|swapper)'
}

# spends FILE NAME FIELD LOW HIGH: a part of a thread's wall time, in percent.
spends() {
    between "$4" "$(jq -r "select(.record and .comm == \"$2\") | .$3 * 100 / .wall_us" "$R/$1.json" | head -n 1)" "$5"
}

# Each thread's time, and with it all of it, within a hundredth.
times_add_up() {
    jq -es '[.[] | select(.record == "states")] | length > 5
        and all((.wall_us - .on_cpu_us - .runnable_us - .throttled_us - .blocked_us | fabs) <= 100 + .wall_us / 100)' \
        "$R/$1.json" >/dev/null || { jq -c 'select(.record == "states")' "$R/$1.json" && return 1; }
}

waits_balance() {
    local view
    for view in "$@"; do
        jq -es 'map(select(.type == "quality"))[0] | .taken == .shown + ([.lost[]] | add // 0) and .shown > 0' \
            "$R/$view.json" >/dev/null || { echo "$view: $(quality "$R/$view.json" '[.taken, .shown, .lost] | tostring')" && return 1; }
    done
}

waits() {
    local kind=$1
    check "$kind: the views of threads' time work" \
        eval 'exited states 0 && exited offcpu 0 && exited offwake 0 && exited runq 0'
    check "$kind: each thread's time adds up" times_add_up states
    check "$kind: who never wakes is blocked all the time" spends states never pipe_us 99 100
    check "$kind: who sleeps does so" spends states sleeper sleep_us 25 100
    check "$kind: who waits for a lock does so" spends states locker lock_us 10 100
    check "$kind: who spins is never blocked" spends states spinner blocked_us 0 0
    check "$kind: without a quota nobody is throttled" spends states spinner throttled_us 0 0
    check "$kind: no wait is lost in silence" waits_balance states offcpu offwake runq
    folded "$R/offcpu.json" >"$R/offcpu.folded"
    check "$kind: waits have user and kernel stacks" \
        grep -qE 'locker[^;]*;.*take_lock;.*;[^;]*futex[^;]*_\[k\] ' "$R/offcpu.folded"
    check "$kind: so do those of threads that slept before the capture" \
        grep -qE '^never[^;]*;(.*;)?start_thread;never;read;.*pipe_read_\[k\] ' "$R/offcpu.folded"
    folded "$R/offwake.json" >"$R/offwake.folded"
    check "$kind: the holder of a lock wakes who waits for it" \
        grep -qE '^locker[^;]*;.*take_lock.*;--;.*;holder ' "$R/offwake.folded"
    check "$kind: a timer wakes sleepers" grep -qE '^sleeper[^;]*;.*;\[timer interrupt\] ' "$R/offwake.folded"
    check "$kind: with a quota each thread's time adds up" times_add_up quota-states
    check "$kind: who spins beyond the quota is throttled" spends quota-states spinner throttled_us 20 100
    check "$kind: runq tells throttled threads from those that wait for a CPU" \
        jq -es 'any(.type == "histogram" and .state == "throttled" and .count > 0)' "$R/quota-runq.json"
}

tcp() {
    local kind=$1
    check "$kind: captures of TCP work" eval 'exited tcp 0 && exited tcp-events 0 && exited tcp-stacks 0'
    check "$kind: the workload has made its connections" grep -qx 'connections 5 sent 5000 received 100000' "$R/tcp-calls.out"
    check "$kind: each connection is a row at either end, with its bytes" jq -es '
        map(select(.type == "aggregate" and .state == "closed")) |
        (map(select(.direction == "out" and .tx_bytes == 1000 and .rx_bytes == 20000)) | length) == 5 and
        (map(select(.direction == "in" and .tx_bytes == 20000 and .rx_bytes == 1000)) | length) == 5' "$R/tcp.json"
    check "$kind: a connect that finds no way is a row, or an event" jq -en '
        [inputs | select(.reason == "unreachable" and .raddr == "192.0.2.1" and .rport == 7009 and .comm == "talk")] |
        map(.type) == ["aggregate", "event"]' "$R/tcp.json" "$R/tcp-events.json"
    check "$kind: no connection is lost in silence" waits_balance tcp tcp-events tcp-stacks
    check "$kind: events of connections are told" jq -es '
        map(select(.type == "event").event) | (map(select(. == "connect")) | length) == 5 and
        (map(select(. == "accept")) | length) == 5 and (map(select(. == "close")) | length) == 10' "$R/tcp-events.json"
    folded "$R/tcp-stacks.json" >"$R/tcp.folded"
    check "$kind: connects and accepts have stacks" \
        eval 'grep -q "^talk;connect;.*tcp_v4_connect" "$R/tcp.folded" && grep -q "^talk;accept;.*main" "$R/tcp.folded"'
    check "$kind: that this kernel tells of no sends is said" \
        jq -es 'any(.type == "quality" and any(.remarks[]; contains("sends and receives")))' "$R/tcp-stacks.json"
}

ends_well() {
    check "v2: an interrupted capture is delivered" \
        test "$(cat "$R/interrupted.status")" = 0 -a -s "$R/interrupted.json"
    check "v2: nothing of an interrupted capture is lost in silence" conserved "$R/interrupted.json"
    check "v2: an agent that is killed in mid-capture leaves no BPF program" \
        test -s "$R/killed.began" -a -s "$R/killed.clean"
    check "v2: its client says so, exit 1" exited killed 1
}

# agent_holds FILE CAPABILITIES-IN-HEX: permitted, of the process that is not root.
agent_holds() {
    awk -v want="$2" '/^Uid:/ { uid = $2 } /^CapPrm:/ && uid != 0 { print "holds " $2; found = $2 ~ want "$" }
        END { exit !found }' "$R/$1.out"
}

# refused_as_doctor_says NAME DOCTOR WORD: both say so in a line that has the word.
refused_as_doctor_says() {
    [ "$(cat "$R/$1.err" "$R/$2.err" | grep -ciE "$3")" = 2 ] ||
        { echo "cpu: $(cut -c 1-120 "$R/$1.err"); doctor: $(cut -c 1-120 "$R/$2.err")" && return 1; }
}

# 0xc000004000 is bpf, perfmon and ipc_lock; sys_admin is 0x200000.
paranoid() {
    check "v2: the kernel starts with perf_event_paranoid 3" grep -qx 3 "$R/paranoid.out"
    check "at perf_event_paranoid 3 the agent keeps CAP_SYS_ADMIN permitted" agent_holds rights-3 c000204000
    check "at perf_event_paranoid 2 it does not" agent_holds rights-2 c000004000
    check "at perf_event_paranoid 2 captures work" exited paranoid-2 0
    check "at 3 and without CAP_SYS_ADMIN doctor says no, exit 6" exited no-admin-doctor 6
    check "at 3 and without CAP_SYS_ADMIN a capture is refused, exit 6" exited no-admin 6
    check "both name perf_event_paranoid" refused_as_doctor_says no-admin no-admin-doctor perf_event_paranoid
}

kernel_is_hidden() {
    jq -s -e 'map(select(.type == "quality"))[0].unnamed
        | any(.file == "[kernel]" and .reason == "kernel-hidden" and (.remedy | contains("kptr_restrict")))' \
        "$R/hidden.json" >/dev/null || { quality "$R/hidden.json" '.unnamed | tostring' && return 1; }
}

hidden() {
    check "at kptr_restrict 2 doctor says that kernel names are lost, the rest works" exited hidden-doctor 0
    check "at kptr_restrict 2 doctor names the setting" doctor_says hidden-doctor kernel kallsyms limited
    check "at kptr_restrict 2 captures work" exited hidden 0
    check "at kptr_restrict 2 kernel frames say why they have no name" kernel_is_hidden
    folded "$R/hidden.json" >"$R/hidden.folded"
    check "at kptr_restrict 2 the user's frames keep theirs" grep -q ';main;' "$R/hidden.folded"
    check "at kptr_restrict 2 no kernel frame has a name" \
        lacks "$R/hidden.folded" ';[^;]*(vfs_read|syscall)[^;]*_\[k\]'
}

locked_down() {
    check "locked down, doctor says no, exit 6" exited locked-doctor 6
    check "locked down, a capture is refused, exit 6" exited locked 6
    check "locked down, both name the lockdown" refused_as_doctor_says locked locked-doctor lockdown
    check "locked down, list works" listed locked-list
}

# Bytes of writing that are charged to the container.
charged() {
    between "$2" "$(jq -s '[.[] | select((.record == "block" or .record == "block-event") and .charged and .op == "write").bytes] | add' "$R/$1.json")" "$3"
}

# waited_for FILE: who syncs is not there yet when the journal's thread has its CPU first, so not always.
waited_for() {
    jq -es 'any(.waits and .kernel and .comm == "disk" and .owner == "kernel" and (.charged | not))' "$R/$1.json"
}

# Before anybody asks for it.
written_back() {
    jq -es '[.[] | select(.op == "write" and .charged and .kernel and (.comm | startswith("kworker"))).bytes] | add >= 2097152' \
        "$R/$1.json" >/dev/null || { jq -c 'select(.op == "write") | [.comm, .owner, .charged, .bytes]' "$R/$1.json" | head -n 5 && return 1; }
}

block() {
    local kind=$1
    check "$kind: captures of block I/O work" eval 'exited block 0 && exited block-events 0'
    check "$kind: what a container writes is charged to it, whoever writes it back" \
        eval 'charged block 3571712 3627144 && charged block-events 3571712 3627144'
    check "$kind: another one beside it is charged with its own" \
        eval 'charged block-beside 1048576 1064960 && charged block-events-beside 1048576 1064960'
    check "$kind: so is what the kernel writes back by itself, when it is old" \
        eval 'written_back block && written_back block-events'
    check "$kind: the journal's thread is named with who waits for it" eval 'waited_for block && waited_for block-events'
    check "$kind: no request is lost in silence" waits_balance block block-events
    check "$kind: requests have latencies" \
        jq -es 'any(.type == "event" and .latency_us > 0 and .device == "nvme0n1" and .comm == "disk")' "$R/block-events.json"
}

# A disk of memory is a module's, and is read in the reader's own time.
module_is_named() {
    jq -es 'any(.type == "frame" and .file == "[brd]" and .named and (.name | startswith("brd_")))' "$R/module.json" >/dev/null ||
        { jq -c 'select(.type == "frame" and .kind == "kernel" and (.file // "[kernel]") != "[kernel]")' "$R/module.json" | head -n 3 && return 1; }
}

module() {
    check "a capture while a module's code runs works" exited module 0
    check "functions of a kernel module have names, and the module's with them" module_is_named
}

# swapped OP: bytes that are charged to the container, of requests by who needed the memory or by whoever makes room.
swapped() {
    jq -es --arg op "$1" '[.[] | select(.record == "block" and .charged and .op == $op).bytes] | add > 1000000' "$R/swap.json" >/dev/null ||
        { jq -c 'select(.record == "block")' "$R/swap.json" | head -n 5 && cat "$R/swap-file.out" "$R/swap-work.err" && return 1; }
}

swap() {
    check "a container works on with its memory swapped out" exited swap-work 0
    check "what is swapped out is charged to the container whose memory it is" swapped write
    check "what is swapped in is charged to who touches it" swapped read
    check "swap: no request is lost in silence" waits_balance swap
}

# ---- the boots ----

# What mounts ext4 from the disk.
DISK_MODULES=(crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi nvme-core nvme crc16 mbcache crc32c_generic jbd2 ext4)

fetch_kernel amd64 "${DISK_MODULES[@]/%/.ko}" || skip_all "$WHY"
OF_MODULES=$KERNEL
fetch_kernel cloud-amd64 brd.ko || skip_all "$WHY"
build_image
if boot v2 v2 cgroup_no_v1=all; then
    profiles v2
    waits v2
    tcp v2
    block v2
    module
    swap
    ends_well
    paranoid
    hidden
fi
KERNEL=$OF_MODULES
boot v1 v1 && profiles v1 && waits v1 && tcp v1 && block v1
boot hybrid hybrid && profiles hybrid && waits hybrid && tcp hybrid && block hybrid && locked_down
