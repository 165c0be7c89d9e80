/* Pickles as data: containers, numbers and text, and nothing that runs.

   A pickle is a program for a stack machine.  Python's own reader looks up and calls any function that the program
   names, which is how a file of weights takes over a computer.  This one knows the few operations that PyTorch's
   protocol-2 pickles are made of, and a function that is called becomes a value "call of NAME with these arguments"
   which the caller of this reader may understand.  A name that is not on the caller's list is refused, by name, before
   the caller sees anything.  Also refused: unknown operations, values that contain themselves, nesting
   deeper than CORDS_PICKLE_DEPTH_MAX, more than CORDS_PICKLE_VALUES_MAX values, what is cut off or goes on after its
   end. Nothing here is collective. */
#ifndef CORDS_IO_PICKLE_H
#define CORDS_IO_PICKLE_H

#include "core/error.h"

enum { CORDS_PICKLE_DEPTH_MAX = 64, CORDS_PICKLE_VALUES_MAX = 1000000, CORDS_PICKLE_BYTES_MAX = 8 << 20 };

typedef enum {
  CORDS_PICKLE_NONE,
  CORDS_PICKLE_BOOL,      /* integer */
  CORDS_PICKLE_INT,       /* integer */
  CORDS_PICKLE_LARGE,     /* an integer of more than 64 bits; its value is not kept */
  CORDS_PICKLE_REAL,      /* real */
  CORDS_PICKLE_TEXT,      /* text, count bytes, not ended by 0 */
  CORDS_PICKLE_TUPLE,     /* items */
  CORDS_PICKLE_LIST,      /* items */
  CORDS_PICKLE_DICT,      /* items: key, value, key, value ...; count is twice the number of pairs */
  CORDS_PICKLE_NAME,      /* a function or type: text "module name" */
  CORDS_PICKLE_CALL,      /* items: the name, the tuple of its arguments */
  CORDS_PICKLE_PERSISTENT /* items: what the persistent id is */
} CordsPickleKind;

typedef struct {
  CordsPickleKind kind;
  int32_t count;    /* items, or bytes of text */
  int32_t capacity; /* of items; the reader's own */
  union {
    int64_t integer;
    double real;
    const char *text;
    int32_t *items; /* indices of values */
  } is;
} CordsPickleValue;

typedef struct {
  PetscInt count;
  CordsPickleValue *values;
  PetscInt root;
} CordsPickle;

/* Read a pickle of `length` bytes, which texts of the result point into (they must outlive it).  where: the file, for
   sentences.  allowed[0..count): the names that may occur, as "module name"; a call of "collections OrderedDict"
   becomes a dictionary.  Errors (user): see above.  CordsPickleFree by the caller. */
PetscErrorCode CordsPickleRead(const char *where, size_t length, const unsigned char *bytes, PetscInt allowed_count,
                               const char *const allowed[], CordsPickle *pickle);
PetscErrorCode CordsPickleFree(CordsPickle *pickle);

/* True if the value is this text or has this name. */
PetscBool CordsPickleIs(const CordsPickle *pickle, PetscInt value, CordsPickleKind kind, const char *text);

/* Text of a file for a sentence: at most `length` − 1 bytes, what cannot be printed as '?'. */
void CordsPicklePrintable(size_t count, const char *text, size_t length, char *printable);

#endif
