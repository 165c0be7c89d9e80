/* A peer: another program that does the same work, started once and asked again and again.

   It is started as PYTHON SCRIPT FILE --threads N, reads one line per request from its standard input and answers each
   with one line of JSON on its standard output.  Errors of it stay on standard error. */
#ifndef CORDS_BENCH_PEER_PROCESS_H
#define CORDS_BENCH_PEER_PROCESS_H

#include "core/error.h"

typedef struct _p_CordsPeer *CordsPeer;

/* What an answer can hold; 0 where it does not. */
typedef struct {
  double seconds;
  double peak_bytes; /* largest resident set so far */
  double loss, gradient_norm;
  char versions[128]; /* what the peer runs on, in its words */
  PetscInt logit_count;
  double *logits; /* owned by the peer, until the next request */
} CordsPeerAnswer;

/* options: the user's are -<options>_python and -<options>_script.  Not collective.
   Errors (user): no such script, the interpreter cannot be started. */
PetscErrorCode CordsPeerStart(const char *options, const char *python, const char *script, const char *file,
                              PetscInt threads, CordsPeer *peer);

/* Ask and wait for the answer.  Errors (user): the peer has ended, or answers without a time. */
PetscErrorCode CordsPeerAsk(CordsPeer peer, const char *request, CordsPeerAnswer *answer);

/* Close its input and wait for its end. */
PetscErrorCode CordsPeerStop(CordsPeer *peer);

#endif
