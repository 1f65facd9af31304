# SPDX-License-Identifier: Apache-2.0
#
# docs/protocol.md as mdoc: headings, paragraphs, lists, tables (a tagged item a row), code. It knows
# what that page uses and no more of Markdown.

function escape(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    return s
}

# Words of prose: backquotes become quotes, links their text.
function plain(s) {
    gsub(/`/, "'", s)
    while (match(s, /\[[^]]*\]\([^)]*\)/)) {
        link = substr(s, RSTART, RLENGTH)
        sub(/^\[/, "", link)
        sub(/\].*/, "", link)
        s = substr(s, 1, RSTART - 1) link substr(s, RSTART + RLENGTH)
    }
    gsub(/\*/, "", s)
    return escape(s)
}

# Prose in lines of a fair length, a new one for each sentence.
function put(s, n, i, word, column) {
    n = split(s, word, / +/)
    column = 0
    for (i = 1; i <= n; i++) {
        if (word[i] == "")
            continue
        if (column && column + length(word[i]) > 74) {
            printf "\n"
            column = 0
        }
        if (!column && word[i] ~ /^[.']/)
            word[i] = "\\&" word[i]
        printf "%s%s", column ? " " : "", word[i]
        column += length(word[i]) + 1
        if (word[i] ~ /[.?!]\)?$/ && i < n) {
            printf "\n"
            column = 0
        }
    }
    if (column)
        printf "\n"
}

function flush() {
    if (text != "") {
        if (started && !fresh)
            print ".Pp"
        put(plain(text))
        fresh = 0
    }
    text = ""
}

function leave(kind) {
    flush()
    if (list != "" && list != kind) {
        print ".El"
        list = ""
        fresh = 0
    }
}

function enter(kind) {
    leave(kind)
    if (list == "") {
        print kind
        list = kind
    }
}

BEGIN {
    print ".\\\" SPDX-License-Identifier: Apache-2.0"
    print date
    print ".Dt PORTHOLE-PROTOCOL 7\n.Os\n.Sh NAME\n.Nm porthole-protocol"
    print ".Nd what porthole and portholed say to each other\n.Sh DESCRIPTION"
    started = fresh = 1
}

/^```/ {
    leave("")
    code = !code
    print code ? ".Bd -literal -offset indent" : ".Ed"
    fresh = 1 - code
    if (!code)
        fresh = 0
    next
}
code {
    line = escape($0)
    print (line ~ /^[.']/ ? "\\&" : "") line
    next
}
/^# / { next }
/^#/ {
    leave("")
    section = /^###/ ? ".Ss " : ".Sh "
    title = $0
    sub(/^#+ /, "", title)
    title = plain(title)
    print section (section == ".Sh " ? toupper(title) : title)
    fresh = 1
    next
}
# A table's heading and the line below it are dropped: what the columns are, the text says.
/^\|/ {
    if (list == "" && !heading) {
        heading = 1
        next
    }
    if (/^\|[-|]+$/)
        next
    heading = 0
    enter(".Bl -tag -width Ds")
    row = $0
    gsub(/\\\|/, "\001", row)
    sub(/^\| */, "", row)
    sub(/ *\|$/, "", row)
    n = split(row, cell, / *\| */)
    name = plain(cell[1])
    gsub(/\047/, "", name)
    gsub(/ ,/, ",", name)
    print ".It Li \"" name "\""
    said = ""
    for (i = 2; i <= n; i++)
        if (cell[i] != "")
            said = said (said == "" ? "" : "; ") (i == 3 && n == 4 ? "default " : "") cell[i]
    gsub(/\001/, "|", said)
    put(plain(said))
    next
}
/^- / {
    enter(".Bl -bullet")
    flush()
    print ".It"
    fresh = 1
    text = substr($0, 3)
    next
}
/^$/ {
    if (list == ".Bl -tag -width Ds")
        leave("")
    else
        flush()
    heading = 0
    next
}
/^[^ ]/ && text == "" && list != "" { leave("") }
{
    sub(/^ +/, "")
    text = text (text == "" ? "" : " ") $0
}
END {
    leave("")
    print ".Sh SEE ALSO\n.Xr porthole 1 ,\n.Xr portholed 8"
}
