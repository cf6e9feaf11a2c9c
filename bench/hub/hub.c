/* A bare websocket hub: the limit of what a server that delivers updates can reach.
 *
 * It unmasks what a member sends, and writes updates to the others of the room as they are, one
 * write() for each. It has no documents, no limits and no presence, and nothing is stored. It is
 * for the benchmark's clients alone: it trusts their frames, of at most 64 KB.
 *
 *     hub PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 17, BUCKETS = 1 << 14, EVENTS = 512, OPCODE_CLOSE = 8 };

struct room {
    struct room *next;
    struct member **members;
    size_t count, space;
    char name[];
};

struct member {
    int fd;
    size_t place; /* in its room */
    size_t used;  /* of the buffer */
    struct room *room;
    uint8_t buffer[BUFFER + 1];
};

static struct room *rooms[BUCKETS];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* SHA-1 of at most two blocks: a key and the constant of RFC 6455 are 60 bytes. */

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t *block) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t mixed, constant;
        if (i < 20) mixed = (b & c) | (~b & d), constant = 0x5A827999;
        else if (i < 40) mixed = b ^ c ^ d, constant = 0x6ED9EBA1;
        else if (i < 60) mixed = (b & c) | (b & d) | (c & d), constant = 0x8F1BBCDC;
        else mixed = b ^ c ^ d, constant = 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + mixed + e + constant + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void sha1(const char *text, uint8_t digest[20]) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t blocks[128] = {0};
    size_t length = strlen(text), size = length < 56 ? 64 : 128;
    if (length > 119) exit(1);
    memcpy(blocks, text, length);
    blocks[length] = 0x80;
    blocks[size - 2] = length * 8 >> 8;
    blocks[size - 1] = length * 8;
    for (size_t at = 0; at < size; at += 64) sha1_block(state, blocks + at);
    for (int i = 0; i < 20; i++) digest[i] = state[i / 4] >> (24 - i % 4 * 8);
}

static void base64(const uint8_t digest[20], char out[29]) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 7; i++) {
        uint32_t three = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | (i < 6 ? digest[3 * i + 2] : 0);
        for (int k = 0; k < 4; k++) *out++ = letters[three >> (18 - 6 * k) & 63];
    }
    out[-1] = '=';
    *out = 0;
}

/* Rooms. */

static struct room *room_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (const char *letter = name; *letter; letter++) hash = (hash ^ (uint8_t)*letter) * 16777619u;
    struct room **head = &rooms[hash % BUCKETS], *room = *head;
    while (room && strcmp(room->name, name)) room = room->next;
    if (!room) {
        room = calloc(1, sizeof *room + strlen(name) + 1);
        if (!room) fail("calloc");
        strcpy(room->name, name);
        room->next = *head;
        *head = room;
    }
    return room;
}

static void enter(struct member *member, struct room *room) {
    if (room->count == room->space) {
        room->space = room->space ? 2 * room->space : 2;
        room->members = realloc(room->members, room->space * sizeof *room->members);
        if (!room->members) fail("realloc");
    }
    member->room = room;
    member->place = room->count;
    room->members[room->count++] = member;
}

static void leave(struct member *member) {
    struct room *room = member->room;
    if (room) {
        struct member *last = room->members[--room->count];
        room->members[last->place = member->place] = last;
    }
    close(member->fd);
    free(member);
}

/* A client that does not read loses what it lacks, and the benchmark ends with an error. */
static void send_to(const struct member *member, const void *data, size_t size) {
    ssize_t written = write(member->fd, data, size);
    (void)written;
}

static void receive(struct member *from, uint8_t *payload, size_t size) {
    static const uint8_t empty_document[] = {0x82, 5, 0, 1, 2, 0, 0};
    if (size < 2 || payload[0] != 0) return; /* no message of y-protocols' sync */
    if (payload[1] == 0) send_to(from, empty_document, sizeof empty_document);
    if (payload[1] != 2) return;
    /* The client's head, with its mask, is longer than that of the server's frame. */
    uint8_t *start = payload - (size < 126 ? 2 : 4);
    start[0] = 0x82;
    start[1] = size < 126 ? size : 126;
    if (size >= 126) start[2] = size >> 8, start[3] = size;
    for (size_t i = 0; i < from->room->count; i++)
        if (from->room->members[i] != from)
            send_to(from->room->members[i], start, payload + size - start);
}

/* Return how many bytes the handshake has, or 0 if its end is not there yet. */
static size_t open_handshake(struct member *member) {
    static const char header[] = "Sec-WebSocket-Key: ";
    member->buffer[member->used] = 0;
    char *head = (char *)member->buffer, *end = strstr(head, "\r\n\r\n"), *key = strstr(head, header);
    char path[1024], answer[256], accepted[64], base[29];
    uint8_t digest[20];
    if (!end || !key || sscanf(head, "GET %1023s", path) != 1) return 0;
    snprintf(accepted, sizeof accepted, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             key + sizeof header - 1);
    sha1(accepted, digest);
    base64(digest, base);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base);
    send_to(member, answer, size);
    enter(member, room_of(path));
    return end + 4 - head;
}

/* Return how many bytes the first frame has, or 0 if its end is not there yet; -1 closes. */
static ssize_t read_frame(struct member *member, uint8_t *data, size_t left) {
    size_t size, head = 6;
    if (left < head) return 0;
    size = data[1] & 127;
    if (size == 126) size = data[2] << 8 | data[3], head = 8;
    else if (size == 127) return -1;
    if (left < head + size) return 0;
    uint8_t *mask = data + head - 4, *payload = data + head;
    for (size_t i = 0; i < size; i++) payload[i] ^= mask[i & 3];
    if ((data[0] & 15) == OPCODE_CLOSE) return -1;
    if ((data[0] & 15) == 2) receive(member, payload, size);
    return head + size;
}

static void readable(struct member *member) {
    ssize_t got = read(member->fd, member->buffer + member->used, BUFFER - member->used);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        leave(member);
        return;
    }
    member->used += got;
    size_t at = member->room ? 0 : open_handshake(member);
    ssize_t step = 0;
    while (member->room && (step = read_frame(member, member->buffer + at, member->used - at)) > 0)
        at += step;
    if (step < 0) {
        leave(member);
        return;
    }
    member->used -= at;
    memmove(member->buffer, member->buffer + at, member->used);
}

static void welcome(int listener, int poll) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct member *member = malloc(sizeof *member);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
        if (!member) fail("malloc");
        *member = (struct member){.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    }
}

int main(int count, char **arguments) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    if (count != 2) return 2;
    address.sin_port = htons(atoi(arguments[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) fail("bind");
    if (listen(listener, 4096)) fail("listen");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event)) fail("epoll_ctl");
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) readable(events[i].data.ptr);
            else welcome(listener, poll);
        }
    }
}
