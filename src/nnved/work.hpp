// SPDX-License-Identifier: Apache-2.0
// What stands between a request and its answer.
//
//   decide: refused ------------------------------------------------------------> answer
//           nothing to change --------------------------------------------------> answer
//           only falls ------------------------------.
//           raises: Claiming --Publish taken--> commit --> Committing --Program and Persist done--> answer
//                      | refused, unreachable                 | a row failed
//                      '--> withdrawn, code 5 or 3            '--> rolled back, code 2
#pragma once
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "nnved/changes.hpp"
#include "nnved/reason.hpp"
#include "nnved/tsi_table.hpp"
#include "splitnve/vdp/bridge.hpp"

namespace splitnve::nnved {

/// An address that a work changes, and how to undo that.
struct Touch {
  Index instance = kNoIndex;
  GroupId vn;
  AddressName name;
  Level previous = Level::kNone;
  Index loser = kNoIndex;  ///< the instance that lost the address to this one
};

/// What a work waits for, as a mask.
enum Awaiting : std::uint8_t { kAwaitNothing = 0, kAwaitPublish = 1, kAwaitProgram = 2, kAwaitPersist = 4 };

struct Work {
  Index peer = kNoIndex;
  std::uint32_t port_index = 0;
  vdp::RequestId request;
  vdp::TlvType command = vdp::TlvType::kAssociate;
  VsiId vsi;
  vdp::Entries entries;  ///< as the answer repeats them
  boost::container::small_vector<Touch, 1> touches;
  std::uint8_t awaiting = kAwaitNothing;
  bool answered = false;  ///< by the bridge at its deadline; the work goes on, for a reservation
  bool dead = false;      ///< answered and rolled back; the row stays until its batches have returned
};

/// The works of one VSI on their way, and its requests that wait for them, whatever station they come from: so that a
/// takeover never races with what it takes over. Ports take turns, so that nobody's requests stand in the way of
/// another port's.
struct Inflight {
  struct Waiting {
    Index peer = kNoIndex;
    vdp::Request request;
  };
  struct OfPort {
    std::uint32_t port_index = 0;
    std::deque<Waiting> waiting;
  };
  boost::container::small_vector<Index, 1> works;
  std::vector<OfPort> ports;  ///< those with requests that wait, whose turn is next first
  bool turn = false;          ///< stands in the agent's `turns`

  std::deque<Waiting>* of(std::uint32_t port_index) {
    for (OfPort& port : ports)
      if (port.port_index == port_index) return &port.waiting;
    return nullptr;
  }
  void push(std::uint32_t port_index, Waiting waiting) {
    if (of(port_index) == nullptr) ports.push_back({port_index, {}});
    of(port_index)->push_back(std::move(waiting));
  }
  /// Requires that one waits.
  Waiting pop() {
    OfPort first = std::move(ports.front());
    ports.erase(ports.begin());
    Waiting next = std::move(first.waiting.front());
    first.waiting.pop_front();
    if (!first.waiting.empty()) ports.push_back(std::move(first));
    return next;
  }
  /// Takes away what `which` names of a port's.
  template <class Which>
  std::size_t erase_if(std::uint32_t port_index, Which&& which) {
    for (auto port = ports.begin(); port != ports.end(); ++port) {
      if (port->port_index != port_index) continue;
      const std::size_t count = std::erase_if(port->waiting, which);
      if (port->waiting.empty()) ports.erase(port);
      return count;
    }
    return 0;
  }
};

/// An effect whose result is awaited, and what depends on it.
struct Batch {
  Awaiting kind = kAwaitPublish;
  std::vector<Index> works;
  RowKeys rows;                                                   ///< Program: in the order of the batch
  std::vector<ConnectName> connects;                              ///< connects that wait for it
  std::vector<Index> records, latches, signers, connect_records;  ///< Persist
  bool epoch = false;                                             ///< Persist
  bool held = false;                                              ///< Persist: records that are held
  std::vector<Departed> departed;                                 ///< Publish: the first rows
  std::vector<AddressKey> authority;                              ///< Publish: the rows after them
  std::vector<TagKey> tags;
};

}  // namespace splitnve::nnved
