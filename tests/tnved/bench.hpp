// SPDX-License-Identifier: Apache-2.0
// One tnved agent on a virtual clock, with a scripted nNVE that speaks real frames, a datapath of maps and a store.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "splitnve/ecp/header.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "tnved/agent.hpp"

namespace splitnve::tnved::test {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using vdp::TlvType;

/// One association TLV that the nNVE received.
struct Request {
  TlvType command;
  bool suspended, migrating;
  VsiId vsi;
  std::vector<vdp::FilterEntry> entries;
  Instant at;
  std::size_t ecpdu;  ///< which ECPDU carried it
  VsiType type{};
  vdp::FilterFormat format = vdp::FilterFormat::kGroupMacVid;
  std::optional<vdp::Migration> told{};  ///< our TLV behind it
};

/// A VN request or answer that the nNVE received.
struct VnAsked {
  vdp::VnRequest request;
  Instant at;
};

/// What the datapath holds, as printable rows.
class SwitchModel {
 public:
  void apply(const datapath::Rows& rows);
  std::set<std::string> rows() const;
  static std::set<std::string> rows_of(const datapath::Rows& rows);

 private:
  std::map<std::string, std::string> table_;
};

/// The scripted nNVE at one uplink.
struct Nnve {
  bool silent = false;  ///< neither acks nor answers
  bool mute = false;    ///< acks and shows its capabilities, but does not answer
  bool legacy = false;  ///< has no capabilities
  vdp::Capabilities shows;
  MacAddress nnve_mac = MacAddress(0x020100000001u);
  MacAddress speaks_to = ecp::kNearestCustomerBridge;
  std::map<std::uint32_t, std::uint16_t> vids = {{70001, 101}, {70002, 102}};
  /// Status of an answer; default success.
  std::function<vdp::ResponseStatus(const Request&)> verdict;
  /// What it says of a refusal, to whoever understands it; default nothing.
  std::string why{};
  std::uint16_t cause = 1;  ///< and its number
  /// Of a success: does it call the entries held (S7), with `why`? Default: no.
  std::function<bool(const Request&)> holds{};
  bool bare_refusals = false;                      ///< its refusals name no entries, as of what cannot be read
  std::function<void(vdp::FilterEntry&)> amend{};  ///< what else it writes into the entries of a success
  std::vector<Request> requests;
  std::vector<VnAsked> vn_requests;
  /// Status of an answer to a VN request; default success.
  std::function<vdp::ResponseStatus(const vdp::VnRequest&)> vn_verdict;
  std::optional<vdp::VnName> vn_named;  ///< of VN 70001, if it knows names
  std::vector<TlvType> responses;       ///< to commands of its own
  std::vector<MacAddress> asked_at;     ///< destination of every ECPDU that was sent to it
  std::uint16_t sequence = 500;
};

class Bench : public Nnve {
 public:
  explicit Bench(std::function<void(AgentConfig&)> change = {});

  // --- the VM side ---
  LifecycleEvent vm(unsigned number, Verb verb, unsigned vn = 70001) const;
  static VsiId vsi(unsigned number);
  static MacAddress mac(unsigned number) { return MacAddress(0x02AA00000000u + number); }
  /// Hands the event in with a fresh asker; returns the asker.
  std::uint64_t tell(LifecycleEvent event);
  std::uint64_t tell(unsigned number, Verb verb) { return tell(vm(number, verb)); }
  /// As tell(), runs for `patience`, and returns the answer.
  std::optional<agent::Answer> ask(LifecycleEvent event, Duration patience = milliseconds(100));
  std::optional<agent::Answer> ask(unsigned number, Verb verb) { return ask(vm(number, verb)); }
  std::optional<agent::Answer> answer(std::uint64_t asker) const;
  /// The operator's word about a whole VN, and the answer.
  std::optional<agent::Answer> ask_vn(unsigned vn, bool connect, bool all = false,
                                      Duration patience = milliseconds(100));
  std::optional<VnView> vn_view(unsigned vn = 70001) const;

  // --- time ---
  void run(Duration duration);
  void settle() { run(milliseconds(100)); }
  /// The same store and datapath, a new process.
  void restart();

  // --- the nNVE's side ---
  /// A VDPDU of the nNVE's own, in the next ECPDU.
  void nnve_sends(TlvType command, std::uint8_t status, const Request& like);
  /// Its own word about a whole VN, with `why`.
  void nnve_says(vdp::VnRequest::Operation operation, unsigned vn = 70001);
  /// What it holds, or lets back.
  void nnve_tells(const std::vector<vdp::Standing>& standings);
  /// Its capabilities, unasked.
  void nnve_shows();
  void nnve_frame(ecp::Operation operation, EcpSequence number, Octets payload) {
    nnve_frame(PortId(1), operation, number, payload);
  }
  void nnve_frame(PortId port, ecp::Operation operation, EcpSequence number, Octets payload);
  /// Its ECP sequence begins somewhere else.
  void nnve_restarts() { sequence = static_cast<std::uint16_t>(sequence + 4711); }
  void inject(const OctetString& frame) {
    agent->handle_frame(PortId(1), frame, now);
    work();
  }

  // --- what is seen ---
  std::optional<TsiView> view(unsigned number) const;
  std::size_t tsis() const;
  bool has_row(const std::string& part) const;
  /// The datapath holds exactly what the agent wants.
  bool consistent() const { return model.rows() == SwitchModel::rows_of(agent->desired_rows()); }
  std::vector<Request> requests_of(unsigned number) const;
  std::size_t transitions(const std::string& machine, const std::string& to) const;
  void work();

  AgentConfig config;
  std::unique_ptr<Agent> agent;
  Instant now = Instant(seconds(1000));

  std::map<PortId, Nnve> others;  ///< at further uplinks; the bench itself is the one at port 1
  Nnve& nnve(PortId port) { return port == PortId(1) ? *this : others.at(port); }
  std::vector<std::size_t> tlvs_per_ecpdu;
  std::vector<OctetString> lldp;  ///< every LLDP frame, in order
  EcpSequence last_sequence;      ///< of the last ECPDU that was sent

  SwitchModel model;
  std::map<std::uint64_t, OctetString> store, meta;  ///< TSIs; the epoch
  std::function<agent::BatchResult(const agent::Program&)> program;
  bool hold_results = false;  ///< batches are carried out, but the agent is not told
  std::deque<agent::BatchResult> held;
  std::vector<agent::Program> programs;
  std::size_t persists = 0;
  std::vector<agent::Answer> answers;
  std::vector<agent::Transition> transition_log;
  std::vector<agent::Notice> notices;

 private:
  void drain();
  void carry_out(agent::Effect effect);
  void receive(PortId port, const OctetString& frame);
  void respond(PortId port, Octets vdpdu);

  std::deque<std::pair<PortId, OctetString>> to_agent_;
  std::deque<agent::BatchResult> results_;
  std::uint64_t last_asker_ = 0;
  std::uint64_t seed_ = 1;
};

}  // namespace splitnve::tnved::test
