// SPDX-License-Identifier: Apache-2.0
// Authentication in configuration files: "authentication": "off" | "accept" | "require", "keys": [{"id", "file"}].
#pragma once
#include "agent/authentication.hpp"
#include "splitnve/host/config.hpp"

namespace splitnve::daemon {

/// 32 octets of the kernel's random numbers (getrandom(2)); waits until it has some.
std::array<std::uint8_t, 32> random_secret();

/// Reads `authentication` and `keys` of a port or uplink, the key files included. Complains if there are no keys though
/// it is not off, unless there are `others`.
agent::AuthenticationPolicy read_authentication(const host::ConfigNode& node, bool others = false);
/// Reads `keys`; the first signs. Null if there are none.
std::shared_ptr<const auth::KeyRing> read_keys(const host::ConfigNode& node);
/// A key from a file of 64 hexadecimal digits that only its owner may read. Errors, in words that say what to do:
/// missing, no regular file, usable by others, other content.
Result<auth::Key> load_key(auth::KeyId id, const std::string& path);

}  // namespace splitnve::daemon
