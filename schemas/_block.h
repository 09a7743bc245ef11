/* Bytes that become more: from a beginning on the stack, or from nothing, to as many as there are. */

#ifndef WUNDR_BLOCK_H
#define WUNDR_BLOCK_H

#include <Python.h>
#include <string.h>

/* Whoever made it frees `grown` in the end. */
typedef struct {
    char *begin;
    Py_ssize_t size, room;
    char *grown; /* NULL while it is where it began */
} Block;

/* Room for more than there was; -1 with MemoryError. */
static int
move_block(Block *block, Py_ssize_t bytes)
{
    Py_ssize_t room = (block->size + bytes) * 2;
    char *grown = PyMem_Realloc(block->grown, (size_t)room);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (block->grown == NULL && block->size > 0) {
        memcpy(grown, block->begin, (size_t)block->size);
    }
    block->begin = block->grown = grown;
    block->room = room;
    return 0;
}

/* Where so many more bytes are to stand, which count from now on; NULL with MemoryError. */
static inline char *
grow(Block *block, Py_ssize_t bytes)
{
    if (bytes > PY_SSIZE_T_MAX / 4 - block->size) {
        PyErr_NoMemory();
        return NULL;
    }
    if (bytes > block->room - block->size && move_block(block, bytes) < 0) {
        return NULL;
    }
    char *at = block->begin + block->size;
    block->size += bytes;
    return at;
}

/* What was grown too far ends here. */
static inline void
end_at(Block *block, const char *at)
{
    block->size = at - block->begin;
}

#endif
