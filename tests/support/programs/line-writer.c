// line-writer GO LINES SECONDS: waits for the file GO, then writes LINES lines of 64 bytes, each with its number, to standard output;
// not faster than evenly over SECONDS (0: as fast as they are taken). Ends with 1 when it cannot write.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { line = 64, batch = 512 };
static char buffer[line * batch];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void pause_for(double seconds) {
  struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};
  nanosleep(&t, NULL);
}

static void number_line(char *text, long number) {
  for (int digit = 14; digit >= 0; digit--, number /= 10) text[digit] = '0' + number % 10;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long lines = atol(argv[2]);
  double seconds = atof(argv[3]);
  memset(buffer, '.', sizeof buffer);
  for (int i = 0; i < batch; i++) buffer[i * line + 15] = ' ', buffer[i * line + line - 1] = '\n';
  while (access(argv[1], F_OK) != 0) pause_for(0.02);
  double begin = now();
  for (long done = 0; done < lines;) {
    int count = lines - done < batch ? lines - done : batch;
    for (int i = 0; i < count; i++) number_line(buffer + i * line, done + i);
    for (long sent = 0; sent < (long)count * line;) {
      ssize_t written = write(1, buffer + sent, (long)count * line - sent);
      if (written < 0) return 1;
      sent += written;
    }
    done += count;
    double ahead = begin + seconds * done / lines - now();
    if (ahead > 0.005) pause_for(ahead);
  }
  return 0;
}
