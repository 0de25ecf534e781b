"""The Lua that moves a message between its queue and a claim, each move one atomic call on the server's clock.

A claim is a delivery tag that was never used before and never will be: `claim:`, a counter, and the moment it was taken, which keeps
it unique where a Redis that lost its last second counts some numbers again. Whoever wants to renew, end or give back a claim must show
that tag, and a successor has another one: the tag is the fencing token.

    <queue>           list    messages that wait, as any Celery writes them; taken from the right
    <queue>:bell      list    at most one element, there to wake one idle worker
    claims            hash    tag -> the message
    claims:from       hash    tag -> the queue it came from
    claims:index      zset    tag -> when it was taken or last renewed
    claims:counter    string  the last number
    claims:once       set     ids of messages that wait or are claimed, of those that may be there only once

While `framefleet:breaker` is there (see `breaker_scripts`), one message is taken per interval, a probe, and the next interval is longer.
"""

CLAIMS, ORIGINS, INDEX, COUNTER, ONCE = "claims", "claims:from", "claims:index", "claims:counter", "claims:once"
BELL = ":bell"
TAG = "claim:"
BREAKER = "framefleet:breaker"
BREAKER_KEPT_SECONDS = 600
"""How long the breaker stays open without a probe or a failure: what nobody works on says nothing."""
LONGEST_PROBE_SECONDS = 300

WORDS = """
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function ring(queue)
  if redis.call('LLEN', queue .. ':bell') == 0 then redis.call('LPUSH', queue .. ':bell', 1) end
end

local function let_go(claims, origins, index, tag)
  local message, queue = redis.call('HGET', claims, tag), redis.call('HGET', origins, tag)
  redis.call('HDEL', claims, tag)
  redis.call('HDEL', origins, tag)
  redis.call('ZREM', index, tag)
  return message, queue
end

local function give_back(claims, origins, index, tag, push)
  local message, queue = let_go(claims, origins, index, tag)
  if not message then return 0 end
  if message:sub(1, 20) ~= '{"redelivered":true,' then message = '{"redelivered":true,' .. message:sub(2) end
  redis.call(push, queue, message)
  ring(queue)
  return 1
end

local function sweep(claims, origins, index, timeout, most)
  local overdue = redis.call('ZRANGEBYSCORE', index, '-inf', now() - timeout, 'LIMIT', 0, most)
  for _, tag in ipairs(overdue) do give_back(claims, origins, index, tag, 'RPUSH') end
  return #overdue
end
"""

PUT = (
    WORDS
    + """
local queue, once, message, id = KEYS[1], KEYS[3], ARGV[1], ARGV[2]
if id ~= '' and redis.call('SADD', once, id) == 0 then return 0 end
redis.call('LPUSH', queue, message)
ring(queue)
return 1
"""
)
"""Queue a message, unless it has an id that waits or is claimed; returns 1 if queued.
KEYS: queue, bell, once. ARGV: message, id or nothing."""

TAKE = (
    WORDS
    + f"local KEPT, LONGEST = {BREAKER_KEPT_SECONDS}, {LONGEST_PROBE_SECONDS}"
    + """
local claims, origins, index, counter, breaker = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
sweep(claims, origins, index, tonumber(ARGV[1]), ARGV[2])
local probe_at = redis.call('HGET', breaker, 'probe_at')
if probe_at and now() < tonumber(probe_at) then return false end
for at = 6, #KEYS, 2 do
  local queue = KEYS[at]
  local message = redis.call('RPOP', queue)  -- first, since a full server refuses no write of a script that has written
  if message then
    local time = redis.call('TIME')
    local tag = 'claim:' .. redis.call('INCR', counter) .. ':' .. time[1] .. '.' .. time[2]
    redis.call('HSET', claims, tag, message)
    redis.call('HSET', origins, tag, queue)
    redis.call('ZADD', index, tonumber(time[1]) + tonumber(time[2]) / 1e6, tag)
    if probe_at then
      local wait = tonumber(redis.call('HGET', breaker, 'wait'))
      redis.call('HSET', breaker, 'probe_at', now() + wait, 'wait', math.min(2 * wait, LONGEST), 'before', wait)
      redis.call('EXPIRE', breaker, KEPT)
    elseif redis.call('EXISTS', queue) == 1 then ring(queue) end
    return {queue, tag, message}
  end
end
return false
"""
)
"""Give back what has run out, then claim the next message of the first queue that has one, unless the breaker is open and no probe is due.
Returns queue, tag, message, or nothing.
KEYS: claims, origins, index, counter, breaker, then each queue and its bell. ARGV: seconds a claim lives, most to give back."""

SWEEP = (
    WORDS
    + """
return sweep(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), ARGV[2])
"""
)
"""Give back claims that have run out. KEYS: claims, origins, index. ARGV: seconds a claim lives, most to give back. Returns how many."""

END = (
    WORDS
    + """
if not let_go(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) then return 0 end
if ARGV[2] ~= '' then redis.call('SREM', KEYS[4], ARGV[2]) end
return 1
"""
)
"""End a claim and its message; returns 0 if the claim is another's by now.
KEYS: claims, origins, index, once. ARGV: tag, the message's id or nothing."""

GIVE_BACK = (
    WORDS
    + """
return give_back(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2])
"""
)
"""Put a claimed message back into its queue; returns 0 if the claim is another's by now.
KEYS: claims, origins, index. ARGV: tag, RPUSH (to be taken next) or LPUSH (last)."""

RENEW = (
    WORDS
    + """
local lost = {}
for _, tag in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], tag) then redis.call('ZADD', KEYS[1], now(), tag) else lost[#lost + 1] = tag end
end
return lost
"""
)
"""Make claims live on from now. KEYS: index. ARGV: tags. Returns those that are no more."""
