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

#define LONGEST_VARINT 10

/* Where a number ends that was written here. */
static inline char *
write_varint_at(char *at, uint64_t number)
{
    for (; number > 127; number >>= 7) {
        *at++ = (char)((number & 127) | 128);
    }
    *at++ = (char)number;
    return at;
}

/* A number as it is written: small ones are few bytes, whatever their sign. */
static inline uint64_t
zigzag_of(int64_t number)
{
    return (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0);
}

#endif
