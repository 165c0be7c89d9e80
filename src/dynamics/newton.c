#include "dynamics/newton.h"

#include "core/config.h"

#include <stdio.h>

/* Names that SNES and KSP read themselves, as far as people want them. */
static const char *const names[] = {
    "snes_type", "snes_max_it", "snes_linesearch_type", "snes_monitor", "snes_ksp_ew",
    "ksp_type",  "ksp_rtol",    "ksp_max_it",           "ksp_monitor",  "ksp_gmres_restart"};
static const char *const tolerance_names[] = {"snes_rtol", "snes_atol", "snes_stol"};

/* Of SNES, its line search and GMRES beside its basis, and the caller's two; as PETSc 3.18 makes them. */
enum { VECTORS_BESIDE_BASIS = 10 };

PetscErrorCode CordsNewtonCreate(MPI_Comm comm, const CordsNewtonDefaults *d, SNES *snes)
{
  KSP ksp;
  PC pc;

  PetscFunctionBegin;
  PetscCall(SNESCreate(comm, snes));
  PetscCall(SNESSetOptionsPrefix(*snes, d->prefix));
  PetscCall(SNESSetType(*snes, SNESNEWTONLS));
  PetscCall(SNESSetTolerances(*snes, 0, 0, 0, d->iterations, d->evaluations));
  PetscCall(SNESSetMaxLinearSolveFailures(*snes, d->linear_failures));
  PetscCall(SNESGetKSP(*snes, &ksp));
  PetscCall(KSPSetType(ksp, KSPGMRES));
  PetscCall(KSPGMRESSetRestart(ksp, d->restart));
  PetscCall(KSPSetTolerances(ksp, d->linear_tolerance, 0, PETSC_DEFAULT, d->linear_iterations));
  PetscCall(KSPGetPC(ksp, &pc));
  PetscCall(PCSetType(pc, PCNONE));
  PetscCall(SNESSetFromOptions(*snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Know(const char *prefix, size_t count, const char *const list[])
{
  PetscFunctionBegin;
  for (size_t i = 0; i < count; i++) {
    char option[96];
    snprintf(option, sizeof option, "-%s%s", prefix, list[i]);
    PetscCall(CordsConfigKnow(option));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Tell(const char *prefix, const char *part, const char *about, const char *example,
                           const char *page)
{
  char start[96];

  PetscFunctionBegin;
  snprintf(start, sizeof start, "-%s%s", prefix, part);
  PetscCall(CordsConfigSolver(start, about, example, page));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsNewtonConfigure(const CordsNewtonDefaults *d)
{
  SNES snes;

  PetscFunctionBegin;
  PetscCall(Tell(d->prefix, "snes_", "Newton's method", "linesearch_type basic", "SNESSetFromOptions"));
  PetscCall(Tell(d->prefix, "ksp_", "its linear systems", "type bcgs", "KSPSetFromOptions"));
  PetscCall(Know(d->prefix, PETSC_STATIC_ARRAY_LENGTH(names), names));
  if (d->own_tolerances) PetscCall(Know(d->prefix, PETSC_STATIC_ARRAY_LENGTH(tolerance_names), tolerance_names));
  PetscCall(CordsNewtonCreate(PETSC_COMM_SELF, d, &snes));
  PetscCall(SNESDestroy(&snes));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsNewtonVectors(const CordsNewtonDefaults *d, PetscInt *vectors)
{
  PetscBool has_basis;
  PetscInt restart = d->restart;
  SNES snes;
  KSP ksp;

  PetscFunctionBegin;
  PetscCall(CordsNewtonCreate(PETSC_COMM_SELF, d, &snes));
  PetscCall(SNESGetKSP(snes, &ksp));
  PetscCall(PetscObjectTypeCompareAny((PetscObject)ksp, &has_basis, KSPGMRES, KSPFGMRES, KSPLGMRES, ""));
  if (has_basis) PetscCall(KSPGMRESGetRestart(ksp, &restart));
  PetscCall(SNESDestroy(&snes));
  *vectors = restart + VECTORS_BESIDE_BASIS;
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsNewtonJacobianChanged(Mat jacobian)
{
  PetscFunctionBegin;
  PetscCall(MatAssemblyBegin(jacobian, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(jacobian, MAT_FINAL_ASSEMBLY));
  PetscFunctionReturn(PETSC_SUCCESS);
}
