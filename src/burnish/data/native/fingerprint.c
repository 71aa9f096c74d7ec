/* Which sources the library was made of: the loader refuses one of others. */
#include "kernels.h"

EXPORT const uint64_t burnish_fingerprint = FINGERPRINT;
