// SPDX-License-Identifier: Apache-2.0
#include "keys.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace splitnve::daemon {
namespace {

constexpr std::size_t kDigits = 2 * auth::kKeyOctets;

unexpected<Error> refused(const std::string& path, const std::string& what, const std::string& advice) {
  return unexpected<Error>(Error{what, path, advice});
}

struct File {
  explicit File(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd;
};

/// Wiped at the end of scope: keys do not stay on the stack.
template <class Element, std::size_t size>
struct Wiped {
  Wiped() = default;
  ~Wiped() { ::explicit_bzero(octets.data(), sizeof(Element) * size); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  std::array<Element, size> octets{};
};

/// The users and groups of the units: root, who may run or check a daemon by hand, takes their keys as they do.
bool is_of_the_units(const char* name) { return std::strcmp(name, "nnved") == 0 || std::strcmp(name, "tnved") == 0; }

bool is_trusted_owner(uid_t owner) {
  if (owner == 0 || owner == ::geteuid()) return true;
  const passwd* user = ::geteuid() == 0 ? ::getpwuid(owner) : nullptr;
  return user != nullptr && is_of_the_units(user->pw_name);
}

bool is_daemons_group(gid_t group_id) {
  if (::geteuid() != 0) return group_id == ::getegid();
  const group* found = ::getgrgid(group_id);
  return found != nullptr && is_of_the_units(found->gr_name);
}

/// A key of root's that the daemon's own group may read: the daemon need not own what it only reads.
bool is_lent_by_root(const struct stat& about) {
  return about.st_uid == 0 && (about.st_mode & 037) == 0 && is_daemons_group(about.st_gid);
}

std::string how_to_lend(const std::string& path) {
  const group* own = ::geteuid() == 0 ? nullptr : ::getgrgid(::getegid());
  return own == nullptr ? "chmod 0600 " + path
                        : std::string("chown root:") + own->gr_name + " " + path + " && chmod 0640 " + path;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::array<std::uint8_t, 32> random_secret() {
  std::array<std::uint8_t, 32> secret{};
  ssize_t got = -1;
  do got = ::getrandom(secret.data(), secret.size(), 0);
  while (got < 0 && errno == EINTR);
  ensure(got == static_cast<ssize_t>(secret.size()), "the kernel has random numbers");
  return secret;
}

Result<auth::Key> load_key(auth::KeyId id, const std::string& path) {
  const File file(path);
  struct stat about{};
  if (file.fd < 0 || ::fstat(file.fd, &about) != 0)
    return refused(path, std::string("the key cannot be read: ") + std::strerror(errno),
                   errno == EACCES ? how_to_lend(path) : "make one: (umask 077; openssl rand -hex 32 > " + path + ")");
  if (!S_ISREG(about.st_mode)) return refused(path, "the key is no regular file", "name a file");
  if ((about.st_mode & 077) != 0 && !is_lent_by_root(about))
    return refused(path, "others than its owner may use the key", how_to_lend(path) + ", and make a new key");
  if (!is_trusted_owner(about.st_uid))
    return refused(path, "the key is another user's", "chown root " + path + ", and make a new key");
  // One octet more than a key with its line end, to see what is too long.
  Wiped<char, kDigits + 2> wiped_text;
  auto& text = wiped_text.octets;
  const ssize_t got = ::read(file.fd, text.data(), text.size());
  const auto octets = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  Wiped<std::uint8_t, auth::kKeyOctets> wiped_secret;
  auto& secret = wiped_secret.octets;
  bool good = octets == kDigits || (octets == kDigits + 1 && text[kDigits] == '\n');
  for (std::size_t i = 0; good && i < secret.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    secret[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (!good) return refused(path, "the key is not 64 hexadecimal digits", "make one: openssl rand -hex 32");
  return auth::Key(id, secret);
}

std::shared_ptr<const auth::KeyRing> read_keys(const host::ConfigNode& node) {
  std::vector<auth::Key> keys;
  for (const auto& item : node.array("keys")) {
    const auth::KeyId id(static_cast<std::uint16_t>(item.u32("id", 0, 65535)));
    const std::string path = item.text("file");
    if (std::any_of(keys.begin(), keys.end(), [id](const auth::Key& key) { return key.id == id; })) {
      item.refuse("id", "an id that no other key here has");
    } else if (auto key = load_key(id, path); !key) {
      item.refuse("file", "a usable key file; " + key.error().to_string());
    } else {
      keys.push_back(std::move(*key));
    }
  }
  return keys.empty() ? nullptr : std::make_shared<const auth::KeyRing>(std::move(keys));
}

agent::AuthenticationPolicy read_authentication(const host::ConfigNode& node, bool others) {
  static const std::vector<std::string> kModes{"off", "accept", "require"};
  agent::AuthenticationPolicy policy;
  policy.mode = static_cast<auth::Mode>(node.choice("authentication", kModes, 0));
  policy.keys = read_keys(node);
  if (policy.mode != auth::Mode::kOff && !policy.keys && !others)
    node.refuse("keys", "at least one key, since authentication is not off");
  return policy;
}

}  // namespace splitnve::daemon
