/* Records of a partition into the entries of a table, many at once: the common case of
 * viewing.py, claims.py, one_source.py and plain_events.py, and nothing else.
 *
 * Whatever is out of the ordinary is not judged here: None is returned, and Python looks at the
 * records one by one. So the only errors that leave this file are those of a fold, of a reader of
 * events, and of opening an entry.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_claims_class.h"
#include "_headers_class.h"
#include "_one_source.h"
#include "_plain_events.h"
#include "_viewing.h"

/* What native.py must speak; raised when arguments or results change. */
#define FOLDING_FORMAT 2

static PyMethodDef METHODS[] = {
    {"view", (PyCFunction)(void (*)(void))view, METH_FASTCALL,
     "The events of records; None where one must be looked at closer."},
    {"are_known", (PyCFunction)(void (*)(void))are_known, METH_FASTCALL,
     "Whether there is a reader for each record that has a value."},
    {NULL, NULL, 0, NULL},
};

/* Two numbers that nobody outside of this process knows, as the hashes of Python are. */
static int
choose_secret(void)
{
    uint64_t *const numbers[] = {&secret.low, &secret.high};
    for (int place = 0; place < 2; place++) {
        PyObject *text = PyUnicode_FromFormat("claims %d", place);
        Py_hash_t hash = text == NULL ? -1 : PyObject_Hash(text);
        Py_XDECREF(text);
        if (hash == -1) {
            return -1;
        }
        *numbers[place] = (uint64_t)hash;
    }
    return 0;
}

static int
fill_module(PyObject *module)
{
    return choose_secret() < 0 || PyModule_AddType(module, &HeadersType) < 0
           || PyModule_AddType(module, &ClaimsType) < 0
           || PyModule_AddType(module, &OneSourceEntriesType) < 0
           || PyModule_AddType(module, &PlainEventsType) < 0
           || PyModule_AddIntConstant(module, "FOLDING_FORMAT", FOLDING_FORMAT) < 0 ? -1 : 0;
}

static PyModuleDef_Slot MODULE_SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native_folding",
    .m_doc = "Events into the entries of a table; see streams/plain_events.py.",
    .m_size = 0,
    .m_methods = METHODS,
    .m_slots = MODULE_SLOTS,
};

PyMODINIT_FUNC
PyInit__native_folding(void)
{
    return PyModuleDef_Init(&MODULE);
}
