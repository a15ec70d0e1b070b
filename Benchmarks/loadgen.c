// The load generator of the benchmarks: N keep-alive connections, each with its session, one turn after another; prints one JSON line.
//
// usage: loadgen PORT CONNECTIONS TURNS_EACH stream|whole SESSION_PREFIX FIRST_TURN
//
// A turn counts only if its status is 200, its text ends with the stand-in's last word and, streamed, `[DONE]` follows.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 64 << 10 };

struct connection {
    int fd, index, turn;
    uint64_t sent;
    double first_token;  // microseconds; 0 until it came
    size_t used, whole;  // bytes so far; bytes of the whole reply, 0 while unknown or chunked
    char in[ROOM + 1];
};

static int port, connections, turns_each, first_turn, ended, failed;
static bool streams;
static const char *prefix;
static double *first_token, *whole;
static char failure[256];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void ask(struct connection *c) {
    char body[512], out[1024];
    int number = first_turn + c->turn++;
    int length = snprintf(body, sizeof body,
        "{\"model\":\"assistant\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"Question %d of client %d: which of the parcels is still on its way?\"}]}",
        streams ? "true" : "false", number, c->index);
    int n = snprintf(out, sizeof out,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "X-Session-Id: %s-%d\r\nX-AgentPool-User: %s-%d\r\nContent-Length: %d\r\n\r\n%s",
        prefix, c->index, prefix, c->index, length, body);
    c->used = 0;
    c->whole = 0;
    c->first_token = 0;
    c->sent = now();
    if (send(c->fd, out, (size_t)n, MSG_NOSIGNAL) != n) perror("loadgen: send"), exit(1);
}

static void open_connection(struct connection *c, int poller) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) perror("loadgen: connect"), exit(1);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

// Whole once the chunked body's terminator, or as many bytes as promised, are there.
static bool is_whole(struct connection *c, bool first_bytes) {
    if (first_bytes) {
        const char *body = memmem(c->in, c->used, "\r\n\r\n", 4);
        const char *field = body ? strcasestr(c->in, "\r\ncontent-length:") : NULL;
        if (field && field < body) c->whole = (size_t)(body + 4 - c->in) + strtoul(field + 17, NULL, 10);
    }
    if (c->whole) return c->used >= c->whole;
    return c->used >= 7 && !memcmp(c->in + c->used - 7, "\r\n0\r\n\r\n", 7);
}

static bool is_good(const struct connection *c) {
    return !strncmp(c->in, "HTTP/1.1 200", 12) && strstr(c->in, "word19")
        && (!streams || strstr(c->in, "data: [DONE]"));
}

// False once the connection has no more to do.
static bool receive(struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->used, ROOM - c->used, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
        snprintf(failure, sizeof failure, "connection closed in a turn");
        failed++;
        return false;
    }
    uint64_t time = now();
    size_t from = c->used > 8 ? c->used - 8 : 0;
    c->used += (size_t)n;
    c->in[c->used] = 0;
    if (c->first_token == 0 && memmem(c->in + from, c->used - from, "word00", 6))
        c->first_token = (double)(time - c->sent) / 1e3;
    if (!is_whole(c, c->used == (size_t)n)) return true;
    if (!is_good(c)) {
        snprintf(failure, sizeof failure, "%.240s", c->in);
        failed++;
    }
    first_token[ended] = c->first_token;
    whole[ended++] = (double)(time - c->sent) / 1e3;
    if (c->turn == turns_each) return false;
    ask(c);
    return true;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_quantiles(const char *name, double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    printf("\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, values[count / 2],
        values[(int)(count * .9)], values[(int)(count * .99)], values[count - 1]);
}

int main(int count, char **arguments) {
    if (count != 7)
        return fprintf(stderr, "usage: loadgen PORT CONNECTIONS TURNS_EACH stream|whole PREFIX FIRST_TURN\n"), 64;
    port = atoi(arguments[1]), connections = atoi(arguments[2]), turns_each = atoi(arguments[3]);
    streams = !strcmp(arguments[4], "stream"), prefix = arguments[5], first_turn = atoi(arguments[6]);
    size_t turns = (size_t)connections * (size_t)turns_each;
    if (turns == 0) return fprintf(stderr, "loadgen: nothing to do\n"), 64;
    first_token = calloc(turns, sizeof *first_token);
    whole = calloc(turns, sizeof *whole);
    int poller = epoll_create1(0), open = connections;
    struct connection *all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        all[i].index = i;
        open_connection(&all[i], poller);
    }
    uint64_t start = now();
    for (int i = 0; i < connections; i++) ask(&all[i]);
    while (open > 0) {
        struct epoll_event ready[256];
        int n = epoll_wait(poller, ready, 256, 30000);
        if (n == 0) return fprintf(stderr, "loadgen: nothing came for 30 s\n"), 1;
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (receive(c)) continue;
            close(c->fd);
            open--;
        }
    }
    double seconds = (double)(now() - start) / 1e9;
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec)
        + (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    if (failed) return fprintf(stderr, "loadgen: %d of %zu turns failed: %s\n", failed, turns, failure), 1;
    printf("{\"turns\":%d,\"seconds\":%.4f,\"per_second\":%.1f,\"generator_cpu_seconds\":%.4f,", ended, seconds,
        ended / seconds, cpu);
    print_quantiles("first_token_us", first_token, ended);
    printf(",");
    print_quantiles("turn_us", whole, ended);
    printf("}\n");
}
