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

/* How many of some flags have any bit of the mask. Sums of 255 fit bytes, of which wide registers hold many. */
static inline int64_t count(const uint8_t *flags, int64_t size, uint8_t mask)
{
    int64_t found = 0;
    for (; size >= 255; size -= 255, flags += 255) {
        uint8_t part = 0;
        for (int i = 0; i < 255; i++)
            part = (uint8_t)(part + ((flags[i] & mask) != 0));
        found += part;
    }
    for (int64_t i = 0; i < size; i++)
        found += (flags[i] & mask) != 0;
    return found;
}

/* How many flags of each span have any bit of the mask. */
EXPORT WIDE void burnish_counts(const uint8_t *flags, int64_t mask, const int64_t *starts, const int64_t *ends,
                                int64_t spans, int64_t *counts)
{
    for (int64_t i = 0; i < spans; i++)
        counts[i] = count(flags + starts[i], ends[i] - starts[i], (uint8_t)mask);
}

/* Which hashes are in a set, and where: `known` are its members in order, `has_start` tells of the first 16 bits of a
   hash whether any member has them. Returns their number. */
EXPORT int64_t burnish_find(const uint64_t *hashes, int64_t count, const uint64_t *known, int64_t members,
                            const uint8_t *has_start, int64_t *at, int64_t *places)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!has_start[hashes[i] >> 48])
            continue;
        int64_t low = 0, high = members;
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (known[middle] < hashes[i])
                low = middle + 1;
            else
                high = middle;
        }
        if (low < members && known[low] == hashes[i]) {
            at[found] = i;
            places[found++] = low;
        }
    }
    return found;
}

/* Characters of each text in runs of `least` or more members of a set, with capitals, other letters and digits. A run
   is looked for from its end: a character that is no member rules out all runs that it would be in. */
EXPORT void burnish_mixed_runs(const uint32_t *codes, const uint8_t *members, const uint8_t *properties,
                               const int64_t *starts, const int64_t *ends, int64_t count, int64_t least, int64_t *found)
{
    enum { DIGIT = 8, UPPER = 32 };
    for (int64_t i = 0; i < count; i++) {
        found[i] = 0;
        for (int64_t first = starts[i]; first + least <= ends[i];) {
            int64_t at = first + least;
            while (at > first && members[codes[at - 1]])
                at--;
            if (at > first) {
                first = at;
                continue;
            }
            int64_t upper = 0, digits = 0;
            for (; at < ends[i] && members[codes[at]]; at++) {
                upper += (properties[codes[at]] & UPPER) != 0;
                digits += (properties[codes[at]] & DIGIT) != 0;
            }
            if (upper && digits && upper + digits < at - first)
                found[i] += at - first;
            first = at + 1;
        }
    }
}

/* How many characters of each text are in a set. */
EXPORT void burnish_members(const uint32_t *codes, const uint8_t *members, const int64_t *starts, const int64_t *ends,
                            int64_t count, int64_t *counts)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t found = 0;
        for (int64_t at = starts[i]; at < ends[i]; at++)
            found += members[codes[at]];
        counts[i] = found;
    }
}
