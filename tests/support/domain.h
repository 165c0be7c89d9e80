/* Contexts in which the ranks of a test share images: all of them one image, in every grid that they can form, or
   groups of them. */
#ifndef CORDS_TESTS_DOMAIN_H
#define CORDS_TESTS_DOMAIN_H

#include "support/support.h"

/* The context of a grid with grid_rows rows of all ranks; its ranks are those of support_context. */
static inline CordsContextData SupportDomain(PetscInt grid_rows)
{
  CordsContextData context = support_context;

  context.domain_comm = context.comm;
  context.domain_rank = context.rank;
  context.grid_rows = grid_rows;
  context.grid_columns = context.size / grid_rows;
  context.group_rank = 0;
  context.group_size = 1;
  return context;
}

/* All ranks as groups of neighbours that share a batch, each a grid with grid_rows rows; SupportGroupsFree at the end.
 */
static inline CordsContextData SupportGroups(PetscInt groups, PetscInt grid_rows)
{
  const int ranks = support_context.size / (int)groups;
  CordsContextData context = support_context;

  context.group_size = (PetscMPIInt)groups;
  context.group_rank = context.rank / ranks;
  context.domain_rank = context.rank % ranks;
  context.grid_rows = grid_rows;
  context.grid_columns = ranks / grid_rows;
  assert_int_equal(MPI_Comm_split(context.comm, context.group_rank, context.rank, &context.domain_comm), MPI_SUCCESS);
  return context;
}

static inline void SupportGroupsFree(CordsContextData *context)
{
  assert_int_equal(MPI_Comm_free(&context->domain_comm), MPI_SUCCESS);
}

/* for (each grid of all ranks) */
#define SUPPORT_FOR_GRIDS(rows)                                                                                        \
  for (PetscInt rows = 1; rows <= support_context.size; rows++)                                                        \
    if (support_context.size % rows == 0)

#endif
