/* One stage of training: a network, which of its tensors learn, and the gradient of its loss.  SPEC section 2.

   The five stages are described in stages/; the loop over batches is trainer.c. */
#ifndef CORDS_TRAIN_STAGE_H
#define CORDS_TRAIN_STAGE_H

#include "data/image_queue.h"
#include "dynamics/steady_state.h"
#include "train/optimizer.h"
#include "train/plan.h"

enum { CORDS_LOSS_STEPS_MAX = 64, CORDS_TRANSIENT_STEPS_MAX = 16 };

/* What a batch tells about the network; sums over ranks give the values of the whole batch.  All doubles, so that they
   are added as one array. */
typedef struct {
  double loss;                         /* the number that is differentiated */
  double accuracy;                     /* at the last step of the stimulus, or of the CNN */
  double loss_t[CORDS_LOSS_STEPS_MAX]; /* cross-entropy at each of the last steps of the stimulus */
  double accuracy_t[CORDS_LOSS_STEPS_MAX];
  double spontaneous;               /* S: distance from the spontaneous state after the return */
  double errors[CORDS_AREAS_MAX];   /* E_i of stage 2 */
  double spectral[CORDS_AREAS_MAX]; /* R_i of stage 2 */
  /* gradient through the equilibrium */
  double transient;        /* E of train/equilibrium.h */
  double unsettled;        /* share of images without a steady state */
  double forward_products; /* recurrent convolutions per image and area, to find the states */
  double adjoint_products; /* and for the gradient, weight gradients not counted */
} CordsMetrics;
enum { CORDS_METRICS_COUNT = sizeof(CordsMetrics) / sizeof(double) };

typedef enum { CORDS_SCHEDULE_CONSTANT, CORDS_SCHEDULE_ROUNDS, CORDS_SCHEDULE_ONE_CYCLE } CordsSchedule;

/* What the gradient of a stage with time goes through. */
typedef enum {
  CORDS_GRADIENT_TIME,       /* every step of a trial: train/trial.h */
  CORDS_GRADIENT_EQUILIBRIUM /* the steady state: train/equilibrium.h */
} CordsGradientKind;

typedef struct {
  CordsSteadyStateSettings solver;
  PetscReal transient_weight; /* 0: no transient */
  PetscInt transient_steps;
  PetscReal transient_step; /* their length, α */
} CordsEquilibriumSettings;

/* How a stage is trained; the paper's values are the defaults in stages/. */
typedef struct {
  PetscInt epochs;
  PetscInt batch;          /* images of a batch on all ranks together */
  PetscInt samples;        /* images per epoch, 0: all */
  PetscReal learning_rate; /* peak */
  CordsSchedule schedule;
  PetscInt rounds; /* schedule `rounds`: each a tenth of the rate before, warm-up at the start of each */
  PetscInt warmup; /* batches of linear warm-up from a third of the rate */
  CordsOptimizerKind optimizer;
  PetscBool new_optimizer; /* forget the moments at the start of each epoch */
  PetscReal weight_decay;
  PetscReal clip;
  PetscBool augment, mix;
  /* stages with time: SPEC section 2, stages 3 to 5 */
  PetscInt loss_steps;               /* last steps of the stimulus that count */
  PetscReal spontaneous_weight;      /* of S; 0: no return phase */
  PetscReal slope_start, slope_step; /* stage 4: slope = max(0, start − step · epoch) */
  CordsRolloutSettings rollout;      /* the same for all stages */
  CordsLoading loading;              /* the same, too */
  CordsGradientKind gradient;
  CordsEquilibriumSettings equilibrium;
} CordsStageSettings;

typedef struct _p_CordsStage *CordsStage;

/* Names and one line each of all stages in the paper's order. */
PetscErrorCode CordsStageList(PetscInt *count, const char *const **names, const char *const **abouts);

/* The form of the network that a stage (index into the list) trains. */
CordsForm CordsStageForm(PetscInt index);

/* Whether each of the stages can start from what the one before it ends with.  Errors (user): -stages. */
PetscErrorCode CordsStageCheckOrder(PetscInt count, const PetscInt stages[]);

/* Declare and read -<stage>_* options over the defaults of the stage (index into the list). */
PetscErrorCode CordsStageSettingsFromOptions(PetscInt index, CordsStageSettings *settings);
/* The paper's values. */
PetscErrorCode CordsStageSettingsDefault(PetscInt index, CordsStageSettings *settings);

/* Make a stage.  previous: the model the stage before ended with (borrowed during the call), NULL for a random start,
   or to have all values loaded afterwards (a restart).  batch_local: most images this rank will see at a time. */
PetscErrorCode CordsStageCreate(CordsContext context, PetscInt index, const CordsStageSettings *settings,
                                const CordsArchitecture *architecture, PetscInt batch_local, CordsModel previous,
                                PetscBool load, CordsStage *stage);
PetscErrorCode CordsStageDestroy(CordsStage *stage);

CordsModel CordsStageModel(CordsStage stage);
CordsModel CordsStageTarget(CordsStage stage); /* stage 2: the folded CNN; else NULL */
const char *CordsStageName(CordsStage stage);
const CordsStageSettings *CordsStageGetSettings(CordsStage stage);

/* How a batch is run, one line for the log; NULL if there is nothing to say.  PetscFree(*text) by the caller. */
PetscErrorCode CordsStageDescribe(CordsStage stage, char **text);

/* What a rollout is asked to do in an update of a stage (index into the list) with so many images; no steps where the
   stage has no time. */
CordsPlanTask CordsStageRun(PetscInt index, const CordsArchitecture *architecture, const CordsStageSettings *settings,
                            PetscInt batch);

/* What is done at a time; zero where there are no steps in time. */
CordsPlan CordsStagePlan(CordsStage stage);

/* True if the tensor learns in this stage. */
PetscBool CordsStageLearns(CordsStage stage, const char *tensor);

/* gradient [learnable_values], set to zero first, and metrics of this rank's n images of a batch of `total`.
   Collective (stage 1 normalises over all ranks). */
PetscErrorCode CordsStageGradient(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                                  const float *labels, float *gradient, CordsMetrics *metrics);

/* The same summed over all ranks, the gradient while it is computed (train/gradient_sum.h).  gradient and metrics are
   then those of the whole batch, equal on all ranks.  Collective. */
PetscErrorCode CordsStageGradientSum(CordsStage stage, PetscInt epoch, PetscInt n, PetscInt total, const float *images,
                                     const float *labels, float *gradient, CordsMetrics *metrics);

/* Learning rate of one update: `update` counts from 0 in the stage, of `updates` in all. */
double CordsStageLearningRate(const CordsStageSettings *settings, PetscInt64 update, PetscInt64 updates);

/* An optimiser for the stage's model. */
PetscErrorCode CordsStageOptimizer(CordsStage stage, CordsOptimizer *optimizer);

#endif
