-- SPDX-License-Identifier: Apache-2.0
-- ECP, VDP and the EVB TLV for Wireshark and tshark, with what Split-NVE adds (docs/operations.md, "Wireshark").
-- Offsets and lengths of TLVs come from the packet: everything is checked before it is read.

-- Lua 5.2 and 5.4 share no operators on bits and no other library of them than Wireshark's.
local band, left, right = bit.band, bit.lshift, bit.rshift

local ecp = Proto("splitnve_ecp", "Edge Control Protocol (IEEE 802.1Q)")
local vdp = Proto("splitnve_vdp", "VSI Discovery and Configuration Protocol (IEEE 802.1Q, RFC 8394)")
local evb = Proto("splitnve_evb", "EVB TLV (IEEE 802.1Q)")
vdp.prefs.oui = Pref.string("OUI of Split-NVE's TLVs", "02534e", "Six hexadecimal digits")

local OPERATIONS = {[0] = "request", [1] = "acknowledgement"}
local SUBTYPES = {[1] = "VDP", [2] = "PE-CSP"}
local TYPES = {[0] = "End", [1] = "Pre-Associate", [2] = "Pre-Associate with resource reservation", [3] = "Associate",
  [4] = "De-Associate", [5] = "VSI manager ID", [127] = "Organizational"}
local CODES = {[0] = "success", [1] = "invalid format", [2] = "insufficient resources", [3] = "VSI manager unreachable",
  [4] = "other failure", [5] = "invalid VID, GroupID or MAC address"}
local VSI_FORMATS = {[1] = "IPv4", [2] = "IPv6", [3] = "MAC", [4] = "local", [5] = "UUID"}
-- Filter formats: octets of GroupID, MAC, IP address and prefix length. 5 to 8 and 0x85 to 0x88 are provisional.
local FORMATS = {
  [1] = {name = "VID", group = 0, mac = 0, ip = 0, prefix = 0},
  [2] = {name = "MAC/VID", group = 0, mac = 6, ip = 0, prefix = 0},
  [3] = {name = "GroupID/VID", group = 4, mac = 0, ip = 0, prefix = 0},
  [4] = {name = "GroupID/MAC/VID", group = 4, mac = 6, ip = 0, prefix = 0},
}
for number, parts in ipairs({{"IPv4", 0, 4}, {"IPv6", 0, 16}, {"MAC/IPv4", 6, 4}, {"MAC/IPv6", 6, 16}}) do
  local name = "GroupID/" .. parts[1]
  FORMATS[4 + number] = {name = name .. "/VID", group = 4, mac = parts[2], ip = parts[3], prefix = 0}
  FORMATS[0x84 + number] = {name = name .. "-prefix/VID", group = 4, mac = parts[2], ip = parts[3], prefix = 1}
end
local FORMAT_NAMES = {}
for number, format in pairs(FORMATS) do FORMAT_NAMES[number] = format.name end
local EXTENSIONS = {[1] = "capabilities", [2] = "migration", [3] = "VN name", [4] = "VN request", [5] = "reason",
  [6] = "authentication", [7] = "standing", [9] = "VN attributes"}
local EXTENSION_OCTETS = {[2] = 1, [3] = 16, [4] = 8, [6] = 34, [7] = 23, [9] = 6}
local FLAGS = {"ip_formats", "prefix_formats", "deactivate", "bridge_deactivate", "migration", "vn_name", "vn_requests",
  "reason_text", "incremental_filter", "multi_vid", "standing", "digest", "vn_attributes"}

local e, v, b = {}, {}, {}   -- fields of the three protocols
e.version = ProtoField.uint16("splitnve.ecp.version", "Version", base.DEC, nil, 0xF000)
e.operation = ProtoField.uint16("splitnve.ecp.operation", "Operation", base.DEC, OPERATIONS, 0x0C00)
e.subtype = ProtoField.uint16("splitnve.ecp.subtype", "Subtype", base.DEC, SUBTYPES, 0x03FF)
e.sequence = ProtoField.uint16("splitnve.ecp.sequence", "Sequence", base.DEC)
e.ack_in = ProtoField.framenum("splitnve.ecp.ack_in", "Acknowledged in", base.NONE, frametype.ACK)
e.ack_of = ProtoField.framenum("splitnve.ecp.ack_of", "Acknowledges", base.NONE, frametype.REQUEST)
e.retransmission = ProtoField.framenum("splitnve.ecp.retransmission_of", "Retransmission of", base.NONE, frametype.RETRANS_PREV)
e.time = ProtoField.relative_time("splitnve.ecp.ack_time", "Time since the request")

v.type = ProtoField.uint16("splitnve.vdp.tlv.type", "TLV type", base.DEC, TYPES, 0xFE00)
v.length = ProtoField.uint16("splitnve.vdp.tlv.length", "TLV length", base.DEC, nil, 0x01FF)
v.manager = ProtoField.bytes("splitnve.vdp.manager", "VSI manager ID")
v.manager_text = ProtoField.string("splitnve.vdp.manager_text", "VSI manager ID as text")
v.status = ProtoField.uint8("splitnve.vdp.status", "Status", base.HEX)
v.response = ProtoField.bool("splitnve.vdp.response", "Response", 8, nil, 0x40)
v.suspended = ProtoField.bool("splitnve.vdp.suspended", "S: VSI user suspended", 8, nil, 0x20)
v.migrating = ProtoField.bool("splitnve.vdp.migrating", "M: VSI user migrating", 8, nil, 0x10)
v.keep = ProtoField.bool("splitnve.vdp.keep", "KEEP: the previous state is kept", 8, nil, 0x20)
v.hard = ProtoField.bool("splitnve.vdp.hard", "HARD error", 8, nil, 0x10)
v.code = ProtoField.uint8("splitnve.vdp.code", "Code", base.DEC, CODES, 0x0F)
v.type_id = ProtoField.uint24("splitnve.vdp.type_id", "VSI type ID", base.DEC)
v.type_version = ProtoField.uint8("splitnve.vdp.type_version", "VSI type version", base.DEC)
v.vsi_format = ProtoField.uint8("splitnve.vdp.vsi_format", "VSI ID format", base.DEC, VSI_FORMATS)
v.vsi = ProtoField.string("splitnve.vdp.vsi", "VSI ID")
v.format = ProtoField.uint8("splitnve.vdp.filter_format", "Filter format", base.HEX, FORMAT_NAMES)
v.count = ProtoField.uint16("splitnve.vdp.entries", "Entries", base.DEC)
v.group = ProtoField.uint32("splitnve.vdp.group", "GroupID", base.DEC)
v.mac = ProtoField.ether("splitnve.vdp.mac", "MAC address")
v.ipv4 = ProtoField.ipv4("splitnve.vdp.ipv4", "IPv4 address")
v.ipv6 = ProtoField.ipv6("splitnve.vdp.ipv6", "IPv6 address")
v.prefix = ProtoField.uint8("splitnve.vdp.prefix_length", "Prefix length", base.DEC)
v.ps = ProtoField.bool("splitnve.vdp.ps", "PS: PCP is significant", 16, nil, 0x8000)
v.pcp = ProtoField.uint16("splitnve.vdp.pcp", "PCP", base.DEC, nil, 0x7000)
v.vid = ProtoField.uint16("splitnve.vdp.vid", "VID", base.DEC, nil, 0x0FFF)
v.oui = ProtoField.bytes("splitnve.vdp.oui", "OUI", base.DASH)
v.org_value = ProtoField.bytes("splitnve.vdp.org_value", "Value")
v.extension = ProtoField.uint8("splitnve.vdp.extension", "Split-NVE TLV", base.DEC, EXTENSIONS)
v.cap_version = ProtoField.uint8("splitnve.vdp.cap.version", "Version", base.DEC)
v.cap_role = ProtoField.uint8("splitnve.vdp.cap.role", "Role", base.DEC, {[1] = "station", [2] = "bridge"})
v.cap_flags = ProtoField.uint32("splitnve.vdp.cap.flags", "Flags", base.HEX)
for number, name in ipairs(FLAGS) do
  v["flag_" .. name] = ProtoField.bool("splitnve.vdp.cap." .. name, name, 32, nil, left(1, number - 1))
end
v.cap_system = ProtoField.bytes("splitnve.vdp.cap.system", "System ID")
v.cap_epoch = ProtoField.uint64("splitnve.vdp.cap.epoch", "Epoch", base.DEC)
v.cap_nonce = ProtoField.bytes("splitnve.vdp.cap.nonce", "Nonce")
v.cap_retries = ProtoField.uint8("splitnve.vdp.cap.retries", "R: retries", base.DEC, nil, 0xE0)
v.cap_rte = ProtoField.uint8("splitnve.vdp.cap.rte", "RTE: acknowledgement timer 2^n x 10 us", base.DEC, nil, 0x1F)
v.cap_relay = ProtoField.bool("splitnve.vdp.cap.relay", "Reflective relay", 8, nil, 0x80)
v.cap_rwd = ProtoField.uint8("splitnve.vdp.cap.rwd", "RWD: resource wait 2^n x 10 us", base.DEC, nil, 0x1F)
v.cap_rka = ProtoField.uint8("splitnve.vdp.cap.rka", "RKA: keep-alive interval 2^n x 10 us", base.DEC, nil, 0x1F)
v.cap_segment = ProtoField.uint64("splitnve.vdp.cap.segment", "Segment", base.HEX)
v.cap_ranges = ProtoField.uint8("splitnve.vdp.cap.ranges", "VID ranges", base.DEC)
v.cap_first = ProtoField.uint16("splitnve.vdp.cap.first_vid", "First VID", base.DEC)
v.cap_last = ProtoField.uint16("splitnve.vdp.cap.last_vid", "Last VID", base.DEC)
v.standing = ProtoField.uint8("splitnve.vdp.standing", "Standing", base.DEC, {[0] = "released", [1] = "held", [2] = "end of the list"})
v.scope = ProtoField.uint8("splitnve.vdp.scope", "Scope", base.DEC, {[0] = "VSI", [1] = "VN", [2] = "all"})
v.attributes = ProtoField.uint16("splitnve.vdp.attributes", "VN attributes", base.HEX)
v.local_off = ProtoField.bool("splitnve.vdp.local_switching_off", "Local switching is off", 16, nil, 0x0001)
v.neighbours = ProtoField.bool("splitnve.vdp.neighbours_answered", "The switch answers ARP and ND", 16, nil, 0x0002)
v.migration = ProtoField.uint8("splitnve.vdp.migration", "Migration", base.DEC,
  {[0] = "unknown", [1] = "not migrating", [2] = "arriving", [3] = "departing"})
v.vn_name = ProtoField.guid("splitnve.vdp.vn_name", "VN name")
v.vn_operation = ProtoField.uint8("splitnve.vdp.vn_operation", "VN operation", base.DEC,
  {[1] = "connect", [2] = "disconnect", [3] = "disconnect with TSIs"})
v.cause = ProtoField.uint16("splitnve.vdp.cause", "Cause", base.DEC)
v.reason = ProtoField.string("splitnve.vdp.reason", "Reason")
v.key = ProtoField.uint16("splitnve.vdp.auth.key", "Key ID", base.DEC)
v.session = ProtoField.uint64("splitnve.vdp.auth.session", "Session", base.HEX)
v.counter = ProtoField.uint64("splitnve.vdp.auth.counter", "Counter", base.DEC)
v.tag = ProtoField.bytes("splitnve.vdp.auth.tag", "Tag")

b.bgid = ProtoField.bool("splitnve.evb.bgid", "BGID: bridge understands GroupIDs", 8, nil, 0x04)
b.rrcap = ProtoField.bool("splitnve.evb.rrcap", "RRCAP: bridge can do reflective relay", 8, nil, 0x02)
b.rrctr = ProtoField.bool("splitnve.evb.rrctr", "RRCTR: bridge does reflective relay", 8, nil, 0x01)
b.sgid = ProtoField.bool("splitnve.evb.sgid", "SGID: station understands GroupIDs", 8, nil, 0x08)
b.rrreq = ProtoField.bool("splitnve.evb.rrreq", "RRREQ: station asks for reflective relay", 8, nil, 0x04)
b.rrstat = ProtoField.uint8("splitnve.evb.rrstat", "RRSTAT", base.DEC, {[0] = "no", [1] = "yes", [3] = "unknown"}, 0x03)
b.retries = ProtoField.uint8("splitnve.evb.retries", "R: retries", base.DEC, nil, 0xE0)
b.rte = ProtoField.uint8("splitnve.evb.rte", "RTE: acknowledgement timer 2^n x 10 us", base.DEC, nil, 0x1F)
b.mode = ProtoField.uint8("splitnve.evb.mode", "Mode", base.DEC, {[1] = "bridge", [2] = "station"}, 0xC0)
b.rwd_rol = ProtoField.bool("splitnve.evb.rwd_rol", "ROL: the remote's RWD holds", 8, nil, 0x20)
b.rwd = ProtoField.uint8("splitnve.evb.rwd", "RWD: resource wait 2^n x 10 us", base.DEC, nil, 0x1F)
b.rka_rol = ProtoField.bool("splitnve.evb.rka_rol", "ROL: the remote's RKA holds", 8, nil, 0x20)
b.rka = ProtoField.uint8("splitnve.evb.rka", "RKA: keep-alive 2^n x 10 us", base.DEC, nil, 0x1F)

local function values(fields)
  local list = {}
  for _, field in pairs(fields) do list[#list + 1] = field end
  return list
end
ecp.fields, vdp.fields, evb.fields = values(e), values(v), values(b)

local x = {}   -- expert infos
local EXPERTS = {
  {"short", "Shorter than an ECP header", true}, {"version", "Version is not 1: dropped unacknowledged"},
  {"operation", "Reserved operation: dropped unacknowledged"}, {"subtype", "Unknown subtype: dropped unacknowledged"},
  {"past_end", "Length past the end", true}, {"no_manager", "Manager TLV missing: it must come first"},
  {"second_manager", "Second manager TLV"}, {"late_manager", "Manager TLV is not first"},
  {"manager_length", "Manager TLV is not 16 octets long", true}, {"after_end", "Data after the End TLV"},
  {"no_end", "No End TLV: lldpad parses on past the end of such a frame"}, {"tlv_type", "Unknown TLV type: walked over"},
  {"short_association", "Association TLV is too short", true}, {"reserved_code", "Reserved code"},
  {"reserved_status", "Reserved status bit 0x80"}, {"both_hints", "S and M together: code 1"},
  {"format", "Unknown filter format"}, {"count", "Entry count does not fit the length", true},
  {"no_entries", "No entries: legal in a De-Associate only"}, {"reserved_vid", "VID 1 or 4095 is reserved"},
  {"group_id", "GroupID is no VN ID: it needs more than 24 bits"}, {"mac", "Zero or group MAC address"},
  {"prefix", "Prefix length is too large"}, {"host_bits", "Host bits are set behind the prefix"},
  {"vsi_format", "Unknown VSI ID format"}, {"extension", "Unknown subtype: walked over"},
  {"extension_length", "Wrong length for this subtype", true}, {"not_last", "Authentication is not the last TLV before End"},
  {"null_vid", "Success without a VID"}, {"evb_length", "EVB TLV is not 9 octets long", true},
}
local experts = {}
for _, one in ipairs(EXPERTS) do
  x[one[1]] = ProtoExpert.new("splitnve.expert." .. one[1], one[2], one[3] and expert.group.MALFORMED or
    expert.group.PROTOCOL, one[3] and expert.severity.ERROR or expert.severity.WARN)
  experts[#experts + 1] = x[one[1]]
end
x.unacknowledged = ProtoExpert.new("splitnve.expert.unacknowledged", "Retransmission", expert.group.SEQUENCE,
  expert.severity.NOTE)
experts[#experts + 1] = x.unacknowledged
vdp.experts = experts

-- --- association TLVs: status(1) type(3) version(1) ID format(1) ID(16) filter format(1) count(2) entries ---

local function vsi_text(kind, octets)
  if kind == 1 then return tostring(octets(12, 4):ipv4()) end
  if kind == 2 then return tostring(octets:ipv6()) end
  if kind == 3 then return tostring(octets(10, 6):ether()) end
  local hex = octets:bytes():tohex(true)
  if kind ~= 5 then return hex end
  return (hex:gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x+)$", "%1-%2-%3-%4-%5"))
end

-- Are bits of the address behind the prefix set?
local function host_bits(address, prefix)
  for octet = 0, address:len() - 1 do
    local kept = math.max(0, math.min(8, prefix - 8 * octet))
    if band(address(octet, 1):uint(), right(0xFF, kept)) ~= 0 then return true end
  end
  return false
end

local function add_address(tree, octets, format)
  tree:add(format.ip == 4 and v.ipv4 or v.ipv6, octets(0, format.ip))
  if format.prefix == 0 then return end
  local length = octets(format.ip, 1):uint()
  local item = tree:add(v.prefix, octets(format.ip, 1))
  if length > 8 * format.ip then
    item:add_proto_expert_info(x.prefix)
  elseif host_bits(octets(0, format.ip), length) then
    item:add_proto_expert_info(x.host_bits)
  end
end

local function add_entry(tree, octets, format, number, success)
  local entry, at = tree:add(octets, "Entry " .. number), 0
  if format.group > 0 then
    local item = entry:add(v.group, octets(0, 4))
    if octets(0, 1):uint() ~= 0 then item:add_proto_expert_info(x.group_id) end
    at = 4
  end
  if format.mac > 0 then
    local item = entry:add(v.mac, octets(at, 6))
    if band(octets(at, 1):uint(), 1) == 1 or octets(at, 6):bytes():tohex() == "000000000000" then
      item:add_proto_expert_info(x.mac)
    end
    at = at + 6
  end
  if format.ip > 0 then
    add_address(entry, octets(at), format)
    at = at + format.ip + format.prefix
  end
  local word = octets(at, 2)
  entry:add(v.ps, word)
  entry:add(v.pcp, word)
  local item, vid = entry:add(v.vid, word), band(word:uint(), 0x0FFF)
  if vid == 1 or vid == 4095 then item:add_proto_expert_info(x.reserved_vid) end
  if vid == 0 and success then item:add_proto_expert_info(x.null_vid) end
  entry:append_text(": VID " .. vid)
end

local function add_status(tree, octet)
  local status = octet:uint()
  local item = tree:add(v.status, octet)
  item:add(v.response, octet)
  if band(status, 0x80) ~= 0 then item:add_proto_expert_info(x.reserved_status) end
  if band(status, 0x40) == 0 then
    item:add(v.suspended, octet)
    item:add(v.migrating, octet)
    if band(status, 0x30) == 0x30 then item:add_proto_expert_info(x.both_hints) end
    return "request"
  end
  item:add(v.keep, octet)
  item:add(v.hard, octet)
  local code, code_item = band(status, 0x0F), item:add(v.code, octet)
  if code > 5 then code_item:add_proto_expert_info(x.reserved_code) end
  return (CODES[code] or "code " .. code) .. (band(status, 0x20) ~= 0 and " KEEP" or "") .. (band(status, 0x10) ~= 0 and " HARD" or "")
end

-- Returns the words for the info column.
local function add_association(tree, kind, value)
  if value:len() < 23 then
    tree:add_proto_expert_info(x.short_association)
    return TYPES[kind]
  end
  local words = TYPES[kind] .. " " .. add_status(tree, value(0, 1))
  tree:append_text(", " .. words)
  tree:add(v.type_id, value(1, 3))
  tree:add(v.type_version, value(4, 1))
  local id_item = tree:add(v.vsi_format, value(5, 1))
  if not VSI_FORMATS[value(5, 1):uint()] then id_item:add_proto_expert_info(x.vsi_format) end
  tree:add(v.vsi, value(6, 16), vsi_text(value(5, 1):uint(), value(6, 16)))
  if value:len() == 23 and kind == 4 then return words end   -- no filter information: the whole VSI
  if value:len() < 25 then
    tree:add_proto_expert_info(x.short_association)
    return words
  end
  local format, count = FORMATS[value(22, 1):uint()], value(23, 2):uint()
  local format_item = tree:add(v.format, value(22, 1))
  local count_item = tree:add(v.count, value(23, 2))
  if count == 0 and kind ~= 4 then count_item:add_proto_expert_info(x.no_entries) end
  if not format then
    format_item:add_proto_expert_info(x.format)
    return words
  end
  local size = format.group + format.mac + format.ip + format.prefix + 2
  if value:len() ~= 25 + count * size then count_item:add_proto_expert_info(x.count) end
  local success = kind ~= 4 and band(value(0, 1):uint(), 0x4F) == 0x40
  for number = 1, math.min(count, math.floor((value:len() - 25) / size)) do
    add_entry(tree, value(25 + (number - 1) * size, size), format, number, success)
  end
  return words
end

-- --- our organizational TLVs: subtype(1) value ---

local ADD_EXTENSION = {
  [1] = function(tree, value)
    tree:add(v.cap_version, value(0, 1))
    tree:add(v.cap_role, value(1, 1))
    local flags = tree:add(v.cap_flags, value(2, 4))
    for _, name in ipairs(FLAGS) do flags:add(v["flag_" .. name], value(2, 4)) end
    tree:add(v.cap_system, value(6, 16))
    tree:add(v.cap_epoch, value(22, 8))
    tree:add(v.cap_nonce, value(30, 16))
    if value(0, 1):uint() < 2 then return end
    tree:add(v.cap_retries, value(46, 1))
    tree:add(v.cap_rte, value(46, 1))
    tree:add(v.cap_relay, value(47, 1))
    tree:add(v.cap_rwd, value(47, 1))
    tree:add(v.cap_rka, value(48, 1))
    tree:add(v.cap_segment, value(49, 8))
    tree:add(v.cap_ranges, value(57, 1))
    for number = 1, value(57, 1):uint() do
      local at = 58 + 4 * (number - 1)
      tree:add(v.cap_first, value(at, 2))
      tree:add(v.cap_last, value(at + 2, 2))
    end
  end,
  [2] = function(tree, value) tree:add(v.migration, value(0, 1)) end,
  [3] = function(tree, value) tree:add(v.vn_name, value(0, 16)) end,
  [4] = function(tree, value)
    tree:add(v.vn_operation, value(0, 1))
    tree:add(v.group, value(1, 4))
    add_status(tree, value(5, 1))
    tree:add(v.vid, value(6, 2))
  end,
  [5] = function(tree, value)
    tree:add(v.cause, value(0, 2))
    if value:len() > 2 then tree:add(v.reason, value(2)) end
  end,
  [6] = function(tree, value)
    tree:add(v.key, value(0, 2))
    tree:add(v.session, value(2, 8))
    tree:add(v.counter, value(10, 8))
    tree:add(v.tag, value(18, 16))
  end,
  [7] = function(tree, value)
    tree:add(v.standing, value(0, 1))
    tree:add(v.scope, value(1, 1))
    tree:add(v.vsi_format, value(2, 1))
    tree:add(v.vsi, value(3, 16), vsi_text(value(2, 1):uint(), value(3, 16)))
    tree:add(v.group, value(19, 4))
  end,
  [9] = function(tree, value)
    tree:add(v.group, value(0, 4))
    local flags = tree:add(v.attributes, value(4, 2))
    flags:add(v.local_off, value(4, 2))
    flags:add(v.neighbours, value(4, 2))
  end,
}

-- Capabilities grow with their version: what is behind what we know is walked over.
local function capabilities_fit(value)
  if value:len() < 46 then return false end
  if value(0, 1):uint() < 2 then return true end
  return value:len() >= 58 and value(57, 1):uint() <= 8 and value:len() >= 58 + 4 * value(57, 1):uint()
end

local function extension_fits(subtype, octets)
  if subtype == 5 then return octets >= 2 and octets <= 66 end
  return octets == EXTENSION_OCTETS[subtype]
end

-- Returns the words for the info column, and whether it is an authentication TLV.
local function add_organizational(tree, value)
  if value:len() < 3 then
    tree:add_proto_expert_info(x.extension_length)
    return "organizational", false
  end
  tree:add(v.oui, value(0, 3))
  if value(0, 3):bytes():tohex(true) ~= vdp.prefs.oui:lower() or value:len() < 4 then
    if value:len() > 3 then tree:add(v.org_value, value(3)) end
    return "organizational", false
  end
  local subtype = value(3, 1):uint()
  local item = tree:add(v.extension, value(3, 1))
  if not EXTENSIONS[subtype] then
    item:add_proto_expert_info(x.extension)
    return "extension " .. subtype, false
  end
  tree:append_text(", " .. EXTENSIONS[subtype])
  local fits = subtype == 1 and value:len() > 4 and capabilities_fit(value(4)) or
    subtype ~= 1 and extension_fits(subtype, value:len() - 4)
  if not fits then
    item:add_proto_expert_info(x.extension_length)
  elseif value:len() > 4 then
    ADD_EXTENSION[subtype](tree, value(4))
  end
  return EXTENSIONS[subtype], subtype == 6
end

-- --- VDP: TLVs up to End ---

local function is_zero(octets) return octets:bytes():tohex():match("^0*$") ~= nil end

local function add_manager(tree, value, state)
  if state.manager then
    tree:add_proto_expert_info(x.second_manager)
  elseif state.count > 1 then
    tree:add_proto_expert_info(x.late_manager)
  end
  state.manager = true
  if value:len() ~= 16 then return tree:add_proto_expert_info(x.manager_length) end
  tree:add(v.manager, value)
  local text = value:raw():match("^([%w%p ]+)%z*$")
  if text then
    tree:add(v.manager_text, value, text)
    tree:append_text(", " .. text)
  end
end

local function add_tlv(tree, kind, value, state, words)
  if kind == 5 then
    add_manager(tree, value, state)
  elseif kind >= 1 and kind <= 4 then
    words[#words + 1] = add_association(tree, kind, value)
  elseif kind == 127 then
    words[#words + 1], state.authenticated = add_organizational(tree, value)
  else
    tree:add_proto_expert_info(x.tlv_type)
  end
end

function vdp.dissector(buffer, pinfo, parent)
  local tree, at, state, words = parent:add(vdp, buffer()), 0, {count = 0}, {}
  local ended = false
  while at + 2 <= buffer:len() do
    local head = buffer(at, 2):uint()
    local kind, length = right(head, 9), band(head, 0x1FF)
    local inside = math.min(length, buffer:len() - at - 2)
    local tlv = tree:add(buffer(at, 2 + inside), TYPES[kind] or ("TLV of type " .. kind))
    local type_item = tlv:add(v.type, buffer(at, 2))
    tlv:add(v.length, buffer(at, 2))
    if state.authenticated and head ~= 0 then type_item:add_proto_expert_info(x.not_last) end
    at, state.count = at + 2 + inside, state.count + 1
    if head == 0 then
      ended = true
      break
    end
    if not state.manager and kind ~= 5 and state.count == 1 then tlv:add_proto_expert_info(x.no_manager) end
    if inside < length then
      type_item:add_proto_expert_info(x.past_end)
      break
    end
    if length > 0 then
      add_tlv(tlv, kind, buffer(at - inside, inside), state, words)
    elseif kind ~= 127 and kind ~= 0 then
      type_item:add_proto_expert_info(kind == 5 and x.manager_length or kind < 5 and x.short_association or x.tlv_type)
    end
  end
  if not ended then
    tree:add_proto_expert_info(x.no_end)
  elseif at < buffer:len() and not is_zero(buffer(at)) then
    tree:add(buffer(at), "After End"):add_proto_expert_info(x.after_end)
  end
  if #words > 0 then pinfo.cols.info:append(": " .. table.concat(words, ", ")) end
end

-- --- ECP: version(4 bits) operation(2) subtype(10) sequence(16) ---

-- Requests that wait for their acknowledgement, by sender and sequence; what is known of each frame, by its number.
local waiting, known = {}, {}
function ecp.init() waiting, known = {}, {} end

local function learn(pinfo, is_ack, sequence, payload)
  local info, source = {}, tostring(pinfo.dl_src)
  if not is_ack then
    local key = source .. "/" .. sequence
    local earlier = waiting[key]
    if earlier and earlier.payload == payload and pinfo.abs_ts - earlier.at < 3 then
      info.retransmission_of = earlier.number
    end
    waiting[key] = {number = pinfo.number, at = pinfo.abs_ts, payload = payload, from = source, sequence = sequence}
  else   -- acks go to a group: what is acknowledged is another's request of this sequence, the latest
    local request
    for _, one in pairs(waiting) do
      if one.sequence == sequence and one.from ~= source and (not request or one.number > request.number) then request = one end
    end
    if request then
      info.ack_of, info.at = request.number, request.at
      if known[request.number] then known[request.number].ack_in = pinfo.number end
    end
  end
  known[pinfo.number] = info
end

function ecp.dissector(buffer, pinfo, parent)
  pinfo.cols.protocol = "ECP"
  local tree = parent:add(ecp, buffer())
  if buffer:len() < 4 then
    tree:add_proto_expert_info(x.short)
    return buffer:len()
  end
  local head, sequence = buffer(0, 2):uint(), buffer(2, 2):uint()
  local version, operation, subtype = right(head, 12), band(right(head, 10), 3), band(head, 0x3FF)
  local items = {tree:add(e.version, buffer(0, 2)), tree:add(e.operation, buffer(0, 2)), tree:add(e.subtype, buffer(0, 2))}
  tree:add(e.sequence, buffer(2, 2))
  if version ~= 1 then items[1]:add_proto_expert_info(x.version) end
  if operation > 1 then items[2]:add_proto_expert_info(x.operation) end
  if not SUBTYPES[subtype] then items[3]:add_proto_expert_info(x.subtype) end
  pinfo.cols.info = string.format("%s %s %d", SUBTYPES[subtype] or "subtype " .. subtype,
    OPERATIONS[operation] or "operation " .. operation, sequence)
  if version ~= 1 or operation > 1 then return buffer:len() end
  if not pinfo.visited then learn(pinfo, operation == 1, sequence, buffer:raw()) end
  local info = known[pinfo.number] or {}
  if info.ack_in then tree:add(e.ack_in, info.ack_in):set_generated() end
  if info.ack_of then
    tree:add(e.ack_of, info.ack_of):set_generated()
    tree:add(e.time, NSTime.new(0, math.floor((pinfo.abs_ts - info.at) * 1e9 + 0.5))):set_generated()
  end
  if info.retransmission_of then
    tree:add(e.retransmission, info.retransmission_of):set_generated():add_proto_expert_info(x.unacknowledged)
  end
  if operation == 0 and subtype == 1 and buffer:len() > 4 then
    pinfo.cols.protocol = "VDP"
    vdp.dissector(buffer(4):tvb(), pinfo, parent)
  end
  return buffer:len()
end

-- --- EVB TLV in LLDP: type 127, OUI 00-80-C2 subtype 0x0D, five octets; a post-dissector, beside Wireshark's LLDP ---

local function add_evb(tree, value)
  for _, field in ipairs({b.bgid, b.rrcap, b.rrctr}) do tree:add(field, value(0, 1)) end
  for _, field in ipairs({b.sgid, b.rrreq, b.rrstat}) do tree:add(field, value(1, 1)) end
  for _, field in ipairs({b.retries, b.rte}) do tree:add(field, value(2, 1)) end
  for _, field in ipairs({b.mode, b.rwd_rol, b.rwd}) do tree:add(field, value(3, 1)) end
  for _, field in ipairs({b.rka_rol, b.rka}) do tree:add(field, value(4, 1)) end
end

function evb.dissector(buffer, _, parent)
  if buffer:len() < 16 or buffer(12, 2):uint() ~= 0x88CC then return end
  local at = 14
  while at + 2 <= buffer:len() do
    local kind, length = right(buffer(at, 2):uint(), 9), band(buffer(at, 2):uint(), 0x1FF)
    if kind == 0 or at + 2 + length > buffer:len() then return end
    if kind == 127 and length >= 4 and buffer(at + 2, 4):uint() == 0x0080C20D then
      local tree = parent:add(evb, buffer(at, 2 + length))
      if length == 9 then add_evb(tree, buffer(at + 6, 5)) else tree:add_proto_expert_info(x.evb_length) end
    end
    at = at + 2 + length
  end
end

DissectorTable.get("ethertype"):add(0x8940, ecp)
register_postdissector(evb)
