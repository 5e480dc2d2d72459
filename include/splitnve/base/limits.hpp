// SPDX-License-Identifier: Apache-2.0
// Every limit of the protocol logic, with its reason. Configuration may lower most of them; none is implicit.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "splitnve/base/time.hpp"

namespace splitnve::limits {

// --- frames ---
/// Ethernet header + 1500 octets: what an access link is sure to carry.
inline constexpr std::size_t kFrameOctetsMax = 1514;
/// Shorter frames are padded with zeros (IEEE 802.3).
inline constexpr std::size_t kFrameOctetsMin = 60;
/// VDPDU octets in one ECPDU on a 1500-octet MTU: 1500 less the ECP header.
inline constexpr std::size_t kVdpduOctetsMax = 1496;

// --- ECP ---
/// Peers per port: a flood of source addresses must not take memory without bound; a segment of 256 hypervisors is
/// large.
inline constexpr std::size_t kPeersPerPortMax = 256;
/// Peers that have signed, remembered so that none may go back to plain: more than the hypervisors of a large switch.
inline constexpr std::size_t kSignersMax = 1024;
/// Received ECPDUs that wait per peer; full means no acknowledgement, ECP's own back-pressure. Towards a station it
/// grows full while kPendingRequestsPerPeerMax of its requests wait.
inline constexpr std::size_t kInboxEcpdusMax = 16;
/// Accepted ECPDUs remembered per peer for the duplicate test (S11).
inline constexpr std::size_t kDuplicateMemoryEcpdus = 16;
/// Cap of the back-off between ECP delivery attempts of one VDPDU (S10).
inline constexpr Duration kEcpBackoffMax = std::chrono::seconds(1);

// --- VDP ---
/// Entries per association TLV: the 9-bit TLV length leaves 486 octets, 243 entries of the smallest format.
inline constexpr std::size_t kEntriesPerTlvMax = 243;
/// Requests of one station that may wait at once, for a decision or for the acknowledgement of their answer, so that
/// one station cannot fill us: its further VDPDUs are read when there is room.
inline constexpr std::size_t kPendingRequestsPerPeerMax = 4096;
/// Filter entries of these requests: full TLVs whose answers a station never acknowledges shall not take tens of
/// megabytes. What is beyond is dropped, and the station repeats it.
inline constexpr std::size_t kPendingEntriesPerPeerMax = 16384;
/// Answers to commands of a nNVE that wait for their ECPDU: it does not need them, a few inboxes of commands are
/// plenty.
inline constexpr std::size_t kRepliesMax = 256;
/// VNs that a station asks to be connected without a TSI (S30), and requests and answers about them that wait: a host
/// has far fewer VNs, and each takes a VID of its segment.
inline constexpr std::size_t kVnConnectsPerStationMax = 1024;
/// How long nnved may take to decide before it answers code 3 (S29): below RWD, libvirt's 10 s and vdptool's 5 s.
inline constexpr Duration kDecisionDeadline = std::chrono::seconds(4);
/// Cap of the back-off between repeats of an unanswered request (S8): a running VM's association is retried forever.
inline constexpr Duration kUnconfirmedBackoffMax = std::chrono::seconds(30);

// --- tables ---
/// TSI instances per agent: the design size, hundreds of thousands.
inline constexpr std::uint32_t kInstancesMax = 262144;
/// TSI instances per station: one hypervisor must not take the table of all.
inline constexpr std::uint32_t kInstancesPerStationMax = 131072;
/// Addresses per TSI instance.
inline constexpr std::size_t kAddressesPerInstanceMax = 1024;
/// IPs per TSI instance, each counted under every MAC that has it: a bridging VM must not take what the datapath holds
/// for all (kIpRowsMax), and a keep-alive names each of them.
inline constexpr std::size_t kIpsPerInstanceMax = 64;
/// Latches of the operator (S7), and octets of a latch's reason: set by hand, shown in one screen.
inline constexpr std::uint32_t kLatchesMax = 4096;
inline constexpr std::size_t kLatchReasonOctetsMax = 64;
/// A released VID rests before it names another VN, so that frames in flight die first (S12).
inline constexpr Duration kVidQuarantine = std::chrono::seconds(10);
/// A station that is silent this long with its link up is dead (S9).
inline constexpr Duration kDeadPeerTime = std::chrono::seconds(30);
/// How long a lost link is held before its TSIs go (S9); VIDs are kept meanwhile.
inline constexpr Duration kLinkDownHold = std::chrono::seconds(3);
/// A nNVE that answers nothing for so long, while another one could take over, is dead: longer than any pause of a
/// living one under load, shorter than what TCP notices.
inline constexpr Duration kFailoverTime = std::chrono::seconds(3);

// --- datapath ---
/// IP prefixes that guards let pass, for each of the configured instances, on average.
inline constexpr std::uint32_t kIpRowsPerInstance = 4;
/// The same in all, at the design size. The kernel takes about 200 octets for each.
inline constexpr std::uint32_t kIpRowsMax = kIpRowsPerInstance * kInstancesMax;
/// Local members a VN's flood list may have, and remote nNVEs likewise (S24): copies of one BUM frame per program run.
inline constexpr std::size_t kFloodLocalMax = 64;
inline constexpr std::size_t kFloodRemoteMax = 64;
/// Link-local IPv6 addresses that a VN reserves (S47): a gateway and its like; each frame from one is compared with
/// all.
inline constexpr std::size_t kReservedLinkLocalsMax = 4;
/// Storm control by default, in group frames a second: a VM says a few for ARP, neighbour discovery, DHCP and multicast
/// membership; an access port's tag carries those of all VMs of a VN on one hypervisor. The burst is one second of it.
inline constexpr std::uint32_t kVmStormRate = 1000;
inline constexpr std::uint32_t kAccessStormRate = 5000;
inline constexpr std::uint32_t kStormRateMax = 1u << 24;

/// What another tool undoes in the kernel is made right so often in so much time; then a VM's port is closed and any
/// other is left alone for as long: no war of agents (S38).
inline constexpr std::size_t kKernelMendsMax = 3;
inline constexpr Duration kKernelMendsTime = std::chrono::minutes(1);
/// Mended losses that an audit still tells of; the counters have all.
inline constexpr std::size_t kKernelMendedKept = 64;

}  // namespace splitnve::limits
