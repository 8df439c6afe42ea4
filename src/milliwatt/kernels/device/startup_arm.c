/* Start of a Cortex-M image: vector table, reset handler, C memory set-up.
 *
 * Symbols mw_stack_top, mw_data_* and mw_bss_* come from link.ld.in. Clocks are left as the chip
 * resets them: raising them is the application's job and does not change cycle counts. */
#include <stdint.h>

extern uint32_t mw_stack_top[];
extern uint32_t mw_data_start[], mw_data_end[], mw_bss_start[], mw_bss_end[];
extern const uint32_t mw_data_load[];

int main(void);
void Reset_Handler(void);
void mw_default_handler(void);

/* Marks the stack's section as writable memory without bytes in the image: tools such as `size`
 * would count a section of the linker script alone as read-only, and so as flash. */
__asm__(".pushsection .stack,\"aw\",%nobits\n\t.popsection");

typedef union {
  void (*handler)(void);
  const void *stack;
} mw_vector;

/* Armv7-M Architecture Reference Manual, B1.5.3: initial stack pointer, reset, 14 exceptions. */
extern const mw_vector mw_vectors[16];
__attribute__((section(".vectors"), used)) const mw_vector mw_vectors[16] = {
    {.stack = mw_stack_top},          {.handler = Reset_Handler},
    {.handler = mw_default_handler},  {.handler = mw_default_handler},
    {.handler = mw_default_handler},  {.handler = mw_default_handler},
    {.handler = mw_default_handler},  {.stack = 0},
    {.stack = 0},                     {.stack = 0},
    {.stack = 0},                     {.handler = mw_default_handler},
    {.handler = mw_default_handler},  {.stack = 0},
    {.handler = mw_default_handler},  {.handler = mw_default_handler},
};

/* Any exception stops here, where a debugger finds it. */
void mw_default_handler(void) {
  for (;;) {
  }
}

void Reset_Handler(void) {
#if defined(__ARM_FP)
  /* Full access to coprocessors 10 and 11 (CPACR, B3.2.20), before any floating-point code. */
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
  const uint32_t *from = mw_data_load;
  for (uint32_t *to = mw_data_start; to < mw_data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = mw_bss_start; to < mw_bss_end; ++to) {
    *to = 0;
  }
  (void)main();
  mw_default_handler();
}
