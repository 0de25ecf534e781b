"""The Lua that moves a message between its queue and a claim, each move one atomic call on the server's clock.

A claim is a delivery tag that was never used before and never will be: `claim:`, a counter, and the moment it was taken, which keeps
it unique where a Redis that lost its last second counts some numbers again. Whoever wants to renew, end or give back a claim must show
that tag, and a successor has another one: the tag is the fencing token.

    <queue>            list    one element for each message that waits, taken from the right: a token for one of a job, else the
                               message itself, as any Celery writes it. LLEN is what waits
    <queue>:job:<job>  list    a job's messages that wait, by its short name; taken from the right
    <queue>:turns      zset    jobs of which messages wait, or waited at their last turn -> their pass; `turns` tells how they take turns
    <queue>:shares     hash    job -> its weight; job:left -> its pass when it left; now -> the pass of who left last
    <queue>:epoch      string  what a producer knows this memory of the queue by; gone when somebody purges it
    <queue>:bell       list    at most one element, there to wake one idle worker
    claims             hash    tag -> the message. HLEN is what is in work
    claims:from        hash    tag -> the list it came from
    claims:index       zset    tag -> when it was taken or last renewed
    claims:counter     string  the last number
    claims:looked      string  when somebody last looked for claims that ran out, to the second
    claims:once        set     ids of messages that wait or are claimed, of those that may be there only once. SCARD is the open work

Time in which nobody looked is the broker's own absence, and runs against no claim: workers could not renew theirs.

While `framefleet:breaker` is there (see `breaker_scripts`), one message is taken per interval, a probe, and the next interval is longer.
"""

from broker.turns import TAKE_A_TURN, TURN_WORDS

CLAIMS, ORIGINS, INDEX, COUNTER, ONCE = "claims", "claims:from", "claims:index", "claims:counter", "claims:once"
LOOKED = "claims:looked"
BELL = ":bell"
TAG = "claim:"
BREAKER = "framefleet:breaker"
BREAKER_KEPT_SECONDS = 600
"""How long the breaker stays open without a probe or a failure: what nobody works on says nothing."""
LONGEST_PROBE_SECONDS = 300
LOOKS_SECONDS = 2.5
"""How often somebody looks at least, as long as one worker lives."""
ABSENT_SECONDS = 5.0
"""How long nobody must have looked before the broker, or the whole fleet, is taken to have been away."""

WORDS = """
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function ring(queue)
  if redis.call('LLEN', queue .. ':bell') == 0 then redis.call('LPUSH', queue .. ':bell', 1) end
end
"""

_LET_GO = """
local function let_go(claims, origins, index, tag)
  local message, list = redis.call('HGET', claims, tag), redis.call('HGET', origins, tag)
  redis.call('HDEL', claims, tag)
  redis.call('HDEL', origins, tag)
  redis.call('ZREM', index, tag)
  return message, list
end
"""
_GIVE_BACK = (
    WORDS
    + TURN_WORDS
    + _LET_GO
    + """
local function give_back(claims, origins, index, tag, how)
  local message, list = let_go(claims, origins, index, tag)
  if not message then return 0 end
  if message:sub(1, 20) ~= '{"redelivered":true,' then message = '{"redelivered":true,' .. message:sub(2) end
  ring(queue_up(how, list, message))
  return 1
end
"""
)
_LIMITS = f"local LOOKS, ABSENT, KEPT, LONGEST = {LOOKS_SECONDS}, {ABSENT_SECONDS}, {BREAKER_KEPT_SECONDS}, {LONGEST_PROBE_SECONDS}"
_SWEEP = (
    _LIMITS
    + """
local function look(index, looked, timeout, moment)
  local before = tonumber(redis.call('GET', looked) or nil)
  if before and before <= moment and moment - before < 1 then return end
  redis.call('DEL', looked)  -- or a full server would refuse the next write
  redis.call('SET', looked, moment)
  local away = before and moment - before or 0
  if away <= math.max(timeout / 2, ABSENT) then return end
  local claimed = redis.call('ZRANGE', index, 0, -1, 'WITHSCORES')
  for at = 1, #claimed, 2 do
    redis.call('ZADD', index, math.min(moment, tonumber(claimed[at + 1]) + away - LOOKS), claimed[at])
  end
end

local function sweep(claims, origins, index, looked, timeout, most, moment)
  look(index, looked, timeout, moment)
  local overdue = redis.call('ZRANGEBYSCORE', index, '-inf', moment - timeout, 'LIMIT', 0, most)
  for _, tag in ipairs(overdue) do give_back(claims, origins, index, tag, 'RPUSH') end
  return #overdue
end
"""
)

PUT = (
    WORDS
    + TURN_WORDS
    + """
local queue, once, job, weight = KEYS[1], KEYS[3], ARGV[1], ARGV[2]
local list, shares, new = job == '' and queue or queue .. OF_JOB .. job, queue .. SHARES, 0
for at = 3, #ARGV, 2 do
  if ARGV[at] == '' or redis.call('SADD', once, ARGV[at]) == 1 then
    queue_up('LPUSH', list, ARGV[at + 1])
    new = new + 1
  end
end
if job ~= '' then
  if weight ~= '' then redis.call('HSET', shares, job, weight) else redis.call('HSETNX', shares, job, 1) end
  redis.call('EXPIRE', shares, KEPT_SHARES)
end
if new > 0 then ring(queue) end
return new
"""
)
"""Queue messages of one job, or of none, but for those with an id that waits or is claimed; returns how many. A full server refuses all
of them or none. KEYS: queue, bell, once. ARGV: job or nothing, weight or nothing, then each message's id or nothing and the message."""

TAKE = (
    _GIVE_BACK
    + _SWEEP
    + TAKE_A_TURN
    + """
local claims, origins, index, counter, breaker = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local moment = tonumber(time[1]) + tonumber(time[2]) / 1e6
sweep(claims, origins, index, KEYS[6], tonumber(ARGV[1]), ARGV[2], moment)
local probe_at = redis.call('HGET', breaker, 'probe_at')
if probe_at and moment < tonumber(probe_at) then return false end
for at = 7, #KEYS, 2 do
  local queue = KEYS[at]
  local message, list = next_in_line(queue)
  if message then
    local tag = 'claim:' .. redis.call('INCR', counter) .. ':' .. time[1] .. '.' .. time[2]
    redis.call('HSET', claims, tag, message)
    redis.call('HSET', origins, tag, list)
    redis.call('ZADD', index, moment, tag)
    if probe_at then
      local wait = tonumber(redis.call('HGET', breaker, 'wait'))
      redis.call('HSET', breaker, 'probe_at', moment + wait, 'wait', math.min(2 * wait, LONGEST), 'before', wait)
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
KEYS: claims, origins, index, counter, breaker, looked, then each queue and its bell. ARGV: seconds a claim lives, most to give back."""

SWEEP = (
    _GIVE_BACK
    + _SWEEP
    + """
return sweep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[1]), ARGV[2], now())
"""
)
"""Give back claims that have run out; returns how many.
KEYS: claims, origins, index, looked. ARGV: seconds a claim lives, most to give back."""

END = (
    _LET_GO
    + """
if not let_go(KEYS[1], KEYS[2], KEYS[3], ARGV[1]) then return 0 end
if ARGV[2] ~= '' then redis.call('SREM', KEYS[4], ARGV[2]) end
return 1
"""
)
"""End a claim and its message; returns 0 if the claim is another's by now.
KEYS: claims, origins, index, once. ARGV: tag, the message's id or nothing."""

GIVE_BACK = (
    _GIVE_BACK
    + """
return give_back(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2])
"""
)
"""Put a claimed message back into the list it came from; returns 0 if the claim is another's by now.
KEYS: claims, origins, index. ARGV: tag, RPUSH (to be taken next) or LPUSH (last)."""

RENEW = (
    WORDS
    + """
local lost = {}
for _, tag in ipairs(ARGV) do
  local there = redis.call('ZREM', KEYS[1], tag) == 1  -- a write that a full server takes, and with it the next one
  if there then redis.call('ZADD', KEYS[1], now(), tag) else lost[#lost + 1] = tag end
end
return lost
"""
)
"""Make claims live on from now. KEYS: index. ARGV: tags. Returns those that are no more."""
