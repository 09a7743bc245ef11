/* Headers of a record as they stand on the wire, until somebody looks at them: few records' are. */

#ifndef WUNDR_HEADERS_H
#define WUNDR_HEADERS_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "../schemas/_varint.h"

/* Whoever makes one has seen that each name is ASCII and there, and that all lengths fit. */
typedef struct {
    PyObject_VAR_HEAD
    Py_ssize_t count;
    PyObject *decoded;  /* pairs of a name and bytes or None, in a tuple; NULL before */
    char raw[1];        /* lengths, names and values */
} Headers;

#define HEADERS_SIZE offsetof(Headers, raw)

typedef struct {
    const unsigned char *name, *value;
    Py_ssize_t name_length, value_length; /* -1: there is no value */
} Header;

/* The length of what follows, which is not more than what is left; -2 where it is. */
static inline Py_ssize_t
length_of_part(const unsigned char **at, const unsigned char *end)
{
    uint64_t number;
    if (read_varint_at(at, end, &number) < 0) {
        return -2;
    }
    int64_t length = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
    return length < -1 || length > end - *at ? -2 : (Py_ssize_t)length;
}

/* The header that stands here, which is stepped over; -1 where there is none whose name is ASCII. */
static inline int
next_header(const unsigned char **at, const unsigned char *end, Header *header)
{
    header->name_length = length_of_part(at, end);
    if (header->name_length < 0) {
        return -1;
    }
    header->name = *at;
    *at += header->name_length;
    unsigned char all = 0;
    for (const unsigned char *letter = header->name; letter < *at; letter++) {
        all |= *letter;
    }
    header->value_length = all & 0x80 ? -2 : length_of_part(at, end);
    if (header->value_length < -1) {
        return -1;
    }
    header->value = *at;
    *at += header->value_length < 0 ? 0 : header->value_length;
    return 0;
}

#endif
