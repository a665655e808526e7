/* The mock upstream of upstream.py in C: one thread, epoll. What it says, and what is asked of it, stands in messages.py.
 *
 *   upstream PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull
#define EVENTS 512

static const char ENVELOPE[] =
    "{\"id\":\"chatcmpl-%s\",\"object\":\"%s\",\"created\":1700000000,\"model\":\"mock-model\",\"choices\":[";
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
                                  "transfer-encoding: chunked\r\n\r\n";

typedef struct {
  char *bytes;
  size_t length, room;
} Buffer;

typedef struct Connection {
  int fd, lost, writes_later;
  Buffer in, out;
  int streams, usage, chunks, place, gap_ms; /* of the stream that is being sent */
  char id[64];
  uint64_t due_ns;
  struct Connection *next; /* in the list of paced streams, or of those that are lost */
} Connection;

static struct {
  unsigned long long requests, streams, finished, left, connections;
} counts;
static int poller, timer;
static uint64_t timer_ns; /* when the timer goes off; 0: it does not */
static Connection *paced, *lost;
static char words[641];

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void reserve(Buffer *buffer, size_t more) {
  if (buffer->length + more <= buffer->room) return;
  buffer->room = (buffer->length + more) * 2;
  buffer->bytes = realloc(buffer->bytes, buffer->room);
  if (!buffer->bytes) abort();
}

static void append(Buffer *buffer, const char *bytes, size_t length) {
  reserve(buffer, length);
  memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
}

static void drop(Buffer *buffer, size_t length) {
  memmove(buffer->bytes, buffer->bytes + length, buffer->length - length);
  buffer->length -= length;
}

static void lose(Connection *c) {
  if (c->lost) return;
  c->lost = 1;
  if (c->streams) {
    counts.left++;
    for (Connection **at = &paced; *at; at = &(*at)->next)
      if (*at == c) {
        *at = c->next;
        break;
      }
  }
  close(c->fd);
  c->next = lost;
  lost = c;
}

static void watch(Connection *c, int writes_later) {
  if (c->writes_later == writes_later) return;
  c->writes_later = writes_later;
  struct epoll_event event = {.events = EPOLLIN | (writes_later ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void flush(Connection *c) {
  while (c->out.length && !c->lost) {
    ssize_t sent = send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL);
    if (sent > 0)
      drop(&c->out, (size_t)sent);
    else if (errno == EAGAIN) {
      watch(c, 1);
      return;
    } else if (errno != EINTR)
      lose(c);
  }
  if (!c->lost) watch(c, 0);
}

static void answer(Connection *c, const char *body, int length) {
  char head[128];
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n", length);
  append(&c->out, head, (size_t)size);
  append(&c->out, body, (size_t)length);
}

static void answer_whole(Connection *c) {
  char body[2048];
  int size = snprintf(body, sizeof body, ENVELOPE, c->id, "chat.completion");
  size += snprintf(body + size, sizeof body - (size_t)size,
                   "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"id=%s %s\",\"refusal\":null},"
                   "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":123,"
                   "\"completion_tokens\":45,\"total_tokens\":168,\"prompt_tokens_details\":{\"cached_tokens\":0}},"
                   "\"system_fingerprint\":\"fp_mock\"}",
                   c->id, words);
  counts.finished++;
  answer(c, body, size);
}

static void piece(Connection *c, const char *bytes, int length) {
  char head[16];
  int size = snprintf(head, sizeof head, "%x\r\n", (unsigned)length);
  append(&c->out, head, (size_t)size);
  append(&c->out, bytes, (size_t)length);
  append(&c->out, "\r\n", 2);
}

static void content(Connection *c) {
  char event[512];
  int size = snprintf(event, sizeof event, "data: ");
  size += snprintf(event + size, sizeof event - (size_t)size, ENVELOPE, c->id, "chat.completion.chunk");
  size += snprintf(event + size, sizeof event - (size_t)size,
                   "{\"index\":0,\"delta\":{%s\"content\":\"%d@%llu \"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
                   c->place ? "" : "\"role\":\"assistant\",", c->place, (unsigned long long)now_ns());
  piece(c, event, size);
  c->place++;
}

static void end_stream(Connection *c) {
  char events[1024], head[256];
  snprintf(head, sizeof head, ENVELOPE, c->id, "chat.completion.chunk");
  int size = snprintf(events, sizeof events,
                      "data: %s{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n", head);
  if (c->usage)
    size += snprintf(events + size, sizeof events - (size_t)size,
                     "data: %s],\"usage\":{\"prompt_tokens\":123,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                     head, c->chunks, c->chunks + 123);
  size += snprintf(events + size, sizeof events - (size_t)size, "data: [DONE]\n\n");
  piece(c, events, size);
  append(&c->out, "0\r\n\r\n", 5);
  c->streams = 0;
  counts.finished++;
}

static void set_timer(uint64_t at_ns) {
  if (timer_ns && timer_ns <= at_ns) return;
  timer_ns = at_ns;
  struct itimerspec when = {.it_value = {(time_t)(at_ns / 1000000000ull), (long)(at_ns % 1000000000ull)}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, 0);
}

/* Sends what is due of a stream; whether more follows later. */
static int go_on(Connection *c) {
  while (c->place < c->chunks) {
    content(c);
    flush(c); /* each chunk is a write of its own */
    if (c->lost) return 0;
    if (c->gap_ms && c->place < c->chunks) {
      c->due_ns += (uint64_t)c->gap_ms * NS_PER_MS;
      return 1;
    }
  }
  end_stream(c);
  flush(c);
  return 0;
}

static void pace(Connection *c) {
  c->next = paced;
  paced = c;
  set_timer(c->due_ns);
}

/* The length of the framed body from `at`, moved together; -1 where it is not all there. `end`: what follows it. */
static long unframe(Buffer *in, size_t at, size_t *end) {
  size_t to = at, from = at;
  for (int dry = 1; dry >= 0; dry--) { /* first looked at, then moved: an incomplete body stays as it is */
    for (from = to = at;;) {
      char *line = memmem(in->bytes + from, in->length - from, "\r\n", 2);
      if (!line) return -1;
      size_t size = strtoul(in->bytes + from, 0, 16);
      from = (size_t)(line - in->bytes) + 2;
      if (in->length - from < size + 2) return -1;
      if (!dry) memmove(in->bytes + to, in->bytes + from, size);
      to += size;
      from += size + 2;
      if (!size) break;
    }
  }
  *end = from;
  return (long)(to - at);
}

static int is_true(const char *body, size_t length, const char *field) {
  const char *at = memmem(body, length, field, strlen(field));
  if (!at) return 0;
  for (at += strlen(field); *at == ' ' || *at == ':'; at++) {
  }
  return *at == 't';
}

static void take(Connection *c, const char *head, const char *body, size_t length) {
  const char *path = strchr(head, ' '), *line_end = path ? strchr(path + 1, ' ') : 0;
  if (line_end && memmem(path, (size_t)(line_end - path), "/chat/completions", 17)) {
    counts.requests++;
    strcpy(c->id, "0");
    c->chunks = 50;
    c->gap_ms = 0;
    const char *asked = memmem(body, length, "[answer id=", 11);
    if (asked) sscanf(asked, "[answer id=%60[0-9a-zA-Z-] chunks=%d gap_ms=%d]", c->id, &c->chunks, &c->gap_ms);
    if (!is_true(body, length, "\"stream\"")) {
      answer_whole(c);
      return;
    }
    counts.streams++;
    c->streams = 1;
    c->place = 0;
    c->usage = is_true(body, length, "\"include_usage\"");
    c->due_ns = now_ns();
    append(&c->out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    if (go_on(c)) pace(c);
  } else if (line_end && memmem(path, (size_t)(line_end - path), "/counts", 7)) {
    char text[256];
    int size = snprintf(text, sizeof text,
                        "{\"requests\":%llu,\"streams\":%llu,\"finished\":%llu,\"left\":%llu,\"connections\":%llu}",
                        counts.requests, counts.streams, counts.finished, counts.left, counts.connections);
    answer(c, text, size);
  } else
    answer(c, "{\"object\":\"list\",\"data\":[]}", 27);
}

static void read_requests(Connection *c) {
  while (!c->lost && !c->streams && c->in.length) {
    c->in.bytes[c->in.length] = 0;
    char *head_end = memmem(c->in.bytes, c->in.length, "\r\n\r\n", 4);
    if (!head_end) return;
    size_t body = (size_t)(head_end - c->in.bytes) + 4, end = body;
    *head_end = 0;
    char *framed = strcasestr(c->in.bytes, "\r\ntransfer-encoding: chunked");
    char *sized = strcasestr(c->in.bytes, "\r\ncontent-length:");
    long length = framed ? unframe(&c->in, body, &end) : sized ? atol(sized + 17) : 0;
    if (!framed) end = body + (size_t)length;
    if (length < 0 || c->in.length < end) {
      *head_end = '\r';
      return;
    }
    take(c, c->in.bytes, c->in.bytes + body, (size_t)length);
    drop(&c->in, end);
  }
  flush(c);
}

static void hear(Connection *c) {
  for (;;) {
    reserve(&c->in, 65536);
    ssize_t got = recv(c->fd, c->in.bytes + c->in.length, c->in.room - c->in.length - 1, 0);
    if (got > 0) {
      c->in.length += (size_t)got;
      if (c->in.room - c->in.length > 1) break;
    } else if (got < 0 && errno == EAGAIN)
      break;
    else {
      lose(c);
      return;
    }
  }
  read_requests(c);
}

static void tick(void) {
  uint64_t count, now = now_ns();
  if (read(timer, &count, sizeof count) < 0 && errno != EAGAIN) abort();
  timer_ns = 0;
  Connection *waiting = paced;
  paced = 0;
  while (waiting) {
    Connection *c = waiting;
    waiting = c->next;
    if (c->due_ns > now)
      pace(c);
    else if (go_on(c))
      pace(c);
    else if (!c->lost)
      read_requests(c);
  }
}

static void welcome(int listener) {
  int fd, on = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = fd;
    counts.connections++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: upstream PORT\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  for (size_t at = 0; at + 1 < sizeof words; at++) words[at] = "the quick brown fox jumps over the lazy dog "[at % 44];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in here = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (void *)&here, sizeof here) || listen(listener, 4096)) return perror("upstream"), 1;
  poller = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = &listener}, ticks = {.events = EPOLLIN, .data.ptr = &timer};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &accepts);
  epoll_ctl(poller, EPOLL_CTL_ADD, timer, &ticks);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int at = 0; at < count; at++) {
      void *whose = events[at].data.ptr;
      Connection *c = whose;
      if (whose == &listener)
        welcome(listener);
      else if (whose == &timer)
        tick();
      else if (!c->lost) {
        if (events[at].events & EPOLLOUT) flush(c);
        if (!c->lost && events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(c);
      }
    }
    while (lost) {
      Connection *c = lost;
      lost = c->next;
      free(c->in.bytes);
      free(c->out.bytes);
      free(c);
    }
  }
}
