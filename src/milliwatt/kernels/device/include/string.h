/* The part of <string.h> that a freestanding compiler may rely on; memory.c defines it.
 * Used only where the compiler brings no C library (zig's freestanding targets). */
#ifndef MW_STRING_H
#define MW_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *to, int value, size_t nbytes);
int memcmp(const void *left, const void *right, size_t nbytes);

#endif
