/* Find the command, start MPI and SLEPc, configure - check - run, end with the right exit status. */
#include "cli/command.h"
#include "core/config.h"
#include "core/registry.h"
#include "core/version.h"

#include <ctype.h>
#include <signal.h>
#include <slepcsys.h>
#include <stdio.h>
#include <string.h>

#define CORDS_COMMAND(name) extern const CordsCommandType cords_command_##name;
#include "cli/commands.def"
#undef CORDS_COMMAND

#define CORDS_COMMAND(name) &cords_command_##name,
static const CordsCommandType *const commands[] = {
#include "cli/commands.def"
};
#undef CORDS_COMMAND

enum { COMMAND_COUNT = PETSC_STATIC_ARRAY_LENGTH(commands), WORD_COUNT = 3 };

static void PrintUsage(void)
{
  printf("cords %s: training and analysis of convolutional recurrent networks\n\nusage: cords COMMAND [NAME] -option "
         "value ...\n\n",
         cords_version);
  for (int k = 0; k < COMMAND_COUNT; k++) printf("  %-10s %s\n", commands[k]->name, commands[k]->about);
  printf(
      "\ncords COMMAND -help lists the options of a command, cords COMMAND -help solvers those of its PETSc and SLEPc "
      "solvers.\n"
      "exit status: %d done, %d error in cords, %d error in input or options, %d stopped by SIGTERM, SIGUSR1 or "
      "-time_limit after saving\n",
      CORDS_EXIT_SUCCESS, CORDS_EXIT_INTERNAL, CORDS_EXIT_USER, CORDS_EXIT_STOPPED);
}

static PetscBool IsOption(const char *word)
{
  return (PetscBool)(word[0] == '-' && isalpha((unsigned char)word[word[1] == '-' ? 2 : 1]));
}

/* PETSc would answer -help with hundreds of its own options, so that word is changed before PETSc sees it.  The words
   before the first option are the command and its arguments.  *stray: a word that nobody would read. */
static void TakeWords(int *argc, char **argv, const char *words[WORD_COUNT], const char **stray)
{
  static char own_help[] = "-cords_help";
  int kept = 1, k = 1;

  for (int w = 0; w < WORD_COUNT; w++) words[w] = "";
  for (int w = 0; k < *argc && !IsOption(argv[k]); k++, w++) {
    if (w < WORD_COUNT)
      words[w] = argv[k];
    else
      *stray = argv[k];
  }
  for (int first = k; k < *argc; k++) {
    PetscBool help = (PetscBool)(!strcmp(argv[k], "-help") || !strcmp(argv[k], "--help") || !strcmp(argv[k], "-h"));
    if (k > first && !IsOption(argv[k]) && !IsOption(argv[k - 1])) *stray = argv[k];
    argv[kept++] = help ? own_help : argv[k];
  }
  *argc = kept;
  argv[kept] = NULL;
}

static PetscErrorCode FindCommand(const char *name, const CordsCommandType **command)
{
  const char *names[COMMAND_COUNT];
  PetscInt index;

  PetscFunctionBegin;
  for (int k = 0; k < COMMAND_COUNT; k++) names[k] = commands[k]->name;
  PetscCall(CordsRegistryFind("command", COMMAND_COUNT, names, name, &index));
  *command = commands[index];
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode PrintHelp(const CordsCommandType *command, const char *argument)
{
  char name[64], heading[256];

  PetscFunctionBegin;
  snprintf(name, sizeof name, "%s%s%s", command->name, argument[0] ? " " : "", argument);
  snprintf(heading, sizeof heading, "cords %s %s\n%s", command->name, command->usage, command->about);
  PetscCall(CordsConfigPrintHelp(name, heading));
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Before MPI starts; a word that is no command is found out afterwards. */
static void Begin(const char *name)
{
  for (int k = 0; k < COMMAND_COUNT; k++)
    if (!strcmp(commands[k]->name, name) && commands[k]->begin) commands[k]->begin();
}

static PetscErrorCode CheckStray(const char *stray)
{
  PetscFunctionBegin;
  CordsCheckUser(!stray, PETSC_COMM_WORLD,
                 "the word '%s' belongs to no option; options are written as -name value, lists as 1,2,3", stray);
  PetscFunctionReturn(PETSC_SUCCESS);
}

static PetscErrorCode Run(const char *const words[WORD_COUNT], const char *stray, int *exit_status)
{
  const CordsCommandType *command;
  CordsContextData context;

  PetscFunctionBegin;
  PetscCall(CheckStray(stray));
  PetscCall(FindCommand(words[0], &command));
  if (words[2][0] && !command->take_second) PetscCall(CheckStray(words[2]));
  if (words[2][0]) command->take_second(words[2]);
  PetscCall(CordsConfigBegin());
  PetscCall(CordsContextInitialize(PETSC_COMM_WORLD, &context));
  PetscCall(command->configure(&context, words[1]));
  if (CordsConfigHelp()) {
    PetscCall(PrintHelp(command, words[1]));
    PetscFunctionReturn(PETSC_SUCCESS);
  }
  PetscCall(CordsConfigCheck());
  PetscCall(command->run(&context, exit_status));
  PetscCall(CordsContextFinalize(&context));
  PetscFunctionReturn(PETSC_SUCCESS);
}

int main(int argc, char **argv)
{
  const char *words[WORD_COUNT], *stray = NULL;
  int exit_status = CORDS_EXIT_SUCCESS, rank = 0;
  PetscErrorCode ierr;
  char **all = argv;

  TakeWords(&argc, argv, words, &stray);
  Begin(words[0]);
  if (SlepcInitialize(&argc, &all, NULL, NULL)) return CORDS_EXIT_INTERNAL;
  signal(SIGPIPE, SIG_IGN); /* results go to files: nothing ends because nobody reads what is printed any more */
  if (MPI_Comm_rank(PETSC_COMM_WORLD, &rank) || CordsErrorHandlerPush()) return CORDS_EXIT_INTERNAL;
  if (!words[0][0]) {
    if (rank == 0) PrintUsage();
    exit_status = argc == 2 && !strcmp(argv[1], "-cords_help") ? CORDS_EXIT_SUCCESS : CORDS_EXIT_USER;
    ierr = PETSC_SUCCESS;
  } else {
    ierr = Run(words, stray, &exit_status);
  }
  if (ierr) {
    exit_status = CordsErrorExit(ierr);
    MPI_Finalize(); /* not PETSc's: objects left over from the error would only add noise */
    return exit_status;
  }
  PetscOptionsClear(NULL); /* nothing left to complain about: the options were checked */
  if (SlepcFinalize()) return CORDS_EXIT_INTERNAL;
  return exit_status;
}
