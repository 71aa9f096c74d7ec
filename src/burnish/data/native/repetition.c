/* What texts repeat: words, lines and runs of words, by hash tables of one text at a time. See texts/repeated.py. */
#include "kernels.h"

/* Entries of one text: a key, how often it was seen, and where first. */
typedef struct {
    uint64_t *keys; /* one more than the key; 0 is an empty slot */
    int64_t *times, *firsts;
    uint64_t mask;
} Table;

static int opened(Table *table, int64_t most)
{
    uint64_t slots = slots_for(most);
    table->keys = malloc(slots * sizeof *table->keys);
    table->times = malloc(slots * sizeof *table->times);
    table->firsts = malloc(slots * sizeof *table->firsts);
    return table->keys && table->times && table->firsts;
}

static void closed(Table *table)
{
    free(table->keys);
    free(table->times);
    free(table->firsts);
}

static void cleared(Table *table, int64_t entries)
{
    uint64_t slots = slots_for(entries);
    memset(table->keys, 0, slots * sizeof *table->keys);
    table->mask = slots - 1;
}

/* The slot of a key; a new one has been seen 0 times. */
static inline uint64_t slot_of(Table *table, uint64_t key, int64_t at)
{
    uint64_t slot = key & table->mask;
    while (table->keys[slot] && table->keys[slot] != key + 1)
        slot = (slot + 1) & table->mask;
    if (!table->keys[slot]) {
        table->keys[slot] = key + 1;
        table->times[slot] = 0;
        table->firsts[slot] = at;
    }
    return slot;
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
        return closed(&table), 0;
    for (int64_t text = 0; text < texts; text++) {
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++)
            found[at] = table.times[slot_of(&table, hashes[at] >> 20, at)]++ > 0;
    }
    return closed(&table), 1;
}

/* Of each text the greatest sum of a key's weights, the sum of the weights of all keys, each taken once, and the most
   that a key occurs. Only chosen entries count; the keys are their hashes and weights. */
EXPORT int64_t burnish_shares(const uint64_t *hashes, const int64_t *weights, const uint8_t *chosen, const int64_t *bounds,
                          int64_t texts, int64_t *greatest, int64_t *once, int64_t *most)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return closed(&table), 0;
    for (int64_t text = 0; text < texts; text++) {
        greatest[text] = once[text] = most[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++) {
            if (!chosen[at])
                continue;
            uint64_t slot = slot_of(&table, ((hashes[at] >> 28) << 8) | (uint64_t)weights[at], at);
            int64_t times = ++table.times[slot];
            if (times == 1)
                once[text] += weights[at];
            if (times > most[text])
                most[text] = times;
            if (times * weights[at] > greatest[text])
                greatest[text] = times * weights[at];
        }
    }
    return closed(&table), 1;
}

/* Characters of each text in runs of words that stand there before. `runs` are hashes of `size` words each, those of
   text i from bounds[i] on; ends[w] are the characters of all words before word w. */
EXPORT int64_t burnish_covered(const uint64_t *runs, const int64_t *bounds, const int64_t *word_bounds, int64_t texts,
                           int64_t size, const int64_t *ends, int64_t *covered)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return closed(&table), 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t until = word_bounds[text], word = word_bounds[text]; /* the first word that is not covered yet */
        covered[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++, word++) {
            if (!table.times[slot_of(&table, runs[at] >> 20, at)]++)
                continue;
            covered[text] += ends[word + size] - ends[until > word ? until : word];
            until = word + size;
        }
    }
    return closed(&table), 1;
}

/* Characters of each text in its most frequent run that occurs several times; of equally frequent ones the longest. */
EXPORT int64_t burnish_top(const uint64_t *runs, const int64_t *bounds, const int64_t *word_bounds, int64_t texts,
                       int64_t size, const int64_t *ends, int64_t *best)
{
    Table table;
    if (!opened(&table, longest(bounds, texts)))
        return closed(&table), 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t most = 1;
        best[text] = 0;
        cleared(&table, bounds[text + 1] - bounds[text]);
        for (int64_t at = bounds[text]; at < bounds[text + 1]; at++) {
            uint64_t slot = slot_of(&table, runs[at] >> 20, at);
            int64_t times = ++table.times[slot];
            if (times < 2 || times < most)
                continue;
            int64_t word = word_bounds[text] + table.firsts[slot] - bounds[text];
            int64_t characters = times * (ends[word + size] - ends[word]);
            if (times > most || characters > best[text])
                best[text] = characters;
            most = times;
        }
    }
    return closed(&table), 1;
}
