#include "bench/table.h"

#include "core/log.h"

#include <stdio.h>

PetscErrorCode CordsBenchHeading(CordsBench bench, const char *heading)
{
  PetscFunctionBegin;
  if (bench->heading != heading) PetscCall(CordsLog(bench->context, "%s%s\n", bench->heading ? "\n" : "", heading));
  bench->heading = heading;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* What `amount` counts. */
static const char *Unit(const CordsMeasurement *m)
{
  const CordsLimit limit = m->limit;

  if (limit == CORDS_LIMIT_NONE || m->of_images) return "images";
  return limit == CORDS_LIMIT_MEMORY || limit == CORDS_LIMIT_FILE ? "GB" : "GFLOP";
}

static double Scale(const CordsMeasurement *m)
{
  return m->limit == CORDS_LIMIT_NONE || m->of_images ? 1 : 1e-9;
}

void CordsBenchAmountText(const CordsMeasurement *m, size_t length, char *text)
{
  snprintf(text, length, "%.3f %s", m->amount * Scale(m), Unit(m));
}

static PetscErrorCode PrintDry(CordsBench bench, const CordsMeasurement *m)
{
  char amount[32];

  PetscFunctionBegin;
  CordsBenchAmountText(m, sizeof amount, amount);
  PetscCall(CordsLog(bench->context, "%-10s %-54s %16s  limit: %s\n", m->benchmark, m->what, amount,
                     CordsLimitNames[m->limit]));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintPeer(CordsBench bench, const CordsMeasurement *m)
{
  char memory[48] = "";

  PetscFunctionBegin;
  if (m->memory_ratio > 0) snprintf(memory, sizeof memory, "; memory 1/%.1f of the peer's", m->memory_ratio);
  PetscCall(CordsLog(bench->context, "%-10s %-54s %6.2f x the peer, spread %.0f %%%s\n", m->benchmark, m->what,
                     m->ratio, 100 * m->spread, memory));
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintRate(CordsBench bench, const CordsMeasurement *m)
{
  static const char heading[] = "work                                                                           rate"
                                "   of limit  of BLAS  spread  by";
  char rate[32], ratio[16] = "-", gemm[16] = "-";

  PetscFunctionBegin;
  snprintf(rate, sizeof rate, "%.*f %s/s", m->limit == CORDS_LIMIT_FILE ? 2 : 1, m->amount * Scale(m) / m->median_s,
           Unit(m));
  if (m->ratio > 0) snprintf(ratio, sizeof ratio, "%.2f", m->ratio);
  if (m->gemm_ratio > 0) snprintf(gemm, sizeof gemm, "%.2f", m->gemm_ratio);
  PetscCall(CordsBenchHeading(bench, heading));
  PetscCall(CordsLog(bench->context, "%-10s %-54s %17s %10s %8s %5.0f %%  %s\n", m->benchmark, m->what, rate, ratio,
                     gemm, 100 * m->spread, m->backend));
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsBenchPrint(CordsBench bench, const CordsMeasurement *m)
{
  PetscFunctionBegin;
  if (bench->dry)
    PetscCall(PrintDry(bench, m));
  else if (m->limit == CORDS_LIMIT_PEER)
    PetscCall(PrintPeer(bench, m));
  else
    PetscCall(PrintRate(bench, m));
  PetscFunctionReturn(PETSC_SUCCESS);
}
