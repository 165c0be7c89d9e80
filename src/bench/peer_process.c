#include "bench/peer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct _p_CordsPeer {
  pid_t process;
  FILE *requests, *answers;
  char command[2 * PETSC_MAX_PATH_LEN];
  char *line;
  size_t line_capacity;
  double *logits;
  PetscInt logit_capacity;
};

/* The peer's side of the fork: the other ends of the pipes become its standard input and output.  It ends with the
   program that asks, however that ends: a peer at work that nobody waits for would slow down what is measured next.
   Returns errno. */
static int Become(const char *const arguments[], int input, int output, pid_t parent)
{
  if (prctl(PR_SET_PDEATHSIG, SIGTERM)) return errno;
  if (getppid() != parent) return ESRCH;
  if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0) return errno;
  execvp(arguments[0], (char *const *)arguments);
  return errno;
}

/* Returns 0 or errno of what failed, on either side. */
static int Spawn(const char *const arguments[], int input, int output, pid_t *process)
{
  const pid_t parent = getpid();
  int failure[2], status = 0;

  if (pipe2(failure, O_CLOEXEC)) return errno;
  *process = fork();
  if (*process == 0) {
    status = Become(arguments, input, output, parent);
    _exit(write(failure[1], &status, sizeof status) > 0);
  }
  if (*process < 0) status = errno;
  close(failure[1]);
  if (*process > 0 && read(failure[0], &status, sizeof status) > 0) waitpid(*process, NULL, 0);
  close(failure[0]);
  return status;
}

PetscErrorCode CordsPeerStart(const char *options, const char *python, const char *script, const char *file,
                              PetscInt threads, CordsPeer *peer)
{
  char count[16];
  const char *const arguments[] = {python, script, file, "--threads", count, NULL};
  int requests[2], answers[2], status;
  CordsPeer p;

  PetscFunctionBegin;
  CordsCheckUser(access(script, R_OK) == 0, PETSC_COMM_SELF, "-%s_script %s: %s", options, script, strerror(errno));
  snprintf(count, sizeof count, "%d", (int)threads);
  PetscCall(PetscNew(&p));
  snprintf(p->command, sizeof p->command, "%s %s", python, script);
  PetscCheck(pipe2(requests, O_CLOEXEC) == 0, PETSC_COMM_SELF, PETSC_ERR_SYS, "no pipe: %s", strerror(errno));
  PetscCheck(pipe2(answers, O_CLOEXEC) == 0, PETSC_COMM_SELF, PETSC_ERR_SYS, "no pipe: %s", strerror(errno));
  status = Spawn(arguments, requests[0], answers[1], &p->process);
  close(requests[0]);
  close(answers[1]);
  p->requests = fdopen(requests[1], "w");
  p->answers = fdopen(answers[0], "r");
  if (status) p->process = 0;
  *peer = p;
  if (status) {
    PetscCall(CordsPeerStop(peer));
    CordsUserError(PETSC_COMM_SELF, "-%s_python %s: cannot be started: %s", options, python, strerror(status));
  }
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* The number after "name": in a line of JSON; 0 if there is none. */
static double Number(const char *line, const char *name)
{
  char key[64];
  const char *place;

  snprintf(key, sizeof key, "\"%s\":", name);
  place = strstr(line, key);
  return place ? strtod(place + strlen(key), NULL) : 0;
}

/* The text after "name": in a line of JSON, without anything escaped; "" if there is none. */
static void Text(const char *line, const char *name, size_t length, char *text)
{
  char key[64];
  const char *place;

  snprintf(key, sizeof key, "\"%s\": \"", name);
  place = strstr(line, key);
  snprintf(text, length, "%s", place ? place + strlen(key) : "");
  text[strcspn(text, "\"")] = 0;
}

/* All numbers of the nested lists after "logits":, in order. */
static PetscErrorCode Logits(CordsPeer peer, CordsPeerAnswer *answer)
{
  const char *place = strstr(peer->line, "\"logits\":");
  char *end;
  int depth = 0;

  PetscFunctionBegin;
  if (!place) PetscFunctionReturn(PETSC_SUCCESS);
  for (place += strlen("\"logits\":"); *place; place++) {
    depth += (*place == '[') - (*place == ']');
    if (*place == ']' && depth == 0) break;
    if (strchr(" ,[]", *place)) continue;
    if (answer->logit_count == peer->logit_capacity) {
      peer->logit_capacity = 2 * peer->logit_capacity + 1024;
      PetscCall(PetscRealloc((size_t)peer->logit_capacity * sizeof *peer->logits, &peer->logits));
    }
    peer->logits[answer->logit_count] = strtod(place, &end);
    if (end == place) break;
    answer->logit_count++;
    place = end - 1;
  }
  answer->logits = peer->logits;
  PetscFunctionReturn(PETSC_SUCCESS);
}

/* Write a line without dying of a peer that is not there any more. */
static void Send(CordsPeer peer, const char *request)
{
  void (*before)(int) = signal(SIGPIPE, SIG_IGN);

  fprintf(peer->requests, "%s\n", request);
  fflush(peer->requests);
  signal(SIGPIPE, before);
}

PetscErrorCode CordsPeerAsk(CordsPeer peer, const char *request, CordsPeerAnswer *answer)
{
  PetscFunctionBegin;
  memset(answer, 0, sizeof *answer);
  Send(peer, request);
  if (getline(&peer->line, &peer->line_capacity, peer->answers) <= 0) {
    CordsUserError(PETSC_COMM_SELF,
                   "%s: ended without an answer to '%s' (it needs Debian's python3-torch and python3-h5py, `bash "
                   "workflows/packages.sh bench`; and the memory for all steps: -peer_steps)",
                   peer->command, request);
  }
  peer->line[strcspn(peer->line, "\n")] = 0;
  answer->seconds = Number(peer->line, "seconds");
  answer->peak_bytes = Number(peer->line, "peak_bytes");
  answer->loss = Number(peer->line, "loss");
  answer->gradient_norm = Number(peer->line, "gradient_norm");
  Text(peer->line, "versions", sizeof answer->versions, answer->versions);
  PetscCall(Logits(peer, answer));
  CordsCheckUser(answer->seconds > 0, PETSC_COMM_SELF, "%s: answers '%s' without a time: %.60s", peer->command, request,
                 peer->line);
  PetscFunctionReturn(PETSC_SUCCESS);
}

PetscErrorCode CordsPeerStop(CordsPeer *peer)
{
  CordsPeer p = *peer;
  int status;

  PetscFunctionBegin;
  if (!p) PetscFunctionReturn(PETSC_SUCCESS);
  if (p->requests) fclose(p->requests);
  if (p->answers) fclose(p->answers);
  while (p->process && waitpid(p->process, &status, 0) < 0 && errno == EINTR) continue;
  free(p->line);
  PetscCall(PetscFree(p->logits));
  PetscCall(PetscFree(*peer));
  PetscFunctionReturn(PETSC_SUCCESS);
}
