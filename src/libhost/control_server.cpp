// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>

#include "control_connection.hpp"
#include "control_parser.hpp"
#include "control_request.hpp"
#include "socket_rights.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/paths.hpp"

namespace splitnve::host {

using nlohmann::json;

namespace {

constexpr unsigned kFolderMode = 0755;
constexpr std::size_t kPeerGroupsMax = 1024;

unexpected<Error> system_error(const std::string& what, const std::string& where, const std::string& remedy = "") {
  return unexpected<Error>(Error{what + ": " + std::strerror(errno), where, remedy});
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

Result<int> listen_on(const ControlOptions& options, const std::vector<gid_t>& groups) {
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
  if (auto opened = open_to_groups(options.path, options.mode, groups); !opened) {
    ::close(fd);
    return unexpected<Error>(opened.error());
  }
  if (listen(fd, kControlBacklog) != 0) return failed("cannot listen on the control socket");
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
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend() override {
    listener.reset();
    connections.clear();
    for (const Waiting& one : waiting) ::close(one.fd);
    if (fd < 0) return;
    ::close(fd);
    unlink(path.c_str());
  }

  struct Waiting {
    int fd;
    uid_t uid;
    Access access;
  };
  void on_connect();
  bool is_own(uid_t uid) const { return uid == 0 || uid == own_uid; }
  bool has_place(uid_t uid) const;
  void serve_connection(const Waiting& client);
  void refuse_connection(const Waiting& client);
  /// Those that wait and for whom there is a place now, in the order in which they came.
  void take_waiting();
  void look();
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
  std::deque<Waiting> waiting;
  std::map<uid_t, std::size_t> served, parked;  ///< connections by user; none stands with 0
  std::size_t others = 0;                       ///< connections served of other users
  uid_t own_uid = geteuid();
  Duration idle_max = kControlIdleMax, stall_max = kControlStallMax;
  std::uint64_t last_connection = 0;
  std::uint64_t last_asker = 0;
  ControlStats stats;
  std::unique_ptr<FdWatch> listener;
  Timer next_look{loop, [this] { look(); }};
  ControlParser parser{loop, [this](std::string_view line) { return read(line); }};
};

namespace {

std::size_t count_of(const std::map<uid_t, std::size_t>& counts, uid_t uid) {
  const auto at = counts.find(uid);
  return at == counts.end() ? 0 : at->second;
}
void take_from(std::map<uid_t, std::size_t>& counts, uid_t uid) {
  const auto at = counts.find(uid);
  if (at != counts.end() && --at->second == 0) counts.erase(at);
}

}  // namespace

bool Responder::Backend::has_place(uid_t uid) const {
  if (is_own(uid)) return connections.size() - others < kControlOwnConnectionsMax;
  return others < kControlConnectionsMax && count_of(served, uid) < kControlConnectionsPerUserMax;
}

void Responder::Backend::on_connect() {
  const int client = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) {
    // No descriptor or memory now (accept(2)): whoever waits in the backlog waits until the next look.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) listener->want_read(false);
    return;
  }
  const ControlPeer peer = peer_of(client);
  const Waiting one{client, peer.uid, access_of(peer, own_uid, admin_group)};
  if (has_place(one.uid)) return serve_connection(one);
  if (!is_own(one.uid) &&
      (waiting.size() >= kControlWaitingMax || count_of(parked, one.uid) >= kControlWaitingPerUserMax))
    return refuse_connection(one);
  if (is_own(one.uid) && count_of(parked, one.uid) >= kControlOwnConnectionsMax) return refuse_connection(one);
  ++stats.waited;
  ++parked[one.uid];
  waiting.push_back(one);
}

void Responder::Backend::serve_connection(const Waiting& client) {
  const std::uint64_t id = ++last_connection;
  ++stats.accepted;
  ++served[client.uid];
  if (!is_own(client.uid)) ++others;
  connections.emplace(id, std::make_unique<ControlConnection>(loop, *this, id, client.fd, client.uid, client.access));
}

void Responder::Backend::refuse_connection(const Waiting& client) {
  ++stats.refused;
  const std::string line = failure_without_id({"too many connections of this user", path,
                                               "close some: " + std::to_string(kControlConnectionsPerUserMax) +
                                                   " are served at once, others wait"})
                               .dump() +
                           "\n";
  [[maybe_unused]] const ssize_t ignored = send(client.fd, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::close(client.fd);
}

void Responder::Backend::take_waiting() {
  for (auto one = waiting.begin(); one != waiting.end();) {
    if (!has_place(one->uid)) {
      ++one;
      continue;
    }
    take_from(parked, one->uid);
    serve_connection(*one);
    one = waiting.erase(one);
  }
}

void Responder::Backend::look() {
  const Instant now = Loop::now();
  std::vector<ControlConnection*> overdue;
  for (const auto& [id, connection] : connections)
    if (connection->is_overdue(now, idle_max, stall_max)) overdue.push_back(connection.get());
  stats.ended += overdue.size();
  for (ControlConnection* connection : overdue) connection->close();
  listener->want_read(true);
  next_look.arm(now + kControlLook);
}

void Responder::Backend::on_closed(ControlConnection& connection) {
  std::erase_if(askers, [&](const auto& entry) { return entry.second == connection.id(); });
  // The connection is on the call stack: it goes in a turn of its own.
  loop.post([weak = weak_from_this(), id = connection.id()] {
    const auto self = weak.lock();
    const auto at = self ? self->connections.find(id) : decltype(self->connections.find(id)){};
    if (!self || at == self->connections.end()) return;
    const uid_t uid = at->second->uid();
    take_from(self->served, uid);
    if (!self->is_own(uid)) --self->others;
    self->connections.erase(at);
    self->take_waiting();
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
  if (verb == verbs.end())
    return responder.fail({"unknown verb '" + name + "'", "verb",
                           "it belongs to the other daemon or to another version (vdpctl --help)"});
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
  std::vector<gid_t> groups;
  for (const auto& one : {*group, *admin})
    if (one) groups.push_back(*one);
  const auto fd = listen_on(options, groups);
  if (!fd) return unexpected<Error>(fd.error());
  auto backend = std::make_shared<Responder::Backend>(loop);
  backend->path = options.path;
  backend->fd = *fd;
  backend->admin_group = *admin;
  backend->listener = std::make_unique<FdWatch>(loop, *fd, [raw = backend.get()] { raw->on_connect(); });
  backend->listener->want_read(true);
  backend->idle_max = options.idle_max;
  backend->stall_max = options.stall_max;
  backend->next_look.arm(Loop::now() + kControlLook);
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
