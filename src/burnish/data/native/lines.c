/* What lines begin and end with: see texts/lines.py. */
#include "kernels.h"

enum { SPACE = 16 };

/* Of each line its characters that are no white space, the first of them, the last, the one before the last, and the
   place of the last; all but the number are undefined where a line has none. */
EXPORT void burnish_edges(const uint32_t *codes, const uint8_t *properties, const int64_t *starts, const int64_t *ends,
                          int64_t count, int64_t *visible, uint32_t *first, uint32_t *last, uint32_t *second,
                          int64_t *place)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t found = 0;
        uint32_t before = 0, newest = 0;
        for (int64_t at = starts[i]; at < ends[i]; at++) {
            uint32_t code = codes[at];
            if (properties[code] & SPACE)
                continue;
            if (!found++)
                first[i] = newest = code;
            before = newest;
            newest = code;
            place[i] = at;
        }
        visible[i] = found;
        last[i] = newest;
        second[i] = before;
    }
}
