/* What the kernels share. Arrays are numpy's: contiguous, of the types that library.py declares; nothing is kept. */
#ifndef BURNISH_KERNELS_H
#define BURNISH_KERNELS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Loops that gain from wider registers are compiled for those too; the processor decides when the library is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

/* The finalizer of MurmurHash3 (Appleby), as hashing.mixed. */
static inline uint64_t mixed(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= UINT64_C(0xFF51AFD7ED558CCD);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xC4CEB9FE1A85EC53);
    return hash ^ (hash >> 33);
}

/* Slots of a hash table: a power of two, at least twice the entries. */
static inline uint64_t slots_for(int64_t entries)
{
    uint64_t slots = 16;
    while (slots < (uint64_t)entries * 2)
        slots *= 2;
    return slots;
}

#endif
