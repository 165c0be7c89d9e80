#include "core/context.h"

#include "core/config.h"

#include <stdio.h>

PetscErrorCode CordsContextUncut(MPI_Comm comm, CordsContextData *context)
{
  PetscFunctionBegin;
  *context = (CordsContextData){.comm = comm, .domain_comm = PETSC_COMM_SELF, .grid_rows = 1, .grid_columns = 1};
  PetscCallMPI(MPI_Comm_rank(comm, &context->rank));
  PetscCallMPI(MPI_Comm_size(comm, &context->size));
  context->group_rank = context->rank;
  context->group_size = context->size;
  PetscFunctionReturn(PETSC_SUCCESS);
}

CordsContext CordsContextSelf(void)
{
  static CordsContextData self;

  self = (CordsContextData){.comm = PETSC_COMM_SELF,
                            .domain_comm = PETSC_COMM_SELF,
                            .size = 1,
                            .group_size = 1,
                            .grid_rows = 1,
                            .grid_columns = 1};
  return &self;
}

PetscErrorCode CordsContextCheckUncut(CordsContext context, const char *what)
{
  PetscFunctionBegin;
  CordsCheckUser(!CordsContextIsCut(context), context->comm,
                 "-domain_ranks %" PetscInt_FMT ": %s works on whole images; leave -domain_ranks and -domain_grid out",
                 context->grid_rows * context->grid_columns, what);
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The grid whose parts of a square map have the shortest borders: as square as the number allows, rows first. */
static void SquareGrid(PetscInt ranks, PetscInt *rows, PetscInt *columns)
{
  *columns = 1;
  for (PetscInt k = 1; k * k <= ranks; k++)
    if (ranks % k == 0) *columns = k;
  *rows = ranks / *columns;
}

static PetscErrorCode ReadGrid(MPI_Comm comm, PetscInt size, PetscInt *rows, PetscInt *columns)
{
  PetscInt ranks = 1;
  char grid[32] = "", rest;
  int given_rows, given_columns;

  PetscFunctionBegin;
  PetscCall(CordsOptionInt("-domain_ranks", "ranks that share the rows and columns of each image", "ranks", 1,
                           PETSC_MAX_INT, &ranks));
  PetscCall(CordsOptionString("-domain_grid", "how they share it, ROWSxCOLUMNS; standard: as square as can be",
                              sizeof grid, grid));
  SquareGrid(ranks, rows, columns);
  if (grid[0]) {
    CordsCheckUser(sscanf(grid, "%dx%d%c", &given_rows, &given_columns, &rest) == 2 && given_rows > 0 &&
                       given_columns > 0,
                   comm, "-domain_grid %s: it is ROWSxCOLUMNS, as 2x3", grid);
    CordsCheckUser(ranks == 1 || ranks == (PetscInt)given_rows * given_columns, comm,
                   "-domain_grid %s has %d ranks, -domain_ranks is %" PetscInt_FMT "; give one of them", grid,
                   given_rows * given_columns, ranks);
    *rows = given_rows;
    *columns = given_columns;
  }
  ranks = *rows * *columns;
  CordsCheckUser(CordsConfigHelp() || size % ranks == 0, comm,
                 "%" PetscInt_FMT " ranks share an image (-domain_ranks, -domain_grid), but %" PetscInt_FMT
                 " ranks cannot be split into groups of so many; start a multiple of %" PetscInt_FMT,
                 ranks, size, ranks);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsContextInitialize(MPI_Comm comm, CordsContextData *context)
{
  PetscInt seed = 1, ranks;

  PetscFunctionBegin;
  PetscCall(CordsContextUncut(comm, context));
  PetscCall(CordsOptionInt("-seed", "key of every random number of the run", "", 0, PETSC_MAX_INT, &seed));
  context->seed = (uint64_t)seed;
  PetscCall(ReadGrid(comm, context->size, &context->grid_rows, &context->grid_columns));
  ranks = context->grid_rows * context->grid_columns;
  if (ranks == 1 || CordsConfigHelp()) PetscFunctionReturn(PETSC_SUCCESS);
  context->group_rank = context->rank / (PetscMPIInt)ranks;
  context->group_size = context->size / (PetscMPIInt)ranks;
  PetscCallMPI(MPI_Comm_split(comm, context->group_rank, context->rank, &context->domain_comm));
  PetscCallMPI(MPI_Comm_rank(context->domain_comm, &context->domain_rank));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsContextFinalize(CordsContextData *context)
{
  PetscFunctionBegin;
  if (context->domain_comm != PETSC_COMM_SELF) PetscCallMPI(MPI_Comm_free(&context->domain_comm));
  PetscFunctionReturn(PETSC_SUCCESS);
}
