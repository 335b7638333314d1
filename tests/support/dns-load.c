// Questions to a name server at a steady pace, and how long the answers took.
// dns-load ADDRESS PORT RATE SECONDS NAME...   (A and AAAA of the names in turn)
// Prints one JSON object: sent, answered, wrong, p50, p99, p999, max (microseconds), seconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SIZE = 1500, IDS = 65536, TICK_US = 250 };
static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}
static double sent_at[IDS];
static float *took;
static long answered, wrong, capacity;
static char in[BATCH][SIZE], out[BATCH][SIZE];
static struct mmsghdr in_headers[BATCH], out_headers[BATCH];
static struct iovec in_vectors[BATCH], out_vectors[BATCH];

static int question(char *at, const char *name, uint16_t id, int type) {
  uint16_t head[6] = {htons(id), htons(0x0100), htons(1), 0, 0, 0};
  memcpy(at, head, 12);
  int length = 12;
  for (const char *label = name; *label != 0;) {
    int n = strcspn(label, ".");
    at[length++] = n;
    memcpy(at + length, label, n);
    length += n;
    label += n;
    if (*label == '.') label++;
  }
  char tail[5] = {0, 0, type, 0, 1};
  memcpy(at + length, tail, 5);
  return length + 5;
}
static void drain(int fd) {
  for (;;) {
    int got = recvmmsg(fd, in_headers, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) return;
    double at = now_us();
    for (int i = 0; i < got; i++) {
      const unsigned char *p = (unsigned char *)in[i];
      uint16_t id = p[0] << 8 | p[1];
      if (in_headers[i].msg_len < 12 || sent_at[id] == 0 || ((p[3] & 15) != 0 && (p[3] & 15) != 3)) { wrong++; continue; }
      if (answered < capacity) took[answered++] = at - sent_at[id];
      sent_at[id] = 0;
    }
    if (got < BATCH) return;
  }
}
static int by_value(const void *a, const void *b) {
  float x = *(float *)a, y = *(float *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  prctl(PR_SET_TIMERSLACK, 1000UL);
  double rate = atof(argv[3]), seconds = atof(argv[4]);
  int names = argc - 5;
  capacity = rate * seconds + BATCH;
  took = malloc(capacity * sizeof *took);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  inet_pton(AF_INET, argv[1], &server.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0) { perror("connect"); return 1; }
  for (int i = 0; i < BATCH; i++) {
    in_vectors[i] = (struct iovec){in[i], SIZE};
    out_vectors[i] = (struct iovec){out[i], 0};
    in_headers[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
    out_headers[i].msg_hdr = (struct msghdr){.msg_iov = &out_vectors[i], .msg_iovlen = 1};
  }
  double start = now_us();
  long sent = 0, total = rate * seconds;
  while (sent < total) {
    double at = now_us();
    long due = (at - start) * rate / 1e6 + 1;
    if (due > total) due = total;
    while (sent < due) {
      int n = due - sent < BATCH ? due - sent : BATCH;
      for (int i = 0; i < n; i++) {
        long k = sent + i;
        out_vectors[i].iov_len = question(out[i], argv[5 + (k / 2) % names], k, k % 2 == 0 ? 1 : 28);
        sent_at[k % IDS] = at;
      }
      int done = sendmmsg(fd, out_headers, n, 0);
      if (done < 0 && errno != EAGAIN) { perror("sendmmsg"); return 1; }
      if (done > 0) sent += done;
      drain(fd);
    }
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct timespec wait = {0, TICK_US * 1000};
    ppoll(&ready, 1, &wait, NULL);
    drain(fd);
  }
  double end = now_us();
  for (double until = end + 1e6; answered < total && now_us() < until;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    poll(&ready, 1, 20);
    drain(fd);
  }
  qsort(took, answered, sizeof *took, by_value);
#define Q(q) (answered == 0 ? 0 : took[(long)((answered - 1) * (q))])
  printf("{\"sent\":%ld,\"answered\":%ld,\"wrong\":%ld,\"p50\":%.0f,\"p99\":%.0f,\"p999\":%.0f,\"max\":%.0f,\"seconds\":%.3f}\n",
         sent, answered, wrong, Q(0.5), Q(0.99), Q(0.999), Q(1), (end - start) / 1e6);
  return 0;
}
