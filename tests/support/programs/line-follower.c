// line-follower SOCKET CONTAINER: follows the log of a container that runs line-writer over the API of an engine, in a process of its own so
// that it takes no time from the test. Prints how many lines came; the first that was not the next one; what the engine said at last.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { line = 64 };
static unsigned char buffer[1 << 18];
static char text[line], gap[line], error[256];
static long lines;
static int held;

static void take(const unsigned char *data, int size) {
  for (int i = 0; i < size; i++) {
    text[held++] = data[i];
    if (held < line) continue;
    held = 0;
    long number = 0;
    for (int digit = 0; digit < 15; digit++) number = number * 10 + (text[digit] - '0');
    if (number != lines && gap[0] == 0) memcpy(gap, text, line - 1);
    lines++;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return perror("connect"), 1;
  dprintf(fd, "GET /containers/%s/logs?follow=1&stdout=1 HTTP/1.0\r\n\r\n", argv[2]);
  FILE *answer = fdopen(fd, "r");
  char header[1024];
  while (fgets(header, sizeof header, answer) != NULL && header[0] != '\r') continue;
  for (unsigned char frame[8]; fread(frame, 1, 8, answer) == 8;) {
    for (unsigned left = frame[4] << 24 | frame[5] << 16 | frame[6] << 8 | frame[7]; left > 0;) {
      int got = fread(buffer, 1, left < sizeof buffer ? left : sizeof buffer, answer);
      if (got <= 0) break;
      left -= got;
      if (frame[0] == 3) snprintf(error, sizeof error, "%.*s", got, (char *)buffer);
      else take(buffer, got);
    }
  }
  printf("%ld\n%s\n%s", lines, gap, error);
  return 0;
}
