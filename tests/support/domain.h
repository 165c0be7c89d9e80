/* Contexts in which all ranks of a test share one image, in every grid that they can form. */
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

/* for (each grid of all ranks) */
#define SUPPORT_FOR_GRIDS(rows)                                                                                        \
  for (PetscInt rows = 1; rows <= support_context.size; rows++)                                                        \
    if (support_context.size % rows == 0)

#endif
