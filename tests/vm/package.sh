#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# The Debian package where it belongs: on Debian 12 with its stock kernel and systemd as process 1, in a
# machine made of software. Its unit confines the agent there while containers are profiled by name.
# tests/vm/package_init and package_test are what happens inside.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/machine.sh
. "$ROOT/tests/vm/machine.sh"
need_root # for the files to be root's
need_commands qemu-system-x86_64 busybox cpio jq runc apt-get dpkg-deb dpkg-shlibdeps strip make mmdebstrap
[ "$(uname -m)" = x86_64 ] || skip_all "the machine in software is an x86-64"
! ldd "$(command -v busybox)" >/dev/null 2>&1 || skip_all "busybox is not static"
cd "$ROOT" || exit 1

# shellcheck source=tests/debian.sh
. "$ROOT/tests/debian.sh"
fetch_kernel cloud-amd64 || skip_all "$WHY"
check "make deb works" package "$("$B/porthole" --version | cut -d ' ' -f 2)" this
check "so it does for another version" package 99.0 next
fetch_debian || skip_all "no Debian to install it on: $WHY"

build_image() {
    local image=$T/image more=$T/image/more
    mkdir -p "$image/bin" "$more"/{packages,etc/systemd/system/multi-user.target.wants,c/vm-waits/rootfs/bin,usr/local/bin}
    cp "$(command -v busybox)" "$image/bin/"
    ln -s busybox "$image/bin/sh"
    cp tests/vm/package_init "$image/init"
    cp tests/vm/package_test "$more/test.sh"
    chmod 755 "$image/init" "$more/test.sh"
    ln "$BASE" "$image/debian.tar" 2>/dev/null || cp "$BASE" "$image/debian.tar"
    cp "$T"/{this,next}.deb "$more/packages/"
    root_add "$more" "$(command -v runc)"
    rm -rf "$more"/lib* "$more"/usr/lib* # Debian's own, but for what it lacks
    mkdir -p "$more/usr/lib/x86_64-linux-gnu"
    cp -L /usr/lib/x86_64-linux-gnu/libseccomp.so.2 "$more/usr/lib/x86_64-linux-gnu/"
    cp "$W/waits" "$more/c/vm-waits/rootfs/bin/"
    cp "$W/spin" "$more/usr/local/bin/busy"
    runc_config vm-waits /bin/waits spinner sleeper holder locker >"$more/c/vm-waits/config.json"
    printf '[Service]\nExecStart=/usr/local/bin/busy\n' >"$more/etc/systemd/system/busy.service"
    printf '[Unit]\nAfter=busy.service\n[Service]\nType=oneshot\nExecStart=/test.sh\nTimeoutStartSec=600\n' \
        >"$more/etc/systemd/system/test.service"
    ln -s ../busy.service ../test.service "$more/etc/systemd/system/multi-user.target.wants/"
    (cd "$image" && find . | cpio -o -H newc -R 0:0) >"$T/initramfs" 2>/dev/null
    rm -rf --one-file-system "$image"
}

exited() {
    [ "$(cat "$R/$1.status")" = "${2:-0}" ] ||
        { echo "exit $(cat "$R/$1.status"): $(tail -n 1 "$R/$1.err")" && return 1; }
}
said() {
    [ "$(cat "$R/$1.out")" = "$2" ] || { head -n 3 "$R/$1.out" && return 1; }
}

build_image
SILENCE=120 # it tells of each step
boot_machine debian 1800 install.out "$T/initramfs" systemd.mask=serial-getty@ttyS0.service || exit 1

check "the kernel starts with perf_event_paranoid 3" said paranoid 3
check "the package installs" exited install
check "its socket listens" said socket active
check "the agent waits until it is asked" said before inactive
check "a question starts it" exited status
check "systemd knows that it is ready" said after active
check "it has all capabilities that it wants" \
    jq -e '.agent | has("lacking") | not' "$R/status.out"
check "it lists the container" jq -es 'any(.name == "vm-waits" and .runtime == "runc")' "$R/list.out"
check "it profiles the container" exited cpu
folded "$R/cpu.json" >"$R/cpu.folded"
check "with the names of its functions" grep -qE '^spinner;(.*;)?spin_ms(;| )' "$R/cpu.folded"
check "nothing is lost in silence" conserved "$R/cpu.json"
whole() {
    jq -es 'map(select(.type == "quality"))[0]
        | (.shown - (.stacks.broken_by["no-table-yet"] // 0)) as $n # a machine in software takes its time
        | $n * 2 >= .shown and .stacks.whole * 100 >= $n * 80' "$R/cpu.json" >/dev/null ||
        { quality "$R/cpu.json" '[.shown, .stacks] | tostring' && return 1; }
}
check "stacks are whole" whole
check "it sees what threads wait for" \
    jq -es 'any(.comm == "locker" and .lock_us > 0) and any(.comm == "sleeper" and .sleep_us > 0)' "$R/states.json"
folded "$R/offwake.json" >"$R/offwake.folded"
check "and who wakes them" grep -qE '^locker[^;]*;.*take_lock.*;--;.*;holder ' "$R/offwake.folded"
check "it profiles a unit" exited unit
folded "$R/unit.json" >"$R/unit.folded"
check "with the names of its functions, too" grep -q 'spin_burn' "$R/unit.folded"
# CAP_SYS_BOOT (0x400000) is none of those that the unit leaves.
check "the unit bounds its capabilities" \
    awk '/^CapBnd:/ { n++; if (!/^CapBnd:\t0*[0-9a-f]+$/ || substr($2, 11, 1) ~ /[4567cdef]/) bad = 1 }
        END { exit !n || bad }' "$R/rights.out"
check "all its processes are under a filter and gain nothing" \
    awk '/^Seccomp:/ && $2 != 2 || /^NoNewPrivs:/ && $2 != 1 { bad = 1 } /^Name:/ { n++ } END { exit bad || n < 4 }' \
    "$R/rights.out"
check "the package is upgraded" exited upgrade
check "and serves again" exited again
check "no unit has failed" said failed ""
check "the agent had nothing to complain of" lacks "$R/journal.out" 'refused|lacks|cannot|died|ended by'
check "it is purged" exited purge
check "and nothing is left of it" said left ""
