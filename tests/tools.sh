# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Programs of one source under several names, for tests of who a sample belongs to; sourced after
# tests/lib.sh. Each takes its name for its comm and puts it in front of its functions, so that a
# sample tells by itself whether it was named after the wrong file.
#
#   tool_new DIR NAME…   builds them as DIR/NAME, static, with symbols; red, green, blue, rouge
#   astray STREAM        lines "COMM FUNCTION COUNT" of samples whose function is another family's
#   attributed STREAM    percent of samples whose user frames all have a name or a file
#   named STREAM         percent of samples whose user frames all have a name

tool_new() {
    local dir=$1 name
    shift
    for name in "$@"; do
        gcc -std=gnu11 -D_GNU_SOURCE -DFAMILY="$name" -O1 -g -fno-omit-frame-pointer \
            -fno-optimize-sibling-calls -static -o "$dir/$name" "$ROOT/tests/workloads/tool.c" || exit 1
    done
}

# Samples as {comm, value, user: [frames]}, those without a user frame left out.
user_samples() {
    jq -c -n 'reduce inputs as $o ({frames: {}, stacks: []};
            if $o.type == "frame" then .frames[$o.id | tostring] = $o
            elif $o.type == "stack" then .stacks += [$o] else . end)
        | .frames as $f | .stacks[]
        | {comm, value, user: [.frames[] | $f[tostring] | select(.kind != "kernel")]}
        | select(.user | length > 0)' "$1"
}

astray() {
    user_samples "$1" | jq -r '. as $s | .user[] | select(.name | test("^(tool|red|green|blue|rouge)_(work|forked)$"))
        | select((.name | sub("_.*"; "")) != $s.comm) | "\($s.comm) \(.name) \($s.value)"'
}

attributed() {
    user_samples "$1" | jq -s 'if length == 0 then 0 else
        100 * (map(select(.user | all(.named or .file)).value) | add // 0) / (map(.value) | add) end'
}

named() {
    user_samples "$1" | jq -s 'if length == 0 then 0 else
        100 * (map(select(.user | all(.named)).value) | add // 0) / (map(.value) | add) end'
}
