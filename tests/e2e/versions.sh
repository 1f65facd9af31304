#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Clients and agents of different versions: each says what it does not know, none breaks.
. "$(dirname "$0")/../lib.sh"
need_commands socat jq python3

VERSION=$("$B/porthole" --version | cut -d ' ' -f 2)

# ---- what the programs call themselves ----
check "porthole and portholed are of one version" \
    [ "$("$B/portholed" --version)" = "portholed $VERSION" ]
release=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' "$ROOT/CHANGELOG.md" | head -n 1)
check "the version begins with the changelog's release, or a tag's" \
    sh -c "case '$VERSION' in '$release'|'$release'[+-]*) ;; *) exit 1 ;; esac"
# What follows the release: "+0123abc", or "-5-g0123abc" behind a tag, each maybe with "-dirty".
commit=$(echo "${VERSION%-dirty}" | sed -nE 's/.*(\+|-g)([0-9a-f]{7,40})$/\2/p')
if git -C "$ROOT" describe --tags --exact-match >/dev/null 2>&1 || ! git -C "$ROOT" rev-parse HEAD >/dev/null 2>&1; then
    skip "the version says the commit" "this is a release, or no git tree"
else
    check "and says the commit" git -C "$ROOT" cat-file -e "${commit:-none}^{commit}"
fi

# ---- other agents, this client ----
# other_agent LINE…: one that answers so, once.
other_agent() {
    [ -z "${FAKE-}" ] || stop_process "$FAKE"
    rm -f "$PORTHOLE_SOCKET" "$T/requests"
    printf '%s\n' "$@" >"$T/script"
    python3 "$ROOT/tests/e2e/fake_agent.py" "$PORTHOLE_SOCKET" "$T/script" "$T/requests" &
    FAKE=$!
    wait_for 40 test -S "$PORTHOLE_SOCKET" || not_ok "a stand-in for an agent starts"
}
on_exit '[ -z "${FAKE-}" ] || stop_process "$FAKE"'

says() {
    grep -q -- "$1" "$T/err" || { cut -c 1-300 "$T/err" && return 1; }
}

STARTED='{"type":"started","porthole":1,"version":"9.0.0","view":"cpu","unit":"samples","yields":"stacks","target":"x","new":{"a":[1]}'
FRAMES='{"type":"frame","id":0,"name":"main","kind":"user","named":true,"colour":"red"}
{"type":"frame","id":1,"name":"dream","kind":"imagined","named":true}
{"type":"weather","id":7}
{"type":"stack","frames":[0,1],"value":5,"comm":"x","mood":"good"}
{"type":"quality","taken":5,"shown":5,"lost":{"novel-cause":0},"news":1}
{"type":"end","status":"done","why":"so"}'

other_agent "$STARTED}" "$FRAMES"
exits_with 0 "a newer agent's additions do no harm" "$B/porthole" cpu x -f folded
check "what is known of them is shown" grep -qx 'x;main;dream 5' "$T/out"
check "the request names the version of the protocol" jq -e '.porthole == 1' "$T/requests"

other_agent "$STARTED,\"ignored\":[\"max_stack\",\"full_names\"]}" "$FRAMES"
exits_with 0 "an agent that ignores options is no failure" "$B/porthole" cpu x -f folded --max-stack 9
check "but the client says which" says "9.0.0 and does not know it: 'max_stack', 'full_names'"

other_agent "${STARTED/\"porthole\":1/\"porthole\":2}}" "$FRAMES"
exits_with 1 "an agent that answers in a newer protocol is not guessed at" "$B/porthole" cpu x
check "and the client says that it is the older" says 'upgrade this porthole'

printf '%s\n' "${STARTED/\"porthole\":1/\"porthole\":2}}" "$FRAMES" >"$T/new.json"
exits_with 1 "nor is a saved file of a newer protocol" "$B/porthole" render "$T/new.json"
check "whose reader is told what to do" says 'upgrade this porthole'

OLD='"code":"version","message":"this agent speaks version 0 of the protocol, the request version 1"'
for command in "cpu x" list status; do
    other_agent "{\"type\":\"error\",$OLD,\"remedy\":\"upgrade portholed, the older of the two\",\"porthole\":0}"
    # shellcheck disable=SC2086 # words
    exits_with 1 "'$command' fails where the agent is too old" "$B/porthole" $command
    check "'$command' says which is to be upgraded" says 'version 0 of the protocol.*; upgrade portholed'
done

other_agent '{"type":"error","code":"usage","message":"there is no view '"'cpu'"': give one of dials","remedy":"","porthole":1,"version":"0.0.1"}'
exits_with 2 "a view that an older agent does not know is refused" "$B/porthole" cpu x
check "with both versions" says "portholed is of version 0.0.1, porthole of $VERSION"

# ---- other clients, this agent ----
need_bpf
start_agent

ask() {
    printf '%s\n' "$@" | socat -t 30 - "UNIX-CONNECT:$PORTHOLE_SOCKET" >"$T/reply"
}
said() {
    jq -s -e "$1" "$T/reply" >/dev/null || { tail -n 1 "$T/reply" | cut -c 1-300 && return 1; }
}

# The first client's words, with nothing that came later.
ask '{"porthole":1,"op":"capture","view":"cpu","target":"all","duration_ms":200}'
check "an older client's request is served" said '.[-1].type == "end" and .[-1].status == "done"'
check "in its version of the protocol" said '.[0].porthole == 1 and (.[0] | has("ignored") | not)'
ask '{"porthole":1,"op":"capture","view":"cpu","target":"all","duration_ms":200,"telepathy":true,"aura":{"x":[1]}}'
check "a newer client's options do no harm" said '.[-1].status == "done"'
check "it is told which had no effect" said '.[0].ignored == ["telepathy","aura"]'
ask '{"porthole":1,"op":"list","sort":"name"}'
check "so it is with other requests" said '.[-1].status == "done"'
ask '{"porthole":1,"op":"capture","view":"telepathy","target":"all"}'
check "a newer client's view is refused with those that there are" \
    said '.[0].code == "usage" and (.[0].message | test("no view .telepathy.: give one of cpu"))'
check "and with the agent's version" said ".[0].version == \"$VERSION\""

for request in '"op":"capture","view":"cpu","target":"all"' '"op":"list"' '"op":"status"'; do
    ask "{\"porthole\":2,$request}"
    check "a newer protocol is refused: $request" said '.[0].code == "version" and length == 1'
done
check "the refusal has the versions that would do" said '.[0] | .porthole == 1 and .porthole_min == 1'
check "and which of the two is the older" said '.[0].remedy | test("upgrade portholed")'
ask "{\"porthole\":$(jq .porthole "$T/reply"),\"op\":\"status\"}"
check "asked again in one of these it answers" said '.[-1].status == "done"'
ask '{"porthole":0,"op":"list"}'
check "a protocol that is too old is refused" said '.[0].remedy | test("upgrade porthole,")'
