# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A machine made of software with Debian's stock 6.1 kernel, for the tests beside this file.

has_modules() {
    local module
    for module; do
        [ -s "$MODULES/$module" ] || return 1
    done
}

# fetch_kernel FLAVOUR [MODULE…]: the newest that the package lists know, and modules of it, each after those
# that it needs; kept for the next run. Leaves $KERNEL and, named by its release, $MODULES, or says why not in
# $WHY.
fetch_kernel() {
    local package flavour=$1
    shift
    package=$(apt-cache search --names-only "^linux-image-6\\.1\\.0-[0-9]+-$flavour\$" | cut -d ' ' -f 1 | sort -V | tail -n 1)
    [ "$package" ] || { WHY="no package list names a linux-image-6.1.0-*-$flavour" && return 1; }
    KERNEL=$ROOT/build/vm/$package
    MODULES=$ROOT/build/vm/modules/${package#linux-image-}
    [ -s "$KERNEL" ] && has_modules "$@" && return
    mkdir -p "$T/deb/lib" "$MODULES"
    (cd "$T/deb" && timeout 120 apt-get download "$package") >"$T/apt.log" 2>&1 ||
        { WHY="cannot download $package: $(tail -n 1 "$T/apt.log")" && return 1; }
    dpkg-deb --fsys-tarfile "$T/deb/$package"_*.deb | tar -x -C "$T/deb" --wildcards './boot/vmlinuz-*' "${@/#/*\/}" &&
        find "$T/deb/lib" -name '*.ko' -exec mv {} "$MODULES" \; && mv "$T/deb/boot/vmlinuz-${MODULES##*/}" "$KERNEL" &&
        echo "$*" >"$MODULES/order" && return
    WHY="cannot unpack $package"
    return 1
}

# Seconds without a word from inside after which nothing more is expected.
SILENCE=600

# A CPU of it takes no more interrupts, or none of them does, as happens to one of several that run on a machine
# in software.
machine_stands_still() {
    grep -qs 'rcu: INFO: ' "$R.console" ||
        [ $(($(date +%s) - $(stat -c %Y "$R.console" "$R.tar.gz" | sort -n | tail -n 1))) -gt $SILENCE ]
}

machine_is_over() {
    gone "$MACHINE" || machine_stands_still
}

MACHINE=
end_machine() {
    [ "$MACHINE" ] || return 0
    gone "$MACHINE" || kill -KILL "$MACHINE"
    wait "$MACHINE" 2>/dev/null
    MACHINE=
}
on_exit end_machine

# run_machine SECONDS MEGABYTES INITRAMFS PARAMETER…: until it is switched off or stands still. Its console goes to
# $R.console; its disk is empty; what it sends through its second serial port, one tar archive, is unpacked in $R.
run_machine() {
    local seconds=$1 memory=$2 initramfs=$3
    shift 3
    mkdir -p "$R"
    truncate -s 64M "$R.disk"
    truncate -s 0 "$R.console" "$R.tar.gz"
    qemu-system-x86_64 -accel tcg -cpu max -m "$memory" -smp 2 -nographic -no-reboot \
        -nodefaults -monitor none -serial file:"$R.console" -serial file:"$R.tar.gz" \
        -drive file="$R.disk",format=raw,if=none,id=disk -device nvme,drive=disk,serial=disk \
        -kernel "$KERNEL" -initrd "$initramfs" -append "console=ttyS0 loglevel=5 softlockup_all_cpu_backtrace=1 panic=-1 rdinit=/init $*" \
        </dev/null >"$R.qemu" 2>&1 &
    MACHINE=$!
    wait_for "$seconds" machine_is_over
    end_machine
    tar -x -z -f "$R.tar.gz" -C "$R" 2>/dev/null
}

# boot_machine NAME MEGABYTES RESULT INITRAMFS PARAMETER…: leaves what it sent in $R, $T/NAME; the file RESULT must
# be among that. One that stands still (a CPU of it took no more interrupts) is booted again; what it said is in
# the log.
boot_machine() {
    local name=$1 memory=$2 result=$3 seconds
    shift 3
    R=$T/$name
    for seconds in 300 300 400 400; do
        run_machine $seconds "$memory" "$@" && [ -s "$R/$result" ] && return
        echo "# $name: the machine stands still, or did not come to its end within $seconds s:"
        tr -d '\r' <"$R.console" | tail -n 200 | sed 's/^/# /'
    done
    not_ok "$name: the machine does its work" "$(cat "$R.qemu" "$R.console" | tr -d '\r' | tail -n 1)"
    cat "$R.qemu" "$R.console"
    return 1
}
