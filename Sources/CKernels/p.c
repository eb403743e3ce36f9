#include "CKernels.h"
int lz_placeholder(void){return 0;}
