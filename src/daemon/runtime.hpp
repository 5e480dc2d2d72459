// SPDX-License-Identifier: Apache-2.0
// How a daemon lives: store, agent, datapath, ports, control socket, in that order; the same for both.
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "audit.hpp"
#include "settings.hpp"
#include "splitnve/host/bpf_switch.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/datapath.hpp"
#include "splitnve/host/driver.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"
#include "splitnve/host/store.hpp"
#include "splitnve/host/systemd.hpp"

namespace splitnve::daemon {

/// Random, so that a restarted agent's first ECP sequences differ from its last life's (S11).
inline std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

/// Owns everything around one agent. Call start(), then run(), which returns after SIGTERM or SIGINT; what is pinned in
/// the kernel goes on forwarding (S34).
template <class Agent>
class Runtime {
 public:
  using Publish = std::function<std::optional<agent::BatchResult>(agent::Publish)>;

  template <class Config>
  Runtime(const Settings& settings, Config config)
      : settings_(settings),
        log_(log_options(settings)),
        agent_(std::move(config), random_seed()),
        summary_(loop_, [this] { summarize(); }) {}

  /// Store into agent, agent into datapath, then ports and control socket. An error is one line for the operator.
  Result<void> start(host::BpfSwitch::Config datapath, const std::vector<std::pair<PortId, std::string>>& ports, Publish publish) {
    if (auto restored = restore(); !restored) return restored;
    if (auto opened = open_datapath(std::move(datapath)); !opened) return opened;
    driver_.emplace(loop_, log_, agent_, handlers(std::move(publish)));
    for (const auto& [id, name] : ports)
      if (auto opened = driver_->ports().open(id, name); !opened) return opened;
    auto server = host::ControlServer::open(loop_, settings_.control);
    if (!server) return unexpected<Error>(server.error());
    control_ = std::move(*server);
    return {};
  }

  int run() {
    loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); });
    host::Watchdog watchdog(loop_);
    summarize();
    driver_->kick();
    log_.event(host::LogLevel::kInfo, "daemon.ready", {{"socket", settings_.control.path}}, "serving");
    host::notify_ready("serving");
    loop_.run();
    host::notify_stopping();
    log_.event(host::LogLevel::kInfo, "daemon.stopping", {}, "forwarding goes on without this process");
    return 0;
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

  Agent& agent() { return agent_; }
  host::Log& log() { return log_; }
  host::Datapath& datapath() { return *datapath_; }
  host::Driver<Agent>& driver() { return *driver_; }
  host::ControlServer& control() { return *control_; }

 private:
  static host::LogOptions log_options(const Settings& settings) {
    host::LogOptions options;
    options.tag = settings.instance;
    options.level = settings.log_level;
    return options;
  }
  Result<void> restore() {
    if (auto made = host::make_parent_folder(settings_.paths.store, 0750); !made) return made;
    if (auto made = host::make_parent_folder(settings_.control.path, 0755); !made) return made;
    auto store = host::Store::open(settings_.paths.store);
    if (!store) return unexpected<Error>(store.error());
    std::vector<agent::StoreRecord> records;
    auto loaded = (*store)->load(
        [&](std::uint64_t key, Octets value) { records.push_back({key, OctetString(value.begin(), value.end())}); });
    if (!loaded) return loaded;
    const std::size_t unreadable = agent_.restore(records, host::Loop::now());
    log_.event(host::LogLevel::kInfo, "store.restored",
               {{"records", std::to_string(records.size())}, {"unreadable", std::to_string(unreadable)}});
    store_ = std::make_unique<host::StoreThread>(std::move(*store), [this](std::vector<agent::BatchResult> results) {
      loop_.post([this, results = std::move(results)]() mutable {
        for (auto& result : results) driver_->answer(std::move(result));
      });
    });
    return {};
  }

  Result<void> open_datapath(host::BpfSwitch::Config config) {
    config.pin_root = settings_.paths.pins;
    auto opened = host::BpfSwitch::open(config);
    if (!opened) return unexpected<Error>(opened.error());
    datapath_ = std::move(*opened);
    return reconcile("start");
  }

  Result<void> reconcile(const char* cause) {
    const auto report = datapath_->reconcile(agent_.desired_rows());
    if (!report) return unexpected<Error>(report.error());
    log_.event(host::LogLevel::kInfo, "datapath.reconciled",
               {{"cause", cause},
                {"added", std::to_string(report->added)},
                {"changed", std::to_string(report->changed)},
                {"removed", std::to_string(report->removed)},
                {"unchanged", std::to_string(report->unchanged)},
                {"failed", std::to_string(report->failures.size())}});
    for (const auto& failure : report->failures)
      log_.event(host::LogLevel::kError, "datapath.failed", {{"row", std::to_string(failure.index)}}, failure.cause);
    return {};
  }

  void audit(bool fix, host::Responder respond) {
    AuditReport report;
    const datapath::Rows want = agent_.desired_rows();
    const auto have = datapath_->dump();
    if (!have) return respond.fail(have.error());
    report.add("datapath", datapath::differences(want, *have));
    if (fix && !report.findings.empty()) {
      const auto repaired = datapath_->reconcile(want);
      if (!repaired) return respond.fail(repaired.error());
      const auto now = datapath_->dump();
      report.fixed = report.findings.size() - (now ? datapath::differences(want, *now).size() : 0);
    }
    if (audit_plane_) audit_plane_(report, fix);
    if constexpr (requires(const Agent& agent) { agent.desired_records(); }) {
      audit_store(fix, std::move(report), std::move(respond));
    } else {
      report.not_compared.emplace_back("store");
      answer_audit(std::move(report), std::move(respond));
    }
  }

  /// What is wanted is read now: all of it has been handed to the store's queue, behind which the read stands.
  void audit_store(bool fix, AuditReport report, host::Responder respond) {
    auto shared = std::make_shared<AuditReport>(std::move(report));
    auto want = std::make_shared<std::vector<agent::StoreRecord>>(agent_.desired_records());
    store_->read([this, fix, shared, want, respond](host::StoreThread::Records records) {
      auto have = std::make_shared<host::StoreThread::Records>(std::move(records));
      loop_.post([this, fix, shared, want, respond, have] {
        if (!*have) return host::Responder(respond).fail(have->error());
        auto found = differences(*want, **have);
        // Batch 0 is nobody's: the agent ignores its result, the next audit tells.
        if (fix && !found.empty() && store_->submit({BatchId(0), repairs(*want, **have)})) shared->fixed += found.size();
        shared->add("store", std::move(found));
        answer_audit(std::move(*shared), respond);
      });
    });
  }

  void answer_audit(AuditReport report, host::Responder respond) {
    log_.event(report.findings.empty() ? host::LogLevel::kInfo : host::LogLevel::kWarning, "daemon.audited",
               {{"differences", std::to_string(report.findings.size())}, {"fixed", std::to_string(report.fixed)}},
               report.findings.empty() ? "" : report.findings.front().difference.row);
    respond.stream(stream_report(std::move(report)));
  }

  host::EffectHandlers handlers(Publish publish) {
    host::EffectHandlers handlers;
    handlers.program = [this](agent::Program program) -> std::optional<agent::BatchResult> {
      for (const auto& row : program.rows.ports)
        if (row.role == datapath::PortRole::kVm) follow(row);
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
    driver_->ports().close(row.port);
    if (!row.present) return;
    if (auto watched = driver_->ports().watch(row.port, row.interface_name); !watched)
      log_.event(host::LogLevel::kWarning, "port.unwatched", {{"interface", row.interface_name}}, watched.error().to_string());
  }

  /// Rows are keyed by interface index in the kernel: a new index needs all rows of the port again.
  void link_changed(PortId port, const host::LinkInfo& link) {
    const auto known = interface_index_.find(port);
    const bool replaced = known != interface_index_.end() && link.index != 0 && known->second != link.index;
    if (link.index != 0) interface_index_[port] = link.index;
    if (!replaced) return;
    if (auto done = reconcile("interface replaced"); !done)
      log_.event(host::LogLevel::kError, "datapath.failed", {{"interface", link.name}}, done.error().to_string());
  }

  void summarize() {
    log_.summarize();
    summary_.arm(host::Loop::now() + std::chrono::seconds(1));
  }

  Settings settings_;
  host::Log log_;
  host::Loop loop_;
  Agent agent_;
  std::unique_ptr<host::Datapath> datapath_;
  std::optional<host::Driver<Agent>> driver_;
  std::unique_ptr<host::ControlServer> control_;
  std::unique_ptr<host::StoreThread> store_;  ///< before the driver goes: it may still answer into the loop
  boost::unordered_flat_map<PortId, unsigned> interface_index_;
  std::function<bool(const agent::Answer&)> take_answer_;
  AuditPlane audit_plane_;
  host::Timer summary_;
};

/// `--config FILE` runs, `--check FILE` only reads. Exit status: 0 well, 1 cannot run, 2 wrong configuration or usage.
struct CommandLine {
  std::string config;
  bool check_only = false;
};
/// `nullopt`: help or version was printed, or the usage was wrong; `status` is then the exit status.
std::optional<CommandLine> parse_command_line(int argc, char** argv, const char* daemon, int& status);

}  // namespace splitnve::daemon
