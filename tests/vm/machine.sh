# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# A machine made of software with Debian's stock 6.1 kernel, for the tests beside this file.

# The newest that the package lists know, and one module of it; kept for the next run. Leaves $KERNEL and
# $MODULE, or says why not in $WHY.
fetch_kernel() {
    local package
    package=$(apt-cache search --names-only '^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
    [ "$package" ] || { WHY="no package list names a linux-image-6.1.0-*-cloud-amd64" && return 1; }
    KERNEL=$ROOT/build/vm/$package
    MODULE=$KERNEL.brd.ko
    [ -s "$KERNEL" ] && [ -s "$MODULE" ] && return
    mkdir -p "$T/deb" "$ROOT/build/vm"
    (cd "$T/deb" && timeout 120 apt-get download "$package") >"$T/apt.log" 2>&1 ||
        { WHY="cannot download $package: $(tail -n 1 "$T/apt.log")" && return 1; }
    dpkg-deb --fsys-tarfile "$T"/deb/*.deb | tar -x -C "$T/deb" --wildcards './boot/vmlinuz-*' '*/brd.ko' &&
        mv "$T"/deb/lib/modules/*/kernel/drivers/block/brd.ko "$MODULE" && mv "$T"/deb/boot/vmlinuz-* "$KERNEL"
}

# run_machine SECONDS MEGABYTES INITRAMFS PARAMETER…: until it is switched off. Its console goes to
# $R.console; its disk is empty; what it sends through its second serial port, one tar archive, is unpacked in $R.
run_machine() {
    local seconds=$1 memory=$2 initramfs=$3
    shift 3
    mkdir -p "$R"
    truncate -s 64M "$R.disk"
    timeout -k 5 "$seconds" qemu-system-x86_64 -accel tcg -cpu max -m "$memory" -smp 2 -nographic -no-reboot \
        -nodefaults -monitor none -serial file:"$R.console" -serial file:"$R.tar.gz" \
        -drive file="$R.disk",format=raw,if=none,id=disk -device nvme,drive=disk,serial=disk \
        -kernel "$KERNEL" -initrd "$initramfs" -append "console=ttyS0 loglevel=5 softlockup_all_cpu_backtrace=1 panic=-1 rdinit=/init $*" \
        </dev/null >"$R.qemu" 2>&1
    tar -x -z -f "$R.tar.gz" -C "$R" 2>/dev/null
}
