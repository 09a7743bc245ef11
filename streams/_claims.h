/* Ids of events with the places where they were read, in few bytes each and in their order. No
 * Python object stands for one: what is let go of with its event is memory for the next event.
 */

#ifndef WUNDR_CLAIMS_H
#define WUNDR_CLAIMS_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

#define ID_LENGTH 36
#define ID_BYTES 16
#define OFFSET_BYTES 8

/* What stands for the source of a claim that was removed. */
#define REMOVED UINT32_MAX

/* The most claims of one table: places in the index have 32 bits. */
#define MOST_CLAIMS ((Py_ssize_t)1 << 30)

#define FEWEST_CLAIMS ((Py_ssize_t)64)

typedef struct {
    unsigned char id[ID_BYTES];
    int64_t offset;
    uint32_t source;
} Claim;

typedef struct {
    Claim *claims;
    uint32_t *index;     /* of twice as many places: one more than where in `claims`, or 0 */
    Py_ssize_t used, room, live;
} ClaimTable;

/* Makes where an id stands in an index depend on the process: nobody can choose ids that meet. */
typedef struct {
    uint64_t low, high;
} Secret;

/* One more than what a letter stands for as a digit to the base of 16, in lower case; else 0. A
 * table, because no processor can guess whether the next letter is a digit. */
static const unsigned char HEX_DIGITS[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Where in its text the digits of each byte of a UUID begin. */
static const unsigned char ID_PLACES[ID_BYTES] = {0,  2,  4,  6,  9,  11, 14, 16,
                                                  19, 21, 24, 26, 28, 30, 32, 34};

/* The bytes of a UUID in the usual form, in lower case; -1 for anything else. */
static inline int
pack_id(PyObject *id, unsigned char *packed)
{
    if (!PyUnicode_Check(id) || !PyUnicode_IS_ASCII(id)
        || PyUnicode_GET_LENGTH(id) != ID_LENGTH) {
        return -1;
    }
    const unsigned char *text = PyUnicode_1BYTE_DATA(id);
    int is_uuid = text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
    for (int place = 0; place < ID_BYTES; place++) {
        const unsigned char *digits = text + ID_PLACES[place];
        int high = HEX_DIGITS[digits[0]], low = HEX_DIGITS[digits[1]];
        is_uuid &= high != 0 && low != 0;
        packed[place] = (unsigned char)(high * 16 + low - 17);
    }
    return is_uuid ? 0 : -1;
}

static inline PyObject *
unpack_id(const unsigned char *packed)
{
    static const char digits[] = "0123456789abcdef";
    PyObject *id = PyUnicode_New(ID_LENGTH, 127);
    if (id == NULL) {
        return NULL;
    }
    unsigned char *text = PyUnicode_1BYTE_DATA(id);
    for (int place = 0; place < ID_LENGTH; place++) {
        if (place == 8 || place == 13 || place == 18 || place == 23) {
            text[place] = '-';
            continue;
        }
        text[place++] = (unsigned char)digits[*packed >> 4];
        text[place] = (unsigned char)digits[*packed++ & 15];
    }
    return id;
}

/* Where in the index an id is looked for first. For a table with room. */
static inline Py_ssize_t
first_in_index(const ClaimTable *table, Secret secret, const unsigned char *id)
{
    uint64_t low, high;
    memcpy(&low, id, 8);
    memcpy(&high, id + 8, 8);
    __uint128_t product = (__uint128_t)(low ^ secret.low) * (high ^ secret.high);
    uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (Py_ssize_t)(mixed & (uint64_t)(2 * table->room - 1));
}

/* Have the processor fetch where an id is looked for. */
static inline void
fetch_ahead(const ClaimTable *table, Secret secret, const unsigned char *id)
{
    if (table->room > 0) {
        __builtin_prefetch(&table->index[first_in_index(table, secret, id)]);
    }
}

/* Where in the index an id stands, or belongs: then nothing is there. For a table with room. */
static inline Py_ssize_t
place_in_index(const ClaimTable *table, Secret secret, const unsigned char *id)
{
    Py_ssize_t last = 2 * table->room - 1;
    Py_ssize_t place = first_in_index(table, secret, id);
    for (; table->index[place] != 0; place = (place + 1) & last) {
        const Claim *claim = &table->claims[table->index[place] - 1];
        if (memcmp(claim->id, id, ID_BYTES) == 0 && claim->source != REMOVED) {
            break;
        }
    }
    return place;
}

/* The claim of an id; NULL where there is none. */
static inline Claim *
find_claim(const ClaimTable *table, Secret secret, const unsigned char *id)
{
    if (table->room == 0) {
        return NULL;
    }
    uint32_t known = table->index[place_in_index(table, secret, id)];
    return known == 0 ? NULL : &table->claims[known - 1];
}

/* Make room for many more, and forget what was removed; -1 with an exception. */
static inline int
grow_claims(ClaimTable *table, Secret secret)
{
    ClaimTable grown = {.room = FEWEST_CLAIMS};
    while (grown.room - grown.room / 4 <= table->live) {
        grown.room *= 2;
    }
    if (grown.room < MOST_CLAIMS) {
        grown.claims = PyMem_Malloc((size_t)grown.room * sizeof(Claim));
        grown.index = PyMem_Calloc(2 * (size_t)grown.room, sizeof(uint32_t));
    }
    if (grown.claims == NULL || grown.index == NULL) {
        PyMem_Free(grown.claims);
        PyMem_Free(grown.index);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t place = 0; place < table->used; place++) {
        if (table->claims[place].source != REMOVED) {
            Py_ssize_t at = place_in_index(&grown, secret, table->claims[place].id);
            grown.claims[grown.used++] = table->claims[place];
            grown.index[at] = (uint32_t)grown.used;
        }
    }
    grown.live = grown.used;
    PyMem_Free(table->claims);
    PyMem_Free(table->index);
    *table = grown;
    return 0;
}

/* Put a claim; what its id claimed before is replaced. -1 with an exception. */
static inline int
put_claim(ClaimTable *table, Secret secret, const Claim *claim)
{
    if (table->used == table->room && grow_claims(table, secret) < 0) {
        return -1;
    }
    Py_ssize_t place = place_in_index(table, secret, claim->id);
    uint32_t known = table->index[place];
    if (known != 0) {
        table->claims[known - 1] = *claim;
        return 0;
    }
    table->claims[table->used++] = *claim;
    table->index[place] = (uint32_t)table->used;
    table->live++;
    return 0;
}

static inline void
remove_claim(ClaimTable *table, Secret secret, const unsigned char *id)
{
    Claim *known = find_claim(table, secret, id);
    if (known != NULL) {
        known->source = REMOVED;
        table->live--;
    }
}

static inline void
free_claims(ClaimTable *table)
{
    PyMem_Free(table->claims);
    PyMem_Free(table->index);
    memset(table, 0, sizeof *table);
}

#endif
