#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What "make install" leaves runs from any prefix, with nothing of the build tree; "make" alone
# builds from the sources as they are given away.
. "$(dirname "$0")/../lib.sh"
need_commands make

# What the caller's make said is for the caller.
plain_make() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s "$@"
}

installed() {
    (cd "$1" && find . ! -type d -printf '%m %P\n' | sort -k 2)
}

# A build tree's programs as packages want them, and a page for each command.
{
    cat <<'END'
755 bin/porthole
644 lib/systemd/system/porthole.service
644 lib/systemd/system/porthole.socket
644 lib/sysusers.d/porthole.conf
644 lib/tmpfiles.d/porthole.conf
755 libexec/porthole/porthole-attacher
755 libexec/porthole/porthole-fetch
755 libexec/porthole/porthole-opener
755 libexec/porthole/porthole-parser
755 sbin/portholed
644 share/bash-completion/completions/porthole
644 share/fish/vendor_completions.d/porthole.fish
644 share/man/man1/porthole.1
644 share/man/man5/porthole.conf.5
644 share/man/man7/porthole-protocol.7
644 share/man/man8/portholed.8
644 share/zsh/site-functions/_porthole
END
    "$B/porthole" --commands | awk -F '\t' '$1 == "command" { print "644 share/man/man1/porthole-" $2 ".1" }'
} | sort -k 2 >"$T/wanted"
check "make install works" plain_make -C "$ROOT" B="$B" install PREFIX="$T/opt"
installed "$T/opt" >"$T/got"
check "it installs what is to be there, and no more" diff "$T/wanted" "$T/got"
check "the unit starts the program where it was installed" \
    grep -qx "ExecStart=$T/opt/sbin/portholed" "$T/opt/lib/systemd/system/porthole.service"
check "make install works for packages" plain_make -C "$ROOT" B="$B" install \
    DESTDIR="$T/stage" PREFIX="$T/usr"
installed "$T/stage$T/usr" >"$T/got"
check "with DESTDIR all of it is below" diff "$T/wanted" "$T/got"
check "and nothing at the prefix itself" [ ! -e "$T/usr" ]

# The sources without git, as in an archive, and without what was built before.
mkdir "$T/source"
(cd "$ROOT" && git ls-files -z --cached --others --exclude-standard 2>/dev/null |
    xargs -0 sh -c 'for f; do [ ! -f "$f" ] || echo "$f"; done' sh | tar -cT -) | tar -xC "$T/source"
if [ -e "$T/source/Makefile" ]; then
    check "make alone builds the sources without git" plain_make -j2 -C "$T/source"
    check "what it built runs" "$T/source/build/porthole" --version
else
    skip "make alone builds the sources without git" "the sources are not in git here"
fi

need_bpf
need_commands runc jq
check "make deps has nothing left to do" plain_make -C "$ROOT" deps

# From here on only what was installed, moved away from where it was installed to.
mv "$T/opt" "$T/moved"
B=$T/moved/bin
A=pht$$-a
victim "$A" /bin/spin
cd / || exit 1
ln -s "$T/moved/sbin/portholed" "$T/link"
env -i PATH=/usr/bin:/bin "$T/link" --socket "$PORTHOLE_SOCKET" >"$T/agent.log" 2>&1 &
AGENT_PID=$!
on_exit stop_agent
check "the installed agent starts, through a link and without an environment" \
    wait_for 20 "$B/porthole" status
helpers() {
    local pid
    for pid in $(family "$AGENT_PID"); do
        readlink "/proc/$pid/exe"
    done | sort -u
}
helpers >"$T/got"
printf '%s\n' "$T/moved/libexec/porthole/porthole-opener" "$T/moved/libexec/porthole/porthole-parser" \
    "$T/moved/sbin/portholed" >"$T/wanted"
check "its helpers are the installed ones" diff "$T/wanted" "$T/got"
"$B/porthole" list >"$T/list"
check "the installed tool lists a container" grep -q "^$A " "$T/list"
"$B/porthole" cpu "$A" -d 1 -F 199 -o "$T/a.svg" 2>"$T/err"
check "the installed tool draws a container's profile with names" grep -q spin_burn "$T/a.svg"
stop_agent

rm "$T/moved/libexec/porthole/porthole-parser"
exits_with 1 "an agent without its helpers does not start" "$T/moved/sbin/portholed" --socket "$PORTHOLE_SOCKET"
check "and says which is missing" grep -q porthole-parser "$T/err"
