/* How similar two texts are: see dedup/near.py. */
#include "kernels.h"

/* In how many places the signatures of each pair agree. `tables` are where the signatures of each part lie. */
EXPORT WIDE void burnish_agreements(const uint64_t *tables, const int64_t *one_part, const int64_t *one_row,
                                    const int64_t *other_part, const int64_t *other_row, int64_t pairs, int64_t width,
                                    int64_t *found)
{
    for (int64_t i = 0; i < pairs; i++) {
        const uint8_t *one = (const uint8_t *)(uintptr_t)tables[one_part[i]] + one_row[i] * width;
        const uint8_t *other = (const uint8_t *)(uintptr_t)tables[other_part[i]] + other_row[i] * width;
        int32_t equal = 0;
        for (int64_t place = 0; place < width; place++)
            equal += one[place] == other[place];
        found[i] = equal;
    }
}

/* How many distinct values two sorted arrays have in common; how many both have goes to `either`. */
EXPORT int64_t burnish_common(const uint32_t *one, int64_t ones, const uint32_t *other, int64_t others, int64_t *either)
{
    int64_t i = 0, j = 0, common = 0, all = 0;
    while (i < ones || j < others) {
        int from_one = i < ones && (j >= others || one[i] <= other[j]);
        int from_other = j < others && (i >= ones || other[j] <= one[i]);
        uint32_t value = from_one ? one[i] : other[j];
        common += from_one & from_other;
        all++;
        while (i < ones && one[i] == value)
            i++;
        while (j < others && other[j] == value)
            j++;
    }
    *either = all;
    return common;
}
