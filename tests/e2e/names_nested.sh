#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A process in a container that makes its own mount, pid and user namespaces is resolved in its
# namespaces, not in the container's: there the same paths hold other things.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq

A=pht$$-a
start_agent
victim_root "$A"
mkdir -p "$T/$A/rootfs/opt"
cp "$W/spin" "$T/$A/rootfs/opt/app" # the decoy that the container sees at that path

inner='mount -t tmpfs none /opt && cp /bin/twin /opt/app && exec /opt/app'
RUNC_CAPS=CAP_SYS_ADMIN victim "$A" /bin/busybox unshare -m -p -U -r -f /bin/sh -c "$inner"
inner_runs() {
    runc exec "$A" /bin/busybox pidof app
}
check "a container makes namespaces of its own" wait_for 10 inner_runs || cat "$T/$A/log"
"$B/porthole" cpu "$A" -d 1 -F 499 -f folded >"$T/n.folded"
check "a program on a mount of the inner namespace has its own names" \
    share_is "$T/n.folded" twin_parse 50 15
check "the file that the container has at that path is not looked at" lacks "$T/n.folded" ';spin_'
runc_stop "$A"

# The innermost pid names the perf map, and the innermost mounts hold it.
echo '0 7fffffffffff decoy_of_the_container' >"$T/$A/rootfs/tmp/perf-1.map"
inner='mount -t tmpfs none /tmp && exec /bin/jit'
RUNC_CAPS=CAP_SYS_ADMIN runc_start "$A" "$T/$A" /bin/busybox unshare -m -p -U -r -f /bin/sh -c "$inner"
jit_runs() {
    runc exec "$A" /bin/busybox pidof jit
}
check "a compiler runs in the inner namespaces" wait_for 10 jit_runs
"$B/porthole" cpu "$A" -d 1 -F 499 -f folded >"$T/n.folded"
check "a perf map is read below the inner root, under the inner pid" \
    share_is "$T/n.folded" jit_quarter 25 12
check "the container's perf map of that name is not looked at" lacks "$T/n.folded" decoy
