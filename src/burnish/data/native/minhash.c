/* Shingles and signatures of texts: see texts/hashing.py and dedup/minhash.py. */
#include "kernels.h"

/* Hashes of every `size` consecutive words of a text, of all of them where there are fewer; those of text i are
   found[ends[i]] to found[ends[i + 1] - 1]. */
EXPORT void burnish_shingles(const uint64_t *words, const int64_t *bounds, int64_t texts, int64_t size, uint64_t *found,
                             int64_t *ends)
{
    int64_t made = 0;
    ends[0] = 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t count = bounds[text + 1] - bounds[text];
        int64_t length = count < size ? count : size;
        const uint64_t *first = words + bounds[text];
        for (int64_t at = 0; count && at + length <= count; at++) {
            uint64_t hash = 0;
            for (int64_t place = 0; place < length; place++)
                hash = (hash * UINT64_C(0xD6E8FEB86659FD93)) ^ first[at + place];
            found[made++] = mixed(hash);
        }
        ends[text + 1] = made;
    }
}

/* Of each text and permutation the least hash [texts, places]; of one without shingles 2^32 - 1. */
EXPORT WIDE void burnish_signatures(const uint32_t *shingles, const int64_t *bounds, int64_t texts,
                                    const uint32_t *factors, const uint32_t *masks, int64_t places, uint32_t *found)
{
    for (int64_t text = 0; text < texts; text++) {
        const uint32_t *first = shingles + bounds[text];
        int64_t count = bounds[text + 1] - bounds[text];
        for (int64_t place = 0; place < places; place++) {
            uint32_t least = UINT32_MAX, factor = factors[place], mask = masks[place];
            for (int64_t i = 0; i < count; i++) {
                uint32_t hash = (first[i] ^ mask) * factor;
                least = hash < least ? hash : least;
            }
            found[text * places + place] = least;
        }
    }
}
