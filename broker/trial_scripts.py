"""The Lua that keeps what is known of a shard's attempts, each move one atomic call; `trials` tells what they mean.

framefleet:<job>:trials    hash    shard -> JSON, which holds objects only: Lua's JSON cannot tell an empty list from an empty object

{"trial": {"attempts", "crashes", "expiries", "suspect", "guilty", "how", "place", "stage"},     what a worker is told of it
 "open": {"tag", "worker", "place", "stage"},                                         the attempt that is under way, if there is one
 "seen": {"<place>": {"<worker>": true}}}                                             at which video whose claims ran out
"""

CRASHES_OF_THE_GUILTY, WORKERS_OF_THE_GUILTY = 3, 5
EXPIRIES_OF_A_SUSPECT = 2
KEPT_SECONDS = 7 * 24 * 3600

_LIMITS = f"""
local CRASHES, WORKERS, SUSPECT, KEPT = {CRASHES_OF_THE_GUILTY}, {WORKERS_OF_THE_GUILTY}, {EXPIRIES_OF_A_SUSPECT}, {KEPT_SECONDS}
"""
_WORDS = (
    _LIMITS
    + """
local key, shard, tag = KEYS[1], ARGV[1], ARGV[2]

local function read()
  local text = redis.call('HGET', key, shard)
  if text then return cjson.decode(text) end
  local trial = {attempts = 0, crashes = 0, expiries = 0, suspect = false, guilty = false, how = ''}
  return {trial = trial, seen = {}}
end

local function write(state)
  local trial = state.trial
  redis.call('HDEL', key, shard)  -- first, since a full server refuses no write of a script that has written
  if not state.open and trial.attempts == 0 and trial.expiries == 0 and not trial.suspect then return end
  redis.call('HSET', key, shard, cjson.encode(state))
  redis.call('EXPIRE', key, KEPT)
end

local function read_open()
  local state = read()
  if state.open and state.open.tag == tag then return state end
end

local function blame(trial, how, place, stage)
  trial.how, trial.place, trial.stage = how, place, stage
end

local function expire(state)
  local trial, open, workers = state.trial, state.open, 0
  trial.expiries = trial.expiries + 1
  trial.suspect = trial.suspect or trial.expiries >= SUSPECT
  if open.place then
    local place = tostring(open.place)
    state.seen[place] = state.seen[place] or {}
    state.seen[place][open.worker] = true
    for _ in pairs(state.seen[place]) do workers = workers + 1 end
  end
  if workers >= WORKERS or (trial.crashes == 0 and not trial.guilty) then  -- or it would hide what the shard is charged with
    blame(trial, trial.expiries .. (trial.expiries == 1 and ' claim' or ' claims') .. ' ran out', open.place, open.stage)
  end
  trial.guilty = trial.guilty or workers >= WORKERS
end

local function number(text)
  if text ~= '' then return tonumber(text) end
end

local function word(text)
  if text ~= '' then return text end
end
"""
)

BEGIN = (
    _WORDS
    + """
local worker, state = ARGV[3], read()
local trial, open = state.trial, state.open
if open and open.tag == tag and open.worker == worker then return cjson.encode(trial) end  -- asked twice, since an answer was lost
if open and open.tag ~= tag and redis.call('ZSCORE', KEYS[2], open.tag) then return cjson.encode(trial) end
if open then expire(state) end
trial.attempts = trial.attempts + 1
state.open = {tag = tag, worker = worker}
write(state)
return cjson.encode(trial)
"""
)
"""Count an attempt and open it; one that is still open under a claim that is no more ran out. Returns the trial. A claim that lives
keeps its attempt: who asks then is late, or has a message that was queued twice.
KEYS: trials, the index of claims. ARGV: shard, tag, worker."""

MARK = (
    _WORDS
    + """
local state = read_open()
if not state then return 0 end
state.open.place, state.open.stage = tonumber(ARGV[3]), ARGV[4]
write(state)
return 1
"""
)
"""Say which video and stage an attempt is at; returns 0 if the attempt is not open. KEYS: trials. ARGV: shard, tag, place, stage."""

CLOSE = (
    _WORDS
    + """
local state = read_open()
if not state then return 0 end
state.open = nil
state.trial.attempts = math.max(state.trial.attempts - tonumber(ARGV[3]), 0)
write(state)
return 1
"""
)
"""End an attempt that is nobody's fault; returns 0 if it is not open. KEYS: trials. ARGV: shard, tag, how many attempts to take back."""

CRASHED = (
    _WORDS
    + """
local state = read_open()
if not state then return 0 end
local trial, open = state.trial, state.open
state.open = nil
trial.crashes = trial.crashes + tonumber(ARGV[4])
trial.suspect = true
trial.guilty = trial.guilty or trial.crashes >= CRASHES
blame(trial, ARGV[3], number(ARGV[5]) or open.place, word(ARGV[6]) or open.stage)
write(state)
return 1
"""
)
"""End an attempt that ended its worker; returns 0 if it is not open.
KEYS: trials. ARGV: shard, tag, how, 1 if the shard was alone or 0, and place and stage, each or nothing."""
