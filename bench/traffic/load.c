/* The load of load.py in C: one thread, epoll. The switches and the JSON are those of load.py. */
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
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define LATE_ANSWERS_NS 20000000000ull
#define MOST_LOST 1000
#define MOST_HEADERS 16
#define MOST_PROMPT (4u << 20)

typedef struct {
  char *bytes;
  size_t length, room;
} Buffer;

typedef struct {
  double *at;
  size_t count, room;
} Figures;

enum Framing { HEAD, SIZED, FRAMED, UNTIL_CLOSE };

typedef struct {
  int fd, busy, waits_to_write;
  uint64_t due_ns, begins_ns; /* begins_ns: closed loop, when its first request goes out */
  char id[64];
  Buffer out, in, body;
  size_t sent, seen; /* of out; of body */
  enum Framing framing;
  size_t length; /* of the body, where it is SIZED */
  int status, closes, place;
} Client;

static struct {
  const char *path, *key, *model, *headers[MOST_HEADERS];
  int port, header_count, connections, chunks, gap_ms, same, expect;
  long requests;
  size_t prompt_bytes;
  double seconds, rate;
} wanted = {.path = "/v1/chat/completions", .key = "sk-bench", .model = "mock-model", .connections = 32, .expect = 200,
            .prompt_bytes = 1024, .seconds = 3};

static struct {
  unsigned long long sent, ok, chunks, most_waiting;
  unsigned long long status, usage, count, end, content, order, connection, stuck;
  char example[256];
} results;
static Figures latencies, firsts, lags;
static int poller, last_status;
static char run[32], *filler;
static Client *clients;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void *grown(void *old, size_t bytes) {
  void *grown = realloc(old, bytes);
  if (!grown) abort();
  return grown;
}

static void append(Buffer *buffer, const char *bytes, size_t length) {
  if (buffer->length + length + 1 > buffer->room)
    buffer->bytes = grown(buffer->bytes, buffer->room = (buffer->length + length + 1) * 2);
  memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
  buffer->bytes[buffer->length] = 0;
}

static void note(Figures *figures, uint64_t ns) {
  if (figures->count == figures->room)
    figures->at = grown(figures->at, (figures->room = figures->room ? figures->room * 2 : 65536) * sizeof(double));
  figures->at[figures->count++] = (double)ns / 1e3;
}

static void wrong(unsigned long long *problem, const char *name, const char *example) {
  ++*problem;
  if (!*results.example) snprintf(results.example, sizeof results.example, "%s: %.200s", name, example ? example : "");
}

static int connect_client(Client *c) {
  int on = 1;
  struct sockaddr_in there = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)wanted.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&there, sizeof there)) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    return 0;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
  c->in.length = 0;
  c->waits_to_write = 0;
  return 1;
}

static void drop_connection(Client *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static void flush(Client *c) {
  while (c->sent < c->out.length) {
    ssize_t sent = send(c->fd, c->out.bytes + c->sent, c->out.length - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
      c->sent += (size_t)sent;
    else if (errno != EINTR)
      break; /* full: later; broken: reading says so */
  }
  int waits = c->sent < c->out.length;
  if (waits != c->waits_to_write) {
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->waits_to_write = waits;
  }
}

static void ask(Client *c, uint64_t due_ns) {
  static char body[MOST_PROMPT + 4096], head[4096];
  snprintf(c->id, sizeof c->id, "%s-%llu", run, wanted.same ? 0 : results.sent);
  results.sent++;
  c->busy = 1;
  c->due_ns = due_ns;
  c->framing = HEAD;
  c->body.length = c->seen = c->sent = c->out.length = 0;
  c->status = c->closes = c->place = 0;
  if (c->fd < 0 && !connect_client(c)) {
    wrong(&results.connection, "connection", strerror(errno));
    c->busy = 0;
    return;
  }
  const char *streamed =
      wanted.chunks ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "";
  int size = snprintf(body, sizeof body,
                      "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},"
                      "{\"role\":\"user\",\"content\":\"[answer id=%s chunks=%d gap_ms=%d] ",
                      wanted.model, c->id, wanted.chunks, wanted.gap_ms);
  size_t around = (size_t)size + strlen(streamed) + 41;
  if (wanted.prompt_bytes > around) {
    memcpy(body + size, filler, wanted.prompt_bytes - around);
    size += (int)(wanted.prompt_bytes - around);
  }
  size += snprintf(body + size, sizeof body - (size_t)size, "\"}],\"temperature\":0.7,\"max_tokens\":256%s}", streamed);
  int head_size = snprintf(head, sizeof head,
                           "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
                           "Content-Type: application/json\r\nAccept: */*\r\n",
                           wanted.path, wanted.port, wanted.key);
  for (int at = 0; at < wanted.header_count; at++)
    head_size += snprintf(head + head_size, sizeof head - (size_t)head_size, "%s\r\n", wanted.headers[at]);
  head_size += snprintf(head + head_size, sizeof head - (size_t)head_size, "Content-Length: %d\r\n\r\n", size);
  append(&c->out, head, (size_t)head_size);
  append(&c->out, body, (size_t)size);
  flush(c);
}

static void read_head(Client *c) {
  char *end = memmem(c->in.bytes, c->in.length, "\r\n\r\n", 4);
  if (!end) return;
  end[2] = 0;
  c->status = atoi(c->in.bytes + 9);
  c->closes = strcasestr(c->in.bytes, "\r\nconnection: close\r\n") != 0;
  char *sized = strcasestr(c->in.bytes, "\r\ncontent-length:");
  c->framing = strcasestr(c->in.bytes, "\r\ntransfer-encoding: chunked\r\n") ? FRAMED : sized ? SIZED : UNTIL_CLOSE;
  c->length = sized ? strtoul(sized + 17, 0, 10) : 0;
  if (c->framing == UNTIL_CLOSE) c->closes = 1;
  size_t used = (size_t)(end - c->in.bytes) + 4;
  memmove(c->in.bytes, c->in.bytes + used, c->in.length -= used);
}

/* Whether the answer is all there. */
static int read_body(Client *c) {
  size_t at = 0;
  int complete = 0;
  if (c->framing == SIZED) {
    at = c->length - c->body.length < c->in.length ? c->length - c->body.length : c->in.length;
    append(&c->body, c->in.bytes, at);
    complete = c->body.length == c->length;
  } else if (c->framing == UNTIL_CLOSE) {
    append(&c->body, c->in.bytes, at = c->in.length);
  } else
    while (!complete) {
      char *line = memmem(c->in.bytes + at, c->in.length - at, "\r\n", 2);
      if (!line) break;
      size_t size = strtoul(c->in.bytes + at, 0, 16), begin = (size_t)(line - c->in.bytes) + 2;
      if (c->in.length - begin < size + 2) break;
      append(&c->body, c->in.bytes + begin, size);
      at = begin + size + 2;
      complete = !size;
    }
  memmove(c->in.bytes, c->in.bytes + at, c->in.length -= at);
  return complete;
}

static void see_chunks(Client *c) {
  char *begin = c->body.bytes + c->seen, *last = memrchr(begin, '\n', c->body.length - c->seen);
  if (!last) return;
  uint64_t now = now_ns();
  for (char *at = begin; (at = memchr(at, '@', (size_t)(last - at))); at++) {
    char *digits = at;
    while (digits > begin && digits[-1] >= '0' && digits[-1] <= '9') digits--;
    if (digits == at) continue;
    int place = atoi(digits);
    uint64_t at_ns = strtoull(at + 1, 0, 10);
    if (place != c->place) wrong(&results.order, "order", digits);
    if (place == 0)
      note(&firsts, now - c->due_ns);
    else
      note(&lags, now > at_ns ? now - at_ns : 0);
    c->place = place + 1;
    results.chunks++;
  }
  c->seen = (size_t)(last - c->body.bytes) + 1;
}

static void judge(Client *c) {
  char named[80];
  const char *body = c->body.length ? c->body.bytes : "";
  snprintf(named, sizeof named, "id=%s ", c->id);
  if (c->status != wanted.expect) {
    last_status = c->status;
    wrong(&results.status, "status", body);
  } else if (wanted.expect == 200 && !memmem(body, c->body.length, "\"total_tokens\"", 14))
    wrong(&results.usage, "usage", body);
  else if (wanted.expect == 200 && wanted.chunks && c->place != wanted.chunks)
    wrong(&results.count, "count", body);
  else if (wanted.expect == 200 && wanted.chunks && !memmem(body, c->body.length, "[DONE]", 6))
    wrong(&results.end, "end", body);
  else if (wanted.expect == 200 && !wanted.chunks && !memmem(body, c->body.length, named, strlen(named)))
    wrong(&results.content, "content", body);
  else {
    results.ok++;
    note(&latencies, now_ns() - c->due_ns);
  }
}

/* Takes what came; whether the client is free for its next request. */
static int hear(Client *c) {
  char bytes[65536];
  ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got <= 0) {
    int whole = c->busy && c->framing == UNTIL_CLOSE;
    drop_connection(c);
    if (!c->busy) return 0;
    if (whole)
      judge(c);
    else
      wrong(&results.connection, "connection", got ? strerror(errno) : "closed");
    c->busy = 0;
    return 1;
  }
  append(&c->in, bytes, (size_t)got);
  if (!c->busy) return 0;
  if (c->framing == HEAD) read_head(c);
  if (c->framing == HEAD) return 0;
  int complete = read_body(c);
  if (wanted.chunks && c->body.length) see_chunks(c);
  if (!complete) return 0;
  judge(c);
  c->busy = 0;
  if (c->closes) drop_connection(c);
  return 1;
}

static int ascending(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static double quantile(const Figures *figures, double part) {
  if (!figures->count) return 0;
  size_t rank = (size_t)(part * (double)figures->count);
  if ((double)rank < part * (double)figures->count) rank++;
  return figures->at[rank ? rank - 1 : 0];
}

static void print_spread(const char *name, Figures *figures) {
  double sum = 0;
  if (figures->count) qsort(figures->at, figures->count, sizeof(double), ascending);
  for (size_t at = 0; at < figures->count; at++) sum += figures->at[at];
  printf(",\"%s\":{\"count\":%zu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, figures->count,
         figures->count ? sum / (double)figures->count : 0, quantile(figures, .5), quantile(figures, .9),
         quantile(figures, .99), quantile(figures, 1));
}

static void print_text(const char *text) {
  putchar('"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      printf("\\%c", *text);
    else if ((unsigned char)*text < 32 || (unsigned char)*text > 126)
      printf("\\u%04x", (unsigned char)*text);
    else
      putchar(*text);
  putchar('"');
}

static int print_results(double seconds) {
  char status[32];
  snprintf(status, sizeof status, "status %d", last_status);
  struct {
    const char *name;
    unsigned long long count;
  } problems[] = {{status, results.status},   {"usage", results.usage}, {"count", results.count},
                  {"end", results.end},       {"content", results.content}, {"order", results.order},
                  {"connection", results.connection}, {"stuck", results.stuck}};
  unsigned long long errors = 0;
  int told = 0;
  printf("{\"seconds\":%.3f,\"sent\":%llu,\"ok\":%llu,\"problems\":{", seconds, results.sent, results.ok);
  for (size_t at = 0; at < sizeof problems / sizeof *problems; at++)
    if (problems[at].count) {
      errors += problems[at].count;
      printf("%s\"%s\":%llu", told++ ? "," : "", problems[at].name, problems[at].count);
    }
  printf("},\"errors\":%llu,\"example\":", errors);
  print_text(results.example);
  printf(",\"rate\":%.1f,\"chunks\":%llu,\"most_waiting\":%llu", (double)results.ok / seconds, results.chunks,
         results.most_waiting);
  print_spread("latency_us", &latencies);
  print_spread("first_us", &firsts);
  print_spread("chunk_us", &lags);
  printf("}\n");
  return errors != 0;
}

static int understand(int argc, char **argv) {
  for (int at = 1; at < argc; at += 2) {
    const char *name = argv[at], *value = at + 1 < argc ? argv[at + 1] : 0;
    if (!value || strncmp(name, "--", 2)) return 0;
    name += 2;
    if (!strcmp(name, "port")) wanted.port = atoi(value);
    else if (!strcmp(name, "path")) wanted.path = value;
    else if (!strcmp(name, "key")) wanted.key = value;
    else if (!strcmp(name, "model")) wanted.model = value;
    else if (!strcmp(name, "header") && wanted.header_count < MOST_HEADERS) wanted.headers[wanted.header_count++] = value;
    else if (!strcmp(name, "connections")) wanted.connections = atoi(value);
    else if (!strcmp(name, "seconds")) wanted.seconds = atof(value);
    else if (!strcmp(name, "requests")) wanted.requests = atol(value);
    else if (!strcmp(name, "rate")) wanted.rate = atof(value);
    else if (!strcmp(name, "prompt-bytes")) wanted.prompt_bytes = strtoul(value, 0, 10);
    else if (!strcmp(name, "chunks")) wanted.chunks = atoi(value);
    else if (!strcmp(name, "gap-ms")) wanted.gap_ms = atoi(value);
    else if (!strcmp(name, "same")) wanted.same = atoi(value);
    else if (!strcmp(name, "expect")) wanted.expect = atoi(value);
    else return 0;
  }
  return wanted.port && wanted.connections > 0 && wanted.prompt_bytes <= MOST_PROMPT && wanted.seconds > 0;
}

/* Requests that are due go to whoever is free, the longest due first. `due_ns`: of the first that has not gone out. */
static uint64_t send_due(uint64_t due_ns, uint64_t now, uint64_t step_ns) {
  static int turn;
  while (due_ns <= now && (!wanted.requests || results.sent < (unsigned long long)wanted.requests)) {
    int tried = 0;
    while (tried < wanted.connections && clients[turn].busy) {
      tried++;
      turn = (turn + 1) % wanted.connections;
    }
    if (tried == wanted.connections) {
      if ((now - due_ns) / step_ns > results.most_waiting) results.most_waiting = (now - due_ns) / step_ns;
      break;
    }
    ask(&clients[turn], due_ns);
    turn = (turn + 1) % wanted.connections;
    due_ns += step_ns;
  }
  return due_ns;
}

int main(int argc, char **argv) {
  if (!understand(argc, argv)) return fprintf(stderr, "the switches are those of load.py, each with its value\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  snprintf(run, sizeof run, wanted.same ? "same" : "%x%llx", getpid(), (unsigned long long)now_ns() & 0xffffff);
  filler = grown(0, MOST_PROMPT);
  const char text[] = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ";
  for (size_t at = 0; at < MOST_PROMPT; at++) filler[at] = text[at % (sizeof text - 1)];
  poller = epoll_create1(0);
  clients = grown(0, (size_t)wanted.connections * sizeof *clients);
  memset(clients, 0, (size_t)wanted.connections * sizeof *clients);
  for (int at = 0; at < wanted.connections; at++)
    if (!connect_client(&clients[at])) return fprintf(stderr, "cannot connect: %s\n", strerror(errno)), 2;

  uint64_t begun = now_ns(), end = begun + (uint64_t)(wanted.seconds * 1e9), due_ns = begun, first_ns = begun;
  uint64_t step_ns = wanted.rate > 0 ? (uint64_t)(1e9 / wanted.rate) : 0;
  for (int at = 0; at < wanted.connections; at++) /* paced streams do not tick together */
    clients[at].begins_ns = begun + (uint64_t)at * (uint64_t)wanted.gap_ms * 1000000ull / (uint64_t)wanted.connections;
  int begun_count = 0;
  for (;;) {
    uint64_t now = now_ns();
    int over = now >= end || (wanted.requests && results.sent >= (unsigned long long)wanted.requests) ||
               results.connection > MOST_LOST;
    int busy = 0, wait_ms = 100;
    if (over) {
      for (int at = 0; at < wanted.connections; at++) busy += clients[at].busy;
      if (!busy || now > end + LATE_ANSWERS_NS) break;
    } else if (step_ns) {
      due_ns = send_due(due_ns, now, step_ns);
      wait_ms = due_ns > now ? (int)((due_ns - now) / 1000000) : 1;
    } else if (begun_count < wanted.connections) {
      while (begun_count < wanted.connections && clients[begun_count].begins_ns <= now)
        ask(&clients[begun_count++], now);
      if (begun_count < wanted.connections) {
        first_ns = clients[begun_count].begins_ns;
        wait_ms = first_ns > now ? (int)((first_ns - now) / 1000000) : 0;
      }
    }
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, wait_ms);
    for (int at = 0; at < count; at++) {
      Client *c = events[at].data.ptr;
      if (c->fd >= 0 && events[at].events & EPOLLOUT) flush(c);
      if (c->fd < 0 || !(events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !hear(c) || step_ns) continue;
      now = now_ns();
      if (now < end && results.connection <= MOST_LOST &&
          (!wanted.requests || results.sent < (unsigned long long)wanted.requests))
        ask(c, now);
    }
  }
  for (int at = 0; at < wanted.connections; at++) results.stuck += (unsigned)clients[at].busy;
  return print_results((double)(now_ns() - begun) / 1e9);
}
