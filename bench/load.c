/* SPDX-License-Identifier: ISC */
/*
 * load: one lean client for saedbd and redis, so that both are measured by the
 * same code: N connections over a Unix socket, each with a fixed number of
 * requests in flight, random keys, replies counted and timed.
 *
 *   load saedb|redis SOCKET KEYS CONNECTIONS DEPTH SECONDS
 *
 * KEYS: a file of feature addresses, one a line; in redis they are the keys.
 * Prints: requests/s, p50 and p99 in microseconds, bytes of a mean reply.
 */
#include "schema/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 64
#define IN_BYTES (1u << 20)

struct request {
	char bytes[256];
	size_t n_bytes;
};

struct link {
	int fd;
	uint64_t sent_ns[MAX_DEPTH]; /* a ring: replies come in order here */
	size_t head, in_flight;
	size_t n_in;
	char *in; /* IN_BYTES */
};

static struct request *requests;
static size_t n_requests;
static uint32_t *times_ns;
static size_t n_times, cap_times;
static uint64_t n_reply_bytes;
static bool is_redis;
static uint64_t random_state = 88172645463325252u;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
make_request(struct request *r, const char *key)
{
	size_t n = strlen(key);
	uint8_t *p = (uint8_t *)r->bytes;

	if (is_redis) {
		r->n_bytes = (size_t)snprintf(r->bytes, sizeof r->bytes,
			"*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", n, key);
		return;
	}
	/* [0, 1, "feature.get", [key]] */
	memcpy(p,
		"\x94\x00\x01\xab"
		"feature.get"
		"\x91\xd9",
		17);
	p[17] = (uint8_t)n;
	memcpy(p + 18, key, n);
	r->n_bytes = 18 + n;
}

static void
read_keys(const char *path)
{
	char line[200];
	FILE *f = fopen(path, "r");
	size_t cap = 0;

	if (f == NULL)
		die(path);
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (n_requests == cap) {
			cap = cap != 0 ? 2 * cap : 1024;
			requests = realloc(requests, cap * sizeof *requests);
			if (requests == NULL)
				die("memory");
		}
		make_request(&requests[n_requests++], line);
	}
	fclose(f);
	if (n_requests == 0)
		die("no keys");
}

static void
link_open(struct link *l, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof a.sun_path)
		die("socket path too long");
	memcpy(a.sun_path, path, strlen(path));
	l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	l->in = malloc(IN_BYTES);
	if (l->fd < 0 || l->in == NULL || connect(l->fd, (void *)&a, sizeof a) != 0)
		die(path);
}

static void
link_send(struct link *l, size_t n)
{
	char out[MAX_DEPTH * 256];
	size_t n_out = 0;
	uint64_t now = now_ns();

	for (size_t i = 0; i < n; i++) {
		const struct request *r;

		random_state ^= random_state << 13;
		random_state ^= random_state >> 7;
		random_state ^= random_state << 17;
		r = &requests[random_state % n_requests];
		memcpy(out + n_out, r->bytes, r->n_bytes);
		n_out += r->n_bytes;
		l->sent_ns[(l->head + l->in_flight++) % MAX_DEPTH] = now;
	}
	for (size_t at = 0; at < n_out;) {
		ssize_t k = write(l->fd, out + at, n_out - at);

		if (k <= 0)
			die("write");
		at += (size_t)k;
	}
}

/* The length of the whole reply at p, 0 when more bytes are needed. */
static size_t
reply_size(const char *p, size_t n)
{
	struct err e;
	size_t used;
	char *end;

	if (!is_redis) {
		int rc = frame_scan(p, n, IN_BYTES, 32, 1u << 20, &used, &e);

		if (rc < 0)
			die("a reply that is not MessagePack");
		return rc == 1 ? used : 0;
	}
	end = memchr(p, '\n', n);
	if (end == NULL)
		return 0;
	if (p[0] != '$' || p[1] == '-')
		die("redis lacks a key");
	used = (size_t)(end + 1 - p) + strtoul(p + 1, NULL, 10) + 2;
	return used <= n ? used : 0;
}

static void
note_time(uint64_t ns)
{
	if (n_times == cap_times) {
		cap_times = cap_times != 0 ? 2 * cap_times : 1u << 20;
		times_ns = realloc(times_ns, cap_times * sizeof *times_ns);
		if (times_ns == NULL)
			die("memory");
	}
	times_ns[n_times++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void
link_read(struct link *l)
{
	ssize_t k = read(l->fd, l->in + l->n_in, IN_BYTES - l->n_in);
	size_t at = 0, n_done = 0, size;
	uint64_t now = now_ns();

	if (k <= 0)
		die("the server hung up");
	l->n_in += (size_t)k;
	while (l->in_flight > 0 && (size = reply_size(l->in + at, l->n_in - at)) > 0) {
		at += size;
		n_reply_bytes += size;
		note_time(now - l->sent_ns[l->head]);
		l->head = (l->head + 1) % MAX_DEPTH;
		l->in_flight--;
		n_done++;
	}
	memmove(l->in, l->in + at, l->n_in - at);
	l->n_in -= at;
	link_send(l, n_done);
}

static int
by_time(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
report(double seconds)
{
	qsort(times_ns, n_times, sizeof *times_ns, by_time);
	printf("%.0f %.1f %.1f %.0f\n", (double)n_times / seconds,
		times_ns[n_times / 2] / 1e3, times_ns[n_times * 99 / 100] / 1e3,
		(double)n_reply_bytes / (double)n_times);
}

int
main(int argc, char **argv)
{
	size_t n_links, depth;
	double seconds;
	struct link *links;
	struct epoll_event event, ready[64];
	uint64_t start, end;
	int epoll = epoll_create1(0);

	if (argc != 7) {
		fprintf(stderr,
			"usage: load saedb|redis SOCKET KEYS CONNECTIONS DEPTH "
			"SECONDS\n");
		return 2;
	}
	is_redis = strcmp(argv[1], "redis") == 0;
	read_keys(argv[3]);
	n_links = strtoul(argv[4], NULL, 10);
	depth = strtoul(argv[5], NULL, 10);
	seconds = strtod(argv[6], NULL);
	links = calloc(n_links, sizeof *links);
	if (links == NULL || depth == 0 || depth > MAX_DEPTH)
		die("arguments");
	for (size_t i = 0; i < n_links; i++) {
		link_open(&links[i], argv[2]);
		event = (struct epoll_event){.events = EPOLLIN, .data.ptr = &links[i]};
		epoll_ctl(epoll, EPOLL_CTL_ADD, links[i].fd, &event);
		link_send(&links[i], depth);
	}
	start = now_ns();
	end = start + (uint64_t)(seconds * 1e9);
	while (now_ns() < end) {
		int n = epoll_wait(epoll, ready, 64, 1000);

		for (int i = 0; i < n; i++)
			link_read(ready[i].data.ptr);
	}
	report((double)(now_ns() - start) / 1e9);
	return 0;
}
