/* What the files choice*.c share. */
#ifndef CORDS_CONV_CHOICE_PRIVATE_H
#define CORDS_CONV_CHOICE_PRIVATE_H

#include "conv/choice.h"

typedef struct {
  CordsConvShape shape;
  CordsType type;
  CordsConvOperation operation;
  CordsConvImages images;
  PetscInt threads;
  PetscInt backend; /* index in CordsConvBackendList */
  double ahead;     /* time of the next best ÷ time of this one, below 1 where a slower one was chosen because it is
                       lean; 0: no trial, or no clear times */
} CordsConvChoice;

enum { CORDS_CONV_CHOICES_MAX = 4096 };
typedef struct {
  PetscInt count;
  CordsConvChoice choices[CORDS_CONV_CHOICES_MAX];
} CordsConvChoiceTable;

/* --- choice_text.c: choices as lines --- */

extern const char *const CordsConvImagesNames[];

/* The choice with the same key, or NULL. */
CordsConvChoice *CordsConvChoiceLookUp(CordsConvChoiceTable *table, const CordsConvChoice *key);
/* Add, or replace the one of the same key.  A full table stays as it is. */
void CordsConvChoicePut(CordsConvChoiceTable *table, const CordsConvChoice *choice);
/* Lines of all choices; PetscFree by the caller. */
PetscErrorCode CordsConvChoiceTableText(const CordsConvChoiceTable *table, char **text);
/* Put the choices of the lines into the table.  Returns false at the first line that is not one, or has a number that
   no convolution has.  refused: how many lines name a backend that is not there or cannot do it; they are left out. */
PetscBool CordsConvChoiceTableParse(const char *text, CordsConvChoiceTable *table, PetscInt *refused);

/* --- choice_trial.c --- */

/* A later backend of backends.def is preferred only if it is this many times as fast. */
extern const double cords_conv_clearly_faster;

/* Measure all operations and numbers of images of one shape and type, with the present number of threads; the choices
   are put into the table: the fastest, or (lean) the first of backends.def that is lean, compared with the very first.
   Where there is only one to choose, it is put there without a trial.  Not collective. */
PetscErrorCode CordsConvChoiceMeasure(const CordsConvShape *shape, CordsType type, PetscBool lean,
                                      CordsConvChoiceTable *table);
/* The same without a trial: the first backend of backends.def, or the first that is lean. */
PetscErrorCode CordsConvChoiceOrder(const CordsConvShape *shape, CordsType type, PetscBool lean,
                                    CordsConvChoiceTable *table);

/* --- choice_cache.c: the file; called by one rank --- */

enum { CORDS_CONV_CACHE_NOTE_LENGTH = PETSC_MAX_PATH_LEN + 512 };

/* Path of the file of choices where none is named: $XDG_CACHE_HOME or $HOME/.cache, then cords/kernels.h5; empty if
   neither is set. */
void CordsConvCacheDefaultPath(char path[PETSC_MAX_PATH_LEN]);

typedef enum {
  CORDS_CONV_CACHE_ABSENT,
  CORDS_CONV_CACHE_GOOD,
  CORDS_CONV_CACHE_OTHER,   /* of another processor or version */
  CORDS_CONV_CACHE_DAMAGED, /* or no HDF5 file at all */
  CORDS_CONV_CACHE_FOREIGN  /* a good file that holds something else, or no file but a folder */
} CordsConvCacheState;

/* Put the choices of the file into the table if it is good.  note: a sentence without a full stop about a file that
   cannot be used, else empty. */
PetscErrorCode CordsConvCacheRead(const char *path, CordsConvChoiceTable *table, CordsConvCacheState *state,
                                  char note[CORDS_CONV_CACHE_NOTE_LENGTH]);

/* Add the choices of a table to those of the file, in one step: other processes see the old file or the new one.  What
   they wrote in between stays.  A damaged file is kept as PATH.damaged.  make_folders: those of the path that are
   missing.  note: why it could not be written, else empty. */
PetscErrorCode CordsConvCacheAdd(const char *path, PetscBool make_folders, const CordsConvChoiceTable *table,
                                 char note[CORDS_CONV_CACHE_NOTE_LENGTH]);

#endif
