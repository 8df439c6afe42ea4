/* transpose_conv2d and batch_matmul: parameters and prototypes; see mw.h. */
#ifndef MW_OP_MATRIX_H
#define MW_OP_MATRIX_H

#include "mw_common.h"

#endif
