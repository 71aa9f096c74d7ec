/* Words, spans and counts of characters in a block of texts: see texts/block.py. */
#include "kernels.h"

enum { WORD = 1, SOLO = 2 };

static const uint64_t R = UINT64_C(0x9E3779B97F4A7C15);

/* The words of a block: where each starts and ends, and its hash in lower case. Returns their number. */
EXPORT int64_t burnish_words(const uint32_t *codes, int64_t size, const uint8_t *properties, const uint32_t *lower,
                             int64_t *starts, int64_t *ends, uint64_t *hashes)
{
    int64_t found = 0, at = 0;
    while (at < size) {
        uint8_t bits = properties[codes[at]];
        if (!(bits & WORD)) {
            at++;
            continue;
        }
        uint64_t hash = (uint64_t)lower[codes[at]] + 1, power = R;
        starts[found] = at++;
        while (!(bits & SOLO) && at < size) {
            uint8_t next = properties[codes[at]];
            if (!(next & WORD) || (next & SOLO))
                break;
            hash += ((uint64_t)lower[codes[at]] + 1) * power;
            power *= R;
            at++;
        }
        ends[found] = at;
        hashes[found++] = mixed(hash);
    }
    return found;
}

/* The hash of each span of codes. */
EXPORT void burnish_spans(const uint32_t *codes, const int64_t *starts, const int64_t *ends, int64_t count,
                          uint64_t *hashes)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t hash = 0, power = 1;
        for (int64_t at = starts[i]; at < ends[i]; at++) {
            hash += ((uint64_t)codes[at] + 1) * power;
            power *= R;
        }
        hashes[i] = mixed(hash);
    }
}

/* How many flags of each span have any bit of the mask. */
EXPORT void burnish_counts(const uint8_t *flags, int64_t mask, const int64_t *starts, const int64_t *ends,
                           int64_t count, int64_t *counts)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t found = 0;
        for (int64_t at = starts[i]; at < ends[i]; at++)
            found += (flags[at] & (uint8_t)mask) != 0;
        counts[i] = found;
    }
}
