"""The Lua of the breaker, on the server's clock; `breaker` tells what it means, and `scripts.TAKE` heeds it.

    framefleet:breaker         hash    there while it is open: opened_at, failure, failing, units, workers; TAKE's probe_at, wait, before;
                                       tried:<shard>, how often that one failed since
    framefleet:breaker:closed  string  when it was closed last
    framefleet:breaker:window  string  JSON, the latest units first: c(lass), w(orker), s(hard), t(ime)

A unit's class is empty if it is fine, and "-" if its fault lies in its bytes.
"""

from broker.scripts import BREAKER_KEPT_SECONDS, WORDS

WINDOW = "framefleet:breaker:window"
CLOSED = "framefleet:breaker:closed"
VITALS = "framefleet:vitals:"
"""What `vitals` puts before a living worker's name."""
IN_THE_BYTES = "-"
WINDOW_SECONDS = 600
PATIENCE_SECONDS = 3600
ROUNDS = 3
SHARDS_AT_LEAST = 4
"""How many shards the window spans at least, so that a long one does not fill it alone."""

_CLOSE = (
    WORDS
    + """
local function close(breaker, window, queue, closed)
  local was_open = redis.call('DEL', breaker)
  redis.call('DEL', window)
  if was_open == 1 then
    redis.call('SET', closed, now(), 'EX', 3600)
    ring(queue)
  end
  return was_open
end
"""
)
_LIMITS = f"""
local KEPT, YOUNG, PATIENCE, ROUNDS, SHARDS = {BREAKER_KEPT_SECONDS}, {WINDOW_SECONDS}, {PATIENCE_SECONDS}, {ROUNDS}, {SHARDS_AT_LEAST}
"""

JUDGE = (
    _CLOSE
    + _LIMITS
    + """
local breaker, window, queue, closed = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local worker, shard, vitals = ARGV[1], ARGV[2], ARGV[3]
local most, share, least = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local doubtful, wait, age = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local FIRST, moment = 10, now()

local fine, failed, ends_well = 0, 0, false
for at = FIRST, #ARGV do
  if ARGV[at] == '' then fine, ends_well = fine + 1, true
  elseif ARGV[at] ~= '-' then failed, ends_well = failed + 1, false end
end

local function judge_while_open()
  local tried = tonumber(redis.call('HGET', breaker, 'tried:' .. shard) or '0')
  -- what was in work when the fault began may end with failures, after units that were fine before it: that is no proof
  if fine > 0 and failed < share * (fine + failed) and (ends_well or tried > 0) then
    close(breaker, window, queue, closed)
    return failed == 0 and 'believe' or 'open'  -- what failed may have done so before the fault was over: it is tried again
  end
  if failed == 0 then return 'believe' end
  redis.call('EXPIRE', breaker, KEPT)
  if shard ~= '' then tried = redis.call('HINCRBY', breaker, 'tried:' .. shard, 1) end
  local since = moment - tonumber(redis.call('HGET', breaker, 'opened_at'))
  if tried > ROUNDS and since > PATIENCE then return 'believe' end
  return 'open'
end

local function remember()
  local kept = {}
  local most_of_one = math.max(1, math.floor(most / SHARDS))
  for at = #ARGV, math.max(FIRST, #ARGV - most_of_one + 1), -1 do
    kept[#kept + 1] = {c = ARGV[at], w = worker, s = shard, t = moment}
  end
  for _, unit in ipairs(cjson.decode(redis.call('GET', window) or '{}')) do
    local again = shard ~= '' and unit.s == shard  -- or one bad shard would be many
    if #kept < most and not again and unit.t > moment - YOUNG then kept[#kept + 1] = unit end
  end
  redis.call('SET', window, cjson.encode(kept), 'EX', YOUNG)
  return kept
end

local function commonest(kept)
  local counts, failure, failing = {}, '', 0
  for _, unit in ipairs(kept) do
    if unit.c ~= '' and unit.c ~= '-' then
      counts[unit.c] = (counts[unit.c] or 0) + 1
      if counts[unit.c] > failing then failure, failing = unit.c, counts[unit.c] end
    end
  end
  return failure, failing
end

local function workers_of(kept, failure)
  local names, hosts, count = {}, {}, 0
  local function host(name) return name:match('^(.*):') or name end
  local function add(name)
    names[name], hosts[host(name)], count = true, true, count + 1
  end
  local function alive(name) return name == worker or redis.call('EXISTS', vitals .. name) == 1 end
  for _, unit in ipairs(kept) do
    if unit.c == failure and not names[unit.w] and alive(unit.w) then add(unit.w) end
  end
  for _, unit in ipairs(kept) do  -- one that is gone may have been started again under another number
    if unit.c == failure and not names[unit.w] and not hosts[host(unit.w)] then add(unit.w) end
  end
  return count
end

local function all_failed_lately(kept)
  local row = 0
  for _, unit in ipairs(kept) do
    if unit.c == '' then break end
    if unit.c ~= '-' then row = row + 1 end
  end
  return row >= doubtful
end

if redis.call('EXISTS', breaker) == 1 then return judge_while_open() end
if failed > 0 and moment - age < tonumber(redis.call('GET', closed) or '0') then return 'open' end  -- begun while it was
local kept = remember()
if failed == 0 then return 'believe' end
local failure, failing = commonest(kept)
if #kept >= least and failing >= share * #kept then
  local workers = workers_of(kept, failure)
  if workers < 2 then return 'doubt' end
  redis.call('HSET', breaker, 'opened_at', moment, 'failure', failure, 'failing', failing, 'units', #kept, 'workers', workers,
             'probe_at', moment + wait, 'wait', 2 * wait)
  redis.call('EXPIRE', breaker, KEPT)
  return 'open'
end
return all_failed_lately(kept) and 'doubt' or 'believe'
"""
)
"""Remember what became of a shard's units, and say what it is worth: believe, doubt or open.
KEYS: breaker, window, queue, its bell, closed.
ARGV: worker, shard, what keys of vitals begin with, units, share, least, doubtful, seconds to the first probe, seconds since the shard was
taken up, then each unit's class."""

WITNESS = (
    WORDS
    + """
local units = cjson.decode(redis.call('GET', KEYS[2]) or '{}')
local closed_at = tonumber(redis.call('GET', KEYS[5]) or '0')
if redis.call('EXISTS', KEYS[1]) == 1 or now() - tonumber(ARGV[2]) < closed_at then return 'open' end
local judged, others_failed = false, false
for _, unit in ipairs(units) do
  if unit.c == '' then
    if not judged then return 'believe' end
    break  -- older than the shard's own units: what was fine before a fault began
  elseif unit.s == ARGV[1] then judged = true
  elseif unit.c ~= '-' then others_failed = true end
end
if #units == 0 then return 'believe' end
return others_failed and 'doubt' or 'alone'
"""
)
"""Look what came after a shard's units: one that is fine is a witness against them. KEYS: breaker, window, queue, its bell, closed.
ARGV: shard, seconds since it was taken up. Returns open; believe; doubt where others fail too and none was fine since; or alone."""

UNTOLD = (
    WORDS
    + """
local before = redis.call('HGET', KEYS[1], 'before')
if not before then return 0 end
redis.call('HSET', KEYS[1], 'probe_at', now(), 'wait', before)
redis.call('HDEL', KEYS[1], 'before')
ring(KEYS[3])
return 1
"""
)
"""Take a probe back that told nothing, such as a shard of a cancelled job: another is due now.
KEYS: breaker, window, queue, its bell, closed."""

RESET = (
    _CLOSE
    + """
return close(KEYS[1], KEYS[2], KEYS[3], KEYS[5])
"""
)
"""Close the breaker and forget all units. KEYS: breaker, window, queue, its bell, closed. Returns 1 if it was open."""
