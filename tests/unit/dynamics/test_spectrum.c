/* Rightmost eigenpairs: against LAPACK, against a closed form, of the areas against the whole system. */
#include "dynamics/spectrum.h"
#include "dynamics/fixed_point.h"
#include "support/lapack.h"
#include "support/tiny.h"

#include <math.h>

static CordsSpectrumSettings settings;

static int ReadSettings(void **state)
{
  SupportCall(CordsSpectrumConfigure(&settings));
  assert_true(settings.count == 20 && settings.tolerance == 1e-8);
  return 0;
}

/* Linearised where 100 Euler steps lead: near the fixed point, sparse. */
static CordsProblem Make(const char *phi, float gain, CordsModel *model)
{
  float image[TINY_IMAGE_ROWS * TINY_IMAGE_COLUMNS];
  CordsProblem problem;
  double *r;

  *model = TinyModel(phi, gain);
  TinyImage(5, image);
  SupportCall(CordsProblemCreate(*model, &problem));
  SupportCall(CordsProblemSetImage(problem, image));
  SupportCall(PetscCalloc1(CordsProblemSize(problem, CORDS_ALL_AREAS), &r));
  SupportCall(CordsProblemEuler(problem, CORDS_ALL_AREAS, 100, r));
  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  SupportCall(PetscFree(r));
  return problem;
}

static void Free(CordsProblem *problem, CordsModel *model)
{
  SupportCall(CordsProblemDestroy(problem));
  SupportCall(CordsModelDestroy(model));
}

static void CheckSorted(const CordsSpectrum *spectrum)
{
  for (PetscInt k = 1; k < spectrum->count; k++)
    assert_true(spectrum->eigenvalues[k].re <= spectrum->eigenvalues[k - 1].re);
}

/* Against LAPACK, for a sparse and for full Jacobians, for every count up to all there are. */
static void AgainstLapack(void **state)
{
  static const char *const phis[] = {"relu", "tanh"};
  static const PetscInt counts[] = {1, 2, 20, 96, 1000};

  for (size_t k = 0; k < PETSC_STATIC_ARRAY_LENGTH(phis); k++) {
    CordsModel model;
    CordsProblem problem = Make(phis[k], 1.5F, &model);
    for (PetscInt area = CORDS_ALL_AREAS; area < 3; area++) {
      PetscInt n = CordsProblemSize(problem, area);
      double *dense = malloc((size_t)(n * n) * sizeof *dense);
      CordsEigenvalue *expected = malloc((size_t)n * sizeof *expected);
      SupportCall(CordsProblemDense(problem, area, dense));
      LapackEigenvalues(n, dense, expected);
      for (size_t c = 0; c < PETSC_STATIC_ARRAY_LENGTH(counts); c++) {
        CordsSpectrum spectrum;
        settings.count = counts[c];
        SupportCall(CordsSpectrumSolve(problem, area, &settings, 1, 0, &spectrum));
        assert_true(spectrum.reason > 0);
        assert_int_equal(spectrum.count, PetscMin(counts[c], n));
        assert_int_equal(spectrum.converged, spectrum.count);
        for (PetscInt i = 0; i < spectrum.count; i++) assert_true(spectrum.residuals[i] <= 1e-11);
        CheckSorted(&spectrum);
        LapackCompareRightmost(phis[k], spectrum.count, spectrum.eigenvalues, n, expected, 1e-9);
        SupportCall(CordsSpectrumDestroy(&spectrum));
      }
      free(dense);
      free(expected);
    }
    Free(&problem, &model);
  }
  settings.count = 20;
}

/* The areas' spectra together are the whole system's. */
static void BlockAndWhole(void **state)
{
  CordsModel model;
  CordsProblem problem = Make("relu", 2, &model);
  CordsEigenvalue all[60];
  CordsSpectrum spectrum;
  PetscInt count = 0;

  for (PetscInt area = 0; area < 3; area++) {
    SupportCall(CordsSpectrumSolve(problem, area, &settings, 1, 0, &spectrum));
    for (PetscInt k = 0; k < spectrum.count; k++) all[count++] = spectrum.eigenvalues[k];
    SupportCall(CordsSpectrumDestroy(&spectrum));
  }
  SupportCall(CordsEigenvaluesSort(count, all, NULL));
  SupportCall(CordsSpectrumSolve(problem, CORDS_ALL_AREAS, &settings, 1, 0, &spectrum));
  assert_int_equal(spectrum.count, 20);
  assert_true(CordsEigenvaluesDifference(20, spectrum.eigenvalues, count, all) <= 1e-8);
  SupportCall(CordsSpectrumDestroy(&spectrum));
  Free(&problem, &model);
}

/* No active neuron: everything is −τ/τ_i, with left eigenvectors. */
static void NothingActive(void **state)
{
  static const double expected[] = {-1, -0.5, -2};
  CordsModel model = TinyModel("relu", 1);
  CordsProblem problem;
  CordsSpectrum spectrum;
  double *r;

  for (PetscInt i = 0; i < 3; i++) {
    char name[32];
    snprintf(name, sizeof name, "conv_bias.%d", (int)i);
    for (PetscInt k = 0; k < CordsAreaNeurons(&model->architecture.areas[i]); k++)
      CordsModelValues(model, name)[k] = -1;
  }
  SupportCall(CordsProblemCreate(model, &problem));
  SupportCall(PetscCalloc1(CordsProblemSize(problem, CORDS_ALL_AREAS), &r));
  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  for (PetscInt area = CORDS_ALL_AREAS; area < 3; area++) {
    SupportCall(CordsSpectrumSolve(problem, area, &settings, 1, 0, &spectrum));
    assert_true(spectrum.count == 20 && spectrum.converged == 20 && spectrum.products == 0 && spectrum.reason > 0);
    for (PetscInt k = 0; k < spectrum.count; k++) {
      assert_true(spectrum.eigenvalues[k].re == (area < 0 ? -0.5 : expected[area]) && spectrum.eigenvalues[k].im == 0);
      assert_true(spectrum.residuals[k] == 0);
    }
    SupportCall(CordsSpectrumDestroy(&spectrum));
  }
  SupportCall(PetscFree(r));
  Free(&problem, &model);
}

/* The same on every rank and in every run, but a function of the seed. */
static void Reproducible(void **state)
{
  CordsModel model;
  CordsProblem problem = Make("relu", 1, &model);
  CordsSpectrum a, b, c;
  PetscInt different = 0;

  SupportCall(CordsSpectrumSolve(problem, 1, &settings, 1, 3, &a));
  SupportCall(CordsSpectrumSolve(problem, 1, &settings, 1, 3, &b));
  SupportCall(CordsSpectrumSolve(problem, 1, &settings, 2, 3, &c));
  for (PetscInt k = 0; k < a.count; k++) {
    assert_true(a.eigenvalues[k].re == b.eigenvalues[k].re && a.residuals[k] == b.residuals[k]);
    different += a.residuals[k] != c.residuals[k];
  }
  assert_true(different > 0);
  SupportCall(CordsSpectrumDestroy(&a));
  SupportCall(CordsSpectrumDestroy(&b));
  SupportCall(CordsSpectrumDestroy(&c));
  Free(&problem, &model);
}

/* A solver that gives up early: fewer pairs, and it says so. */
static void GivesUp(void **state)
{
  CordsModel model;
  CordsProblem problem = Make("tanh", 1, &model);
  CordsSpectrum spectrum;

  SupportCall(PetscOptionsSetValue(NULL, "-stability_eps_max_it", "1"));
  SupportCall(PetscOptionsSetValue(NULL, "-stability_eps_ncv", "22"));
  SupportCall(CordsSpectrumSolve(problem, CORDS_ALL_AREAS, &settings, 1, 0, &spectrum));
  SupportCall(PetscOptionsClearValue(NULL, "-stability_eps_max_it"));
  SupportCall(PetscOptionsClearValue(NULL, "-stability_eps_ncv"));
  assert_true(spectrum.reason < 0);
  assert_true(spectrum.count < 20);
  SupportCall(CordsSpectrumDestroy(&spectrum));
  Free(&problem, &model);
}

/* --- a closed form: M ⊗ [a b a] ⊗ [c d c] with zero padding, all neurons active --- */

enum { ROWS = 26, COLUMNS = 22, CHANNELS = 2, NEURONS = ROWS * COLUMNS * CHANNELS };

/* Every row of v has a norm that is exact in float32 (5 · 3 · 9 over powers of 2), so that weight normalisation does
   not spoil the kernel. */
static const double across_rows[3] = {2.0 / 8, 1.0 / 8, 2.0 / 8}, across_columns[3] = {4.0 / 16, 7.0 / 16, 4.0 / 16};

static CordsModel KroneckerModel(const double m[CHANNELS][CHANNELS])
{
  char text[512];
  CordsArchitecture architecture;
  CordsModel model;

  snprintf(text, sizeof text,
           "classes: 2\nimage_channels: 1\narchitecture:\n  image_rows: %d\n  image_columns: %d\n  stem_kernel: 0\n"
           "  pool_kernel: 0\n  channels: [%d, %d]\n  phi: identity\n",
           ROWS, COLUMNS, CHANNELS, CHANNELS);
  SupportCall(CordsArchitectureFromText("Kronecker", text, &architecture));
  SupportCall(CordsModelCreate(&architecture, CORDS_FORM_RECURRENT, &model));
  for (PetscInt area = 0; area < 2; area++) {
    CordsTensor *g = &model->tensors[CordsModelConnectionTensor(model, architecture.recurrent[area])], *v = g + 1;
    float *next = v->data;
    for (int o = 0; o < CHANNELS; o++) {
      double norm = 0;
      for (int c = 0; c < CHANNELS; c++) {
        for (int i = 0; i < 3; i++) {
          for (int j = 0; j < 3; j++) {
            double w = m[o][c] * across_rows[i] * across_columns[j];
            *next++ = (float)w;
            norm += w * w;
          }
        }
      }
      g->data[o] = (float)sqrt(norm);
    }
  }
  return model;
}

/* −1 + μ (b + 2a cos(pπ/(H+1))) (d + 2c cos(qπ/(W+1))) for the eigenvalues μ of M */
static void KroneckerEigenvalues(const CordsEigenvalue mu[CHANNELS], CordsEigenvalue expected[NEURONS])
{
  PetscInt count = 0;

  for (int k = 0; k < CHANNELS; k++) {
    for (int p = 1; p <= ROWS; p++) {
      for (int q = 1; q <= COLUMNS; q++) {
        double factor = (across_rows[1] + 2 * across_rows[0] * cos(p * M_PI / (ROWS + 1))) *
                        (across_columns[1] + 2 * across_columns[0] * cos(q * M_PI / (COLUMNS + 1)));
        expected[count++] = (CordsEigenvalue){-1 + mu[k].re * factor, mu[k].im * factor};
      }
    }
  }
  SupportCall(CordsEigenvaluesSort(NEURONS, expected, NULL));
}

static void CheckKronecker(const double m[CHANNELS][CHANNELS], const CordsEigenvalue mu[CHANNELS])
{
  CordsModel model = KroneckerModel(m);
  CordsEigenvalue *expected = malloc(NEURONS * sizeof *expected);
  CordsProblem problem;
  CordsSpectrum spectrum;
  double *r;

  SupportCall(CordsProblemCreate(model, &problem));
  SupportCall(PetscCalloc1(CordsProblemSize(problem, CORDS_ALL_AREAS), &r));
  SupportCall(CordsProblemLinearise(problem, CORDS_ALL_AREAS, r));
  KroneckerEigenvalues(mu, expected);
  SupportCall(CordsSpectrumSolve(problem, 1, &settings, 1, 0, &spectrum));
  assert_int_equal(spectrum.count, 20);
  assert_int_equal(spectrum.converged, 20);
  LapackCompareRightmost("closed form", 20, spectrum.eigenvalues, NEURONS, expected, 1e-9);
  SupportCall(CordsSpectrumDestroy(&spectrum));
  SupportCall(PetscFree(r));
  free(expected);
  Free(&problem, &model);
}

static void ClosedForm(void **state)
{
  static const double symmetric[CHANNELS][CHANNELS] = {{3.0 / 4, 4.0 / 4}, {4.0 / 4, -3.0 / 4}};
  static const double rotation[CHANNELS][CHANNELS] = {{3.0 / 4, 4.0 / 4}, {-4.0 / 4, 3.0 / 4}};

  CheckKronecker(symmetric, (CordsEigenvalue[]){{5.0 / 4, 0}, {-5.0 / 4, 0}});
  CheckKronecker(rotation, (CordsEigenvalue[]){{3.0 / 4, 4.0 / 4}, {3.0 / 4, -4.0 / 4}});
}

/* What "agree" means. */
static void Difference(void **state)
{
  const CordsEigenvalue all[] = {{1, 0}, {0.5, 1}, {0.5, -1}, {0, 0}, {0, 0}, {-1, 0}};
  const CordsEigenvalue near[] = {{1, 1e-9}, {0.5, 1}, {0.5, -1}, {0, 0}};
  const CordsEigenvalue missed[] = {{1, 0}, {0, 0}, {0, 0}, {-1, 0}};
  const CordsEigenvalue twice[] = {{1, 0}, {1, 0}};

  assert_true(fabs(CordsEigenvaluesDifference(4, near, 6, all) - 1e-9) < 1e-15);
  assert_true(CordsEigenvaluesDifference(6, all, 6, all) == 0);
  assert_true(CordsEigenvaluesDifference(4, missed, 6, all) == 1.5); /* 0.5 ± i lie 1.5 right of the last */
  assert_true(CordsEigenvaluesDifference(2, twice, 6, all) == 1);    /* a partner is taken once: the next is 0 */
  assert_true(CordsEigenvaluesDifference(6, all, 4, near) == INFINITY);
  assert_true(CordsEigenvaluesDifference(0, all, 6, all) == 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(AgainstLapack), cmocka_unit_test(BlockAndWhole),
                                          cmocka_unit_test(NothingActive), cmocka_unit_test(Reproducible),
                                          cmocka_unit_test(GivesUp),       cmocka_unit_test(ClosedForm),
                                          cmocka_unit_test(Difference)};

static int RunAll(void)
{
  return cmocka_run_group_tests(tests, ReadSettings, NULL);
}

int main(int argc, char **argv)
{
  return SupportRun(argc, argv, RunAll);
}
