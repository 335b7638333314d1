// One stream, of TCP unless told otherwise (sctp). stream-load serve PORT [sctp]: takes one connection after another.
// stream-load send ADDRESS PORT SECONDS [sctp]: prints bytes a second.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[128 * 1024];
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static int protocol;
static int serve(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 8) != 0) { perror("listen"); return 1; }
  puts("ready");
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return 1;
    while (recv(fd, buffer, sizeof buffer, 0) > 0) continue;
    close(fd);
  }
}
int main(int argc, char **argv) {
  // Where it is allowed: other programs on the machine must not decide what is measured.
  sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
  if (argc > 3 && strcmp(argv[argc - 1], "sctp") == 0) {
    protocol = IPPROTO_SCTP;
    argc--;
  }
  if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve(atoi(argv[2]));
  if (argc != 5) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
  inet_pton(AF_INET, argv[2], &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) { perror("connect"); return 1; }
  double start = now(), end = start, seconds = atof(argv[4]);
  long long sent = 0;
  // A message of SCTP has to fit the receiver's window, best a packet.
  size_t piece = protocol == 0 ? sizeof buffer : 1400;
  while ((end = now()) - start < seconds) {
    for (int i = 0; i < 8; i++) {
      long n = send(fd, buffer, piece, MSG_NOSIGNAL);
      if (n < 0) { perror("send"); return 1; }
      sent += n;
    }
  }
  printf("%.0f\n", sent / (end - start));
  return 0;
}
