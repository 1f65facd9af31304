/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own binaries, against readelf's reading of their frames. */
#include "tests/unit/unwind_tables.h"

#include <ctype.h>

#define COLUMNS_MAX 40

static char **given;

/* One interpreted entry of `readelf --debug-dump=frames-interp`, as it is read. */
struct truth {
    const char *path;
    const struct unwindtab *table;
    bool is_signal, in_entry;
    uint64_t start, end;
    uint64_t signal_cie; /* offset of the one with 'S' */
    char names[COLUMNS_MAX][16];
    size_t columns;
    const struct unwind_row *last; /* of this entry */
    uint64_t last_at;
    size_t checked, unsupported, ways_back;
};

/* What readelf prints in this column, or "". */
static const char *value(const struct truth *t, char values[][24], const char *name)
{
    for (size_t i = 0; i < t->columns; i++) {
        if (strcmp(t->names[i], name) == 0)
            return values[i];
    }
    return "";
}

/* "rsp+16" as words; false for other registers and for what is no multiple. */
static bool words_of(const char *text, const char *prefix, long *words)
{
    size_t size = strlen(prefix);
    char *end;
    long n;

    if (strncmp(text, prefix, size) != 0)
        return false;
    n = strtol(text + size, &end, 10);
    *words = n / 8;
    return *end == '\0' && n % 8 == 0;
}

/* The row that readelf's row asks for. Expressions are not shown by readelf: kind is then
 * UNWIND_KIND_COUNT, and rbp -1. */
static void expected_row(const struct truth *t, char values[][24], int *kind, long *offset,
                         long *rbp)
{
    const char *cfa = value(t, values, "CFA"), *saved = value(t, values, "rbp");
    const char *ra = value(t, values, "ra"), *rsp = value(t, values, "rsp");

    *kind = UNWIND_UNSUPPORTED;
    *offset = *rbp = 0;
    if (t->is_signal) {
        *kind = UNWIND_SIGNAL;
        return;
    }
    if (strcmp(ra, "u") == 0) {
        *kind = UNWIND_END;
        return;
    }
    if (strcmp(ra, "c-8") != 0 || (*rsp && strcmp(rsp, "u") != 0 && strcmp(rsp, "s") != 0))
        return;
    if (strcmp(saved, "exp") == 0)
        *rbp = -1;
    else if (*saved && strcmp(saved, "u") != 0 && strcmp(saved, "s") != 0 &&
             (!words_of(saved, "c", rbp) || *rbp >= 0 || *rbp < -254))
        return;
    else
        *rbp = -*rbp;

    if (strcmp(cfa, "exp") == 0)
        *kind = UNWIND_KIND_COUNT;
    else if (words_of(cfa, "rsp", offset))
        *kind = UNWIND_RSP;
    else if (words_of(cfa, "rbp", offset))
        *kind = UNWIND_RBP;
    if (labs(*offset) > INT16_MAX)
        *kind = UNWIND_UNSUPPORTED;
    if (*kind == UNWIND_UNSUPPORTED)
        *offset = *rbp = 0;
}

static bool is_expressible(int kind)
{
    return kind == UNWIND_PLT || kind == UNWIND_DEREF_RBP || kind == UNWIND_DEREF_RSP ||
           kind == UNWIND_UNSUPPORTED;
}

static void check_row(struct truth *t, uint64_t at, char values[][24])
{
    const struct unwind_row *row;
    long offset, rbp;
    int kind;

    if (at >= t->end)
        return;
    row = unwindtab_find(t->table, at);
    expected_row(t, values, &kind, &offset, &rbp);
    t->checked++;
    if (t->last && at > t->last_at && t->last != unwindtab_find(t->table, at - 1))
        fail_msg("%s: before %#lx stands a row that readelf does not know", t->path,
                 (unsigned long)at);
    t->last = row;
    t->last_at = at;
    if (row && row->kind == UNWIND_SIGNAL && !t->is_signal) {
        t->ways_back++; /* Go's, which says nothing of signals; nothing runs behind it */
        t->in_entry = false;
        return;
    }
    if (row && row->kind == UNWIND_UNSUPPORTED)
        t->unsupported++;
    if (row && (rbp == -1 || kind == UNWIND_KIND_COUNT) && row->kind == UNWIND_UNSUPPORTED)
        return;
    if (row && kind == UNWIND_KIND_COUNT && is_expressible(row->kind))
        kind = row->kind, offset = row->offset;
    if (row && rbp == -1)
        rbp = UNWINDTAB_RBP_AT_RBP;
    if (!row || row->kind != kind || row->offset != offset || row->rbp != rbp)
        fail_msg("%s: at %#lx: kind %d, offset %d, rbp %d instead of %d, %ld, %ld", t->path,
                 (unsigned long)at, row ? row->kind : -1, row ? row->offset : 0, row ? row->rbp : 0,
                 kind, offset, rbp);
}

/* Splits a line into words of at most 23 bytes, but for the second name of a register, which stands
 * in parentheses; returns how many. */
static size_t split(const char *line, char words[][24], size_t max)
{
    size_t count = 0;
    int used;

    while (count < max && sscanf(line, "%23s%n", words[count], &used) == 1) {
        line += used;
        count += words[count][0] != '(';
    }
    return count;
}

/* "00000018 0000000000000014 00000000 CIE "zR" ..." or
 * "00000018 0000000000000014 0000001c FDE cie=00000000 pc=0000000000026e20..00000000000271d0" */
static void start_entry(struct truth *t, const char *line)
{
    const char *cie = strstr(line, "cie="), *letters = strchr(line, '"');
    unsigned long at;

    t->in_entry = false;
    t->last = NULL;
    t->columns = 0;
    if (!cie) {
        if (letters && strchr(letters, 'S'))
            t->signal_cie = strtoul(line, NULL, 16);
        return;
    }
    t->in_entry = sscanf(cie, "cie=%lx pc=%lx..%lx", &at, &t->start, &t->end) == 3;
    t->is_signal = at == t->signal_cie;
}

static void read_line(struct truth *t, const char *line)
{
    char words[COLUMNS_MAX][24];
    size_t count;

    if (strstr(line, " CIE ") || strstr(line, " FDE ")) {
        start_entry(t, line);
        return;
    }
    count = split(line, words, COLUMNS_MAX);
    if (count < 2 || strcmp(words[1], "ZERO") == 0 || strcmp(words[0], "Contents") == 0)
        t->in_entry = false;
    if (!t->in_entry)
        return;
    if (strcmp(words[0], "LOC") == 0) {
        t->columns = count;
        for (size_t i = 0; i < count; i++)
            snprintf(t->names[i], sizeof(t->names[i]), "%.15s", words[i]);
    } else if (count == t->columns && isxdigit((unsigned char)words[0][0])) {
        check_row(t, strtoul(words[0], NULL, 16), words);
    } else {
        fail_msg("%s: readelf says '%s'", t->path, line);
    }
}

static size_t check_binary(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(unwindtab_freep) struct unwindtab *t = NULL;
    struct truth truth = {.path = path, .signal_cie = UINT64_MAX};
    char command[600], line[4096];
    uint32_t count;
    FILE *pipe;

    if (fd < 0)
        return 0;
    assert_int_equal(unwind_parse_fd(fd, &t), 0);
    assert_false(unwindtab_header(t)->flags & UNWINDTAB_TRUNCATED);
    truth.table = t;

    snprintf(command, sizeof(command), "readelf -W --debug-dump=frames-interp '%s' 2>/dev/null",
             path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof(line), pipe))
        read_line(&truth, line);
    pclose(pipe); /* it fails for want of a debug file */
    unwindtab_rows(t, &count);
    assert_true(truth.ways_back <= 1);
    assert_true(truth.checked > 0 || count < 20);
    print_message("%s: %zu rows agree, of which %zu are unsupported\n", path, truth.checked,
                  truth.unsupported);
    return truth.checked;
}

static void rows_are_those_that_readelf_shows(void **state)
{
    char own_path[512] = "";
    const char *paths[] = {
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-musl/libc.so",
        "/bin/bash",
        "/bin/busybox",
        "/usr/bin/python3",
        "/usr/bin/node",
        own_path,
    };
    size_t checked = 0;

    (void)state;
    if (system("readelf --version > /dev/null 2>&1") != 0) {
        print_message("SKIP: there is no readelf\n");
        return;
    }
    assert_true(readlink("/proc/self/exe", own_path, sizeof(own_path) - 1) > 0);
    for (int i = 0; given[i]; i++)
        check_binary(given[i]);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        checked += check_binary(paths[i]);
    assert_true(checked > 1000);
}

/* Takes more files as arguments. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_that_readelf_shows),
    };

    given = argv + MIN(argc, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
