/* Preloaded into keygate by a test: its clock is CLOCK_OFF seconds ahead. The shipped program has no such hook. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    const char *ahead = getenv("CLOCK_OFF");
    int result = real(clock, now);
    if (result == 0 && ahead && clock == CLOCK_REALTIME) now->tv_sec += atol(ahead);
    return result;
}
