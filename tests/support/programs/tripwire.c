// tripwire: ends at the first signal, whichever it is. Says "set" once it would notice.
#include <signal.h>
#include <unistd.h>

int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  if (write(1, "set\n", 4) != 4) return 2;
  int signal;
  sigwait(&all, &signal);
  return 1;
}
