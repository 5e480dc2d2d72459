// SPDX-License-Identifier: Apache-2.0
// How a daemon lives: store, agent, datapath, ports, control socket, in that order; the same for both.
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "audit.hpp"
#include "kernel_watch.hpp"
#include "process.hpp"
#include "settings.hpp"
#include "splitnve/host/audit_file.hpp"
#include "splitnve/host/bpf_switch.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/datapath.hpp"
#include "splitnve/host/driver.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"
#include "splitnve/host/store.hpp"
#include "splitnve/host/systemd.hpp"

namespace splitnve::daemon {

/// How long `drain` waits for the other side before it answers that something is left, and how often it looks.
inline constexpr Duration kDrainTime = std::chrono::seconds(10);
inline constexpr Duration kDrainLook = std::chrono::milliseconds(50);
/// How long lines of the log may take to leave before a start is refused.
inline constexpr Duration kLastWords = std::chrono::milliseconds(500);

struct PortName {
  PortId id;
  std::string interface_name;
  std::optional<MacAddress> group;  ///< listened to beside the link's own group addresses
};
using PortNames = std::vector<PortName>;

/// Finds the interface of each configured port and fills in its MAC address; one that is absent is waited for (S38).
/// Error: the datapath may not have it (S26), another instance serves it, or two of them are one interface.
template <class PortConfigs>
Result<PortNames> find_interfaces(PortConfigs& ports, datapath::PortRole role, const std::string& pin_root) {
  PortNames names;
  std::map<unsigned, std::string> known;
  for (auto& port : ports) {
    const auto link = host::find_link(port.interface_name);
    if (!link) return unexpected<Error>(link.error());
    if (*link) {
      if (const auto [other, fresh] = known.emplace((*link)->index, port.interface_name); !fresh)
        return unexpected<Error>(
            Error{other->second + " is another name of the same interface", port.interface_name, "configure it once"});
      if (auto fit = host::BpfSwitch::check_port(port.interface_name, role, pin_root); !fit) {
        host::BpfSwitch::claim_port(port.interface_name, pin_root);
        return unexpected<Error>(fit.error());
      }
      port.mac = (*link)->mac;
    }
    names.push_back({port.id, port.interface_name, port.announced_to()});
  }
  return names;
}

/// Owns everything around one agent. Call start(), then run(), which returns after SIGTERM, SIGINT or a removing drain;
/// unless that, what is pinned in the kernel goes on forwarding (S34).
template <class Agent>
class Runtime {
 public:
  using Publish = std::function<std::optional<agent::BatchResult>(agent::Publish)>;

  template <class Config>
  Runtime(const Settings& settings, Config config)
      : settings_(settings),
        log_(log_options(settings)),
        audit_file_(settings.audit),
        agent_(std::move(config), random_seed()),
        summary_(loop_, [this] { summarize(); }),
        recovery_(loop_, [this] { end_recovery(); }),
        drain_(loop_, [this] { look_at_drain(); }) {
    log_.set_tap([this](agent::Notice notice) { audit_file_.record(std::move(notice)); });
  }
  ~Runtime() { log_.set_tap({}); }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Store into agent, agent into datapath, then ports and control socket. An error is one line for the operator.
  Result<void> start(host::BpfSwitch::Config datapath, const PortNames& ports, Publish publish) {
    auto started = start_all(std::move(datapath), ports, std::move(publish));
    log_.flush(kLastWords);  // why it cannot start is the last line
    return started;
  }

  ExitStatus run() {
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}, [this](int number) { on_signal(number); });
    host::Watchdog watchdog(loop_);
    summarize();
    driver_->kick();
    log_.event(host::LogLevel::kInfo, "daemon.ready", {{"socket", settings_.control.path}}, "serving");
    forget_failed_starts(settings_);
    host::notify_ready("serving");
    loop_.run();
    host::notify_stopping();
    agent_.shut_down(host::Loop::now());
    driver_->finish();
    if (removed_) {
      log_.event(host::LogLevel::kInfo, "daemon.removed", {}, "drained; programs, pins and devices are gone");
      return ExitStatus::kRemoved;
    }
    log_.event(host::LogLevel::kInfo, "daemon.stopping", {}, "forwarding goes on without this process");
    return ExitStatus::kStopped;
  }

  /// An answer that `take` says it took goes to no asker of the control socket: for verbs that ask much at once.
  void on_answer(std::function<bool(const agent::Answer&)> take) { take_answer_ = std::move(take); }

  /// A plane of this daemon alone, such as its authority: adds what differs, or makes it right and counts that.
  using AuditPlane = std::function<void(AuditReport&, bool fix)>;
  void audit_also(AuditPlane plane) { audit_plane_ = std::move(plane); }

  /// The verb `audit {"fix"}`: rows of differences, then their number. The store's answer comes from its own thread.
  void add_audit_verb() {
    control_->add("audit", host::Access::kAdmin, [this](const nlohmann::json& args, host::Responder respond) {
      audit(args.value("fix", false), std::move(respond));
    });
  }

  /// How an agent drains: begins or ends it; has nothing left.
  struct Drain {
    std::function<void(bool on, bool removes)> set;
    std::function<bool()> done;
  };
  /// The verbs `drain {"remove"}`, answered when nothing is left or after kDrainTime, and `undrain` (S34).
  void add_drain_verbs(Drain drain) {
    drain_how_ = std::move(drain);
    control_->add("drain", host::Access::kAdmin, [this](const nlohmann::json& args, host::Responder respond) {
      draining_ = true;
      remove_when_drained_ = args.value("remove", false) || (remove_when_drained_ && !drain_asked_.empty());
      drain_asked_.push_back(std::move(respond));
      drain_ends_ = host::Loop::now() + kDrainTime;
      drain_how_.set(true, remove_when_drained_);
      driver_->kick();
      drain_.arm(host::Loop::now() + kDrainLook);
    });
    control_->add("undrain", host::Access::kAdmin, [this](const nlohmann::json&, host::Responder respond) {
      draining_ = remove_when_drained_ = false;
      drain_how_.set(false, false);
      driver_->kick();
      respond.ok();
    });
  }
  bool draining() const { return draining_; }

  Agent& agent() { return agent_; }
  host::Loop& loop() { return loop_; }
  host::Log& log() { return log_; }
  const host::AuditFile& audit_file() const { return audit_file_; }
  host::Datapath& datapath() { return *datapath_; }
  const KernelWatch& watch() const { return *watch_; }
  host::Driver<Agent>& driver() { return *driver_; }
  host::ControlServer& control() { return *control_; }

 private:
  Result<void> start_all(host::BpfSwitch::Config datapath, const PortNames& ports, Publish publish) {
    if (auto restored = restore(); !restored) return restored;
    if (auto opened = open_datapath(std::move(datapath)); !opened) return opened;
    driver_.emplace(loop_, log_, agent_, handlers(std::move(publish)));
    for (const auto& port : ports)
      if (auto opened = driver_->ports().open(port.id, port.interface_name, port.group); !opened) return opened;
    for (const auto& row : agent_.desired_rows().ports)
      if (row.role == datapath::PortRole::kVm) follow(row);
    for (const auto& port : ports)
      if (const auto link = driver_->ports().link(port.id); link && link->index == 0)
        log_.event(host::LogLevel::kWarning, "port.absent", {{"interface", port.interface_name}},
                   "there is no such interface; the others are served, and this one when it comes");
    watch_->start(driver_->ports());
    watch_strays();
    auto server = host::ControlServer::open(loop_, settings_.control);
    if (!server) return unexpected<Error>(server.error());
    control_ = std::move(*server);
    return {};
  }

  void watch_strays() {
    if constexpr (requires(Agent& agent, PortId port, Vid vid, Instant now) {
                    agent.handle_stray(port, vid, MacAddress(), now);
                  }) {
      const int fd = datapath_->strays_fd();
      if (fd < 0) return;
      strays_.emplace(loop_, fd, [this] {
        datapath_->drain_strays([this](const host::Stray& stray) {
          agent_.handle_stray(stray.port, stray.vid, stray.mac, host::Loop::now());
        });
        driver_->kick();
      });
      strays_->want_read(true);
    }
  }

  static host::LogOptions log_options(const Settings& settings) {
    host::LogOptions options;
    options.tag = settings.instance;
    options.level = settings.log_level;
    return options;
  }
  void on_signal(int number) {
    if (number == SIGTERM || number == SIGINT) return loop_.stop();
    log_.event(host::LogLevel::kWarning, "daemon.signal", {{"signal", std::string("SIG") + sigabbrev_np(number)}},
               "nothing was reloaded and nothing changed: a changed configuration takes effect by a restart");
  }
  Result<void> restore() {
    if (auto made = host::make_parent_folder(settings_.paths.store, 0750); !made) return made;
    if (auto made = host::make_parent_folder(settings_.control.path, 0755); !made) return made;
    std::error_code unknown;
    store_lost_ = settings_.recover_from_peers && !std::filesystem::exists(settings_.paths.store, unknown);
    std::vector<agent::StoreRecord> records;
    auto store = open_store(records);
    if (!store && settings_.recover_from_peers && host::Store::is_damage(store.error())) {
      const auto aside = host::Store::set_aside(settings_.paths.store);
      if (!aside) return unexpected<Error>(aside.error());
      log_.event(host::LogLevel::kWarning, "store.set_aside", {{"file", *aside}}, store.error().what);
      store_lost_ = true;
      store = open_store(records);
    }
    if (!store) return unexpected<Error>(store.error());
    store_empty_ = records.empty();
    const std::size_t unreadable = agent_.restore(records, host::Loop::now()) + damaged_;
    log_.event(host::LogLevel::kInfo, "store.restored",
               {{"records", std::to_string(records.size())}, {"unreadable", std::to_string(unreadable)}});
    store_ = std::make_unique<host::StoreThread>(std::move(*store), [this](std::vector<agent::BatchResult> results) {
      loop_.post([this, results = std::move(results)]() mutable {
        for (auto& result : results) driver_->answer(std::move(result));
      });
    });
    return {};
  }

  Result<std::unique_ptr<host::Store>> open_store(std::vector<agent::StoreRecord>& records) {
    records.clear();
    auto store = host::Store::open(settings_.paths.store);
    if (!store) return store;
    auto loaded = (*store)->load(
        [&](std::uint64_t key, Octets value) { records.push_back({key, OctetString(value.begin(), value.end())}); },
        [&](std::uint64_t key) {
          ++damaged_;
          log_.event(host::LogLevel::kError, "store.record_damaged", {{"record", agent::record_name(key)}});
        });
    if (!loaded) return unexpected<Error>(loaded.error());
    return store;
  }

  Result<void> open_datapath(host::BpfSwitch::Config config) {
    config.pin_root = settings_.paths.pins;
    auto opened = host::BpfSwitch::open(config);
    if (!opened) return unexpected<Error>(opened.error());
    datapath_ = std::move(*opened);
    watch_.emplace(loop_, log_, *datapath_, [this](PortId port) { return rows_of_port(port); });
    if (const auto recovering = recover(); !recovering || *recovering) return recovering.map([](bool) {});
    return reconcile("start");
  }

  /// True if the store is lost while the datapath holds what it should tell of, or the operator says that it is lost:
  /// a reconcile would then cut what the stations still use (S13). An agent without recovery never comes here.
  Result<bool> recover() {
    if constexpr (requires(Agent& agent, const datapath::Rows& rows, Instant now) { agent.recover(rows, true, now); }) {
      if (!store_empty_) return false;
      bind_ports();
      const auto found = datapath_->dump();
      if (!found) return unexpected<Error>(found.error());
      if (!store_lost_ && found->guards.empty() && found->access.empty()) return false;
      agent_.recover(*found, store_lost_, host::Loop::now());
      recovery_.arm(*agent_.recovery_ends());
      return true;
    }
    return false;
  }
  bool recovering() const {
    if constexpr (requires(const Agent& agent) { agent.recovery_ends(); }) return agent_.recovery_ends().has_value();
    return false;
  }
  void end_recovery() {
    if constexpr (requires(Agent& agent, Instant now) { agent.end_recovery(now); }) {
      agent_.end_recovery(host::Loop::now());
      if (auto done = reconcile("recovery over"); !done)
        log_.event(host::LogLevel::kError, "datapath.failed", {}, done.error().to_string());
      driver_->kick();
    }
  }
  void bind_ports() {
    datapath::Rows ports;
    ports.ports = agent_.desired_rows().ports;
    for (const auto& failure : datapath_->apply(BatchId(0), ports).failures)
      log_.event(host::LogLevel::kError, "datapath.failed", {{"row", std::to_string(failure.index)}}, failure.cause);
  }

  void look_at_drain() {
    const bool done = drain_how_.done();
    if (!done && host::Loop::now() < drain_ends_) return drain_.arm(host::Loop::now() + kDrainLook);
    if (drain_asked_.empty()) return loop_.stop();  // the answer has had its turn
    const bool removes = done && remove_when_drained_;
    const auto removed = removes ? datapath_->tear_down() : Result<void>();
    for (auto& asked : std::exchange(drain_asked_, {})) {
      if (removed)
        asked.ok({{"drained", done}, {"removed", removes}});
      else
        asked.fail(removed.error());
    }
    if (!removed) log_.event(host::LogLevel::kError, "datapath.failed", {}, removed.error().to_string());
    if (!removes || !removed) return;
    removed_ = true;
    drain_.arm(host::Loop::now() + kDrainLook);
  }

  Result<void> reconcile(const char* cause) {
    if (recovering()) return bind_ports(), Result<void>();
    const auto report = datapath_->reconcile(agent_.desired_rows());
    if (!report) return unexpected<Error>(report.error());
    // The pins outlived the store: somebody has put it away. What it knew does not come back by itself.
    const bool forgot = store_empty_ && report->removed != 0;
    log_.event(level_of(!forgot), "datapath.reconciled",
               {{"cause", cause},
                {"added", std::to_string(report->added)},
                {"changed", std::to_string(report->changed)},
                {"removed", std::to_string(report->removed)},
                {"unchanged", std::to_string(report->unchanged)},
                {"failed", std::to_string(report->failures.size())}},
               forgot ? "the state store is empty: what was forwarded before the start is closed" : "");
    for (const auto& failure : report->failures)
      log_.event(host::LogLevel::kError, "datapath.failed", {{"row", std::to_string(failure.index)}}, failure.cause);
    return {};
  }

  void audit(bool fix, host::Responder respond) {
    if (recovering())
      return respond.fail(
          {"the store was lost: the stations are still telling what shall be", "audit", "try again later"});
    AuditReport report;
    const datapath::Rows want = agent_.desired_rows();
    const auto have = datapath_->dump();
    if (!have) return respond.fail(have.error());
    report.add("datapath", datapath::differences(watch_->without_absent(want), *have));
    if (fix && !report.findings.empty()) {
      const auto repaired = datapath_->reconcile(want);
      if (!repaired) return respond.fail(repaired.error());
      const auto now = datapath_->dump();
      report.fixed =
          report.findings.size() - (now ? datapath::differences(watch_->without_absent(want), *now).size() : 0);
    }
    watch_->audit(report, want, fix);
    if (audit_plane_) audit_plane_(report, fix);
    if constexpr (requires(const Agent& agent) { agent.desired_records(); }) {
      audit_store(fix, std::move(report), respond);
    } else {
      report.not_compared.emplace_back("store");
      answer_audit(std::move(report), std::move(respond));
    }
  }

  /// What is wanted is read now: all of it has been handed to the store's queue, behind which the read stands.
  void audit_store(bool fix, AuditReport report, const host::Responder& respond) {
    auto shared = std::make_shared<AuditReport>(std::move(report));
    auto want = std::make_shared<std::vector<agent::StoreRecord>>(agent_.desired_records());
    store_->read([this, fix, shared, want, respond](host::StoreThread::Records records) {
      auto have = std::make_shared<host::StoreThread::Records>(std::move(records));
      loop_.post([this, fix, shared, want, respond, have] {
        if (!*have) return host::Responder(respond).fail(have->error());
        auto found = differences(*want, **have);
        // Batch 0 is nobody's: the agent ignores its result, the next audit tells.
        if (fix && !found.empty() && store_->submit({BatchId(0), repairs(*want, **have)}))
          shared->fixed += found.size();
        shared->add("store", std::move(found));
        answer_audit(std::move(*shared), respond);
      });
    });
  }

  static host::LogLevel level_of(bool well) { return well ? host::LogLevel::kInfo : host::LogLevel::kWarning; }
  void answer_audit(AuditReport report, host::Responder respond) {
    const bool well = report.findings.empty();
    log_.event(level_of(well), "daemon.audited",
               {{"differences", std::to_string(report.findings.size())}, {"fixed", std::to_string(report.fixed)}},
               well ? "" : report.findings.front().difference.row);
    const nlohmann::json result = result_of(report);
    respond.stream(stream_findings(std::move(report.findings)), result);
  }

  host::EffectHandlers handlers(Publish publish) {
    host::EffectHandlers handlers;
    handlers.program = [this](const agent::Program& program) -> std::optional<agent::BatchResult> {
      for (const bool present : {false, true})  // a name that goes may come under another id
        for (const auto& row : program.rows.ports)
          if (row.role == datapath::PortRole::kVm && row.present == present) follow(row);
      watch_->before_apply(program.rows);
      return datapath_->apply(program.batch, program.rows);
    };
    handlers.persist = [this](agent::Persist persist) -> std::optional<agent::BatchResult> {
      const BatchId batch = persist.batch;
      forget_counters(persist);
      if (store_->submit(std::move(persist))) return std::nullopt;
      return agent::BatchResult{batch, {}, "the state store cannot keep up: its queue is full"};
    };
    handlers.publish = std::move(publish);
    handlers.answer = [this](const agent::Answer& answer) {
      if (!take_answer_ || !take_answer_(answer)) control_->answer(answer);
    };
    handlers.link = [this](PortId port, const host::LinkInfo& link) { link_changed(port, link); };
    handlers.kernel = [this](const host::KernelChanges& changes) { watch_->changed(changes); };
    handlers.transition = [this](agent::Transition transition) { audit_file_.record(std::move(transition)); };
    handlers.notice = [this](agent::Notice notice) { audit_file_.record(std::move(notice)); };
    return handlers;
  }

  /// Instance ids are reused; a new TSI must not inherit the counters of an old one.
  void forget_counters(const agent::Persist& persist) {
    for (const auto& record : persist.records)
      if (record.value.empty() && agent::record_kind(record.key) == agent::RecordKind::kTsi)
        datapath_->clear_counters(InstanceId(static_cast<std::uint32_t>(record.key)));
  }

  /// VM interfaces come and go with their VMs; the link monitor tells when one is there again.
  void follow(const datapath::PortRow& row) {
    if (row.present && driver_->ports().watches(row.port, row.interface_name)) return;
    driver_->ports().close(row.port);
    if (!row.present) return;
    if (auto watched = driver_->ports().watch(row.port, row.interface_name); !watched)
      log_.event(host::LogLevel::kWarning, "port.unwatched", {{"interface", row.interface_name}},
                 watched.error().to_string());
  }

  /// While the store is being told again, only the ports themselves are ours to write (S13).
  datapath::Rows rows_of_port(PortId port) const {
    auto rows = agent_.rows_of_port(port);
    if (!recovering()) return rows;
    datapath::Rows bound;
    bound.ports = std::move(rows.ports);
    return bound;
  }
  void link_changed(PortId port, const host::LinkInfo& link) {
    watch_->link_changed(port, link);
    if (link.index != 0) agent_.set_mac(port, link.mac, host::Loop::now());
  }

  void summarize() {
    log_.summarize();
    if (const auto audit = audit_file_.stats(); audit.lost != std::exchange(audit_lost_told_, audit.lost))
      log_.event(host::LogLevel::kWarning, "AUDIT_LOST",
                 {{"file", settings_.audit.file}, {"lost", std::to_string(audit.lost)}}, audit.failure);
    summary_.arm(host::Loop::now() + std::chrono::seconds(1));
  }

  Settings settings_;
  host::Log log_;
  host::AuditFile audit_file_;
  std::uint64_t audit_lost_told_ = 0;
  host::Loop loop_;
  Agent agent_;
  std::unique_ptr<host::Datapath> datapath_;
  std::optional<host::FdWatch> strays_;  ///< before its descriptor's datapath goes
  std::optional<KernelWatch> watch_;
  std::optional<host::Driver<Agent>> driver_;
  std::unique_ptr<host::ControlServer> control_;
  std::unique_ptr<host::StoreThread> store_;  ///< before the driver goes: it may still answer into the loop
  std::function<bool(const agent::Answer&)> take_answer_;
  AuditPlane audit_plane_;
  std::size_t damaged_ = 0;  ///< records of the store whose checksum was wrong
  bool store_lost_ = false, store_empty_ = false;
  bool draining_ = false, remove_when_drained_ = false, removed_ = false;
  Drain drain_how_;
  std::vector<host::Responder> drain_asked_;
  Instant drain_ends_{};
  host::Timer summary_, recovery_, drain_;
};

/// `--config FILE` runs, `--check FILE` only reads. Exit status: 0 well, 1 cannot run, 2 wrong configuration or usage.
struct CommandLine {
  std::string config;
  std::string instance;  ///< of the service that starts us; empty: any
  bool check_only = false;
  bool recover_from_peers = false;
};
/// `nullopt`: help or version was printed, or the usage was wrong; `status` is then the exit status.
std::optional<CommandLine> parse_command_line(int argc, char** argv, const char* daemon, int& status);

}  // namespace splitnve::daemon
