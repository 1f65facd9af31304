#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/protocol.md and the agent say the same: drives a real agent with socat alone, as the page
# shows, and compares the keys of all replies with the page's tables, in both directions.
. "$(dirname "$0")/../lib.sh"
need_bpf
need_commands runc jq socat strip objcopy

PAGE=$ROOT/docs/protocol.md
X=pht$$-x # C++, annotated as the CRI does
J=pht$$-j # code without a file
S=pht$$-s # a file without symbols
V=pht$$-v # two that pass for JVMs
N=pht$$-n # connections
D=pht$$-d # a file with inlined functions, one with damaged DWARF

# ask LINE…: requests on one connection; the replies are printed and kept for the comparison.
ask() {
    printf '%s\n' "$@" | socat -t 30 - "UNIX-CONNECT:$PORTHOLE_SOCKET" | tee -a "$T/replies"
}

capture() {
    ask "{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\",$1}"
}

# said FIELD VALUE: what the last line of $T/reply has there.
said() {
    local got
    got=$(tail -n 1 "$T/reply" | jq -r ".$1")
    [ "$got" = "$2" ] || { echo "$1 is '$got' in: $(tail -n 1 "$T/reply" | cut -c 1-200)" && return 1; }
}

# refused SENTENCE CODE REQUEST
refused() {
    ask "$3" >"$T/reply"
    check "$1" said code "$2"
}

# Rows of the page's tables as "TYPE KEY"; the type is what a heading has in backquotes.
page_keys() {
    awk '
        /^##/ {
            n = split($0, part, "`")
            type = ""
            for (i = 2; i <= n; i += 2) type = type (type == "" ? "" : " ") part[i]
            if (/^## /) type = ""
        }
        type != "" && /^\| `/ {
            sub(/^\| /, ""); sub(/ \|.*/, "")
            n = split($0, part, "`")
            for (i = 2; i <= n; i += 2) print type, part[i]
        }' "$PAGE" | sort -u
}

# Keys of real replies in the same form.
reply_keys() {
    jq -r '(.type + (if .type == "record" and .kind then " " + .kind else "" end)) as $type
        | paths(type != "object" and type != "array")
        | map(if type == "number" then "[]" else . end) | join(".") | gsub("\\.\\[\\]"; "[]")
        | select(. != "type") | "\($type) \(.)"' "$T/replies" |
        sed -E -e 's/^(quality (lost|stacks.broken_by))\..*/\1.CAUSE/' \
            -e 's/^started container\.(.*)/started container\nrecord container \1/' \
            -e 's/^record status (children\.[a-z]+)\.(.*)/record status \1\nchildren \2/' | sort -u
}

# words PATTERN FILE: each word that a source can send is named on the page.
words() {
    local word missing=
    grep -oE "$1" "$ROOT/$2" | grep -oE '"[a-z-]+"' | tr -d '"' >"$T/words"
    while read -r word; do
        case $word in
        none | no-agent | not-asked | expanded) ;; # never sent
        *) grep -q "\`$word\`" "$PAGE" || missing+=" $word" ;;
        esac
    done <"$T/words"
    [ -s "$T/words" ] || { echo "found none in $2" && return 1; }
    [ -z "$missing" ] || { echo "not on the page:$missing" && return 1; }
}

echo 'java = yes' >"$T/conf"
# So that there is a fetcher to tell of; nobody listens there.
DEBUGINFOD_URLS=http://127.0.0.1:9/ start_agent --config "$T/conf"
victim "$J" /bin/jit
wait_for 10 test -s "$T/$J/rootfs/tmp/perf-1.map"
victim_root "$S"
strip -o "$T/$S/rootfs/bin/bare" "$W/spin"
victim "$S" /bin/bare
victim_root "$D"
head -c 4096 /dev/zero >"$T/zeros"
objcopy --update-section .debug_info="$T/zeros" "$W/nested" "$T/$D/rootfs/bin/damaged"
victim "$D" /bin/sh -c '/bin/damaged & exec /bin/nested'
on_exit "runc_stop $X; rm -rf --one-file-system '$T/$X'"
victim_root "$X"
runc_config "$X" /bin/cxx | jq '.annotations = {
    "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "basket",
    "io.kubernetes.cri.sandbox-name": "shop-0", "io.kubernetes.cri.sandbox-namespace": "retail",
    "io.kubernetes.cri.image-name": "shop:1"}' >"$T/$X/config.json"
runc run --detach --bundle "$T/$X" "$X" </dev/null >"$T/$X/log" 2>&1 ||
    not_ok "an annotated container starts" "$(tail -n 1 "$T/$X/log")"

# ---- the page's own command ----
awk '/^```/ { if (inside) exit; inside = 1; next } inside' "$PAGE" |
    sed "s|/run/porthole/porthole.sock|$PORTHOLE_SOCKET|; s|web1|$J|" >"$T/example.sh"
bash "$T/example.sh" >"$T/reply"
cat "$T/reply" >>"$T/replies"
check "the page's command captures with socat alone" said status 'done'
check "its stream is a saved capture" sh -c "'$B/porthole' render '$T/reply' -f folded | grep -q jit_quarter"

# ---- every kind of reply ----
ask '{"porthole":1,"op":"list"}' >"$T/reply"
check "list ends as done" said status 'done'
capture "\"target\":\"retail/shop-0/basket\",\"duration_ms\":600,\"frequency\":499,\"per_thread\":true" >"$T/reply"
check "a capture of a pod's container ends as done" said status 'done'
victim_root "$V"
cp "$W/fakejvm" "$T/$V/rootfs/libjvm.so"
victim "$V" /bin/sh -c '/bin/fakejvm good & /bin/fakejvm trigger & wait'
wait_for 10 grep -q '^trigger ' "$T/$V/log"
wait_for 10 grep -q '^good ' "$T/$V/log"
capture "\"target\":\"$V\",\"duration_ms\":300,\"java\":true" >"$T/reply"
check "a capture that asks JVMs ends as done" said status 'done'
for view in runq states; do
    ask "{\"porthole\":1,\"op\":\"capture\",\"view\":\"$view\",\"target\":\"all\",\"duration_ms\":600,\"per_thread\":true}" >"$T/reply"
    check "a capture of '$view' yields records" jq -es 'any(.type == "record" and .record == "'$view'")' "$T/reply"
done
ask "{\"porthole\":1,\"op\":\"capture\",\"view\":\"offwake\",\"target\":\"all\",\"duration_ms\":600}" >"$T/reply"
check "a word of the view's is a frame of its own kind" \
    jq -es 'any(.type == "frame" and .kind == "label" and .name == "--")' "$T/reply"
# Connections of each kind: from before, to a container, to nobody, over while it is looked.
victim "$N" /bin/talk serve 127.0.0.1 7000
nsenter --net="/proc/$(runc_pid "$N")/ns/net" busybox ip link set lo up
wait_for 10 grep -q ready "$T/$N/log"
runc exec --detach "$N" /bin/talk call 127.0.0.1 7000 1 100 100 hold </dev/null >"$T/held" 2>&1
wait_for 10 grep -q ready "$T/held"
for what in '"per_process":false' '"events":true' '"stacks":true,"weight":"bytes"'; do
    mkfifo "$T/tcp-requests"
    : >"$T/reply" # or the last capture's start is taken for this one's
    socat -t 30 - "UNIX-CONNECT:$PORTHOLE_SOCKET" <"$T/tcp-requests" >"$T/reply" &
    client=$!
    {
        printf '{"porthole":1,"op":"capture","view":"tcp","target":"%s","duration_ms":0,%s}\n' "$N" "$what"
        wait_for 10 grep -q '"type":"started"' "$T/reply"
        runc exec "$N" /bin/talk call 127.0.0.1 7000 2 100 100 >/dev/null
        runc exec "$N" /bin/talk fail 127.0.0.1 7001 >/dev/null
        echo '{"op":"stop"}'
    } >"$T/tcp-requests" 2>"$T/err"
    wait $client
    cat "$T/reply" >>"$T/replies"
    rm "$T/tcp-requests"
    check "a capture of 'tcp' with $what until it is stopped is delivered" said status interrupted
done
# Requests to the disk, by who writes and by who writes back.
cp "$W/disk" "$T/$N/rootfs/bin/"
for what in '"per_process":false' '"events":true' '"stacks":true,"weight":"time"'; do
    mkfifo "$T/block-requests"
    : >"$T/reply"
    socat -t 30 - "UNIX-CONNECT:$PORTHOLE_SOCKET" <"$T/block-requests" >"$T/reply" &
    client=$!
    {
        printf '{"porthole":1,"op":"capture","view":"block","target":"%s","duration_ms":0,%s}\n' "$N" "$what"
        wait_for 10 grep -q '"type":"started"' "$T/reply"
        runc exec "$N" /bin/disk direct-write /direct 1048576 >/dev/null
        runc exec "$N" /bin/disk write /buffered 1048576 >/dev/null
        sync
        echo '{"op":"stop"}'
    } >"$T/block-requests" 2>"$T/err"
    wait $client
    cat "$T/reply" >>"$T/replies"
    rm "$T/block-requests"
    check "a capture of 'block' with $what until it is stopped is delivered" said status interrupted
done
rm "$T/$J/rootfs/tmp/perf-1.map"
mkfifo "$T/$J/rootfs/tmp/perf-1.map"
capture "\"target\":\"all\",\"duration_ms\":600,\"frequency\":499,\"addresses\":true" >"$T/reply"
check "a capture of everything ends as done" said status 'done'
check "addresses show in the names of frames without a name" \
    grep -qE '"name":"\[[^]]*\+0x[0-9a-f]+\]"' "$T/reply"
capture "\"target\":\"$D\",\"duration_ms\":600,\"frequency\":499,\"inline\":true" >"$T/reply"
check "inlined functions are frames of their own kind" \
    jq -es 'any(.type == "frame" and .kind == "inlined" and .name == "grind")' "$T/reply"
sleep 60 &
idle=$!
on_exit "kill $idle 2>/dev/null"
capture "\"target\":\"pid:$idle\",\"duration_ms\":300" >"$T/reply"
check "a capture of what does not run ends as done, with a remark" grep -q 'no sample was taken' "$T/reply"
capture "\"target\":\"retail/shop-0/basket\",\"duration_ms\":300,\"event\":\"context-switches\"" >"$T/reply"
check "a counted event has a period" jq -es 'map(select(.type == "started"))[0].period == 1' "$T/reply"

start_capture "$T/long.json" "$J" -d 60
ask '{"porthole":1,"op":"status"}' >"$T/reply"
check "status shows a capture under way" jq -es '.[0].captures | length == 1' "$T/reply"
kill -INT "$CAPTURE"
end_capture

# The second line is written once the first was answered.
mkfifo "$T/requests"
: >"$T/reply"
socat -t 30 - "UNIX-CONNECT:$PORTHOLE_SOCKET" <"$T/requests" >"$T/reply" &
client=$!
{
    printf '{"porthole":1,"op":"capture","view":"cpu","target":"%s","duration_ms":60000}\n' "$J"
    wait_for 10 grep -q '"type":"started"' "$T/reply"
    echo '{"op":"stop"}'
} >"$T/requests"
wait $client
check "stop on the same connection ends a capture and delivers it" said status interrupted

# ---- requests that are none ----
refused "an unknown op is refused" usage '{"porthole":1,"op":"dance"}'
refused "another version of the protocol is refused" version '{"porthole":2,"op":"list"}'
ask '{"porthole":1,"op":"capture","view":"cpu","target":"all","duration_ms":1,"colour":"red"}' >"$T/reply"
check "a field that the agent does not know is told" grep -q '"ignored":\["colour"\]' "$T/reply"
refused "a stop without a capture is refused" usage '{"op":"stop"}'
refused "a duplicate key is refused" usage '{"porthole":1,"op":"list","op":"list"}'
refused "bytes behind the object are refused" usage '{"porthole":1,"op":"list"} x'
refused "a target that is nearly one is refused" target-unknown \
    "{\"porthole\":1,\"op\":\"capture\",\"view\":\"cpu\",\"target\":\"pht$$-y\"}"
check "and what may have been meant is told" jq -e '.candidates | length > 0' "$T/reply"
nested=$(printf '%*s' 20 '' | tr ' ' '[')$(printf '%*s' 20 '' | tr ' ' ']')
refused "a request of more than 16 levels is refused" usage "{\"porthole\":1,\"op\":\"list\",\"x\":$nested}"
long_request() {
    printf '{"porthole":1,"op":"list","x":"%*s"}' $(($1 - 33)) ''
}
ask "$(long_request 65536)" >"$T/reply"
check "a request of 64 KiB is served, its unknown field ignored" said status 'done'
refused "a request of one byte more is refused" usage "$(long_request 65537)"
# The agent may have left before socat has written it all.
ask "$(long_request 100000)" >"$T/reply" 2>"$T/err"
check "a request of 100000 bytes is not served" lacks "$T/reply" '"end"'
ask '{"porthole":1,"op":"capture","view":"cpu","target":"all"}' '{"porthole":1,"op":"list"}' >"$T/reply"
check "a second request on a connection is refused" said code usage
socat -u "UNIX-CONNECT:$PORTHOLE_SOCKET" - >"$T/reply"
check "who says nothing for 5 seconds is told so" grep -q 'within 5 seconds' "$T/reply"

# ---- the page against the agent ----
# Each field of the page's table of requests is read: what has the wrong type is refused by name.
awk '/^Fields of `capture`/ { on = 1 } /^A client/ { on = 0 }
    on && /^\| `/ { sub(/^\| /, ""); sub(/ \|.*/, ""); gsub(/[`,]/, ""); print }' "$PAGE" |
    tr ' ' '\n' | sort >"$T/page-fields"
{ echo view && grep -oE 'take_[a-z]+\(o, "[a-z_]+"' "$ROOT/agent/request.c" | cut -d '"' -f 2; } |
    sort >"$T/read-fields"
check "the page has the fields of a capture that the agent reads" diff "$T/page-fields" "$T/read-fields"
while read -r field; do
    request='{"porthole":1,"op":"capture","view":"cpu","target":"all","duration_ms":1}'
    case $field in
    state | min_us | max_us | thread | chain_depth | max_overhead) request=${request/cpu/offcpu} ;;
    events | stacks | weight) request=${request/cpu/tcp} ;;
    esac
    ask "$(jq -c --arg f "$field" '.[$f] = [1]' <<<"$request")" >"$T/reply"
    check "a list as '$field' is refused by that name" sh -c "grep '\"code\":\"usage\"' '$T/reply' | grep -q $field"
done <"$T/page-fields"

page_keys >"$T/page"
reply_keys >"$T/seen"
comm -13 "$T/page" "$T/seen" >"$T/unsaid"
# No loss can be forced here, this agent lacks nothing, and there are no 1000 peers.
comm -23 "$T/page" "$T/seen" | grep -Ev '^(quality (lost|stacks\.broken_by)\.CAUSE|record status agent\.lacking|record others|(aggregate|event) (in_flight|waits)|event (end_unseen|error))$' >"$T/unseen"
check "the replies have $(wc -l <"$T/seen") keys, enough to compare" [ "$(wc -l <"$T/seen")" -ge 100 ]
check "every key that was seen in a reply is on the page" diff /dev/null "$T/unsaid"
check "every key on the page was seen in a reply" diff /dev/null "$T/unseen"

check "the page names the causes of loss" \
    words '\{"[a-z-]+", (q->setup\.counters|profile_lost)' agent/quality.c
check "the page names the reasons of frames without a name" \
    words '\[REASON_[A-Z_]+\] = \{"[a-z-]+"' nsresolve/frame.c
check "the page names the causes of inlined functions that are not known" \
    words '\[INLINES_[A-Z_]+\] = \{"[a-z-]+"' nsresolve/frame.c
check "the page names the codes of errors" words '\[ERR_[A-Z_]+\] = \{"[a-z-]+"' base/err.c
check "the page names the ends of captures" words '\[END_[A-Z_]+\] = "[a-z-]+"' agent/capture_stream.c
check "the page names the phases of captures" words '\[PHASE_[A-Z_]+\] = "[a-z-]+"' agent/capture.c
check "the page names the runtimes" words '\[RUNTIME_[A-Z_]+\] = "[a-z-]+"' agent/runtimes.c
check "the page names the kinds of frames" words '"user", "kernel", "jit", "inlined", "label"' agent/proto.h
