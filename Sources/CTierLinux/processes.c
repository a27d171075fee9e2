#include "retry.h"

#include "processes.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int tier_pidfd(int pid) { return (int)TIER_RETRY(syscall(SYS_pidfd_open, pid, 0)); }

int tier_pipe(int ends[2]) { return TIER_RETRY(pipe2(ends, O_CLOEXEC)); }

int tier_set_nonblocking(int fd) { return TIER_RETRY(fcntl(fd, F_SETFL, O_NONBLOCK)); }

int tier_name_thread(const char *name) { return -pthread_setname_np(pthread_self(), name); }

// The rest of a child's way to its program; only a failure returns, as an errno. System calls only, nothing that
// allocates or locks: after vfork the memory is the parent's.
static int execute(const struct tier_command *command) {
  int null = open("/dev/null", O_RDONLY);
  // Above 2 first, so that no dup2 overwrites a descriptor that is still needed.
  int output = fcntl(command->output, F_DUPFD, 3), errors = fcntl(command->errors, F_DUPFD, 3);
  if (null == -1 || output == -1 || errors == -1 || dup2(null, 0) == -1 || dup2(output, 1) == -1 ||
      dup2(errors, 2) == -1 || (command->directory && chdir(command->directory) == -1))
    return errno;
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
    for (int fd = 3; fd < 65536; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvpe(command->program, command->arguments, command->environment);
  return errno;
}

static _Noreturn void become(const struct tier_command *command, pid_t parent, volatile int *failure) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  *failure = execute(command);
  _exit(127);
}

int tier_spawn(const struct tier_command *command) {
  volatile int failure = 0;
  sigset_t all, before;
  sigfillset(&all);
  // No handler of the parent may run in the child, which shares its memory until exec.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  pid_t pid = vfork();
  if (pid == 0) become(command, parent, &failure);
  int error = pid == -1 ? errno : failure;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pid != -1 && error) tier_reap(pid);
  return error ? -error : pid;
}

int tier_spawn_detached(const struct tier_command *command) {
  int ends[2];
  int result = tier_pipe(ends);
  if (result < 0) return result;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = fork();
  if (pid == 0) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    setsid();
    // Its parent is gone at once: init's child, it is nobody's to wait for or to end with.
    pid_t program = fork();
    if (program > 0) _exit(0);
    int failure = program == -1 ? errno : execute(command);
    (void)!write(ends[1], &failure, sizeof failure);
    _exit(127);
  }
  int error = pid == -1 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(ends[1]);
  if (pid != -1) {
    tier_reap(pid);
    // Closed by a successful exec, with nothing in it.
    if (TIER_RETRY(read(ends[0], &result, sizeof result)) == sizeof result) error = result;
  }
  close(ends[0]);
  return -error;
}

int tier_reap(int pid) {
  int status = 0;
  int result = TIER_RETRY(waitpid(pid, &status, 0));
  if (result < 0) return result;
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
