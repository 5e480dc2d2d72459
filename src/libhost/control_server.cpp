// SPDX-License-Identifier: Apache-2.0
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "control_connection.hpp"
#include "control_parser.hpp"
#include "control_request.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/paths.hpp"

namespace splitnve::host {

using nlohmann::json;

namespace {

constexpr int kBacklog = 16;
constexpr unsigned kFolderMode = 0755;
constexpr std::size_t kPeerGroupsMax = 1024;

unexpected<Error> system_error(const std::string& what, const std::string& where, const std::string& remedy = "") {
  return unexpected<Error>(Error{what + ": " + std::strerror(errno), where, remedy});
}

Result<std::optional<gid_t>> group_id(const std::string& name) {
  if (name.empty()) return std::optional<gid_t>();
  errno = 0;
  const group* entry = getgrnam(name.c_str());
  if (entry == nullptr)
    return unexpected<Error>(Error{"no such group '" + name + "'", "control socket", "create it with groupadd"});
  return std::optional<gid_t>(entry->gr_gid);
}

ControlPeer peer_of(int fd) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  ControlPeer peer;
  peer.uid = static_cast<uid_t>(-1);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return peer;
  peer.uid = credentials.uid;
  peer.groups.resize(kPeerGroupsMax);
  length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &length) != 0) length = 0;
  peer.groups.resize(length / sizeof(gid_t));
  peer.groups.push_back(credentials.gid);
  return peer;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return unexpected<Error>(Error{
        "the path of the control socket must have 1 to " + std::to_string(sizeof(address.sun_path) - 1) + " octets",
        path, "configure a shorter path"});
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

/// Clears the way for bind(): a socket file whose daemon has died is removed, anything else stays.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode))
    return unexpected<Error>(Error{"there is a file that is no socket", path, "remove it or configure another path"});
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return system_error("cannot open a socket", path);
  const int code = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int cause = errno;
  ::close(probe);
  if (code == 0 || cause != ECONNREFUSED)
    return unexpected<Error>(Error{"another daemon listens on the control socket", path,
                                   "stop the other daemon of this instance, or give this one its own instance name"});
  if (unlink(path.c_str()) != 0) return system_error("cannot remove the stale control socket", path);
  return {};
}

Result<int> listen_on(const ControlOptions& options, std::optional<gid_t> group) {
  const auto address = address_of(options.path);
  if (!address) return unexpected<Error>(address.error());
  if (auto made = make_parent_folder(options.path, kFolderMode); !made) return unexpected<Error>(made.error());
  if (auto clear = remove_stale(options.path, *address); !clear) return unexpected<Error>(clear.error());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return system_error("cannot open a socket", options.path);
  const auto failed = [&](const char* what) {
    auto error = system_error(what, options.path, "check the folder's permissions");
    ::close(fd);
    return error;
  };
  // Nobody can connect before listen(), so mode and owner are right from the first client on.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0)
    return failed("cannot create the control socket");
  if (group && chown(options.path.c_str(), static_cast<uid_t>(-1), *group) != 0)
    return failed("cannot give the control socket to its group");
  if (chmod(options.path.c_str(), options.mode) != 0) return failed("cannot set the mode of the control socket");
  if (listen(fd, kBacklog) != 0) return failed("cannot listen on the control socket");
  return fd;
}

json success(const json& result) { return json{{"ok", true}, {"result", result}}; }

json failure(const Error& error) {
  return json{{"ok", false}, {"error", {{"what", error.what}, {"where", error.where}, {"remedy", error.remedy}}}};
}

json failure_without_id(const Error& error) {
  json line = failure(error);
  line["id"] = nullptr;
  return line;
}

}  // namespace

Access access_of(const ControlPeer& peer, uid_t own_uid, std::optional<gid_t> admin_group) {
  if (peer.uid == 0 || peer.uid == own_uid) return Access::kAdmin;
  if (!admin_group) return Access::kRead;
  const bool member = std::find(peer.groups.begin(), peer.groups.end(), *admin_group) != peer.groups.end();
  return member ? Access::kAdmin : Access::kRead;
}

struct Responder::Backend : ControlConnection::Owner, std::enable_shared_from_this<Responder::Backend> {
  struct Verb {
    Access needed = Access::kAdmin;
    std::function<void(const ControlRequest&, Responder)> handler;
    std::function<std::shared_ptr<void>(const json& args)> read;  ///< may be empty
  };
  explicit Backend(Loop& the_loop) : loop(the_loop) {}
  ~Backend() override {
    listener.reset();
    connections.clear();
    if (fd < 0) return;
    ::close(fd);
    unlink(path.c_str());
  }

  void on_connect();
  void on_line(ControlConnection& connection, std::string_view line) override;
  void on_oversize(ControlConnection& connection) override;
  void on_closed(ControlConnection& connection) override;
  ControlParser::Parsed read(std::string_view line) const;
  void serve(ControlConnection& connection, std::uint64_t asker, const ControlRequest& request);
  void serve_parsed(std::uint64_t asker, const ControlParser::Parsed& request);
  /// The connection that waits for this answer; nullptr when it has gone. The asker is then known no more.
  ControlConnection* take_asker(std::uint64_t asker);

  Loop& loop;
  std::string path;
  int fd = -1;
  std::optional<gid_t> admin_group;
  std::map<std::string, Verb, std::less<>> verbs;
  std::map<std::uint64_t, std::unique_ptr<ControlConnection>> connections;
  std::map<std::uint64_t, std::uint64_t> askers;  ///< asker -> connection
  std::uint64_t last_connection = 0;
  std::uint64_t last_asker = 0;
  ControlStats stats;
  std::unique_ptr<FdWatch> listener;
  ControlParser parser{loop, [this](std::string_view line) { return read(line); }};
};

void Responder::Backend::on_connect() {
  const int client = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  const std::uint64_t id = ++last_connection;
  const Access access = access_of(peer_of(client), geteuid(), admin_group);
  if (connections.size() < kControlConnectionsMax) {
    ++stats.accepted;
    connections.emplace(id, std::make_unique<ControlConnection>(loop, *this, id, client, access));
    return;
  }
  ++stats.refused;
  const std::string line = failure_without_id({"too many connections", path,
                                               "close some, there may be " + std::to_string(kControlConnectionsMax)})
                               .dump() +
                           "\n";
  [[maybe_unused]] const ssize_t ignored = send(client, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::close(client);
}

void Responder::Backend::on_closed(ControlConnection& connection) {
  std::erase_if(askers, [&](const auto& entry) { return entry.second == connection.id(); });
  // The connection is on the call stack: it goes in a turn of its own.
  loop.post([weak = weak_from_this(), id = connection.id()] {
    if (const auto self = weak.lock()) self->connections.erase(id);
  });
}

void Responder::Backend::on_oversize(ControlConnection& connection) {
  ++stats.oversize;
  connection.refuse_and_close(failure_without_id(
      {"request line is longer than " + std::to_string(kControlLineOctetsMax) + " octets", "request", ""}));
}

void Responder::Backend::on_line(ControlConnection& connection, std::string_view line) {
  const std::uint64_t asker = ++last_asker;
  askers.emplace(asker, connection.id());
  connection.begin(asker, nullptr);
  if (line.size() < kParsedAsideOctetsMin) return serve_parsed(asker, read(line));
  // The parser does not outlive the backend.
  parser.parse(std::string(line),
               [this, asker](const ControlParser::Parsed& request) { serve_parsed(asker, request); });
}

ControlParser::Parsed Responder::Backend::read(std::string_view line) const {
  auto request = parse_request(line);
  if (!request) return request;
  const auto verb = verbs.find(request->verb);
  if (verb != verbs.end() && verb->second.read) {
    request->reading = verb->second.read(request->args);
    request->args = nullptr;
  }
  return request;
}

/// The connection may have gone meanwhile.
void Responder::Backend::serve_parsed(std::uint64_t asker, const ControlParser::Parsed& request) {
  const auto entry = askers.find(asker);
  if (entry == askers.end()) return;
  ControlConnection& connection = *connections.at(entry->second);
  if (request) return serve(connection, asker, *request);
  ++stats.malformed;
  askers.erase(entry);
  connection.answer(asker,
                    failure({request.error(), "request", "send {\"id\":1,\"verb\":\"...\",\"args\":{}} in one line"}));
}

void Responder::Backend::serve(ControlConnection& connection, std::uint64_t asker, const ControlRequest& request) {
  ++stats.requests;
  connection.begin(asker, request.id);
  Responder responder(weak_from_this(), asker);
  const std::string& name = request.verb;
  const auto verb = verbs.find(name);
  if (verb == verbs.end()) return responder.fail({"unknown verb '" + name + "'", "verb", ""});
  if (verb->second.needed == Access::kAdmin && connection.access() != Access::kAdmin) {
    ++stats.denied;
    return responder.fail({"the verb '" + name + "' needs administrator rights", "verb",
                           "run it as root or as a member of the admin group"});
  }
  try {
    verb->second.handler(request, responder);
  } catch (const json::exception& error) {
    responder.fail({std::string("bad argument: ") + error.what(), "args", ""});
  }
}

ControlConnection* Responder::Backend::take_asker(std::uint64_t asker) {
  const auto entry = askers.find(asker);
  if (entry == askers.end()) return nullptr;
  const auto connection = connections.find(entry->second);
  askers.erase(entry);
  return connection == connections.end() ? nullptr : connection->second.get();
}

Responder::Responder(std::weak_ptr<Backend> backend, std::uint64_t asker)
    : backend_(std::move(backend)), asker_(asker) {}

void Responder::ok() { ok(json::object()); }

void Responder::ok(const json& result) {
  const auto backend = backend_.lock();
  if (auto* connection = backend ? backend->take_asker(asker_) : nullptr) connection->answer(asker_, success(result));
}

void Responder::fail(const Error& error) {
  const auto backend = backend_.lock();
  if (auto* connection = backend ? backend->take_asker(asker_) : nullptr) connection->answer(asker_, failure(error));
}

void Responder::stream(RowSource rows) { stream(std::move(rows), json::object()); }

void Responder::stream(RowSource rows, const json& result) {
  const auto backend = backend_.lock();
  if (auto* connection = backend ? backend->take_asker(asker_) : nullptr)
    connection->stream(asker_, std::move(rows), success(result));
}

ControlServer::ControlServer(std::shared_ptr<Responder::Backend> backend) : backend_(std::move(backend)) {}
ControlServer::~ControlServer() = default;

Result<std::unique_ptr<ControlServer>> ControlServer::open(Loop& loop, const ControlOptions& options) {
  const auto group = group_id(options.group);
  if (!group) return unexpected<Error>(group.error());
  const auto admin = group_id(options.admin_group);
  if (!admin) return unexpected<Error>(admin.error());
  const auto fd = listen_on(options, *group);
  if (!fd) return unexpected<Error>(fd.error());
  auto backend = std::make_shared<Responder::Backend>(loop);
  backend->path = options.path;
  backend->fd = *fd;
  backend->admin_group = *admin ? *admin : *group;
  backend->listener = std::make_unique<FdWatch>(loop, *fd, [raw = backend.get()] { raw->on_connect(); });
  backend->listener->want_read(true);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(backend)));
}

void ControlServer::add(const std::string& verb, Access needed, Handler handler) {
  backend_->verbs.insert_or_assign(
      verb,
      Responder::Backend::Verb{needed,
                               [handler = std::move(handler)](const ControlRequest& request, Responder responder) {
                                 handler(request.args, std::move(responder));
                               },
                               {}});
}

void ControlServer::add_read_erased(const std::string& verb, Access needed, Reader read,
                                    std::function<void(void* reading, Responder)> handle) {
  const auto handler = [handle = std::move(handle)](const ControlRequest& request, Responder responder) {
    handle(request.reading.get(), std::move(responder));
  };
  backend_->verbs.insert_or_assign(verb, Responder::Backend::Verb{needed, handler, std::move(read)});
}

void ControlServer::answer(const agent::Answer& answer) {
  Responder responder(backend_, answer.asker);
  if (answer.ok)
    responder.ok(answer.reason.empty() ? json::object() : json{{"reason", answer.reason}});
  else
    responder.fail({answer.reason, "", ""});
}

ControlStats ControlServer::stats() const { return backend_->stats; }

}  // namespace splitnve::host
