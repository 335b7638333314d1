// Programs of containers that mean harm or mean nothing by it, one by first argument. Static: it runs in any image.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const char *text) {
  size_t length = strlen(text);
  if (write(1, text, length) != (ssize_t)length) _exit(99);
}

static void wait_for_ever(void) {
  for (;;) pause();
}

static void nap(long milliseconds) {
  struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

// A and B change places for ever.
static void swap(const char *a, const char *b) {
  say("ready\n");
  for (;;) syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static void fork_bomb(void) {
  say("ready\n");
  for (;;) fork();
}

static void descriptors(const char *path) {
  int count = 0;
  while (open(path, O_RDWR | O_CREAT, 0600) >= 0 || (errno == EINTR)) count++;
  dprintf(1, "%d %s\n", count, strerror(errno));
  wait_for_ever();
}

static void inodes(const char *directory) {
  char name[256];
  long count = 0;
  for (;; count++) {
    snprintf(name, sizeof name, "%s/%ld", directory, count);
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    if (fd < 0) break;
    close(fd);
  }
  dprintf(1, "%ld %s\n", count, strerror(errno));
}

static void fill(const char *path) {
  static char block[1 << 16];
  long total = 0;
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  for (ssize_t n; (n = write(fd, block, sizeof block)) > 0;) total += n;
  dprintf(1, "%ld %s\n", total, strerror(errno));
}

// Hears nothing that can be ignored.
static void deaf(int milliseconds) {
  for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
  say("ready\n");
  nap(milliseconds);
}

// Leaves a process behind that has cut every tie.
static void daemonise(void) {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
      wait_for_ever();
    }
    _exit(0);
  }
  wait(NULL);
  nap(100);
}

static void zombies(int count) {
  for (int i = 0; i < count; i++) {
    if (fork() == 0) _exit(0);
  }
  say("ready\n");
  wait_for_ever();
}

// Orphans, for whoever is process 1 to collect.
static void orphans(int count) {
  for (int i = 0; i < count; i++) {
    pid_t child = fork();
    if (child == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  say("ready\n");
  wait_for_ever();
}

static void bytes(long count) {
  for (long i = 0; i < count; i++) {
    if (write(1, i % 64 == 63 ? "\n" : "x", 1) != 1) _exit(99);
  }
}

static void long_line(long count) {
  static char block[1 << 16];
  memset(block, 'x', sizeof block);
  for (long left = count; left > 0;) {
    ssize_t n = write(1, block, left < (long)sizeof block ? (size_t)left : sizeof block);
    if (n <= 0) _exit(99);
    left -= n;
  }
}

static void close_all(int code) {
  for (int fd = 0; fd < 3; fd++) close(fd);
  nap(300);
  _exit(code);
}

// Its handler comes late.
static void farewell(int signal_number) {
  (void)signal_number;
  _exit(42);
}
static void late_handler(int milliseconds) {
  nap(milliseconds);
  signal(SIGTERM, farewell);
  wait_for_ever();
}

// Has no handler: it takes the signal out of a wait.
static void wait_for_signal(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  say("ready\n");
  _exit(sigwaitinfo(&all, NULL) == SIGTERM ? 43 : 1);
}

static void core(void) {
  struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 1);
  *(volatile int *)0 = 1;
}

static void die_of(int number) {
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  kill(getpid(), number);
  _exit(0);
}

static int is(const char *word, const char *name) { return strcmp(word, name) == 0; }

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  const char *first = argc > 2 ? argv[2] : "";
  const char *second = argc > 3 ? argv[3] : "";
  if (is(what, "swap")) swap(first, second);
  else if (is(what, "fork-bomb")) fork_bomb();
  else if (is(what, "descriptors")) descriptors(first);
  else if (is(what, "inodes")) inodes(first);
  else if (is(what, "fill")) fill(first);
  else if (is(what, "deaf")) deaf(atoi(first));
  else if (is(what, "daemonise")) daemonise();
  else if (is(what, "zombies")) zombies(atoi(first));
  else if (is(what, "orphans")) orphans(atoi(first));
  else if (is(what, "bytes")) bytes(atol(first));
  else if (is(what, "long-line")) long_line(atol(first));
  else if (is(what, "close-all")) close_all(atoi(first));
  else if (is(what, "late-handler")) late_handler(atoi(first));
  else if (is(what, "wait-for-signal")) wait_for_signal();
  else if (is(what, "core")) core();
  else if (is(what, "die-of")) die_of(atoi(first));
  else if (is(what, "exit")) return atoi(first);
  else return 98;
  return 0;
}
