-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- Shows the fence_kdump protocol, version 1, in Wireshark and tshark: what a machine says from its
-- crash kernel, and the challenges that receivers send back. core/PROTOCOL.md specifies it; the
-- sections named here are its.
--
--   tshark -X lua_script:fence_kdump.lua -Y fence_kdump
--
-- or put this file into the folder that Wireshark names under Help, About, Folders, "Personal Lua
-- Plugins". Messages to the port (7410; a preference) are shown even when a receiver refuses them,
-- with the cause; elsewhere, what begins with the magic number or is a challenge.
--
-- A MAC is shown, not checked: no key comes near a packet analyser.

local MAGIC_LITTLE, MAGIC_BIG = 0x1b302a40, 0x402a301b -- both read as little-endian
local VERSION = 1
local LONGEST = 508
local MARK, CHALLENGE_MARK = 0x4b445831, 0x4b444331 -- "KDX1", "KDC1", read as big-endian
local CHALLENGE_LENGTH = 72
local HMAC_SHA_256 = 1
local MAC = 0xff

local kdump = Proto("fence_kdump", "Crash kernel message (fence_kdump)")
kdump.prefs.ports = Pref.range("UDP ports", "7410", "Ports at which receivers listen", 65535)

-- Section 4.3.
local PHASES = {
    [1] = "booted", [2] = "dumping", [3] = "finished", [4] = "failed", [5] = "leaving",
}
local ALGORITHMS = { [HMAC_SHA_256] = "HMAC-SHA-256" }

-- Section 4.2: name, smallest and greatest length.
local REGISTRY = {
    [0x01] = { "NODE NAME", 1, 253 },
    [0x02] = { "MACHINE ID", 16, 16 },
    [0x03] = { "CRASH ID", 16, 16 },
    [0x04] = { "SEQUENCE", 8, 8 },
    [0x05] = { "WALL CLOCK", 8, 8 },
    [0x06] = { "UPTIME", 8, 8 },
    [0x07] = { "INTERVAL", 4, 4 },
    [0x08] = { "PHASE", 1, 1 },
    [0x09] = { "PROGRESS", 16, 16 },
    [0x0a] = { "ANSWER", 16, 16 },
    [0x0b] = { "KEY ID", 4, 4 },
    [MAC] = { "MAC", 33, 33 },
}
-- What a signed message must have, in the order in which the first one missing is told (section 7).
local DEMANDED = { 0x01, 0x03, 0x04, 0x06, 0x0b }

local types = {}
for number, entry in pairs(REGISTRY) do types[number] = entry[1] end

local ms = { " ms" }
local f = {
    magic = ProtoField.uint32("fence_kdump.magic", "Magic", base.HEX),
    version = ProtoField.uint32("fence_kdump.version", "Version"),
    byte_order = ProtoField.string("fence_kdump.byte_order", "Byte order of the sender"),
    mark = ProtoField.string("fence_kdump.mark", "Mark of an extension"),
    trailing = ProtoField.bytes("fence_kdump.trailing", "Trailing bytes"),
    refused = ProtoField.string("fence_kdump.refused", "Refused"),

    field = ProtoField.bytes("fence_kdump.field", "Field"),
    field_type = ProtoField.uint8("fence_kdump.field.type", "Type", base.HEX, types),
    field_length = ProtoField.uint8("fence_kdump.field.length", "Length"),

    node_name = ProtoField.string("fence_kdump.node_name", "Node name"),
    machine_id = ProtoField.bytes("fence_kdump.machine_id", "Machine id"),
    crash_id = ProtoField.bytes("fence_kdump.crash_id", "Crash id"),
    sequence = ProtoField.uint64("fence_kdump.sequence", "Sequence"),
    wall_clock = ProtoField.absolute_time(
        "fence_kdump.wall_clock", "Wall clock of the sender", base.UTC),
    wall_clock_ms = ProtoField.uint64(
        "fence_kdump.wall_clock_ms", "Wall clock of the sender since 1970", base.UNIT_STRING, ms),
    uptime = ProtoField.uint64(
        "fence_kdump.uptime", "Time since the crash kernel started", base.UNIT_STRING, ms),
    interval = ProtoField.uint32(
        "fence_kdump.interval", "Time until the next message", base.UNIT_STRING, ms),
    phase = ProtoField.uint8("fence_kdump.phase", "Phase", base.DEC, PHASES),
    done = ProtoField.uint64("fence_kdump.progress.done", "Dump done (bytes)"),
    total = ProtoField.uint64("fence_kdump.progress.total", "Dump in all (bytes)"),
    answer = ProtoField.bytes("fence_kdump.answer", "Answer (nonce of the challenge)"),
    key_id = ProtoField.bytes("fence_kdump.key_id", "Key id"),
    algorithm = ProtoField.uint8("fence_kdump.mac.algorithm", "Algorithm", base.DEC, ALGORITHMS),
    mac = ProtoField.bytes("fence_kdump.mac", "Authentication code (not checked)"),

    unknown_type = ProtoField.uint8("fence_kdump.unknown.type", "Unknown type", base.HEX),
    unknown_value = ProtoField.bytes("fence_kdump.unknown.value", "Unknown value"),

    challenge = ProtoField.bytes("fence_kdump.challenge", "Challenge"),
    challenge_mark = ProtoField.string("fence_kdump.challenge.mark", "Mark of a challenge"),
    challenge_key_id = ProtoField.bytes("fence_kdump.challenge.key_id", "Key id"),
    challenge_crash_id = ProtoField.bytes("fence_kdump.challenge.crash_id", "Crash id"),
    challenge_nonce = ProtoField.bytes("fence_kdump.challenge.nonce", "Nonce"),
    challenge_mac = ProtoField.bytes(
        "fence_kdump.challenge.mac", "Authentication code (not checked)"),
}
kdump.fields = f

-- Section 7: what a receiver calls the cause, and what it means. An empty datagram is no payload
-- to Wireshark and never comes here.
local CAUSES = {
    ["truncated"] = "fewer than 8 bytes",
    ["bad magic"] = "the magic number in neither byte order",
    ["unsupported version"] = "not version 1",
    ["too long"] = "more than 508 bytes",
    ["trailing bytes"] = "bytes follow that are no extension",
    ["MAC not last"] = "a field follows the MAC",
    ["field cut off"] = "a field is cut off by the end of the datagram",
    ["repeated field"] = "a second field of the same type",
    ["unknown critical field"] = "a critical field of an unknown type",
    ["wrong field length"] = "a field whose length is not that of its type",
    ["bad node name"] = "a node name with other bytes than 0x21 to 0x7e",
    ["unknown algorithm"] = "a MAC of an unknown algorithm",
    ["missing field"] = "a MAC without a field that a signed message must have",
}
local experts = {}
for cause, meaning in pairs(CAUSES) do
    local name = string.lower(string.gsub(cause, " ", "_"))
    CAUSES[cause] = ProtoExpert.new("fence_kdump.refused." .. name,
        "Receivers refuse this datagram: " .. meaning,
        expert.group.MALFORMED, expert.severity.ERROR)
    table.insert(experts, CAUSES[cause])
end
local e = {
    unproven = ProtoExpert.new("fence_kdump.unproven",
        "No MAC: whoever could send this datagram can have said this",
        expert.group.SECURITY, expert.severity.CHAT),
    phase = ProtoExpert.new("fence_kdump.phase.unknown",
        "An unknown phase: a receiver passes over it",
        expert.group.PROTOCOL, expert.severity.NOTE),
    snaplen = ProtoExpert.new("fence_kdump.not_captured",
        "The capture has not the whole datagram: whether receivers refuse it is not known",
        expert.group.UNDECODED, expert.severity.WARN),
}
for _, one in pairs(e) do table.insert(experts, one) end
kdump.experts = experts

-- Marks `item` with the cause, and says it in the tree where it can be searched for.
local function refuse(pinfo, tree, item, cause, detail)
    tree:add(f.refused, cause):set_generated()
    item:add_proto_expert_info(CAUSES[cause])
    pinfo.cols.info = "Refused: " .. cause .. (detail and " (" .. detail .. ")" or "")
end

-- Milliseconds since 1970 as a time, when people have a word for it: up to the year 9999.
local function add_wall_clock(tree, value)
    local since = value:uint64()
    tree:add(f.wall_clock_ms, value)
    local seconds = (since / 1000):tonumber()
    if seconds < 253402300800 then
        tree:add(f.wall_clock, value, NSTime(seconds, (since % 1000):tonumber() * 1000000))
    end
end

-- How each type of section 4.2 is shown; a text for the line of the field, when there is one.
local SHOW = {
    [0x01] = function(tree, value)
        tree:add(f.node_name, value)
        return value:string()
    end,
    [0x02] = function(tree, value) tree:add(f.machine_id, value) end,
    [0x03] = function(tree, value) tree:add(f.crash_id, value) end,
    [0x04] = function(tree, value)
        tree:add(f.sequence, value)
        return tostring(value:uint64())
    end,
    [0x05] = function(tree, value) add_wall_clock(tree, value) end,
    [0x06] = function(tree, value)
        tree:add(f.uptime, value)
        return tostring(value:uint64()) .. " ms"
    end,
    [0x07] = function(tree, value)
        tree:add(f.interval, value)
        return tostring(value:uint()) .. " ms"
    end,
    [0x08] = function(tree, value)
        local item, phase = tree:add(f.phase, value), PHASES[value:uint()]
        if not phase then item:add_proto_expert_info(e.phase) end
        return phase
    end,
    [0x09] = function(tree, value)
        tree:add(f.done, value(0, 8))
        tree:add(f.total, value(8, 8))
        return tostring(value(0, 8):uint64()) .. " of " .. tostring(value(8, 8):uint64())
    end,
    [0x0a] = function(tree, value) tree:add(f.answer, value) end,
    [0x0b] = function(tree, value) tree:add(f.key_id, value) end,
    [MAC] = function(tree, value)
        tree:add(f.algorithm, value(0, 1))
        tree:add(f.mac, value(1, 32))
    end,
}

-- Whether `value` is a node's name (section 4.2).
local function is_name(value)
    local bytes = value:bytes()
    for at = 0, bytes:len() - 1 do
        local byte = bytes:get_index(at)
        if byte < 0x21 or byte > 0x7e then return false end
    end
    return true
end

-- Conditions 7 to 13 of section 7 on the field at `at`: the cause that holds first, or nil.
local function judge(tvb, at, seen)
    local left = tvb:len() - at
    local kind = tvb(at, 1):uint()
    if seen[MAC] then return "MAC not last" end
    if left < 2 or left < 2 + tvb(at + 1, 1):uint() then return "field cut off" end
    local length, entry = tvb(at + 1, 1):uint(), REGISTRY[kind]
    if seen[kind] then return "repeated field" end
    if not entry and kind >= 0x80 then return "unknown critical field" end
    if entry and (length < entry[2] or length > entry[3]) then return "wrong field length" end
    if kind == 0x01 and not is_name(tvb(at + 2, length)) then return "bad node name" end
    if kind == MAC and tvb(at + 2, 1):uint() ~= HMAC_SHA_256 then return "unknown algorithm" end
    return nil
end

-- The fields of section 4. Returns true when none of them is a cause of refusal, and what was seen:
-- by type, the text that stands for the value.
local function show_fields(tvb, pinfo, tree)
    local seen, at, whole = {}, 12, tvb:len() == tvb:reported_len()
    while at < tvb:len() do
        local kind, cause = tvb(at, 1):uint(), judge(tvb, at, seen)
        if cause == "field cut off" and not whole then return nil, seen end
        local length = at + 1 < tvb:len() and tvb(at + 1, 1):uint() or 0
        local range = tvb(at, math.min(2 + length, tvb:len() - at))
        local item = tree:add(f.field, range)
        local name = types[kind] or string.format("Unknown field 0x%02x", kind)
        item:set_text(name)
        item:add(f.field_type, range(0, 1))
        if range:len() > 1 then item:add(f.field_length, range(1, 1)) end
        if cause then
            if range:len() > 2 and not types[kind] then
                item:add(f.unknown_type, range(0, 1))
                item:add(f.unknown_value, range(2))
            end
            refuse(pinfo, tree, item, cause, name)
            return false, seen
        end
        local value = length > 0 and range(2) or nil
        local text = ""
        if SHOW[kind] then
            text = SHOW[kind](item, value) or ""
        else
            item:add(f.unknown_type, range(0, 1))
            if value then item:add(f.unknown_value, value) end
        end
        if text ~= "" then item:append_text(": " .. text) end
        seen[kind] = text
        at = at + range:len()
    end
    if not whole then return nil, seen end
    for _, kind in ipairs(DEMANDED) do
        if seen[MAC] and not seen[kind] then
            refuse(pinfo, tree, tree, "missing field", types[kind])
            return false, seen
        end
    end
    return true, seen
end

-- One line about a message with an extension.
local function sum_up(seen, whole)
    local words = { seen[MAC] and "signed" or whole and "extended, unsigned" or "not all captured" }
    if seen[0x01] then table.insert(words, seen[0x01]) end
    if seen[0x04] then table.insert(words, "sequence " .. seen[0x04]) end
    if seen[0x08] and seen[0x08] ~= "" then table.insert(words, seen[0x08]) end
    if seen[0x09] then table.insert(words, seen[0x09] .. " bytes") end
    if seen[0x0a] then table.insert(words, "answers a challenge") end
    return "Crash kernel runs: " .. table.concat(words, ", ")
end

-- Section 9.
local function show_challenge(tvb, pinfo, tree)
    local item = tree:add(f.challenge, tvb())
    item:set_text("Challenge")
    local parts = {
        { f.challenge_mark, 0, 4 }, { f.challenge_key_id, 4, 4 }, { f.challenge_crash_id, 8, 16 },
        { f.challenge_nonce, 24, 16 }, { f.challenge_mac, 40, 32 },
    }
    for _, part in ipairs(parts) do
        if tvb:len() < part[2] + part[3] then
            item:add_proto_expert_info(e.snaplen)
            break
        end
        item:add(part[1], tvb(part[2], part[3]))
    end
    local nonce = tvb:len() >= 40 and ", nonce " .. tvb(24, 16):bytes():tohex(true) or ""
    pinfo.cols.info = "Challenge" .. nonce
end

-- Conditions 2 to 6 of section 7, then the fields.
local function show_message(tvb, pinfo, tree)
    local length, whole = tvb:reported_len(), tvb:len() == tvb:reported_len()
    if length < 8 then
        return refuse(pinfo, tree, tree, "truncated", length .. " bytes")
    elseif tvb:len() < 8 then
        return tree:add_proto_expert_info(e.snaplen)
    end
    local magic = tvb(0, 4):le_uint()
    local little = magic ~= MAGIC_BIG
    local add = little and tree.add_le or tree.add
    local item = add(tree, f.magic, tvb(0, 4))
    if magic ~= MAGIC_LITTLE and magic ~= MAGIC_BIG then
        return refuse(pinfo, tree, item, "bad magic", string.format("0x%08x", magic))
    end
    tree:add(f.byte_order, tvb(0, 4), little and "little" or "big"):set_generated()
    item = add(tree, f.version, tvb(4, 4))
    local version = little and tvb(4, 4):le_uint() or tvb(4, 4):uint()
    if version ~= VERSION then
        return refuse(pinfo, tree, item, "unsupported version", string.format("%d", version))
    elseif length == 8 then
        pinfo.cols.info = "Crash kernel runs: plain" .. (little and "" or ", big-endian")
        return tree:add_proto_expert_info(e.unproven)
    elseif not whole and tvb:len() < 12 then
        return tree:add_proto_expert_info(e.snaplen)
    elseif tvb:len() < 12 or tvb(8, 4):uint() ~= MARK then
        item = tree:add(f.trailing, tvb(8))
        return refuse(pinfo, tree, item, "trailing bytes", (length - 8) .. " bytes")
    elseif length > LONGEST then
        return refuse(pinfo, tree, tree, "too long", length .. " bytes")
    end
    tree:add(f.mark, tvb(8, 4))
    local good, seen = show_fields(tvb, pinfo, tree)
    if good == false then return end
    pinfo.cols.info = sum_up(seen, good)
    if not good then
        tree:add_proto_expert_info(e.snaplen)
    elseif not seen[MAC] then
        tree:add_proto_expert_info(e.unproven)
    end
end

local function is_challenge(tvb)
    return tvb:reported_len() == CHALLENGE_LENGTH and tvb:len() >= 4
        and tvb(0, 4):uint() == CHALLENGE_MARK
end

function kdump.dissector(tvb, pinfo, root)
    -- 7410 is also a port of RTPS (DDS discovery): what begins like that is left to its dissector.
    if tvb:len() >= 4 and (tvb(0, 4):string() == "RTPS" or tvb(0, 4):string() == "RTPX") then
        return 0
    end
    pinfo.cols.protocol = "fence_kdump"
    local tree = root:add(kdump, tvb())
    if is_challenge(tvb) then
        show_challenge(tvb, pinfo, tree)
    else
        show_message(tvb, pinfo, tree)
    end
    return tvb:reported_len()
end

kdump:register_heuristic("udp", function(tvb, pinfo, root)
    if tvb:len() < 8 then return false end
    local magic = tvb(0, 4):le_uint()
    if magic ~= MAGIC_LITTLE and magic ~= MAGIC_BIG and not is_challenge(tvb) then return false end
    kdump.dissector(tvb, pinfo, root)
    return true
end)

local udp = DissectorTable.get("udp.port")
local ports = kdump.prefs.ports
udp:add(ports, kdump)

function kdump.prefs_changed()
    if ports ~= kdump.prefs.ports then
        udp:remove(ports, kdump)
        ports = kdump.prefs.ports
        udp:add(ports, kdump)
    end
end
