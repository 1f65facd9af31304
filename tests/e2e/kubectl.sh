#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# The kubectl plugin: the real kubectl, a stand-in for the API server (tests/e2e/api_server.py), and
# behind its exec the agent's real container, which profiles the containers of real pods.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2153 # lib.sh sets ROOT
. "$ROOT/tests/e2e/runtimes.sh"
. "$ROOT/tests/e2e/kube_tools.sh"
need_bpf
need_commands runc jq busybox kubectl python3 script
need_yaml

PLUGIN=$ROOT/contrib/kubectl/kubectl-porthole
NAME=pht$$
SHOP=$NAME-shop
AGENT=$NAME-agent
export PATH=$ROOT/contrib/kubectl:$PATH

# ---- what the plugin says of porthole's options ----

porthole --commands >"$T/commands"
valued() {
    awk -F '\t' '$1 == "command" && $3 == "TARGET" { captures[$2] = 1 }
        $1 == "option" && ($2 in captures) && $5 != "" { print $3; if ($4 != "") print $4 }' "$T/commands" |
        grep -vxE -- '-o|--output|-c|--socket' | sort -u
}
plugin_valued() {
    sed -n "/^VALUED=/,/'\$/p" "$PLUGIN" | tr -d "'" | sed 's/^VALUED=//' | tr ' ' '\n' | grep . | sort -u
}
# missing WANTED THERE: says lines that are only in the first; the plugin may be newer than porthole.
missing() {
    ! comm -23 "$1" "$2" | grep .
}
valued >"$T/want"
plugin_valued >"$T/there"
check "the plugin knows which options of captures have values" missing "$T/want" "$T/there"
awk -F '\t' '$1 == "command" && $3 != "FILE" && $3 !~ /AFTER/ { print $2 }' "$T/commands" | sort >"$T/want"
"$ROOT/contrib/kubectl/kubectl_complete-porthole" '' | grep -v '^:' | sort >"$T/there"
check "all commands that ask an agent complete" missing "$T/want" "$T/there"
exits_with 2 "no command is wrong usage" "$PLUGIN"
exits_with 0 "--help explains itself" "$PLUGIN" --help
exits_with 2 "no pod is wrong usage" "$PLUGIN" cpu
exits_with 2 "two pods are wrong usage" "$PLUGIN" cpu a b
exits_with 2 "an option without its value is wrong usage" "$PLUGIN" cpu a -n

# ---- a cluster of one node ----

kube_image || { not_ok "the image is made" "see above" && exit 1; }
root=$(rt_rootfs)
cp "$W/spin" "$W/twin" "$root/bin/"
rt_containerd_start || skip_all "containerd does not run here"
rt_cri_run "$SHOP" cart-0 POD "$root" sleep 1000
rt_cri_run "$SHOP" cart-0 side "$root" /bin/twin
rt_cri_run "$SHOP" cart-0 app "$root" /bin/spin
SPIN=$RT_PID
rt_cri_run "$SHOP" crash-0 POD "$root" sleep 1000 || skip_all "containers do not start here"
kube_agent "$AGENT" --private-cgroups || { not_ok "the agent starts" "$(cat "$T/$AGENT/log")" && exit 1; }
wait_for 30 kube_inside "$AGENT" porthole status

# pod NAMESPACE NAME NODE LABELS CONTAINERS [STATUS]: an object, as far as it is read.
pod() {
    jq -cn --arg ns "$1" --arg name "$2" --arg node "$3" --argjson labels "$4" --arg containers "$5" \
        --argjson status "${6:-{\"phase\": \"Running\"\}}" '{kind: "Pod", apiVersion: "v1",
            metadata: {namespace: $ns, name: $name, labels: $labels},
            spec: {nodeName: $node, containers: ($containers | split(" ") | map({name: .}))}, status: $status}'
}
LABELS='{"app.kubernetes.io/name": "porthole"}'
CRASHED='{"phase": "Running", "containerStatuses": [{"name": "app", "ready": false, "restartCount": 7,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}'
{
    pod "$SHOP" cart-0 node1 '{}' 'app side'
    pod "$SHOP" crash-0 node1 '{}' app "$CRASHED"
    pod "$SHOP" far-0 node2 '{}' app
    pod "$SHOP" new-0 '' '{}' app '{"phase": "Pending"}'
    pod monitoring other-x node1 '{}' other
    pod monitoring agent-x node1 "$LABELS" porthole
    pod monitoring agent-old node1 "$LABELS" porthole '{"phase": "Failed"}'
} | jq -s --arg exec "$AGENT" '{pods: ., exec: {"monitoring/agent-x": ["runc", "exec", $exec]}}' >"$T/cluster.json"
python3 "$ROOT/tests/e2e/api_server.py" "$T/cluster.json" "$T/port" "$T/requests" 2>"$T/server.log" &
SERVER=$!
on_exit stop_process "$SERVER"
wait_for 20 [ -s "$T/port" ] || { not_ok "the API server starts" "$(tail -n 1 "$T/server.log")" && exit 1; }
export KUBECONFIG=$T/kubeconfig HOME=$T
cat >"$KUBECONFIG" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:$(cat "$T/port")"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: $SHOP}}, {name: d, context: {cluster: c, user: u}}]
current-context: c
END
# Until 1.31 a kubectl tries WebSockets only when it is told to.
export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true
kubectl exec -n monitoring agent-x -- porthole --version >"$T/out" 2>"$T/err" ||
    skip_all "this kubectl speaks no WebSockets: $(tail -n 1 "$T/err")"

captures() {
    [ "$(kube_inside "$AGENT" porthole status --json | jq .limits.captures)" = "$1" ]
}
captures 0 || { not_ok "the agent counts its captures" "$(kube_inside "$AGENT" porthole status --json)" && exit 1; }
# No file but the result's is left beside it.
alone() {
    [ "$(cd "$(dirname "$1")" && ls)" = "$(basename "$1")" ]
}

# ---- captures ----

mkdir "$T/a" "$T/b" "$T/c" "$T/d"
exits_with 0 "a pod's container is profiled into a local file" \
    kubectl porthole cpu cart-0 -c app -d 5 -F 1999 -o "$T/a/app.folded"
check "it has the functions of that container" share_is "$T/a/app.folded" spin_parse 50 12
check "and none of the pod's other one" lacks "$T/a/app.folded" ';twin_'
check "no other file is left" alone "$T/a/app.folded"
check "the quality report comes too" grep -q '^samples: ' "$T/err"
exits_with 0 "a namespace and options may stand anywhere" \
    kubectl porthole -n "$SHOP" --context=d cpu -d 2 --container=side -F 1999 pod/cart-0 --output="$T/b/side.svg"
check "the flame graph is of the other container" grep -q twin_burn "$T/b/side.svg"
check "and whole" /usr/bin/python3 -c 'import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])' "$T/b/side.svg"
exits_with 0 "words with blanks and quotes arrive as they are" \
    kubectl porthole cpu cart-0 -c app -d 1 -F 199 --title "it's  a \"test\"" -o "$T/c/t.svg"
check "as a title shows" grep -qE "it(&#39;|&apos;|')s  a (&quot;|&#34;|\")test" "$T/c/t.svg"
exits_with 0 "rows of states come to standard output" kubectl porthole states cart-0 -c app -d 1 --json
check "with the container's threads" grep -q '"spin' "$T/out"
exits_with 0 "a saved stream can be drawn here" kubectl porthole cpu cart-0 -c app -d 1 -F 199 -o "$T/d/s.json"
check "by the local porthole" eval 'porthole render "$T/d/s.json" -f folded | grep -q spin_'
exits_with 0 "the containers of the pod's node are listed" kubectl porthole list cart-0
check "with pods and namespaces" grep -q "$SHOP/cart-0" "$T/out"
exits_with 0 "help is that of the node's agent" kubectl porthole cpu cart-0 --help
check "with all options" grep -q -- --per-thread "$T/out"

on_terminal() {
    script -qefc "kubectl porthole cpu cart-0 -c app -d 3 -F 199 -o $T/tty.folded" /dev/null </dev/null >"$T/tty"
}
check "a capture works on a terminal" on_terminal
check "progress shows there while it runs" grep -q 's of 3 s\|of 3 s, ' "$T/tty"
check "and is no part of the result" lacks "$T/tty.folded" 'of 3 s'

# ---- what the manual and the chart's notes show ----

# Commands of a page, for a shorter time, in this test's namespace.
shown() {
    grep -hE '^ *kubectl porthole ' "$@" | sed -E -e 's/ +#.*//' -e 's/-d [0-9]+/-d 1/' \
        -e "s/-n shop/-n $SHOP/" -e 's/^ *//' | sort -u
}
mkdir "$T/manual"
shown "$ROOT/docs/kubernetes.md" <(sed -e 's/NAMESPACE/shop/' -e 's/CONTAINER/app/' \
    -e 's/POD/cart-0/' "$CHART/templates/NOTES.txt") | grep -v -- --wait >"$T/shown"
check "the manual shows commands" [ "$(wc -l <"$T/shown")" -ge 5 ]
while read -r line; do
    (cd "$T/manual" && eval "$line" >"$T/out" 2>"$T/err" </dev/null)
    status=$?
    check "it works as shown: ${line//$NAME-/}" [ "$status" = 0 ]
done <"$T/shown"

# ---- what is refused ----

exits_with 4 "a pod with several containers needs one to be named" kubectl porthole cpu cart-0
check "and says which there are" grep -q 'app side' "$T/err"
exits_with 4 "a container that there is not is refused" kubectl porthole cpu cart-0 -c nope
exits_with 1 "a pod that there is not is refused" kubectl porthole cpu nosuch
check "in the words of kubectl" grep -q 'pods "nosuch" not found' "$T/err"
exits_with 4 "a pod without a node is refused" kubectl porthole cpu new-0
exits_with 3 "a node without an agent is told" kubectl porthole cpu far-0
check "with its name" grep -q node2 "$T/err"
exits_with 3 "agents of another namespace are not taken where one is given" \
    kubectl porthole status cart-0 --agent-namespace "$SHOP"
exits_with 2 "porthole's own exit status comes through" kubectl porthole cpu cart-0 -c app -d never -o "$T/x.svg"
check "and no file" [ ! -e "$T/x.svg" ]
exits_with 2 "a suffix that says no format is refused" kubectl porthole cpu cart-0 -c app -o "$T/x.bmp"
exits_with 4 "a container that does not run is unknown to the agent" kubectl porthole cpu crash-0 -d 1

# ---- interrupts ----

# begin ARGUMENT…: the plugin in the background, in a process group of its own, as a shell starts it.
begin() {
    mkdir -p "$T/late"
    rm -f "$T/late"/*
    env --default-signal=INT setsid kubectl porthole "$@" >"$T/out" 2>"$T/err" </dev/null &
    CAPTURE=$!
}
# The agent itself, of its container's processes.
agent_pid() {
    kube_inside "$AGENT" porthole status --json | jq .agent.pid
}
# The command line in there, and how often it has slept: with an agent that is stopped it wakes only
# for an interrupt.
remote_client() {
    local pid
    for pid in $(runc ps --format json "$AGENT" | jq -r '.[]'); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != porthole ] || echo "$pid"
    done | tail -n 1
}
switches() {
    awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "/proc/$1/status"
}
woken() {
    [ "$(switches "$1")" -gt "$2" ]
}
# Everybody in the group, as a terminal's Ctrl-C.
interrupt() {
    kill -INT -- "-$CAPTURE"
}
# ended STATUS SENTENCE
ended() {
    local got=0
    wait_for 60 gone "$CAPTURE" || kill -KILL -- "-$CAPTURE"
    wait "$CAPTURE" 2>/dev/null || got=$?
    if [ "$got" = "$1" ]; then
        ok "$2"
    else
        not_ok "$2" "exit $got: $(tail -n 1 "$T/err")"
    fi
}

begin cpu cart-0 -c app -d 300 -F 1999 -o "$T/late/x.folded"
check "a long capture begins" wait_for 60 captures 1
let_run "$SPIN"
interrupt
ended 0 "an interrupt ends it early, and it is delivered"
check "with what was seen until then" grep -q spin_ "$T/late/x.folded"
check "nothing else is left of it" alone "$T/late/x.folded"
check "and nothing in the agent" wait_for 20 captures 0

begin cpu cart-0 -c app -d 300 -o "$T/late/x.folded"
wait_for 60 captures 1
kill -TERM "$CAPTURE"
ended 143 "a plugin that is told to end ends"
check "the capture ends with it" wait_for 30 captures 0
check "and no file is left" [ -z "$(ls "$T/late")" ]

begin cpu cart-0 -c app -d 300 -o "$T/late/x.folded"
wait_for 60 captures 1
kill -KILL -- "-$CAPTURE"
check "when all of it is killed the capture ends, too" wait_for 30 captures 0
wait "$CAPTURE" 2>/dev/null

begin cpu crash-0 --wait -d 3 -o "$T/late/x.folded"
wait_for 60 grep -q "waiting for container" "$T/err"
wait_for 60 grep -q 'exec?.*porthole-attend.*-w' "$T/requests"
interrupt
ended 130 "an interrupt ends the waiting for a container"
check "with no file" [ -z "$(ls "$T/late")" ]
begin cpu cart-0 -c app -d 300 -o "$T/late/x.folded"
wait_for 60 captures 1
stopped=$(agent_pid)
client=$(remote_client)
kill -STOP "$stopped"
before=$(switches "$client")
interrupt
wait_for 30 woken "$client" "$before"
interrupt
ended 130 "a second interrupt gives up"
kill -CONT "$stopped"
wait_for 30 captures 0

# ---- a container that starts later ----

waits() {
    [ "$(grep -c 'exec?.*porthole-attend.*-w' "$T/requests")" = 2 ]
}
begin cpu crash-0 --wait -d 5 -F 1999 -o "$T/late/x.folded"
check "--wait waits for a container in CrashLoopBackOff" wait_for 60 waits
check "and says so" grep -q "waiting for container 'app'" "$T/err"
let_run "$SPIN"
check "nothing is captured meanwhile" eval 'wait_for 20 captures 0 && ! gone "$CAPTURE"'
rt_cri_run "$SHOP" crash-0 app "$root" /bin/busybox timeout 20 /bin/spin
check "the capture begins when the container starts" wait_for 60 captures 1
ended 0 "and ends well"
check "with that container's functions" share_is "$T/late/x.folded" spin_parse 50 15
check "what the agent said before is not shown" lacks "$T/err" '^porthole: '

begin cpu far-away --wait -d 3
ended 1 "--wait does not wait for a pod that there is not"

# ---- completion ----

# completes WORDS ARGUMENT…: that is what kubectl offers in their place.
completes() {
    local want=$1 got
    shift
    got=$(kubectl __complete porthole "$@" 2>"$T/err" | grep -v '^:' | sort | paste -s -d ' ' -)
    [ "$got" = "$want" ] || { echo "offered: $got" && return 1; }
}
if kubectl __complete porthole '' 2>/dev/null | grep -q '^cpu'; then
    check "kubectl completes commands" completes "states status" st
    check "it completes the pods of the namespace" completes "cart-0 crash-0 far-0 new-0" cpu ''
    check "and by their beginning" completes "cart-0 crash-0" cpu -d 3 c
    check "and of another namespace" completes "agent-old agent-x other-x" cpu -n monitoring ''
    check "it completes containers" completes "app side" cpu cart-0 -c ''
    check "it completes namespaces" completes "$SHOP" cpu -n "$NAME"
    check "it completes options" completes "--namespace" cpu --n
else
    skip "kubectl completes commands" "this kubectl does not complete for plugins"
fi
