/* What texts repeat: words, lines and runs of words, by hash tables of one text at a time. See texts/repeated.py. */
#include "kernels.h"

/* What was seen of one text. */
typedef struct {
    uint64_t key; /* one more than the key; 0 is an empty slot */
    uint32_t times, first; /* how often it was seen, and where first: places in the text */
} Entry;

typedef struct {
    Entry *entries;
    uint64_t mask;
} Table;

static int opened(Table *table, int64_t most)
{
    table->entries = most < UINT32_MAX ? malloc(slots_for(most) * sizeof *table->entries) : NULL;
    return table->entries != NULL;
}

static void cleared(Table *table, int64_t entries)
{
    uint64_t slots = slots_for(entries);
    memset(table->entries, 0, slots * sizeof *table->entries);
    table->mask = slots - 1;
}

/* The entry of a key; a new one has been seen 0 times. */
static inline Entry *entry_of(Table *table, uint64_t key, int64_t place)
{
    uint64_t slot = (key ^ (key >> 8)) & table->mask; /* the lowest bits of a key may be a weight */
    while (table->entries[slot].key && table->entries[slot].key != key + 1)
        slot = (slot + 1) & table->mask;
    Entry *entry = table->entries + slot;
    if (!entry->key) {
        entry->key = key + 1;
        entry->first = (uint32_t)place;
    }
    return entry;
}

static int64_t longest(const int64_t *bounds, int64_t texts)
{
    int64_t most = 0;
    for (int64_t text = 0; text < texts; text++)
        if (bounds[text + 1] - bounds[text] > most)
            most = bounds[text + 1] - bounds[text];
    return most;
}

/* Which spans equal an earlier one of their text. */
EXPORT int64_t burnish_repeats(const uint64_t *hashes, const int64_t *bounds, int64_t texts, uint8_t *found)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return 0;
    for (int64_t text = 0; text < texts; text++) {
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++)
            found[at] = entry_of(&table, hashes[at] >> 20, 0)->times++ > 0;
    }
    free(table.entries);
    return 1;
}

/* Of each text the greatest sum of a key's weights, the sum of the weights of all keys, each taken once, and the most
   that a key occurs. Only chosen entries count; the keys are their hashes and weights. */
EXPORT int64_t burnish_shares(const uint64_t *hashes, const int64_t *weights, const uint8_t *chosen, const int64_t *bounds,
                          int64_t texts, int64_t *greatest, int64_t *once, int64_t *most)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return 0;
    for (int64_t text = 0; text < texts; text++) {
        greatest[text] = once[text] = most[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++) {
            if (!chosen[at])
                continue;
            int64_t times = ++entry_of(&table, ((hashes[at] >> 28) << 8) | (uint64_t)weights[at], 0)->times;
            if (times == 1)
                once[text] += weights[at];
            if (times > most[text])
                most[text] = times;
            if (times * weights[at] > greatest[text])
                greatest[text] = times * weights[at];
        }
    }
    free(table.entries);
    return 1;
}

/* Characters of each text in runs of words that stand there before. `runs` are hashes of `size` words each, those of
   text i from bounds[i] on; ends[w] are the characters of all words before word w. */
EXPORT int64_t burnish_covered(const uint64_t *runs, const int64_t *bounds, const int64_t *word_bounds, int64_t texts,
                           int64_t size, const int64_t *ends, int64_t *covered)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t until = word_bounds[text], word = word_bounds[text]; /* the first word that is not covered yet */
        covered[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++, word++) {
            if (!entry_of(&table, runs[at] >> 20, 0)->times++)
                continue;
            covered[text] += ends[word + size] - ends[until > word ? until : word];
            until = word + size;
        }
    }
    free(table.entries);
    return 1;
}

/* Characters of each text in its most frequent run that occurs several times; of equally frequent ones the longest. */
EXPORT int64_t burnish_top(const uint64_t *runs, const int64_t *bounds, const int64_t *word_bounds, int64_t texts,
                       int64_t size, const int64_t *ends, int64_t *best)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t most = 1;
        best[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++) {
            Entry *entry = entry_of(&table, runs[at] >> 20, at - bounds[text]);
            int64_t times = ++entry->times;
            if (times < 2 || times < most)
                continue;
            int64_t word = word_bounds[text] + entry->first;
            int64_t characters = times * (ends[word + size] - ends[word]);
            if (times > most || characters > best[text])
                best[text] = characters;
            most = times;
        }
    }
    free(table.entries);
    return 1;
}
