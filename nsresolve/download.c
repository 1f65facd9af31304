/* SPDX-License-Identifier: Apache-2.0 */
#include "nsresolve/download.h"

#include "base/cleanup.h"
#include "base/loop.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define URL_MAX 2048
#define CONNECT_MAX_MS 5000l
#define REDIRECTS_MAX 3l

struct sink {
    int fd;
    size_t size;
    int error;
};

int download_prepare(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

/* Anything but the whole of it makes curl stop. */
static size_t on_bytes(char *bytes, size_t size, size_t count, void *data)
{
    struct sink *sink = data;
    size_t n = size * count;

    if (n > DOWNLOAD_MAX - sink->size) {
        sink->error = -EFBIG;
        return 0;
    }
    for (size_t done = 0; done < n;) {
        ssize_t w = write(sink->fd, bytes + done, n - done);

        if (w < 0) {
            sink->error = -errno;
            return 0;
        }
        done += (size_t)w;
    }
    sink->size += n;
    return n;
}

static int error_of(CURL *curl, CURLcode code, const struct sink *sink)
{
    long http = 0;

    if (sink->error)
        return sink->error;
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_HTTP_RETURNED_ERROR:
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
        return http == 404 ? -ENOENT : -EIO;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return -EFBIG;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return -EHOSTUNREACH;
    case CURLE_PEER_FAILED_VERIFICATION:
        return -EKEYREJECTED;
    default:
        return -EIO;
    }
}

/* One server. Nothing of this host is told but the build ID: no cookie, no name, no proxy's. */
static int ask_server(const char *url, uint64_t deadline_ns, int fd)
{
    struct sink sink = {.fd = fd};
    uint64_t now = now_ns();
    CURL *curl;
    int r;

    if (now >= deadline_ns)
        return -ETIMEDOUT;
    if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    curl = curl_easy_init();
    if (!curl)
        return -ENOMEM;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1l);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1l);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1l);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "porthole");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)((deadline_ns - now) / NS_PER_MS) + 1);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)DOWNLOAD_MAX);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    r = error_of(curl, curl_easy_perform(curl), &sink);
    curl_easy_cleanup(curl);
    return r;
}

/* "http://server/" and a build ID -> "http://server/buildid/0123…/debuginfo". */
static int make_url(const char *server, size_t length, const uint8_t *build_id, size_t size,
                    char *url)
{
    size_t n = length;

    if (strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0)
        return -EPROTONOSUPPORT;
    while (n && server[n - 1] == '/')
        n--;
    if (n + 2 * size + 32 > URL_MAX)
        return -EPROTONOSUPPORT;
    memcpy(url, server, n);
    n += (size_t)sprintf(url + n, "/buildid/");
    for (size_t i = 0; i < size; i++)
        n += (size_t)sprintf(url + n, "%02x", build_id[i]);
    sprintf(url + n, "/debuginfo");
    return 0;
}

int download(const char *urls, const uint8_t *build_id, size_t size, uint64_t deadline_ns, int fd)
{
    int result = 0;

    for (const char *at = urls; *(at += strspn(at, " \t")); at += strcspn(at, " \t")) {
        char url[URL_MAX];
        int r = make_url(at, strcspn(at, " \t"), build_id, size, url);

        if (r == 0)
            r = ask_server(url, deadline_ns, fd);
        if (r == 0)
            return 0;
        /* A server that may have it says more than one that has not. */
        if (result == 0 || result == -ENOENT)
            result = r;
    }
    return result ? result : -EPROTONOSUPPORT;
}
