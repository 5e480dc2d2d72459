// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "nnved/changes.hpp"
#include "nnved/journal.hpp"
#include "nnved/shares.hpp"
#include "nnved/tsi_table.hpp"
#include "nnved/vap.hpp"

namespace splitnve::nnved {

/// The TSI machine (RFC 8394 section 3.3, figure 6). A TSI's state is a view over the levels of its addresses, so the
/// commands act on addresses, and `enter` is the one place where a TSI changes its state.
///
///            Associate                Activate
///   Init -----------------> Associated -------> Activated        any address added, removed, renewed: self loop,
///    ^  \___________________Activate_______________^  |           unless it is the first or last of its level
///    |        De-Associate, age, link down, operator  |
///    '----------- Associated <--- Deactivate ---------'           superseded: Associated, latched (S6)
///                           <--- superseded by another
///
/// A raise goes in two steps: `want` (in the tables, so that nobody else can take the address) and, when the authority
/// has agreed, `commit`; or `withdraw`. A fall takes one: `lower` or `remove`. Every change marks the rows that follow
/// from it in `Changes`. An IP has a level as its MAC has; state and owner of the TSI hang on the MACs. References to
/// address rows do not survive a call.
class TsiMachine {
 public:
  TsiMachine(const AgentConfig& config, TsiTable& tsis, VapTable& vaps, Changes& changes, Journal& journal,
             AddressShares* shares = nullptr)
      : config_(config), tsis_(tsis), vaps_(vaps), changes_(changes), journal_(journal), shares_(shares) {}

  /// `number` is a free slot that the row shall take, or kNoIndex for any.
  Index create(const VsiId& vsi, GroupId vn, Index peer, const MacAddress& station, Index vap, Index number = kNoIndex);
  /// The work asks for this level, above or below the present one.
  void want(Index instance, const AddressName& name, Level level, Index work, Instant now);
  /// What was wanted becomes true. Returns the instance that lost the address by it (S6), or kNoIndex.
  Index commit(Index instance, const AddressName& name, const char* reason);
  /// The work lets go of the address, whatever became of it.
  void release(Index instance, const AddressName& name);
  /// A work that may no longer open the address still wants it reserved (S29).
  void want_reserved_only(Index instance, const AddressName& name);
  /// Brings the address down to kReserved if it is above.
  void lower(Index instance, const AddressName& name, const char* reason);
  /// Takes the address away, a MAC with its IPs, and the instance with its last address, and the VAP with its last
  /// instance. True if the instance is gone.
  bool remove(Index instance, const AddressName& name, Reason reason, const char* words, Instant now);
  /// A takeover came to nothing: the loser is Activated again, if nobody else is and it still has the address.
  void reinstate(Index instance, const VsiId& vsi, const AddressKey& key, const char* reason);

  // --- restoring ---
  void restore_address(Index instance, const AddressName& name, Level level, bool superseded, bool winner,
                       std::uint32_t generation, Instant now);

 private:
  void set_level(Index instance, AddressRow& address, Level level, const char* reason);
  void set_ip_level(Index instance, AddressRow& address, Level level);
  void remove_ips(Index instance, const MacAddress& mac);
  AddressRow& add_address(Index instance, const AddressName& name);
  void erase_address(Index instance, const AddressName& name);
  void mark(Index instance, const AddressRow& address, Level before);
  void enter(Index instance, TsiState from, const char* reason);
  void unlatch(Index winner, const AddressKey& key);
  /// Runs `change` on the address and tells the VAP if it begins or stops to open.
  template <class F>
  void reshape(Index instance, AddressRow& address, F&& change);

  const AgentConfig& config_;
  TsiTable& tsis_;
  VapTable& vaps_;
  Changes& changes_;
  Journal& journal_;
  AddressShares* shares_;  ///< of the ports, counted here; may be null
};

}  // namespace splitnve::nnved
