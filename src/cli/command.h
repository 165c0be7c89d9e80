/* What the author of a command fills in.  Add a line to commands.def. */
#ifndef CORDS_CLI_COMMAND_H
#define CORDS_CLI_COMMAND_H

#include "core/context.h"

typedef struct {
  const char *name;
  const char *about; /* one line for `cords -help` */
  const char *usage; /* what follows the name: "NAME -checkpoint F -output F" */
  /* 0. what cannot wait until MPI has started, which takes its time; may be NULL */
  void (*begin)(void);
  /* a second word after the command's name, before configure; NULL: the command takes none */
  void (*take_second)(const char *word);
  /* 1. configure: declare and read options, nothing else.  argument: the word after the command's name, or "". */
  PetscErrorCode (*configure)(CordsContext context, const char *argument);
  /* 3. run (2. is main's CordsConfigCheck).  exit_status is 0 on entry; CORDS_EXIT_STOPPED may be set. */
  PetscErrorCode (*run)(CordsContext context, int *exit_status);
} CordsCommandType;

#endif
