// SPDX-License-Identifier: Apache-2.0
// Preloaded into a daemon: one system call, the one that a shared file names, fails as the kernel would let it fail.
// The file (SPLITNVE_FAULTS) is a `Plan`; sweep.py writes it.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

/// In the order of CALLS in sweep.py.
enum Call : std::uint32_t {
  kNone,
  kOpen,
  kSocket,
  kAccept,
  kRecvmmsg,
  kSendmmsg,
  kSend,
  kRecv,
  kSendmsg,
  kRecvmsg,
  kWrite,
  kFsync,
  kBpf,
  kBind,
  kSetsockopt,
  kThread,
  kCalls
};

struct Plan {
  std::atomic<std::uint32_t> call;     ///< that fails
  std::atomic<std::uint32_t> after;    ///< so many of it that are well first
  std::atomic<std::uint32_t> failing;  ///< then so many that fail
  std::atomic<std::uint32_t> error;    ///< with this errno
  std::atomic<std::uint32_t> failed;   ///< so many have
};

Plan* plan() {
  static Plan* const shared = []() -> Plan* {
    const char* path = std::getenv("SPLITNVE_FAULTS");
    const long fd = path == nullptr ? -1 : ::syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return nullptr;
    void* memory = ::mmap(nullptr, sizeof(Plan), PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0);
    return memory == MAP_FAILED ? nullptr : static_cast<Plan*>(memory);
  }();
  return shared;
}

/// True if this one is to fail; errno is set then.
bool fails(Call call) {
  Plan* const now = plan();
  if (now == nullptr || now->call != call) return false;
  for (std::uint32_t left = now->after; left > 0;)
    if (now->after.compare_exchange_weak(left, left - 1)) return false;
  for (std::uint32_t left = now->failing; left > 0;) {
    if (!now->failing.compare_exchange_weak(left, left - 1)) continue;
    ++now->failed;
    errno = static_cast<int>(now->error.load());
    return true;
  }
  return false;
}

int open_at(const char* path, int flags, mode_t mode) {
  if (fails(kOpen)) return -1;
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define SPLITNVE_NEXT(function) static const auto real = next<decltype(function)>(#function)

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = static_cast<mode_t>(va_arg(more, unsigned));
  va_end(more);
  return open_at(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const auto mode = static_cast<mode_t>(va_arg(more, unsigned));
  va_end(more);
  return open_at(path, flags, mode);
}
int socket(int domain, int type, int protocol) {
  SPLITNVE_NEXT(socket);
  return fails(kSocket) ? -1 : real(domain, type, protocol);
}
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  SPLITNVE_NEXT(accept4);
  return fails(kAccept) ? -1 : real(fd, address, length, flags);
}
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  SPLITNVE_NEXT(recvmmsg);
  return fails(kRecvmmsg) ? -1 : real(fd, messages, count, flags, timeout);
}
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  SPLITNVE_NEXT(sendmmsg);
  return fails(kSendmmsg) ? -1 : real(fd, messages, count, flags);
}
ssize_t send(int fd, const void* octets, std::size_t count, int flags) {
  SPLITNVE_NEXT(send);
  return fails(kSend) ? -1 : real(fd, octets, count, flags);
}
ssize_t recv(int fd, void* octets, std::size_t count, int flags) {
  SPLITNVE_NEXT(recv);
  return fails(kRecv) ? -1 : real(fd, octets, count, flags);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  SPLITNVE_NEXT(sendmsg);
  return fails(kSendmsg) ? -1 : real(fd, message, flags);
}
ssize_t sendto(int fd, const void* octets, std::size_t count, int flags, const sockaddr* to, socklen_t length) {
  SPLITNVE_NEXT(sendto);
  return fails(kSendmsg) ? -1 : real(fd, octets, count, flags, to, length);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  SPLITNVE_NEXT(recvmsg);
  return fails(kRecvmsg) ? -1 : real(fd, message, flags);
}
ssize_t write(int fd, const void* octets, std::size_t count) {
  SPLITNVE_NEXT(write);
  return fails(kWrite) ? -1 : real(fd, octets, count);
}
ssize_t pwrite64(int fd, const void* octets, std::size_t count, off64_t at) {
  SPLITNVE_NEXT(pwrite64);
  return fails(kWrite) ? -1 : real(fd, octets, count, at);
}
int fsync(int fd) {
  SPLITNVE_NEXT(fsync);
  return fails(kFsync) ? -1 : real(fd);
}
int fdatasync(int fd) {
  SPLITNVE_NEXT(fdatasync);
  return fails(kFsync) ? -1 : real(fd);
}
int bind(int fd, const sockaddr* address, socklen_t length) {
  SPLITNVE_NEXT(bind);
  return fails(kBind) ? -1 : real(fd, address, length);
}
int setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  SPLITNVE_NEXT(setsockopt);
  return fails(kSetsockopt) ? -1 : real(fd, level, name, value, length);
}
long syscall(long number, ...) {
  static long (*const real)(long, ...) = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  va_list more;
  va_start(more, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(more, long);
  va_end(more);
  // The library's own calls come before any plan.
  if (number == SYS_bpf && fails(kBpf)) return -1;
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

}  // extern "C"
