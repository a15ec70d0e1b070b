// The stand-in model server of the benchmarks: streams 20 words as separate SSE chunks and answers embeddings, on one epoll thread.
// Where it is offered the tool `look_up` it asks for one call of it after each message of the user's, in pieces as far apart as words.
//
// usage: standin PORT GAP_MICROSECONDS
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 20, PIECES = 5, DIMENSIONS = 64, MAX_REQUEST = 4 << 20 };

struct connection {
    int fd;
    char *in;
    size_t used, capacity;
    bool queued, streams, wants_usage, sums_up, calls;
    int next_word;
    uint64_t due;  // nanoseconds, monotonic
    TAILQ_ENTRY(connection) link;
};

// Every gap is equally long, so appending keeps this queue in order of `due`.
static TAILQ_HEAD(waiting, connection) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static uint64_t gap;
static int poller;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void wait_a_gap(struct connection *c) {
    c->due = now() + gap;
    c->queued = true;
    TAILQ_INSERT_TAIL(&waiting, c, link);
}

static void take_off(struct connection *c) {
    c->queued = false;
    TAILQ_REMOVE(&waiting, c, link);
}

static void drop(struct connection *c) {
    if (c->queued) take_off(c);
    close(c->fd);
    free(c->in);
    free(c);
}

// A client of the benchmarks always reads; one that does not is cut off rather than waited for.
static bool put(struct connection *c, const char *bytes, size_t length) {
    return send(c->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static size_t frame(char *out, size_t room, const char *payload) {
    size_t length = strlen(payload);
    return (size_t)snprintf(out, room, "%zx\r\n%s\r\n", length, payload);
}

static bool put_json(struct connection *c, const char *body) {
    size_t length = strlen(body);
    char *out = malloc(length + 128);
    int n = snprintf(out, length + 128,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", length, body);
    bool ok = put(c, out, (size_t)n);
    free(out);
    return ok;
}

static bool put_word(struct connection *c, int index) {
    char payload[320], out[400];
    snprintf(payload, sizeof payload,
        "data: {\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"stand-in\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%sword%02d %s\"},"
        "\"finish_reason\":null}]}\n\n",
        index == 0 ? "\"role\":\"assistant\"," : "", c->sums_up && index == 0 ? "{\\\"summary\\\": \\\"" : "", index,
        c->sums_up && index == WORDS - 1 ? "\\\", \\\"entities\\\": [\\\"parcel\\\"]}" : "");
    return put(c, out, frame(out, sizeof out, payload));
}

// First who is called, then the arguments bit by bit. A session's calls need ids of their own.
static bool put_piece(struct connection *c, int index) {
    static const char *const bits[PIECES] = {"", "{\\\"parcel\\\"", ": \\\"4711-", "0815-\\\"", "}"};
    static unsigned number;
    char head[96] = "", payload[400], out[480];
    if (index == 0)
        snprintf(head, sizeof head, "\"id\":\"call_%u\",\"type\":\"function\",", ++number);
    snprintf(payload, sizeof payload,
        "data: {\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"stand-in\",\"choices\":[{\"index\":0,\"delta\":{%s\"tool_calls\":[{\"index\":0,%s\"function\":{%s"
        "\"arguments\":\"%s\"}}]},\"finish_reason\":null}]}\n\n",
        index == 0 ? "\"role\":\"assistant\",\"content\":null," : "", head,
        index == 0 ? "\"name\":\"look_up\"," : "", bits[index]);
    return put(c, out, frame(out, sizeof out, payload));
}

static bool put_end(struct connection *c) {
    char payload[900], out[1000];
    int n = snprintf(payload, sizeof payload,
        "data: {\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"stand-in\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n",
        c->calls ? "tool_calls" : "stop");
    if (c->wants_usage)
        n += snprintf(payload + n, sizeof payload - (size_t)n,
            "data: {\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
            "\"model\":\"stand-in\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
            "\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n", WORDS, WORDS + 100);
    snprintf(payload + n, sizeof payload - (size_t)n, "data: [DONE]\n\n");
    size_t length = frame(out, sizeof out, payload);
    memcpy(out + length, "0\r\n\r\n", 5);
    return put(c, out, length + 5);
}

static bool put_whole_reply(struct connection *c) {
    char text[WORDS * 8 + 1] = "", body[700];
    for (int i = 0; i < WORDS; i++) snprintf(text + i * 7, 8, "word%02d ", i);
    snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-standin\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"stand-in\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":%d,"
        "\"total_tokens\":%d}}", text, WORDS, WORDS + 100);
    return put_json(c, body);
}

// Sends what is due of a reply; afterwards the connection either waits for its next word or is free again.
static bool advance(struct connection *c) {
    if (!c->streams) return put_whole_reply(c);
    for (;;) {
        if (!(c->calls ? put_piece : put_word)(c, c->next_word)) return false;
        if (++c->next_word == (c->calls ? PIECES : WORDS)) return put_end(c);
        if (gap > 0) {
            wait_a_gap(c);
            return true;
        }
    }
}

static uint64_t hash(const char *from, const char *to) {
    uint64_t h = 14695981039346656037u;
    for (; from < to; from++) h = (h ^ (unsigned char)*from) * 1099511628211u;
    return h | 1;
}

// One unit vector for each string of `input`, drawn from a generator that the string seeds.
static bool answer_embeddings(struct connection *c, const char *body, const char *end) {
    const char *p = strstr(body, "\"input\"");
    p = p ? strpbrk(p + 7, "[\"") : NULL;
    size_t capacity = 1 << 20, n = 0, index = 0;
    char *out = malloc(capacity);
    bool list = p && *p == '[';
    n += (size_t)snprintf(out, capacity, "{\"object\":\"list\",\"model\":\"stand-in\",\"data\":[");
    if (list) p++;
    while (p && p < end && (p = strpbrk(p, "\"]")) && *p == '"' && n + 2048 < capacity) {
        const char *from = ++p;
        while (p < end && *p != '"') p += *p == '\\' ? 2 : 1;
        uint64_t state = hash(from, p++);
        double value[DIMENSIONS], square = 0;
        for (int i = 0; i < DIMENSIONS; i++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            value[i] = (double)(int64_t)state / 9.3e18;
            square += value[i] * value[i];
        }
        n += (size_t)snprintf(out + n, capacity - n, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":[",
            index ? "," : "", index);
        index++;
        for (int i = 0; i < DIMENSIONS; i++)
            n += (size_t)snprintf(out + n, capacity - n, "%s%.5f", i ? "," : "", value[i] / sqrt(square));
        n += (size_t)snprintf(out + n, capacity - n, "]}");
        if (!list) break;
    }
    snprintf(out + n, capacity - n, "],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1}}");
    bool ok = put_json(c, out);
    free(out);
    return ok;
}

// Where `what` begins last; before all where it is not there.
static const char *last(const char *body, const char *end, const char *what) {
    const char *found = body - 1;
    for (const char *p = body; (p = memmem(p, (size_t)(end - p), what, strlen(what))); p++) found = p;
    return found;
}

// Whether the tool is offered and the user's last message has no answer of it yet.
static bool wants_call(const char *body, const char *end) {
    if (!memmem(body, (size_t)(end - body), "\"look_up\"", 9)) return false;
    const char *user = last(body, end, "\"role\":\"user\""), *answer = last(body, end, "\"tool_call_id\"");
    return user > answer && last(body, end, "\"tools\"") >= body;
}

static bool start(struct connection *c, const char *path_end, const char *body, const char *end) {
    if (memmem(c->in, (size_t)(path_end - c->in), "/embeddings", 11)) return answer_embeddings(c, body, end);
    c->streams = memmem(body, (size_t)(end - body), "\"stream\":true", 13)
        || memmem(body, (size_t)(end - body), "\"stream\": true", 14);
    c->wants_usage = memmem(body, (size_t)(end - body), "include_usage", 13) != NULL;
    // A request for a summary is answered as a model answers it: in JSON.
    c->sums_up = memmem(body, (size_t)(end - body), "entities: the people", 20) != NULL;
    c->calls = c->streams && wants_call(body, end);
    c->next_word = 0;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    if (c->streams && !put(c, head, sizeof head - 1)) return false;
    if (!c->streams && gap > 0) {
        wait_a_gap(c);
        return true;
    }
    return advance(c);
}

static bool receive(struct connection *c) {
    if (c->used + 4096 > c->capacity) {
        if (c->capacity >= MAX_REQUEST) return false;
        c->capacity = c->capacity ? c->capacity * 2 : 16384;
        c->in = realloc(c->in, c->capacity + 1);
    }
    ssize_t n = recv(c->fd, c->in + c->used, c->capacity - c->used, MSG_DONTWAIT);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    c->used += (size_t)n;
    c->in[c->used] = 0;
    char *head_end = memmem(c->in, c->used, "\r\n\r\n", 4);
    if (!head_end) return true;
    char *body = head_end + 4, *field = strcasestr(c->in, "\r\ncontent-length:");
    size_t length = field && field < head_end ? strtoul(field + 17, NULL, 10) : 0;
    if (c->used < (size_t)(body - c->in) + length) return true;
    if (c->queued) return false;  // no pipelining
    char *path_end = memchr(c->in, '\r', c->used);
    bool ok = start(c, path_end, body, body + length);
    c->used = 0;
    return ok;
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int count, char **arguments) {
    if (count != 3) return fprintf(stderr, "usage: standin PORT GAP_MICROSECONDS\n"), 64;
    gap = strtoul(arguments[2], NULL, 10) * 1000;
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        return perror("standin"), 1;
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct connection *first = TAILQ_FIRST(&waiting);
        uint64_t time = now(), rest = first && first->due > time ? first->due - time : 0;
        struct timespec timeout = {(time_t)(rest / 1000000000u), (long)(rest % 1000000000u)};
        struct epoll_event ready[256];
        int n = epoll_pwait2(poller, ready, 256, first ? &timeout : NULL, NULL);
        for (int i = 0; i < n; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) accept_all(listener);
            else if (!receive(c)) drop(c);
        }
        time = now();
        while ((first = TAILQ_FIRST(&waiting)) && first->due <= time) {
            take_off(first);
            if (!advance(first)) drop(first);
        }
    }
}
