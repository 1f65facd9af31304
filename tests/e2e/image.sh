#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# The image's root file system in a real container, with the capabilities and mounts of the chart and
# no others, profiles the container of a pod by the names that CRI writes.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2153 # lib.sh sets ROOT
. "$ROOT/tests/e2e/runtimes.sh"
. "$ROOT/tests/e2e/kube_tools.sh"
need_bpf
need_commands runc jq busybox
need_yaml

NAME=pht$$

check "the image's root is made of what is built and of this system's libraries" kube_image
[ -x "$IMAGE/usr/sbin/portholed" ] || exit 1
exits_with 2 "an existing directory is not made a root" "$ROOT/contrib/image/rootfs.sh" "$IMAGE"
no_shell() {
    ! find "$IMAGE" -path '*bin/*' ! -name 'porthole*' | grep .
}
check "there is no shell and no other program in it" no_shell
# The linker says what it does not find.
linked() {
    local program
    for program in "$IMAGE"/usr/*bin/* "$IMAGE"/usr/libexec/porthole/*; do
        chroot "$IMAGE" /lib64/ld-linux-x86-64.so.2 --list "${program#"$IMAGE"}" >/dev/null || return 1
    done
}
check "each program has its libraries in it" linked
check "its programs run" chroot "$IMAGE" /usr/bin/porthole --version


# ---- an agent as the chart runs it ----

mapfile -t PROBE < <(kube_spec parts "$T/pod" | jq -r '.probe[]')
probe() {
    kube_inside "$1" "${PROBE[@]}"
}
lacks_nothing() {
    kube_inside "$1" porthole status --json | jq -es 'length == 1 and (.[0].agent.lacking // "") == ""'
}

# profiled NAME WHERE: the agent in there sees the pod's container, and only what it does.
profiled() {
    local name=$1 out=$T/$1.json
    check "$2 the chart's probe succeeds" wait_for 30 probe "$name"
    check "$2 the agent lacks no right" lacks_nothing "$name"
    kube_inside "$name" porthole list --json >"$T/list"
    check "$2 the pod's container is listed by its names" jq -es --arg ns "$NAME-shop" \
        'any(.runtime == "cri" and .namespace == $ns and .pod == "cart-0" and .name == "app1"
            and (.cgroup | startswith("/kubepods/besteffort/pod")))' "$T/list"
    check "$2 a process of the host is in no container" jq -es --argjson pid $$ \
        'all(.init_pid != $pid)' "$T/list"
    kube_inside "$name" porthole cpu "$NAME-shop/cart-0/app1" -d 5 -F 1999 -f json >"$out" 2>"$T/err" ||
        not_ok "$2 a capture by namespace, pod and container" "$(tail -n 1 "$T/err")"
    folded "$out" >"$out.folded"
    check "$2 shares are right" share_is "$out.folded" spin_parse 50 12
    check "$2 nothing is lost in silence" conserved "$out"
    start_kernel_work
    kube_inside "$name" porthole cpu all -d 1 -F 499 -f folded >"$T/out" 2>"$T/err"
    end_kernel_work
    check "$2 kernel functions have names" grep -q '[a-z]_\[k\]' "$T/out"
    kube_inside "$name" porthole states cart-0/app1 -d 1 --json >"$T/out" 2>"$T/err"
    check "$2 views of waiting work, too" grep -q '"spin' "$T/out"
}

in_own_namespace() {
    [ "$(kube_inside "$1" porthole doctor --json | jq -r 'select(.group == "host" and .name == "cgroup").status')" = works ]
}

root=$(rt_rootfs)
cp "$W/spin" "$root/bin/"
if rt_containerd_start && rt_cri_run "$NAME-shop" cart-0 POD "$root" sleep 1000 &&
    rt_cri_run "$NAME-shop" cart-0 app1 "$root" /bin/spin; then
    kube_agent "$NAME-plain" || not_ok "an agent starts with the chart's rights" "$(tail -n 1 "$T/$NAME-plain/log")"
    profiled "$NAME-plain" "in a pod:"
    runc_stop "$NAME-plain"
    kube_agent "$NAME-cgns" --private-cgroups ||
        not_ok "an agent starts in a cgroup namespace" "$(tail -n 1 "$T/$NAME-cgns/log")"
    profiled "$NAME-cgns" "in a pod with a cgroup namespace:"
    check "doctor finds the host's cgroups from there" in_own_namespace "$NAME-cgns"
    runc_stop "$NAME-cgns"
else
    skip "the chart's agent profiles a pod's container by its names" "containerd does not run here"
fi

# The same in a container that has no agent.
kube_spec oci "$T/pod" "$IMAGE" "$NAME-idle" --host-path "/run/porthole=$T/idle" \
    --host-path "$STATE=$T/none" --command "${PROBE[@]}" >"$T/config.json"
exits_with 3 "the probe fails where no agent answers" runc run --bundle "$T" "$NAME-idle"

# ---- each capability is needed ----

mapfile -t CAPABILITIES < <(kube_spec parts "$T/pod" | jq -r '.capabilities[]')
check "the chart has a list of capabilities" [ ${#CAPABILITIES[@]} -gt 4 ]
manual_lists() {
    sed -nE 's/^\| ([A-Z_, ]+) \|.*/\1/p' "$ROOT/docs/kubernetes.md" | tr -d ' ' | tr ',' '\n' | sort |
        diff <(printf '%s\n' "${CAPABILITIES[@]}" | sort) -
}
check "the manual lists just these" manual_lists
doctor_misses() {
    kube_inside "$1" porthole doctor --json |
        jq -es --arg c "CAP_$2" 'any(.group == "capability" and .name == $c and .status != "works"
            and .costs != "")' >/dev/null
}
refused() {
    wait_for 30 grep -q "lacks CAP_$2" "$T/$1/log"
}
for capability in "${CAPABILITIES[@]}"; do
    name=$NAME-${capability,,}
    kube_agent "$name" --without "$capability"
    case $capability in
    SETUID | SETGID | SETPCAP | KILL)
        check "without CAP_$capability the agent does not start, and says so" refused "$name" "$capability"
        ;;
    *)
        check "without CAP_$capability doctor says what it costs" doctor_misses "$name" "$capability"
        ;;
    esac
    runc_stop "$name"
done

# ---- as a docker image ----

# The Dockerfile's last stage, for an image that is imported.
mapfile -t CHANGES < <(sed -n '/^FROM scratch/,$p' "$ROOT/contrib/image/Dockerfile" |
    grep -E '^(ENTRYPOINT|HEALTHCHECK)' |
    sed -E 's/--interval=[^ ]+/--interval=1s/; s/--start-period=[^ ]+//')
import_image() {
    local change changes=()
    for change in "${CHANGES[@]}"; do
        changes+=(--change "$change")
    done
    tar -C "$IMAGE" -c . | rt_docker import "${changes[@]}" - porthole:test >/dev/null
}
# Older dockers do not know the youngest capabilities: DOCKER_UNKNOWN.
DOCKER_UNKNOWN=''
docker_agent() {
    local capability words=()
    for capability in "${CAPABILITIES[@]}"; do
        [[ " $DOCKER_UNKNOWN " = *" $capability "* ]] || words+=(--cap-add "$capability")
    done
    if rt_docker run --detach --name "$NAME-agent" --network none --pid host --read-only \
        --cap-drop ALL "${words[@]}" --security-opt seccomp=unconfined --tmpfs /run/porthole \
        --volume /sys/fs/cgroup:/sys/fs/cgroup:ro --volume "$RT/docker/data:$RT/docker/data:ro" \
        porthole:test >"$T/id" 2>"$T/err"; then
        RT_CGROUPS+=("docker/$(cat "$T/id")")
        return
    fi
    capability=$(sed -nE 's/.*unknown capability: "CAP_([A-Z_]+)".*/\1/p' "$T/err")
    [ -n "$capability" ] || { head -n 1 "$T/err" && return 1; }
    DOCKER_UNKNOWN+=" $capability"
    docker_agent
}
healthy() {
    [ "$(rt_docker inspect --format '{{.State.Health.Status}}' "$NAME-agent")" = "$1" ]
}
if rt_docker_start && rt_docker_run "$NAME-web" "$root" /bin/spin; then
    check "an image is made without a registry" import_image
    docker_agent
    check "docker starts it, and its health check finds it healthy" wait_for 60 healthy healthy
    if [ -n "$DOCKER_UNKNOWN" ]; then
        skip "a docker container is profiled from there by its name" \
            "this docker does not know the capabilities$DOCKER_UNKNOWN"
    else
        rt_docker exec "$NAME-agent" porthole cpu "$NAME-web" -d 5 -F 1999 -f json >"$T/docker.json"
        folded "$T/docker.json" >"$T/docker.folded"
        check "a docker container is profiled from there by its name" \
            share_is "$T/docker.folded" spin_parse 50 12
    fi
else
    skip "an image is made without a registry" "docker does not run here"
fi
