/* Preloaded into keygate by a test: ends it with SIGKILL at the n-th of the moments between which its files differ. The
   shipped program has no such hook.

   A file that lasts is written beside its place, synced, renamed, and its folder synced: killed before the first fsync it is
   as before the writing, killed before the second as after it. What is removed counts before and after. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int count;

static void moment(void) {
    const char *nth = getenv("KILL_AT");
    /* Not the programs that it starts. */
    if (!nth || strcmp(program_invocation_short_name, "keygate")) return;
    count += 1;
    if (count == atoi(nth)) kill(getpid(), SIGKILL);
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    moment();
    return real(file);
}

int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    moment();
    int result = real(path);
    moment();
    return result;
}
