/* The memory functions a freestanding C compiler may call on its own (C99 7.21, GCC manual 2.1).
 *
 * Words where both pointers are aligned alike, bytes else. Built with -fno-builtin, so that no loop
 * here is turned into a call of itself. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint32_t)

/* A word that may alias any object: memory functions move bytes of every type. */
typedef uint32_t __attribute__((may_alias)) word;

static int alike(const void *a, const void *b) {
  return (((uintptr_t)a ^ (uintptr_t)b) & (WORD - 1u)) == 0u;
}

/* Copy upwards. Each word is read before anything at or above it is written, so `to` may lie below
 * `from` in the same object. */
static void copy_up(uint8_t *to, const uint8_t *from, size_t nbytes) {
  if (alike(to, from)) {
    for (; nbytes > 0u && ((uintptr_t)to & (WORD - 1u)) != 0u; --nbytes) {
      *to++ = *from++;
    }
    for (; nbytes >= 4u * WORD; nbytes -= 4u * WORD) {
      const word *in = (const word *)(const void *)from;
      word *out = (word *)(void *)to;
      const word a = in[0], b = in[1], c = in[2], d = in[3];
      out[0] = a;
      out[1] = b;
      out[2] = c;
      out[3] = d;
      from += 4u * WORD;
      to += 4u * WORD;
    }
    for (; nbytes >= WORD; nbytes -= WORD) {
      *(word *)(void *)to = *(const word *)(const void *)from;
      from += WORD;
      to += WORD;
    }
  }
  for (; nbytes > 0u; --nbytes) {
    *to++ = *from++;
  }
}

void *memcpy(void *restrict to, const void *restrict from, size_t nbytes) {
  copy_up(to, from, nbytes);
  return to;
}

void *memmove(void *to, const void *from, size_t nbytes) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if ((uintptr_t)out <= (uintptr_t)in || (uintptr_t)out >= (uintptr_t)in + nbytes) {
    copy_up(out, in, nbytes);
    return to;
  }
  while (nbytes > 0u) {
    --nbytes;
    out[nbytes] = in[nbytes];
  }
  return to;
}

void *memset(void *to, int value, size_t nbytes) {
  uint8_t *out = to;
  const word pattern = (uint8_t)value * UINT32_C(0x01010101);
  for (; nbytes > 0u && ((uintptr_t)out & (WORD - 1u)) != 0u; --nbytes) {
    *out++ = (uint8_t)value;
  }
  for (; nbytes >= 4u * WORD; nbytes -= 4u * WORD) {
    word *v = (word *)(void *)out;
    v[0] = pattern;
    v[1] = pattern;
    v[2] = pattern;
    v[3] = pattern;
    out += 4u * WORD;
  }
  for (; nbytes > 0u; --nbytes) {
    *out++ = (uint8_t)value;
  }
  return to;
}

int memcmp(const void *left, const void *right, size_t nbytes) {
  const uint8_t *a = left;
  const uint8_t *b = right;
  for (; nbytes > 0u; --nbytes, ++a, ++b) {
    if (*a != *b) {
      return (int)*a - (int)*b;
    }
  }
  return 0;
}
