#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The same capture, by name, with each container runtime; and a process that docker exec adds.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/runtimes.sh"
need_bpf
need_commands jq

NAME=pht$$
start_agent
root=$T/rootfs
root_new "$root"
cp "$W"/{spin,twin} "$root/bin/"

listed() {
    "$B/porthole" list --json | jq -es --arg n "$1" 'any(.name == $n)' >/dev/null
}

# profiled RUNTIME NAME [TARGET]: shares are right and nothing is lost in silence.
profiled() {
    local out=$T/$1.json
    check "$1: the container is in the list" wait_for 10 listed "$2"
    "$B/porthole" cpu "${3:-$2}" -d 2 -F 499 -o "$out" || not_ok "$1: a capture by name" "exit $?"
    folded "$out" >"$out.folded"
    check "$1: shares are right" share_is "$out.folded" spin_parse 50 12
    check "$1: nothing is lost in silence" conserved "$out"
}

if rt_docker_start && rt_docker_run "$NAME-docker" "$root" /bin/spin; then
    profiled docker "$NAME-docker"
    rt_docker exec --detach "$NAME-docker" /bin/twin
    "$B/porthole" cpu "$NAME-docker" -d 2 -F 199 -f folded >"$T/exec.folded"
    check "docker: a process added by exec is in it" grep -q twin_burn "$T/exec.folded"
    id=$(rt_docker inspect --format '{{.Id}}' "$NAME-docker")
    exits_with 0 "docker: a prefix of the id is a target" "$B/porthole" cpu "${id:0:8}" -d 1 -f folded
    check "docker: it has the container's functions" grep -q spin_burn "$T/out"
    rt_docker rm --force "$NAME-docker" >/dev/null
else
    skip "docker: shares are right" "docker does not run here"
fi

if rt_podman_run "$NAME-podman" "$root" /bin/spin; then
    profiled podman "$NAME-podman"
    rt_podman rm --force --time 0 "$NAME-podman" >/dev/null 2>&1
else
    skip "podman: shares are right" "podman does not run here"
fi

if rt_crun_run "$NAME-crun" "$root" /bin/spin; then
    profiled crun "$NAME-crun"
else
    skip "crun: shares are right" "crun does not run here"
fi

if rt_containerd_start && rt_ctr_run "$NAME-ctr" "$root" /bin/spin; then
    profiled containerd "$NAME-ctr"
    rt_cri_run porthole pod1 POD "$root" /bin/busybox sleep 1000 &&
        rt_cri_run porthole pod1 app1 "$root" /bin/spin &&
        profiled cri app1 porthole/pod1/app1
else
    skip "containerd: shares are right" "containerd does not run here"
fi
