/* The audio front end: window, FFT, filter bank, PCAN: parameters and prototypes; see mw.h. */
#ifndef MW_OP_SIGNAL_H
#define MW_OP_SIGNAL_H

#include "mw_common.h"

#endif
