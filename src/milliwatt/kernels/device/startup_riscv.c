/* Start of an RV32 image: stack pointer, trap vector, C memory set-up.
 *
 * Symbols mw_stack_top, mw_data_* and mw_bss_* come from link.ld.in. */
#include <stdint.h>

extern uint32_t mw_data_start[], mw_data_end[], mw_bss_start[], mw_bss_end[];
extern const uint32_t mw_data_load[];

int main(void);
void Reset_Handler(void);
void mw_start(void);
void mw_default_handler(void);

/* Marks the stack's section as writable memory without bytes in the image: tools such as `size`
 * would count a section of the linker script alone as read-only, and so as flash. */
__asm__(".pushsection .stack,\"aw\",@nobits\n\t.popsection");

/* mtvec in direct mode wants a 4-byte aligned handler (RISC-V Privileged Architecture, 3.1.7). */
__attribute__((aligned(4))) void mw_default_handler(void) {
  for (;;) {
  }
}

__attribute__((used)) void mw_start(void) {
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

/* Naked: there is no stack yet. */
__attribute__((naked)) void Reset_Handler(void) {
  __asm__ volatile(
      "la sp, mw_stack_top\n\t"
      "la t0, mw_default_handler\n\t"
      "csrw mtvec, t0\n\t"
      "j mw_start");
}
