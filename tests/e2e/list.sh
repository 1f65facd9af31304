#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
#
# porthole list with real containers of every runtime: names, pods, renames, stale state, daemons
# that are dead, roots elsewhere.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2153 # lib.sh sets ROOT
. "$ROOT/tests/runc.sh"
. "$ROOT/tests/e2e/runtimes.sh"
need_bpf
need_commands jq runc busybox

ID=pht$$
ROOTFS=$(rt_rootfs)

# row NAME JQ-CONDITION: exactly one row has this name, and the condition holds for it.
row() {
    local rows
    rows=$(porthole list --json) || return 1
    echo "$rows" | jq -s -e --arg name "$1" \
        "map(select(.name == \$name)) | length == 1 and (.[0] | $2)" >/dev/null ||
        { echo "$rows" | jq -c --arg name "$1" 'select(.name == $name)' && echo "no such row" && return 1; }
}

# no_row JQ-CONDITION: it holds for no row.
no_row() {
    local rows
    rows=$(porthole list --json) || return 1
    ! echo "$rows" | jq -s -e "any(.[]; $1)" >/dev/null ||
        { echo "there is such a row" && return 1; }
}

start_agent

check "list works when there are no containers of ours" no_row ".name | startswith(\"$ID\")"

# ---- runc and crun ----

if rt_runc_run "$ID-runc" "$ROOTFS" sleep 1000; then
    check "a runc container shows with its init and cgroup" row "$ID-runc" \
        ".runtime == \"runc\" and .init_pid == $RT_PID and .processes == 1 and .cgroup == \"/$ID-runc\""
else
    skip "a runc container shows with its init and cgroup" "runc does not run here"
fi

if rt_crun_run "$ID-crun" "$ROOTFS" sleep 1000; then
    check "a crun container shows, whichever hierarchy it is in" row "$ID-crun" \
        ".runtime == \"crun\" and .init_pid == $RT_PID and .processes == 1"
else
    skip "a crun container shows, whichever hierarchy it is in" "crun does not run here"
fi

# A state file that outlived its container, with a pid that somebody else has now.
mkdir -p "$RT_RUNC_ROOT/$ID-ghost"
on_exit "rm -rf '$RT_RUNC_ROOT/$ID-ghost'"
jq -c --arg id "$ID-ghost" ".id = \$id | .init_process_pid = $$" \
    <"$RT_RUNC_ROOT/$ID-runc/state.json" >"$RT_RUNC_ROOT/$ID-ghost/state.json"
check "a stale state file whose pid is used again makes no row" no_row \
    ".name == \"$ID-ghost\" or .init_pid == $$"
sed "s/$ID-runc/$ID-ghost/g" <"$RT_RUNC_ROOT/$ID-runc/state.json" |
    jq -c '.init_process_start += 1' >"$RT_RUNC_ROOT/$ID-ghost/state.json"
check "a state file with another start time makes no row" no_row ".name == \"$ID-ghost\""
check "and does not hide the container whose pid it has" row "$ID-runc" '.runtime == "runc"'

# ---- docker ----

if rt_docker_start && rt_docker_run "$ID-web" "$ROOTFS" sleep 1000; then
    pid=$(rt_docker_pid "$ID-web")
    check "a docker container on roots of its own shows with name and image" row "$ID-web" \
        ".runtime == \"docker\" and .init_pid == $pid and (.image | startswith(\"porthole-test\")) and (.id | length == 64)"
    rt_docker rename "$ID-web" "$ID-new"
    check "a rename shows at once" row "$ID-new" ".init_pid == $pid"
    check "and the old name is gone" no_row ".name == \"$ID-web\""
    rt_docker exec -d "$ID-new" sleep 1000
    check "processes that join later are counted" row "$ID-new" '.processes == 2'

    rt_docker_run "$ID-short" "$ROOTFS" sleep 1000
    check "a start shows at once" row "$ID-short" '.runtime == "docker"'
    rt_docker rm --force "$ID-short" >/dev/null
    check "a removal shows at once" no_row ".name == \"$ID-short\""

    rt_docker_kill
    check "a container keeps its name when dockerd and containerd were killed" row "$ID-new" \
        ".runtime == \"docker\" and .init_pid == $pid"
    stop_agent
    start_agent
    check "and an agent that starts only then finds it too" row "$ID-new" ".init_pid == $pid"
    kill -KILL "$pid"
    wait_for 10 gone "$pid"
    check "what died without its daemon is no row, though its file says it runs" no_row \
        ".name == \"$ID-new\" or .init_pid == $pid"
else
    skip "docker containers show with name and image" "dockerd does not run here"
fi

# ---- podman ----

if rt_podman_run "$ID-pod" "$ROOTFS" sleep 1000; then
    pid=$(rt_podman_pid "$ID-pod")
    check "a podman container shows once, with name and image, not its monitor" row "$ID-pod" \
        ".runtime == \"podman\" and .init_pid == $pid and .processes == 1 and (.image | contains(\"porthole-test\"))"
    rt_podman rename "$ID-pod" "$ID-pod2"
    check "a podman container's new name shows at once" row "$ID-pod2" ".init_pid == $pid"
else
    skip "a podman container shows once, with name and image, not its monitor" \
        "podman does not run here"
fi

# ---- containerd ----

if rt_containerd_start && rt_ctr_run "$ID-ctr" "$ROOTFS" sleep 1000; then
    check "a plain containerd container shows" row "$ID-ctr" \
        ".runtime == \"containerd\" and .init_pid == $RT_PID"
    rt_cri_run "$ID-shop" web-0 POD "$ROOTFS" sleep 1000
    sandbox=$RT_PID
    rt_cri_run "$ID-shop" web-0 "$ID-app" "$ROOTFS" sleep 1000
    check "a pod's container shows with pod, namespace and image" row "$ID-app" \
        ".runtime == \"cri\" and .pod == \"web-0\" and .namespace == \"$ID-shop\" and .init_pid == $RT_PID and (.image | startswith(\"registry.example/\"))"
    check "a pod's sandbox is not listed" no_row ".init_pid == $sandbox"
    rt_containerd_kill
    check "containers show when containerd was killed" row "$ID-app" ".init_pid == $RT_PID"
else
    skip "a plain containerd container shows" "containerd does not run here"
fi

# ---- nobody's ----

# A jail by hand: cgroup, mount namespace, root; no runtime.
start_jail() {
    # shellcheck disable=SC2016
    unshare --mount --pid --fork sh -c 'echo 0 >"$1/cgroup.procs" && mount --bind "$2" "$2" &&
        cd "$2" && mkdir -p old && pivot_root . old && exec /bin/sleep 1000' \
        jail "$1" "$ROOTFS" </dev/null >"$T/jail.log" 2>&1 &
    JAIL=$!
}

end_jail() {
    local pid
    for pid in $(family "$JAIL"); do
        kill -KILL "$pid"
    done
    wait "$JAIL" 2>/dev/null
    wait_for 5 rmdir "$1"
}

v2=$(awk '$1 == "cgroup2" || $3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ -n "$v2" ] && mkdir "$v2/$ID-jail" 2>/dev/null; then
    start_jail "$v2/$ID-jail"
    on_exit "end_jail '$v2/$ID-jail'"
    jail_is_there() {
        row "$ID-jail" '.runtime == "unknown"'
    }
    wait_for 10 jail_is_there
    check "a cgroup with a root of its own shows under its name, though nobody explains it" \
        row "$ID-jail" ".runtime == \"unknown\" and .cgroup == \"/$ID-jail\""
else
    skip "a cgroup with a root of its own shows under its name, though nobody explains it" \
        "no cgroup v2 to write to"
fi
check "opener, parser and agent are no containers" no_row ".name | test(\"porthole\")"

# ---- configured roots ----

RT_RUNC_ROOT=$RT/runc-root
if rt_runc_run "$ID-far" "$ROOTFS" sleep 1000; then
    check "a container whose root nobody gives away shows under its cgroup's name" row "$ID-far" \
        ".runtime == \"unknown\" and .init_pid == $RT_PID"
    echo "runc-root = $RT_RUNC_ROOT" >"$T/porthole.conf"
    stop_agent
    start_agent --config "$T/porthole.conf"
    check "and as what it is once the root is configured" row "$ID-far" \
        ".runtime == \"runc\" and .init_pid == $RT_PID"
fi

# ---- targets ----

exits_with 4 "an unknown target is refused" porthole cpu "$ID-rnuc" -d 1
check "with the nearest name" grep -q "$ID-runc" "$T/err"
