/* What the cases of all formats in tests/tables/test_datasets.c share. */
#ifndef CORDS_TESTS_SUPPORT_DATASET_CASES_H
#define CORDS_TESTS_SUPPORT_DATASET_CASES_H

#include "support/support.h"

#include "data/dataset.h"

/* The sentence must have the words and the folder of the file, and nothing may be left. */
static inline void ExpectErrorOf(const char *what, const char *name, const char *folder, CordsSplit split,
                                 const char *words)
{
  CordsDataset dataset = NULL;
  const char *sentence = SupportExpectUserError(CordsDatasetOpen(&support_context, name, folder, split, &dataset));

  if (!strstr(sentence, words) || !strstr(sentence, folder))
    fail_msg("%s, %s: '%s' has not '%s' or the name of the file", name, what, sentence, words);
  assert_null(dataset);
}

static inline void ExpectError(const char *what, const char *name, const char *folder, const char *words)
{
  ExpectErrorOf(what, name, folder, CORDS_SPLIT_TRAIN, words);
}

#endif
