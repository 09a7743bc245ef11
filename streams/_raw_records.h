/* Raw records, as records.py makes them. */

#ifndef WUNDR_RAW_RECORDS_H
#define WUNDR_RAW_RECORDS_H

#include <Python.h>

/* Fields of a RawRecord. */
enum { TOPIC, PARTITION, OFFSET, TIMESTAMP_MS, KEY, VALUE, HEADERS, FIELDS_OF_A_RECORD };

static inline PyObject *
field(PyObject *record, int place)
{
    return PyTuple_GET_ITEM(record, place);
}

static inline int
is_record(PyObject *object)
{
    return PyTuple_Check(object) && PyTuple_GET_SIZE(object) == FIELDS_OF_A_RECORD;
}

/* A list that is not changed by anybody meanwhile: a tuple of what a sequence holds. */
static inline PyObject *
fixed(PyObject *sequence)
{
    return PyTuple_CheckExact(sequence) ? Py_NewRef(sequence) : PySequence_Tuple(sequence);
}

#endif
