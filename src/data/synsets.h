/* The classes of ImageNet by the numbers of its development kit: which WordNet id has number 1, 2, ...  These numbers
   are an order of the kit alone; a class's index is its place in the sorted list of WordNet ids.

   Two kinds of files hold them:
     meta.mat   of the kit (MATLAB 5): a structure array `synsets` with the fields ILSVRC2012_ID and WNID
     text       lines "NUMBER WNID", what follows on a line is passed over */
#ifndef CORDS_DATA_SYNSETS_H
#define CORDS_DATA_SYNSETS_H

#include "data/dataset_file.h"

enum { CORDS_SYNSET_MAX = 1000 /* higher numbers of the kit are groups of classes */, CORDS_WNID_LENGTH = 10 };

typedef char CordsWnid[CORDS_WNID_LENGTH]; /* n and eight digits */

typedef struct {
  CordsWnid wnid[CORDS_SYNSET_MAX + 1]; /* [number]; empty: there is none */
  PetscInt index[CORDS_SYNSET_MAX + 1]; /* [number] of the class, 0 .. count−1; −1: there is none */
  PetscInt count;
  CordsWnid sorted[CORDS_SYNSET_MAX]; /* [index] */
} CordsSynsets;

/* Is it n and eight digits, then a zero? */
PetscBool CordsIsWnid(const char *text);

/* Read a file of either kind, by its ending.  Not collective.  Problems: unreadable, damaged, none in it, a number or
   an id twice. */
PetscErrorCode CordsSynsetsRead(const char *path, CordsSynsets *synsets, char problem[CORDS_DATASET_PROBLEM]);

#endif
