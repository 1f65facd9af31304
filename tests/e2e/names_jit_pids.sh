#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# The perf map of a process lies in its own root, under the number that it has in its own pid
# namespace: for one that docker exec added, in a container that shares the host's pids, and in one
# that has its own. Innermost namespaces of a container's making are in names_nested.sh.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/runtimes.sh
. "$(dirname "$0")/runtimes.sh"
need_bpf
need_commands docker jq

root_new "$T/root"
cp "$W/jit" "$W/spin" "$T/root/bin/"
start_agent
rt_docker_start || skip_all "docker does not run here"
rt_docker_run pht$$-a "$T/root" /bin/spin || skip_all "docker runs no containers here"

rt_docker exec --detach pht$$-a /bin/jit
has_map() {
    rt_docker exec "$1" /bin/busybox sh -c 'ls /tmp/perf-*.map'
}
check "a process that docker exec added writes its map" wait_for 20 has_map pht$$-a
"$B/porthole" cpu pht$$-a -d 2 -F 499 -f folded | grep '^jit;' >"$T/exec.folded"
check "its code has the names of its map" share_is "$T/exec.folded" jit_quarter 25 10
rt_docker rm --force pht$$-a >/dev/null

rt_docker run --detach --name pht$$-h --pid host --network none porthole-test:root /bin/jit >/dev/null
pid=$(rt_docker inspect --format '{{.State.Pid}}' pht$$-h)
check "with --pid=host the map bears the host's number" \
    wait_for 20 rt_docker exec pht$$-h /bin/busybox test -s "/tmp/perf-$pid.map"
# What stands on the host under that name is not the container's.
printf '0 7fffffffffff planted_on_the_host\n' >"/tmp/perf-$pid.map"
on_exit "rm -f /tmp/perf-$pid.map"
"$B/porthole" cpu pht$$-h -d 2 -F 499 -f folded >"$T/host.folded"
check "its code has the names of the map in the container" share_is "$T/host.folded" jit_quarter 25 10
check "the host's file of that name is not looked at" lacks "$T/host.folded" planted_on_the_host
rt_docker exec pht$$-h /bin/busybox rm "/tmp/perf-$pid.map"
"$B/porthole" cpu pht$$-h -d 1 -F 499 -o "$T/none.json"
check "not even when the container has none" jq -es \
    'map(select(.type == "quality"))[0] | .frames.by_source["perf-map"] == 0 and
     any(.unnamed[]; .reason == "jit-no-map" and .frames > 0)' "$T/none.json"
rt_docker rm --force pht$$-h >/dev/null
