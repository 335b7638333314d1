/* Prints the real and the effective user id. For a copy with the setuid bit. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("%d %d\n", (int)getuid(), (int)geteuid());
  return 0;
}
