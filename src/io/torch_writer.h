/* Named tensors as a file that torch.load reads (torch 1.6 or later, also with weights_only=True). */
#ifndef CORDS_IO_TORCH_WRITER_H
#define CORDS_IO_TORCH_WRITER_H

#include "io/tensors.h"

/* Write an OrderedDict of float32 tensors, one storage each, in the order given.  extra: pairs name, text, ended by
   NULL, for entries PREFIX/extra/NAME that PyTorch passes over; may be NULL.  Not collective: one rank calls.
   Errors (user): not writable, disk full; then nothing is left behind. */
PetscErrorCode CordsTorchWrite(const char *path, PetscInt count, const CordsTensor tensors[],
                               const char *const extra[]);

#endif
