/* The numbers of Avro and of Kafka's records: up to ten bytes, the lowest seven bits first. */

#ifndef WUNDR_VARINT_H
#define WUNDR_VARINT_H

#include <stdint.h>

/* As written, before zigzag. Returns -1 where it ends early or is too large. */
static inline int
read_varint_at(const unsigned char **at, const unsigned char *end, uint64_t *number)
{
    uint64_t found = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (*at == end) {
            return -1;
        }
        uint64_t byte = *(*at)++;
        if (shift == 63 && byte > 1) {
            return -1;
        }
        found |= (byte & 127) << shift;
        if (byte < 128) {
            *number = found;
            return 0;
        }
    }
    return -1;
}

#endif
