/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "cli/tables.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_MIN 40
#define WIDTH_MAX 1000

const char *cmd_socket;
const char *cmd_output, *cmd_format, *cmd_title, *cmd_min_percent;
bool cmd_icicle;

unsigned cmd_width(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size = {0};
    uint64_t n;

    if (columns && parse_number(columns, "width", 1, WIDTH_MAX, &n, NULL) == 0)
        return MAX((unsigned)n, WIDTH_MIN);
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col)
        return MIN(MAX(size.ws_col, WIDTH_MIN), WIDTH_MAX);
    return RENDER_WIDTH;
}

static int parse_percent(const char *word, double *ret, struct err *e)
{
    char *end = NULL;
    double n = strtod(word, &end);

    /* Written so that NaN fails too. */
    if (end == word || *end || !(n >= 0 && n <= 100))
        return err_set(e, ERR_USAGE,
                       "'%.64s' is not a valid --min-percent: give a number from 0 to 100", word);
    *ret = n;
    return 0;
}

int cmd_take_render_options(struct render_options *ret, struct err *e)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct render_options o = {.title = cmd_title,
                               .icicle = cmd_icicle,
                               .width = RENDER_WIDTH,
                               .min_percent = RENDER_MIN_PERCENT};
    int r;

    if (cmd_min_percent) {
        r = parse_percent(cmd_min_percent, &o.min_percent, e);
        if (r < 0)
            return r;
    }
    if (!cmd_output) {
        o.width = cmd_width(stdout);
        o.color =
            isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
    }
    *ret = o;
    return 0;
}

int cmd_missing(const char *command, const char *operand, struct err *e)
{
    int r = err_set(e, ERR_USAGE, "%s needs a %s", command, operand);

    err_remedy(e, "see porthole %s --help", command);
    return r;
}

int cmd_check_picture(const struct format *format, const struct table_spec *spec, const char *view,
                      struct err *e)
{
    int r;

    if (format->render != render_heatmap || (spec && spec->over_time))
        return 0;
    r = err_set(e, ERR_USAGE, "there is no picture of the rows of %.64s",
                view ? view : "this view");
    err_remedy(e, "give --format=table, rows or json");
    return r;
}
