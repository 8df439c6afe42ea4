/* The loop of operators of one operand. */
#ifndef MW_EACH_H
#define MW_EACH_H

#include "mw_common.h"

/* Set every element of `out` to `value`, an expression in *in, the element in its place. */
#define MW_EACH(value) \
  for (int32_t left = params->size; left > 0; left--, in++) *out++ = (value)

#endif
